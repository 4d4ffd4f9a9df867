"""Every example in a docstring runs, and every public name that `docs/reference.md` shows has one.

Found, not listed: a module with an example is run here, and a name new on that page needs one.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()

# Names of the reference that have no example yet. It only shrinks: one that has an example fails.
WITHOUT: set[str] = {
    "deepfield.domains.genomics.motifs.Match",
    "deepfield.domains.genomics.motifs.from_sites",
    "deepfield.domains.genomics.motifs.matches",
    "deepfield.domains.genomics.motifs.parse_meme",
    "deepfield.domains.genomics.motifs.read_meme",
    "deepfield.domains.genomics.motifs.write_meme",
    "deepfield.domains.genomics.scanning.Judged",
    "deepfield.domains.genomics.scanning.scan",
    "deepfield.domains.genomics.simulated.Gene",
    "deepfield.domains.genomics.simulated.Planted",
    "deepfield.domains.genomics.simulated.genome",
    "deepfield.domains.genomics.simulated.simulate",
    "deepfield.domains.genomics.splits.chromosome",
    "deepfield.domains.genomics.splits.similarity",
    "deepfield.domains.genomics.variants.Scorer",
    "deepfield.domains.genomics.variants.Settings",
    "deepfield.domains.genomics.variants.Tally",
    "deepfield.domains.genomics.windows.window",
    "deepfield.domains.qa.features.Asked",
    "deepfield.domains.qa.features.Reading",
    "deepfield.domains.qa.models.entity_network",
    "deepfield.domains.qa.world.Question",
    "deepfield.domains.qa.world.Tale",
    "deepfield.domains.qa.world.write_babi",
    "deepfield.domains.speech.decoder.BeamSearch",
    "deepfield.domains.speech.decoder.align",
    "deepfield.domains.speech.decoder.greedy",
    "deepfield.domains.speech.espeak.Voices",
    "deepfield.domains.speech.features.Clip",
    "deepfield.domains.speech.features.Sound",
    "deepfield.domains.speech.features.pieces",
    "deepfield.domains.speech.features.whole",
    "deepfield.domains.speech.formants.Speaker",
    "deepfield.domains.speech.formants.conversations",
    "deepfield.domains.speech.formants.say",
    "deepfield.domains.speech.models.blstm_ctc",
    "deepfield.domains.speech.models.cnn_ctc",
    "deepfield.domains.speech.models.conformer_ctc_small",
    "deepfield.domains.speech.models.quartznet_small",
    "deepfield.domains.speech.models.tdnn",
    "deepfield.domains.speech.streaming.Stream",
    "deepfield.domains.speech.variation.at_speed",
    "deepfield.domains.speech.variation.in_room",
    "deepfield.domains.speech.variation.varied",
    "deepfield.toolkit.data.Encoded",
    "deepfield.toolkit.data.Option",
    "deepfield.toolkit.data.Reader",
    "deepfield.toolkit.data.read_source",
    "deepfield.toolkit.testing_pipelines.check_pipeline",
}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["deepfield", *parts]).removesuffix(".__init__")


MODULES = [
    _module(path)
    for path in (
        ROOT / "__init__.py",
        ROOT / "cli.py",
        *sorted((ROOT / "toolkit").rglob("*.py")),
        *sorted((ROOT / "domains").rglob("*.py")),
    )
    if re.search(r"^ *>>> (?!.*doctest: \+SKIP)", path.read_text(), re.MULTILINE)
]


def _shown() -> list[str]:
    """Return the dotted names of the functions and classes that the reference shows."""
    names = []
    for block in REFERENCE.split("\n::: ")[1:]:
        name, _, rest = block.partition("\n")
        narrowed = re.search(r"members:(.*?)(\n#|$)", rest, re.DOTALL)
        if narrowed:
            names += [f"{name}.{member}" for member in re.findall(r"\w+", narrowed[1])]
        elif (ROOT / Path(*name.split(".")[1:])).with_suffix(".py").exists():
            names += [f"{name}.{member}" for member in _own(importlib.import_module(name))]
        else:
            names.append(name)
    return names


def _own(module) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and value.__doc__
    ]


def _has_example(name: str) -> bool:
    """Whether a function has an example, or a class, be it that of a method."""
    module, _, member = name.rpartition(".")
    value = getattr(importlib.import_module(module), member)
    texts = [value.__doc__]
    if inspect.isclass(value):
        texts += [inspect.getdoc(v) for k, v in vars(value).items() if not k.startswith("_")]
    return any(doctest.DocTestParser().get_examples(text or "") for text in texts)


@pytest.fixture(scope="module")
def shown() -> list[str]:
    return _shown()


def test_the_reference_shows_names(shown):
    assert {"deepfield.load", "deepfield.toolkit.layers.ArcMargin"} <= {*shown}
    assert "deepfield.toolkit.splits.Split" in shown and len(shown) == len({*shown})


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted and not found.failed


def test_every_public_name_has_an_example(shown):
    missing = {name for name in shown if not _has_example(name)}
    assert missing - WITHOUT == set(), "a public name has an example in its docstring"
    assert WITHOUT - missing == set(), "these have an example now: take them off WITHOUT"
