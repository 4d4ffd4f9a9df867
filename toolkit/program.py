"""The verbs above the domains: demo, doctor, models. The domains are handed in by the program."""

from __future__ import annotations

import itertools
import platform
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from deepfield.toolkit.bundle import is_bundle
from deepfield.toolkit.cache import cache_folder, unwritable
from deepfield.toolkit.cards import early_card, headline
from deepfield.toolkit.commands import emit
from deepfield.toolkit.console import Console, hushed, silence_tensorflow
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError, names_for
from deepfield.toolkit.paths import is_folder
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import (
    adopted_facts,
    brings,
    lacking,
    mend,
    pip,
    preset_bundle,
    preset_folder,
)
from deepfield.toolkit.report import Report, answer_row
from deepfield.toolkit.runtime import cores
from deepfield.toolkit.writers import write_whole

Classes = Mapping[str, type[Pipeline]]

_ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 100  # columns that a table must fit where there is no terminal to say it
_WIDE = 180  # of the table of all networks, which has more to say
_SPARE = 16  # a word of so many letters, or fewer, is not broken


def table(rows: Iterable[Mapping[str, Any]], below: str = "", width: int = _WIDTH) -> None:
    """Rows of equal keys as an aligned table on standard output, long cells over several lines.

    Args:
        rows: what it shows.
        below: a key that is no column: what it says stands in a line under its row.
        width: columns that it must fit where there is no terminal to say it.
    """
    given = [{k: _cell(v) for k, v in row.items()} for row in rows]
    notes = [row.pop(below, "") for row in given]
    if not given:
        return
    heads = list(given[0])
    widths = [max(len(h), *(len(row[h]) for row in given)) for h in heads]
    words = (re.split(r"\s+|(?<=\w-)", " ".join([h, *(row[h] for row in given)])) for h in heads)
    least = [min(_SPARE, max(map(len, own), default=0)) for own in words]
    columns = shutil.get_terminal_size((width, 1)).columns
    while sum(widths) + 2 * (len(widths) - 1) > columns:
        wide = [i for i in range(1, len(widths)) if widths[i] > least[i]]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
    every = zip((heads, *(list(row.values()) for row in given)), ("", *notes), strict=True)
    for cells, note in every:
        parts = [textwrap.wrap(c, max(1, w)) or [""] for c, w in zip(cells, widths, strict=True)]
        for line in itertools.zip_longest(*parts, fillvalue=""):
            text = "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True))
            sys.stdout.write(text.rstrip() + "\n")
        if note:
            sys.stdout.write(f"    {note}\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ----------------------------------------------------------------------------------------- demo


def demo(classes: Classes, output: str, quiet: bool, as_json: bool = False) -> int:
    """Run every domain's demonstration: a table on screen and one self-contained page.

    A domain that fails does not stop the others; what waits for an extra is no failure. As JSON
    the answers come domain by domain, an object each.
    """
    if is_folder(output):  # told before the work, not after
        raise UsageError(f"{output!r} is a folder", "name a file")
    silence_tensorflow()
    console = Console(quiet)
    page = Report("deepfield: what each network saw, and why it said so")
    page.text("Every answer below was computed on this machine, from files that ship with it.")
    shown = Report("")
    rows: list[dict[str, Any]] = []
    began, failed = time.monotonic(), False
    for name, cls in classes.items():
        shown.chapter(name)
        console.say(f"{name}: {cls.summary}")
        with hushed(quiet):
            found, wrong = _answers(cls, shown, console)
        rows += [{"domain": name, **row} for row in found]
        failed |= wrong
        for row in found if as_json else ():
            emit({"domain": name, **_answered(row)})
    page.chapter("All answers").table(rows).then(shown)
    write_whole(output, page.html().encode())
    if not as_json:
        table(rows)
    console.say(f"{time.monotonic() - began:.0f} s; wrote {output}")
    return 1 if failed else 0


def _answers(
    cls: type[Pipeline], page: Report, console: Console
) -> tuple[list[dict[str, Any]], bool]:
    """A domain's part of the demonstration, and whether more is wrong than a missing extra."""
    try:
        rows = cls.demo(page, console)
    except DeepfieldError as error:
        why = f"not answered: {error.message}; {error.hint}"
        console.say(f"  {why}")
        page.text(why)
        absent = isinstance(error, NotFound) and any(lacking(cls, name) for name in cls.adopted)
        return [answer_row("", "", why)], not absent
    silent = [row for row in rows if not row["input"]]
    for row in silent:
        row["answer"] = f"not answered: {row['answer']}"
        page.text(f"{row['model']}: {row['answer']}")
    return rows, any(not lacking(cls, row["model"]) for row in silent)


def _answered(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the demonstration with numbers; `answer` is None where `reason` says why."""
    silent = not row["input"]
    probability, spent = (float(row[name]) if row[name] else None for name in ("probability", "ms"))
    return {
        "asked": row["input"] or None, "model": row["model"] or None,
        "answer": None if silent else row["answer"], "probability": probability,
        "seconds": None if spent is None else spent / 1000,
        "status": "rejected" if silent else "ok",
        "reason": row["answer"].removeprefix("not answered: ") if silent else "",
    }  # fmt: skip


# --------------------------------------------------------------------------------------- doctor


def doctor(classes: Classes, as_json: bool) -> int:
    """What is installed, where things are, and whether every preset holds here.

    A line a fact; a fault has the one command that mends it, and makes the exit code 1.
    """
    import onnxruntime

    facts = [
        _fact("python", platform.python_version()),
        _fact("machine", f"{platform.machine()}, {cores()} cores"),
        *_packages(),
    ]
    found = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    facts.append(_fact("predicts on", ", ".join(p for p in found if p != "Azure")))
    facts.append(_cache())
    for name, cls in classes.items():
        facts += [_preset(name, cls, preset) for preset in cls.presets]
    faults = sum(bool(fact["mend"]) for fact in facts)
    if as_json:
        for fact in facts:
            emit(fact)
        return 1 if faults else 0
    width = max(len(fact["what"]) for fact in facts)
    for fact in facts:
        found_, mend = fact["found"], fact["mend"]
        mark = "FAULT: " if mend else ""
        sys.stdout.write(f"{fact['what']:<{width}}  {mark}{found_}\n")
        if mend:
            sys.stdout.write(f"{'':<{width}}  mend:  {mend}\n")
    told = "no fault" if not faults else "1 fault" if faults == 1 else f"{faults} faults"
    sys.stdout.write(f"{told} found\n")
    return 1 if faults else 0


def _fact(what: str, found: str, mend: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "mend": mend}


def _packages() -> Iterator[dict[str, Any]]:
    """The packages that ours asks for, and whether they are there in a version that was tested."""
    from packaging.requirements import Requirement

    try:
        ours = metadata.distribution("deepfield")
    except metadata.PackageNotFoundError:
        yield _fact("deepfield", "runs from its folder, not installed", pip("-e", str(_ROOT)))
        return
    yield _fact("deepfield", f"{ours.version} in {_ROOT}")
    extras = [e for e in ours.metadata.get_all("Provides-Extra") or () if e != "dev"]
    for line in ours.requires or ():
        asked = Requirement(line)
        extra = next((e for e in extras if asked.marker and _asks(asked, e)), "")
        if asked.marker and not extra and not asked.marker.evaluate():
            continue
        wanted = f"{asked.name}{asked.specifier}"
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            if extra:
                yield _fact(asked.name, f"optional, not installed: {brings(extra)}")
            else:
                yield _fact(asked.name, "missing", pip(wanted))
            continue
        if asked.specifier.contains(version, prereleases=True):
            yield _fact(asked.name, version)
        else:
            yield _fact(asked.name, f"{version}, tested with {asked.specifier}", pip(wanted))


def _asks(asked: Any, extra: str) -> bool:
    return asked.marker.evaluate({"extra": extra}) and not asked.marker.evaluate({"extra": ""})


def _cache() -> dict[str, Any]:
    folder = cache_folder()
    if unwritable(folder, make=False):
        return _fact("cache", f"{folder} cannot be written", "export DEEPFIELD_CACHE=$(mktemp -d)")
    return _fact("cache", str(folder))


def _preset(name: str, cls: type[Pipeline], preset: str) -> dict[str, Any]:
    what = f"{name}/{preset}"
    if extra := lacking(cls, preset):
        return _fact(what, f"optional, not installed: {brings(extra)}")
    if preset in cls.adopted and not is_bundle(preset_folder(cls, preset)):
        return _fact(what, "not converted yet: done when it is first used")
    try:
        result = cls.from_bundle(preset_bundle(cls, preset)).check()
    except DeepfieldError as error:
        return _fact(what, error.message, mend(cls, preset, error))
    gap = result["largest_difference"]
    if result["ok"]:
        return _fact(what, f"answers as when it was made (within {gap:.0e})")
    again = pip("--force-reinstall", "onnxruntime")
    return _fact(what, f"answers differ by {gap:.1g} from when it was made", again)


# --------------------------------------------------------------------------------------- models


def models_list(classes: Classes, as_json: bool) -> int:
    """Every preset with its task, headline figure, size, data and licence; as JSON with more.

    A terminal that is too narrow for all of them gets what a network is chosen by.
    """
    rows = [_row(name, cls, preset) for name, cls in classes.items() for preset in cls.presets]
    if as_json:
        for row in rows:
            emit(row)
        return 0
    narrow = shutil.get_terminal_size((_WIDE, 1)).columns < _LEAST
    table([_listed(row, narrow) for row in rows], "note", _WIDE)
    if narrow:
        Console().say(f"part, size and data: from {_LEAST} columns on, or with --json")
    return 0


#: Columns that the whole list needs; without part, size and data it fits 80.
_LEAST = 120


def _listed(row: Mapping[str, Any], narrow: bool) -> dict[str, Any]:
    """A row of the table: names of data without their source, which the card tells."""
    size = "" if row["MB"] is None else f"{row['MB']:.1f}"
    data = re.sub(r" \([^)]*\)", "", row["data"])
    notes = [f"FAULT: {row['fault']}"] if row["fault"] else []
    part = row["headline"].get("part", "")
    if " " in part:  # no part of a split, but what was measured in words
        notes.append(f"measured on {part}")
        part = ""
    more = {} if narrow else {"on": part, "MB": size, "data": data}
    if row["needs"]:
        notes.append(f'needs {row["needs"]}: pip install "{row["needs"]}"')
    return {
        "model": row["model"], "task": row["task"], "measured": row["measured"], **more,
        "licence": row["licence"], "note": "; ".join(notes),
    }  # fmt: skip


def _row(name: str, cls: type[Pipeline], preset: str) -> dict[str, Any]:
    """All that `models list` knows of a preset; what is not known is None, or empty text."""
    row: dict[str, Any] = {
        "model": f"{name}/{preset}", "domain": name, "task": cls.task_class().name,
        "architecture": "", "parameters": None, "MB": None, "data": "", "licence": "",
        "measured": "", "headline": {}, "needs": "", "fault": "",
    }  # fmt: skip
    extra = lacking(cls, preset)
    config = adopted_facts(cls, preset)
    if extra:
        row["needs"] = f"deepfield[{extra}]"
    if is_bundle(preset_folder(cls, preset)) or preset not in cls.adopted:
        try:
            bundle = preset_bundle(cls, preset)
        except DeepfieldError as error:
            return row | {"fault": f"{error.message}; {error.hint}"}
        config = bundle.config
        row["task"] = cls.task_class(config["task"]).name
        row["parameters"] = config.get("parameters")
        row["MB"] = round(sum(p["bytes"] for p in bundle.files.values()) / 1e6, 2)
    row["headline"] = found = headline(config)
    if found:
        row["measured"] = f"{found['metric']} {found['value']:.4f}"
    if found.get("interval"):
        row["measured"] += " ({:.4f}–{:.4f})".format(*found["interval"])
    row["architecture"] = config.get("architecture", "")
    row["data"] = config.get("data_name") or ""
    row["licence"] = config.get("data_licence") or ""
    return row


def models_show(classes: Classes, model: str, as_json: bool) -> int:
    """A preset's card; as JSON with what `models list` tells of it.

    Of an adopted network that is not converted yet what is known without its weights.
    """
    cls, preset = _find(classes, model)
    facts = adopted_facts(cls, preset)
    if facts and not is_bundle(preset_folder(cls, preset)):
        extra, name = lacking(cls, preset), f"{cls.domain}/{preset}"
        how = f"`{brings(extra)}` brings the weights. " if extra else ""
        how += "They are converted when the network is first used; "
        how += f"`deepfield models check {name}` does it at once."
        named = facts | {"domain": cls.domain, "name": preset}
        card = early_card(cls.task_class().name, named, how)
    else:
        card = preset_bundle(cls, preset).read("card.md").decode()
    if as_json:
        emit(_row(cls.domain, cls, preset) | {"card": card})
    else:
        sys.stdout.write(card)
    return 0


def models_check(classes: Classes, model: str | None, as_json: bool) -> int:
    """Compare presets with their golden outputs; an adopted one is converted first."""
    if model is None:
        chosen = [(cls, preset) for cls in classes.values() for preset in cls.presets]
    else:
        chosen = [_find(classes, model)]
    rows: list[dict[str, Any]] = []
    for cls, preset in chosen:
        note = ""
        try:
            result = cls.from_bundle(preset_bundle(cls, preset)).check()
        except DeepfieldError as error:
            if model is not None:
                raise
            # A network of a package that is not installed is no fault.
            absent = preset in cls.adopted and isinstance(error, NotFound)
            result = {"ok": None if absent else False, "largest_difference": None, "items": 0}
            note = f"{error.message}; {error.hint}"
        rows.append({"model": f"{cls.domain}/{preset}", **result, "note": note})
        if as_json:
            emit(rows[-1])
    if not as_json:
        heads = {"model": "model", "ok": "holds", "largest_difference": "differs by", "note": ""}
        table([{head: row[k] for k, head in heads.items()} for row in rows])
    return 1 if any(row["ok"] is False for row in rows) else 0


def _find(classes: Classes, model: str) -> tuple[type[Pipeline], str]:
    name, _, preset = model.rpartition("/")
    for domain, cls in classes.items():
        if preset in cls.presets and name in ("", domain):
            return cls, preset
    known = [f"{d}/{p}" for d, c in classes.items() for p in c.presets]
    raise NotFound(f"no preset {model!r}", names_for(model, known))
