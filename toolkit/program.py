"""The verbs above the domains: demo, doctor, models. The domains are handed in by the program."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from deepfield.toolkit.bundle import cache_folder, is_bundle
from deepfield.toolkit.commands import emit
from deepfield.toolkit.console import Console, silence_tensorflow
from deepfield.toolkit.errors import DeepfieldError, NotFound
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import preset_bundle, preset_folder
from deepfield.toolkit.report import Report
from deepfield.toolkit.runtime import cores

Classes = Mapping[str, type[Pipeline]]

_PACKAGES = (
    "deepfield", "tensorflow", "keras", "onnxruntime", "onnx", "numpy", "scikit-learn", "pillow",
    "tensorflow-datasets", "safetensors", "pyarrow", "jax",
)  # fmt: skip


def table(rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows of equal keys as an aligned table on standard output."""
    rows = [{k: _cell(v) for k, v in row.items()} for row in rows]
    if not rows:
        return
    heads = list(rows[0])
    widths = [max(len(h), *(len(row[h]) for row in rows)) for h in heads]
    for cells in (heads, *(list(row.values()) for row in rows)):
        line = "  ".join(f"{c:<{w}}" for c, w in zip(cells, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ----------------------------------------------------------------------------------------- demo


def demo(classes: Classes, output: str, quiet: bool) -> int:
    """Run every domain's demonstration: a table on screen and one self-contained page."""
    silence_tensorflow()
    console = Console(quiet)
    page = Report("deepfield: what each network saw, and why it said so")
    page.text("Every answer below was computed on this machine, from files that ship with it.")
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    for name, cls in classes.items():
        page.section(name)
        console.say(f"{name}: {cls.summary}")
        rows += [{"domain": name, **row} for row in cls.demo(page, console)]
    page.section("All answers")
    page.table(rows)
    page.write(output)
    table(rows)
    console.say(f"{time.monotonic() - began:.0f} s; wrote {output}")
    return 0


# --------------------------------------------------------------------------------------- doctor


def doctor(classes: Classes, as_json: bool) -> int:
    """What is installed, where things are, and whether every preset holds here."""
    facts: list[dict[str, Any]] = [
        {"what": "python", "found": platform.python_version(), "mend": ""},
        {"what": "machine", "found": f"{platform.machine()}, {cores()} cores", "mend": ""},
    ]
    for package in _PACKAGES:
        try:
            facts.append({"what": package, "found": metadata.version(package), "mend": ""})
        except metadata.PackageNotFoundError:
            needed = package != "jax"
            mend = f"pip install {package}" if needed else ""
            found = "missing" if needed else "not installed (only for training on several machines)"
            facts.append({"what": package, "found": found, "mend": mend})
    import onnxruntime

    devices = ", ".join(
        p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()
    )
    facts.append({"what": "prediction runs on", "found": devices, "mend": ""})
    facts.append(_cache())
    for name, cls in classes.items():
        facts += [_preset(name, cls, preset) for preset in cls.presets]
    if as_json:
        for fact in facts:
            emit(fact)
    else:
        table(facts)
    return 1 if any(fact["mend"] for fact in facts) else 0


def _cache() -> dict[str, Any]:
    folder = cache_folder()
    above = next(p for p in (folder, *folder.parents) if p.exists())
    fine = os.access(above, os.W_OK)
    mend = "" if fine else "export DEEPFIELD_CACHE=A_FOLDER_YOU_MAY_WRITE"
    return {"what": "cache", "found": f"{folder}{'' if fine else ' (not writable)'}", "mend": mend}


def _preset(name: str, cls: type[Pipeline], preset: str) -> dict[str, Any]:
    what = f"{name}/{preset}"
    if preset in cls.adopted and not is_bundle(preset_folder(cls, preset)):
        return {"what": what, "found": "not converted yet, done when first used", "mend": ""}
    try:
        result = cls.from_bundle(preset_bundle(cls, preset)).check()
    except DeepfieldError as error:
        mend = (
            f"rm -r {preset_folder(cls, preset)}"
            if preset in cls.adopted
            else "pip install --force-reinstall deepfield"
        )
        return {"what": what, "found": error.message, "mend": mend}
    found = f"golden outputs agree to {result['largest_difference']:.1g}"
    if result["ok"]:
        return {"what": what, "found": found, "mend": ""}
    return {"what": what, "found": found, "mend": "pip install --force-reinstall onnxruntime"}


# --------------------------------------------------------------------------------------- models


def models_list(classes: Classes, as_json: bool) -> int:
    """Every preset with its task, size, data, licence and headline figure."""
    rows = [_row(name, cls, preset) for name, cls in classes.items() for preset in cls.presets]
    if as_json:
        for row in rows:
            emit(row)
    else:
        table(rows)
    return 0


def _row(name: str, cls: type[Pipeline], preset: str) -> dict[str, Any]:
    folder = preset_folder(cls, preset)
    row: dict[str, Any] = {"model": f"{name}/{preset}", "architecture": "", "parameters": "",
                           "MB": "", "data": "", "licence": "", "measured": ""}  # fmt: skip
    if not is_bundle(folder):
        row["measured"] = (
            "adopted: converted when first used" if preset in cls.adopted else "missing"
        )
        return row
    try:
        bundle = preset_bundle(cls, preset)
    except DeepfieldError as error:
        row["measured"] = error.message
        return row
    config = bundle.config
    figures = config.get("metrics") or {}
    part = "test" if "test" in figures else next(iter(figures), "")
    metric = next((k for k in figures.get(part, {}) if k != "n"), "")
    if metric:
        row["measured"] = f"{metric} {figures[part][metric]:.4g} ({part}, n={figures[part]['n']})"
    row["architecture"] = config["architecture"]
    row["parameters"] = f"{config.get('parameters', 0):,}"
    row["MB"] = f"{sum(p['bytes'] for p in bundle.files.values()) / 1e6:.1f}"
    row["data"] = config.get("data_name") or ""
    row["licence"] = config.get("data_licence") or ""
    return row


def models_show(classes: Classes, model: str) -> int:
    """A preset's card."""
    cls, preset = _find(classes, model)
    sys.stdout.write(preset_bundle(cls, preset).read("card.md").decode())
    return 0


def models_check(classes: Classes, model: str | None, as_json: bool) -> int:
    """Compare presets with their golden outputs; an adopted one is converted first."""
    if model is None:
        chosen = [(cls, preset) for cls in classes.values() for preset in cls.presets]
    else:
        chosen = [_find(classes, model)]
    worst = 0
    for cls, preset in chosen:
        try:
            result = cls.from_bundle(preset_bundle(cls, preset)).check()
        except NotFound as error:
            if model is not None:
                raise
            result = {"ok": None, "largest_difference": None, "items": 0, "note": error.message}
        row = {"model": f"{cls.domain}/{preset}", **result}
        worst = max(worst, 0 if result["ok"] in (True, None) else 1)
        emit(row) if as_json else table([row])
    return worst


def _find(classes: Classes, model: str) -> tuple[type[Pipeline], str]:
    name, _, preset = model.rpartition("/")
    for domain, cls in classes.items():
        if preset in cls.presets and name in ("", domain):
            return cls, preset
    known = ", ".join(f"{d}/{p}" for d, c in classes.items() for p in c.presets)
    raise NotFound(f"no preset {model!r}", f"there are {known}")
