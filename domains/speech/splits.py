"""Splits that ask for more than a random one: by the take of a recording, by recordings alone."""

from __future__ import annotations

from collections.abc import Sequence

from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import Grouping


def by_take(samples: Sequence[Sample]) -> Grouping:
    """A split by FSDD's takes: speakers are known, and the earliest takes are tested.

    Where some samples have no take, since other sets lie beside FSDD, those are kept together by
    speaker, and takes and speakers are dealt at random.

    Raises:
        UsageError: no sample tells a take.
    """
    takes = [s.row.get("take") for s in samples]
    if all(t is None for t in takes):
        raise UsageError("--split take, but no sample has a take", "files named as FSDD's have one")
    if None in takes:
        return Grouping([
            f"take {take}" if take is not None else f"speaker {s.group or s.id}"
            for take, s in zip(takes, samples, strict=True)
        ])  # fmt: skip
    return Grouping([-int(str(t)) for t in takes], ordered=True)


def by_clip(samples: Sequence[Sample]) -> Grouping:
    """Every recording by itself, whoever speaks: figures are of voices that the network knows."""
    return Grouping(list(range(len(samples))))


#: Kinds of split, by name.
SPLITS = {"take": by_take, "clip": by_clip}
