"""Labelled data, encoded and dealt to training, validation and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from deepfield.toolkit.data import Encoded, Sample, name_of, own_columns, stacked
from deepfield.toolkit.errors import UsageError, commonest
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import PARTS, Split, across_parts, exact_duplicates, fingerprint

#: Is told what happens, line by line.
Say = Callable[[str], None]


@dataclass
class Parts:
    """Encoded items of a data set and how they were dealt."""

    items: list[Encoded]
    rejected: list[Encoded]
    parts: dict[str, np.ndarray]
    samples: list[Sample] = field(default_factory=list)
    source: str = ""
    leaks: int = 0
    dropped: int = 0
    fingerprint: str = ""

    def of(self, part: str) -> list[Encoded]:
        """The items of a part."""
        return [self.items[i] for i in self.parts[part]]

    def rows(self) -> list[dict[str, Any]]:
        """What every sample came with and its `part`, in order; a rejected one has none, but a
        `reason`.
        """
        why = {id(item.sample): item.fault for item in self.rejected}
        part_of = {id(item.sample): part for part in PARTS for item in self.of(part)}
        dealt = {id(item.sample) for item in self.items}
        rows = []
        for sample in self.samples:
            part = part_of.get(id(sample), "copy" if id(sample) in dealt else "")
            own = {"part": part, "reason": "" if part else why.get(id(sample), "")}
            rows.append({**own_columns(sample, own), **own})
        return rows

    def facts(self, split: Split) -> dict[str, Any]:
        """What a bundle tells about its data."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "counts": {part: len(self.parts[part]) for part in PARTS},
            "rejected": len(self.rejected),
            "split": {"kind": split.kind, "fractions": list(split.fractions), "seed": split.seed},
            "duplicates_across_parts": self.leaks,
        }


def labelled(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Samples as they come; a copy of one without a label, or with a broken one, has that as its
    fault.
    """
    for sample in samples:
        unlabelled = "no label" if sample.target is None else None
        fault = sample.fault or sample.label_fault or unlabelled
        yield sample if fault == sample.fault else replace(sample, fault=fault)


def deal(
    pipeline: Pipeline,
    data: Any,
    split: Split,
    reader_options: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
) -> Parts:
    """Read, deal and encode labelled data.

    Exact copies of a validation or test item are taken out of the training part and counted.

    Raises:
        UsageError: nothing left to train on, or no labels.
    """
    read = pipeline.as_samples(data, **(reader_options or {}))
    samples = list(split.placed(labelled(read)))
    good = [s for s in samples if s.fault is None]
    rejected = [Encoded(s, fault=s.fault) for s in samples if s.fault is not None]
    name = name_of(data)
    if not good:
        why = f"; the first: {rejected[0].fault}" if rejected else ""
        raise UsageError(f"no labelled sample in {name!r}{why}", "see `inspect` for what is there")
    dealt = split.deal(good, pipeline.splits)
    training = [good[i] for i in dealt["train"]]
    pipeline.task.learn([t for s in training for t in pipeline.targets(s)])
    pipeline.held = len(dealt["valid"])
    pipeline.prepare(training, [s.target for s in training])
    items: list[Encoded] = []
    place: dict[int, list[int]] = {}
    index = 0
    for item in pipeline.encoded(good, targets=True):
        while good[index] is not item.sample:
            index += 1
        if item.fault is not None:
            rejected.append(item)
            continue
        place.setdefault(index, []).append(len(items))
        items.append(item)
    parts = {
        part: np.array([i for s in indices for i in place.get(int(s), [])], dtype=int)
        for part, indices in dealt.items()
    }
    prints = [fingerprint(pipeline.identity(e.arrays or {})) for e in items]
    leaking = across_parts(exact_duplicates(prints), parts)
    held = {int(i) for part in ("valid", "test") for i in parts[part]}
    twice = {int(i) for group in leaking if held & set(group) for i in group} - held
    parts["train"] = np.array([i for i in parts["train"] if int(i) not in twice], dtype=int)
    result = Parts(items, rejected, parts, samples, name)
    result.leaks, result.dropped = len(leaking), len(twice)
    result.fingerprint = fingerprint({"items": np.frombuffer(b"".join(prints), np.uint8)}).hex()
    if len(parts["train"]) < 2:
        left_out = f"; {len(twice)} are copies of held-out ones" if twice else ""
        if rejected:
            left_out += f"; {len(rejected)} rejected ({_faults(rejected)})"
        raise UsageError(
            f"{len(parts['train'])} usable training samples{left_out}", "give more data"
        )
    counts = ", ".join(f"{len(parts[p])} {p}" for p in PARTS)
    say(f"{counts}; {len(rejected)} rejected" + (f" ({_faults(rejected)})" if rejected else ""))
    if twice:
        say(f"{len(twice)} training items are copies of held-out ones: left out of training")
    return result


def _faults(rejected: Sequence[Encoded]) -> str:
    return commonest(Counter(str(r.fault) for r in rejected), rejected[0].sample.id)


def stacked_targets(items: Sequence[Encoded], output: str) -> np.ndarray:
    """Targets of encoded items for one output (padded with zeros where ragged)."""
    return stacked([np.asarray((e.target or {})[output]) for e in items])
