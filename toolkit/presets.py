"""Prebuilt networks: where they lie, converting those that are adopted, mending what is damaged."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.bundle import Bundle, is_bundle, open_bundle
from deepfield.toolkit.cache import cache_folder, unwritable
from deepfield.toolkit.console import Console, silence_tensorflow
from deepfield.toolkit.errors import DeepfieldError, NotFound, names_for

if TYPE_CHECKING:
    from deepfield.toolkit.data import Arrays
    from deepfield.toolkit.pipeline import Pipeline

_ROOT = Path(__file__).resolve().parents[1]


def shipped_folder(cls: type[Pipeline], name: str) -> Path:
    """What of a preset lies beside its domain's code; of an adopted one, what is known of it."""
    module = sys.modules[cls.__module__].__file__
    return Path(str(module)).parent / "presets" / name


def preset_folder(cls: type[Pipeline], name: str) -> Path:
    """Where a preset lies: beside its domain's code, or in the cache for an adopted network."""
    if name in cls.adopted:
        return cache_folder() / cls.domain / name
    return shipped_folder(cls, name)


def preset_bundle(cls: type[Pipeline], name: str) -> Bundle:
    """Open a preset; an adopted one is converted into the cache when it is first asked for.

    Raises:
        NotFound: no such preset, or the package that carries its weights is not installed.
        UnusableModel: it is damaged; the hint is the command that mends it.
    """
    if name not in cls.presets:
        raise NotFound(f"{cls.domain} has no preset {name!r}", names_for(name, cls.presets))
    folder = preset_folder(cls, name)
    if not is_bundle(folder):
        if name not in cls.adopted:
            raise NotFound(f"the preset {cls.domain}/{name} is missing", mend(cls, name))
        adopt(cls, name)
    try:
        return open_bundle(folder)
    except DeepfieldError as error:
        error.hint = mend(cls, name, error)
        raise


def adopt(cls: type[Pipeline], name: str) -> None:
    """Convert a third party's weights into a bundle in the cache."""
    module, _, function = cls.adopted[name].partition(":")
    getattr(importlib.import_module(module), function)(preset_folder(cls, name))


def begin_conversion(name: str, folder: Path) -> Callable[[str], None]:
    """Tell that a conversion begins, once its files are found; before anything heavy is loaded.

    Args:
        name: the preset.
        folder: where its bundle will be.

    Returns:
        What every step is told to.

    Raises:
        DeepfieldError: nothing can be written there.
    """
    if why := unwritable(folder.parent):  # told before half a minute of work, not after it
        raise DeepfieldError(
            f"the published weights are converted into {str(folder)!r}: {why}",
            "export DEEPFIELD_CACHE=$(mktemp -d), or any folder that lasts",
        )
    silence_tensorflow()
    console = Console()
    console.say(f"{name}: converting the published weights, once")
    return lambda step: console.say(f"  {step}")


def keep(
    pipeline: Pipeline,
    folder: Path,
    golden: Sequence[Arrays],
    name: str,
    say: Callable[[str], None] = lambda step: None,
) -> None:
    """Write the bundle of an adopted network, with what is known of it.

    Args:
        pipeline: holds the converted networks.
        folder: where.
        golden: items whose outputs the bundle is checked by.
        name: the preset.
        say: is told that the last step begins.
    """
    from deepfield.toolkit.packing import save

    say("converting to ONNX and checking")
    known = adopted_facts(type(pipeline), name)
    facts = {
        "command": f"deepfield models check {pipeline.domain}/{name}",
        "metrics": {},
        **{key: known[key] for key in known if key not in ("architecture", "extra", "packages")},
    }
    save(pipeline, folder, facts, golden, name=name)


# ------------------------------------------------------------------ before it is converted


def measured(cls: type[Pipeline], name: str) -> dict[str, Any]:
    """What a benchmark measured of an adopted network and recorded; empty where none did."""
    file = shipped_folder(cls, name) / "measured.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def adopted_facts(cls: type[Pipeline], name: str) -> dict[str, Any]:
    """What is known of an adopted network without its weights, by the names of `config.json`.

    Also `extra`, which brings the `packages` that it is made of. Empty for a network of ours.
    """
    if name not in cls.adopted:
        return {}
    found = measured(cls, name)
    file = shipped_folder(cls, name) / "adopted.json"
    if file.is_file():
        found |= json.loads(file.read_text("utf-8"))
    wanted = ("architecture", "data_name", "data_licence", "weights_from", "extra", "packages",
              "metrics", "intervals")  # fmt: skip
    return {key: found[key] for key in wanted if key in found}


def lacking(cls: type[Pipeline], name: str) -> str:
    """The extra without which an adopted network cannot be made; empty where nothing lacks."""
    if name not in cls.adopted or is_bundle(preset_folder(cls, name)):
        return ""
    facts = adopted_facts(cls, name)
    there = all(map(importlib.util.find_spec, facts.get("packages", ())))
    return "" if there else str(facts["extra"])


def brings(extra: str) -> str:
    """The command that installs an extra.

    Example:
        >>> brings("face")
        'pip install "deepfield[face]"'
    """
    return f'pip install "deepfield[{extra}]"'


# ------------------------------------------------------------------ what mends


def mend(cls: type[Pipeline], name: str, error: DeepfieldError | None = None) -> str:
    """The one command that mends a preset.

    Args:
        cls: its domain.
        name: the preset.
        error: what was found; of a file too many it is that file which has to go.
    """
    folder = preset_folder(cls, name)
    if name in cls.adopted:  # it is converted again when it is next asked for
        return shlex.join(["rm", "-r", str(folder)])
    if error is not None and folder.is_dir():
        for path in folder.iterdir():
            if error.message.endswith(f": {path.name} does not belong to it"):
                return shlex.join(["rm", *(["-r"] if path.is_dir() else []), str(path)])
    if (_ROOT / ".git").exists():
        return shlex.join(["git", "-C", str(_ROOT), "checkout", "--", str(folder.resolve())])
    return pip("--force-reinstall", "--no-deps", _ourselves())


def pip(*words: str) -> str:
    """A command that installs into this very interpreter: a bare `pip` is often another one's."""
    return shlex.join([sys.executable, "-m", "pip", "install", *words])


def _ourselves() -> str:
    """What pip installs again: the file or folder that we came from, else our version."""
    try:
        ours = metadata.distribution("deepfield")
    except metadata.PackageNotFoundError:
        return "deepfield"
    origin = json.loads(ours.read_text("direct_url.json") or "{}")
    local = "archive_info" in origin or origin.get("dir_info") == {}
    return str(origin["url"]) if local else f"deepfield=={ours.version}"
