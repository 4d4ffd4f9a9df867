"""The six wings, by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib

from deepfield.toolkit.bundle import open_bundle
from deepfield.toolkit.errors import NotFound, UsageError, names_for, of_another_domain
from deepfield.toolkit.paths import is_folder, is_there
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import preset_bundle

#: Domain name to module, class and what it is for.
DOMAINS: dict[str, tuple[str, str, str]] = {
    "image": ("deepfield.domains.image", "ImagePipeline", "which class a picture shows"),
    "face": ("deepfield.domains.face", "FacePipeline", "are these two the same person"),
    "drug": ("deepfield.domains.drug", "DrugPipeline", "what a molecule does"),
    "genomics": (
        "deepfield.domains.genomics",
        "GenomicsPipeline",
        "what DNA does, and what a variant changes",
    ),
    "speech": ("deepfield.domains.speech", "SpeechPipeline", "what a recording says"),
    "qa": ("deepfield.domains.qa", "QAPipeline", "what a story says"),
}


def domain(name: str) -> type[Pipeline]:
    """The pipeline class of a domain.

    Raises:
        UsageError: no such domain.
    """
    if name not in DOMAINS:
        raise UsageError(f"no domain {name!r}", f"there are {', '.join(DOMAINS)}")
    module, cls, _ = DOMAINS[name]
    return getattr(importlib.import_module(module), cls)


def load(model: str, domain_name: str | None = None, device: str = "cpu") -> Pipeline:
    """Load a bundle's folder or a preset (`domain/name`, or the bare name inside a domain).

    An adopted preset is converted into the user's cache when it is first asked for.

    Raises:
        NotFound: no such folder and no such preset.
        UnusableModel: the bundle is damaged, or of another domain than `domain_name`.
    """
    name, _, preset = model.rpartition("/")
    name = name or domain_name or ""
    if name in DOMAINS and preset in domain(name).presets and not is_there(model):
        if domain_name not in (None, name):
            raise of_another_domain(model, name, domain_name)
        return domain(name).from_bundle(preset_bundle(domain(name), preset), device)
    if not is_folder(model):
        every = [f"{d}/{p}" for d in DOMAINS for p in domain(d).presets]
        raise NotFound(
            f"no model {model!r}: neither a bundle's folder nor a preset",
            names_for(model, every if domain_name is None else domain(domain_name).presets),
        )
    bundle = open_bundle(model)
    found = str(bundle.config.get("domain"))
    if found not in DOMAINS or domain_name not in (None, found):
        raise of_another_domain(model, found, domain_name)
    return domain(found).from_bundle(bundle, device)


__all__ = ["DOMAINS", "domain", "load"]
