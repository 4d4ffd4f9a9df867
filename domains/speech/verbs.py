"""The domain's own verb: `transcribe` recordings, of any length, or while they go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.speech import features
from deepfield.domains.speech.subtitles import FORMS, lines_of
from deepfield.toolkit.commands import emit, options_of, preset_or
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample, own_columns, read_source
from deepfield.toolkit.errors import REJECTED, BadInput, UsageError
from deepfield.toolkit.writers import write_whole

#: Pieces of recordings that the network hears at once: more of them would only take more memory.
TOGETHER = 4


def transcribe(cls: Any, load: Any, sources: tuple[str, ...], flags: Any) -> int:
    """Write what recordings say: to standard output, or a file each and form into a folder."""
    forms = tuple(dict.fromkeys(flags.form or ())) or (("json",) if flags.json else ("txt",))
    folder = None if flags.output in (None, "-") else Path(flags.output)
    if folder is None and len(forms) > 1:
        raise UsageError(f"{' and '.join(forms)} to standard output", "add -o FOLDER")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"{flags.output!r} is a file", "-o names a folder for the transcripts")
    for source in sources:  # a wrong name is told before anything is loaded
        read_source(source, cls.readers, cls.samples)
    pipeline = load(preset_or(cls, flags.model), cls.domain)
    pipeline.settings.update(options_of(cls, "transcribe", flags, reader=False))
    pipeline._use()
    console = Console(bool(flags.quiet), verbose=bool(flags.verbose))
    samples = (s for source in sources for s in pipeline.read(source))
    if flags.live:
        return _live(pipeline, samples, console)
    began, heard_s, rejected = time.monotonic(), 0.0, 0
    names: set[str] = set()
    alone = len(sources) == 1 and not Path(sources[0]).is_dir()
    for told in transcripts(pipeline, samples):
        heard_s += told["seconds"] or 0.0
        if told["status"] != "ok":
            rejected += 1
            console.say(f"{told['path']}: {told['reason']}")
        if folder is None:
            _show(told, forms[0], alone, bool(flags.json))
        elif told["status"] == "ok":
            stem = _free_name(told["path"], names)
            for form in forms:
                write_whole(str(folder / f"{stem}.{form}"), FORMS[form](told).encode())
    seconds = time.monotonic() - began
    line = f"{heard_s:,.1f} s of sound in {seconds:.1f} s"
    if heard_s >= 10:
        line += f" (real-time factor {seconds / heard_s:.3f})"
    console.say(line + (f", wrote {folder}" if folder else ""))
    return REJECTED if rejected else 0


def transcripts(pipeline: Any, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    """One transcript a recording, whatever its length: the pieces' answers put together."""
    unlabelled = (_asked(sample) for sample in samples)
    sample: Sample | None = None
    faults: list[str] = []
    answers: list[dict[str, Any]] = []
    for item, answer in pipeline.answers(unlabelled, TOGETHER):
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


def _asked(sample: Sample) -> Sample:
    """A sample without its text: it is cut where it is long."""
    return Sample(sample.id, sample.data, row=sample.row, fault=sample.fault)


def _together(
    pipeline: Any, sample: Sample, faults: list[str], answers: list[dict[str, Any]]
) -> dict[str, Any]:
    words = [word for answer in answers for word in answer["words"]]
    doubts = [a["in_domain_reason"] for a in answers if a.get("in_domain") is False]
    chance = float(np.prod([w["probability"] for w in words])) if words else None
    told: dict[str, Any] = {
        "path": sample.id,
        "text": " ".join(a["text"] for a in answers if a["text"]),
        "probability": None if chance is None else round(chance, 6),
        "seconds": round(max((a["end"] for a in answers), default=0.0), 3),
        "lines": lines_of(words),
        "words": words,
        "in_domain": not doubts if answers else None,
        "in_domain_reason": "; ".join(dict.fromkeys(doubts)),
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


def _free_name(path: str, names: set[str]) -> str:
    """The name of a transcript, which no other one of this run has."""
    stem = "stdin" if path == "-" else Path(path).stem or "recording"
    found, number = stem, 2
    while found in names:
        found, number = f"{stem}-{number}", number + 1
    names.add(found)
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
        except BadInput as error:
            rejected += 1
            console.say(f"{sample.id}: {error.reason}")
            continue
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[2K")
        sys.stdout.write(f"{stream.finish()['text']}\n")
        sys.stdout.flush()
    return REJECTED if rejected else 0


def _small(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield from (block[i : i + 1600] for i in range(0, len(block), 1600))


__all__ = ["FORMS", "transcribe", "transcripts"]
