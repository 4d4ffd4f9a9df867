"""Prebuilt networks: where they lie, and converting those that are adopted."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deepfield.toolkit.bundle import Bundle, cache_folder, is_bundle, open_bundle
from deepfield.toolkit.errors import NotFound, names_for

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline


def preset_folder(cls: type[Pipeline], name: str) -> Path:
    """Where a preset lies: beside its domain's code, or in the cache for an adopted network."""
    if name in cls.adopted:
        return cache_folder() / cls.domain / name
    module = sys.modules[cls.__module__].__file__
    return Path(str(module)).parent / "presets" / name


def preset_bundle(cls: type[Pipeline], name: str) -> Bundle:
    """Open a preset; an adopted one is converted into the cache when it is first asked for.

    Raises:
        NotFound: no such preset, or the package that carries its weights is not installed.
    """
    if name not in cls.presets:
        raise NotFound(f"{cls.domain} has no preset {name!r}", names_for(name, cls.presets))
    folder = preset_folder(cls, name)
    if not is_bundle(folder):
        if name not in cls.adopted:
            raise NotFound(f"the preset {cls.domain}/{name} is missing", "reinstall deepfield")
        adopt(cls, name)
    return open_bundle(folder)


def adopt(cls: type[Pipeline], name: str) -> None:
    """Convert a third party's weights into a bundle in the cache."""
    module, _, function = cls.adopted[name].partition(":")
    getattr(importlib.import_module(module), function)(preset_folder(cls, name))
