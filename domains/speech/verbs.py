"""The domain's own verb: `transcribe` recordings, of any length, or while they go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from deepfield.domains.speech import features
from deepfield.domains.speech.data import is_sound, pipes_sound
from deepfield.domains.speech.subtitles import FORMS, lines_of
from deepfield.toolkit.commands import asked, console_of, emit, options_of
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample, own_columns, read_source, shipped
from deepfield.toolkit.errors import REJECTED, BadInput, UsageError
from deepfield.toolkit.naming import prefixed, prefixes
from deepfield.toolkit.writers import escaped, write_whole

#: Pieces of recordings that the network hears at once: more of them would only take more memory.
TOGETHER = 4


def transcribe(cls: Any, load: Any, sources: tuple[str, ...], flags: Any) -> int:
    """Write what recordings say: to standard output, to a file, or a file each and form into a
    folder.
    """
    forms = tuple(dict.fromkeys(flags.form or ())) or (("json",) if flags.json else ())
    reading = options_of(cls, "transcribe", flags, reader=True)
    for source in sources:  # a wrong name is told before anything is loaded
        read_source(source, cls.readers, cls.samples, **reading)
    alone = len(sources) == 1 and _is_one(shipped(sources[0], cls.samples))
    if flags.live and (
        flags.output not in (None, "-") or flags.json or forms not in ((), ("txt",))
    ):
        raise UsageError(
            "--live writes text to standard output alone", "leave out -o, -f and --json"
        )
    if flags.json and forms != ("json",):
        raise UsageError("--json writes JSON alone", f"leave out --json, or -f {forms[0]}")
    forms, file, folder = _place(flags.output, forms, alone)
    pipeline = asked(cls, load, "transcribe", flags)
    pipeline._use()
    console = console_of(flags)
    places = [shipped(source, cls.samples) for source in sources]
    samples = (
        sample
        for source, prefix in zip(places, prefixes(places), strict=True)
        for sample in prefixed(source, pipeline.read(source, **reading), prefix)
    )
    if flags.live:
        return _live(pipeline, samples, console)
    began, heard_s, rejected = time.monotonic(), 0.0, 0
    names: set[str] = set()
    for told in transcripts(pipeline, samples):
        heard_s += told["seconds"] or 0.0
        if told["status"] != "ok":
            rejected += 1
            console.say(f"{told['path']}: {told['reason']}")
        elif told["in_domain"] is False and "json" not in forms and not flags.json:
            console.say(f"{told['path']}: may be wrong: {told['in_domain_reason']}")
        if file is None and folder is None:
            _show(told, forms[0], alone, bool(flags.json))
        elif told["status"] == "ok":
            stem = _free_name(told["path"], names)
            if folder and stem != _wanted_name(told["path"]):
                console.say(f"{told['path']}: written as {stem}, since the name was taken")
            for form in forms:
                place = file or Path(folder or "") / f"{stem}.{form}"
                write_whole(str(place), escaped(FORMS[form](told)))
    seconds = time.monotonic() - began
    line = f"{heard_s:,.1f} s of sound in {seconds:.1f} s"
    if heard_s >= 10:
        line += f" (real-time factor {seconds / heard_s:.3f})"
    wrote = folder or (file if not rejected else None)
    console.say(line + (f", wrote {wrote}" if wrote else ""))
    return REJECTED if rejected else 0


def _is_one(source: str) -> bool:
    """Whether a source is one recording, not a folder or a table of some."""
    return pipes_sound() if source == "-" else is_sound(source)


def _place(
    output: str | None, forms: tuple[str, ...], alone: bool
) -> tuple[tuple[str, ...], Path | None, Path | None]:
    """The forms, and the file or the folder to write; neither is standard output.

    Raises:
        UsageError: what is wanted does not fit there.
    """
    if output in (None, "-"):
        if len(forms) > 1:
            raise UsageError(f"{' and '.join(forms)} to standard output", "add -o FOLDER")
        if not alone and forms and forms[0] not in ("txt", "json"):
            raise UsageError(
                f"{forms[0]} of several recordings to standard output", "add -o FOLDER"
            )
        return forms or ("txt",), None, None
    path = Path(str(output))
    own = path.suffix[1:].lower()
    if alone and not forms and own.isalpha() and own not in FORMS and not path.exists():
        raise UsageError(f"no form of transcript ends in .{own}", f"end it in .{', .'.join(FORMS)};"
                         f" or -f txt -o {output} for a folder")  # fmt: skip
    if path.is_dir() or (own not in FORMS and not path.exists()):
        return forms or ("txt",), None, path
    if own not in FORMS or (forms and forms != (own,)):
        wanted = " and ".join(forms) or "transcripts"
        raise UsageError(f"{wanted} into the file {output!r}", "-o names a folder, or one file"
                         f" .{', .'.join(FORMS)}")  # fmt: skip
    if not alone:
        raise UsageError(f"several recordings into the file {output!r}", "-o FOLDER: a file each")
    return (own,), path, None


def transcripts(pipeline: Any, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """One transcript a recording, whatever its length: the pieces' answers put together."""
    sample: Sample | None = None
    faults: list[str] = []
    answers: list[dict[str, Any]] = []
    for item, answer in pipeline.answers(samples, TOGETHER):
        if sample is not None and sample is not item.sample:
            yield _together(pipeline, sample, faults, answers)
            faults, answers = [], []
        sample = item.sample
        if item.fault is None:
            answers.append(answer)
        else:
            faults.append(item.fault)
    if sample is not None:
        yield _together(pipeline, sample, faults, answers)


def _together(
    pipeline: Any, sample: Sample, faults: list[str], answers: list[dict[str, Any]]
) -> dict[str, Any]:
    words = [word for answer in answers for word in answer["words"]]
    doubts = [a["in_domain_reason"] for a in answers if a.get("in_domain") is False]
    reasons = {a.get("in_domain_reason", "") for a in answers}
    alike = reasons if len(reasons) == 1 else ()  # silent from beginning to end
    chance = float(np.prod([w["probability"] for w in words])) if words else None
    told: dict[str, Any] = {
        "path": sample.id,
        "text": " ".join(a["text"] for a in answers if a["text"]),
        "probability": None if chance is None else round(chance, 6),
        "seconds": round(max((a["end"] for a in answers), default=0.0), 3),
        "lines": lines_of(words),
        "words": words,
        "in_domain": not doubts if answers else None,
        "in_domain_reason": "; ".join(dict.fromkeys(doubts or alike)),
        "status": "rejected" if faults else "ok",
        "reason": faults[0] if faults else "",
        "model": pipeline.name,
    }
    extra = {k: v for k, v in own_columns(sample, told).items() if k not in ("given_path", "text")}
    return {**extra, **told}


def _show(told: dict[str, Any], form: str, alone: bool, as_lines: bool) -> None:
    if as_lines:
        emit(told)
    elif told["status"] == "ok":
        several = form == "txt" and not alone
        sys.stdout.write(f"{told['path']}\t{told['text']}\n" if several else FORMS[form](told))
        sys.stdout.flush()


def _wanted_name(path: str) -> str:
    """The name of a transcript: that of the recording, in the folders in which it was found."""
    place = PurePath(path)
    folders = () if place.is_absolute() or ".." in place.parts else place.parts[:-1]
    return str(PurePath(*folders, "stdin" if path == "-" else place.stem or "recording"))


def _free_name(path: str, names: set[str]) -> str:
    """The name of a transcript, which no other one of this run has, also where small and large
    letters are alike.
    """
    stem = _wanted_name(path)
    found, number = stem, 2
    while found.casefold() in names:
        found, number = f"{stem}-{number}", number + 1
    names.add(found.casefold())
    return found


def _live(pipeline: Any, samples: Iterable[Sample], console: Console) -> int:
    """Words of each recording as they are decided, then the answer to the whole of it."""
    from deepfield.domains.speech.streaming import Stream

    rejected = 0
    for sample in samples:
        stream = Stream(pipeline)
        console.say(f"{sample.id}: answers come {stream.latency_s:.2f} s behind the sound")
        before = ""
        try:
            if sample.fault is not None:
                raise BadInput(sample.fault)
            for block in _small(features.blocks_of(sample.data, pipeline.rate_hz)):
                text = stream.feed(block)
                if text != before and sys.stdout.isatty():
                    sys.stdout.write(f"\r\x1b[2K{text[-100:]}")
                    sys.stdout.flush()
                before = text
            told = stream.finish()["text"]
        except BadInput as error:
            rejected += 1
            console.say(f"{sample.id}: {error.reason}")
            continue
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[2K")
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()
    return REJECTED if rejected else 0


def _small(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield from (block[i : i + 1600] for i in range(0, len(block), 1600))
