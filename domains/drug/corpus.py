"""Structures alone, with what can be computed of them as targets: to pretrain an encoder on."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.drug.data import READERS
from deepfield.domains.drug.features import descriptor_names, descriptors
from deepfield.domains.drug.molecules import molecule
from deepfield.toolkit.data import Arrays, Sample, read_source
from deepfield.toolkit.encoding import TOGETHER, encoded_in_processes
from deepfield.toolkit.errors import NotFound, UsageError

#: Share of the molecules, and how many (of few a fifth), that must differ from a descriptor's
#: commonest value.
_LEAST_VARIED, _FEWEST = 0.005, 10
#: Deviations from the mean at which descriptors are cut off: rare fragments are far out.
_FURTHEST = 6.0


class Described(Mapping[str, float]):
    """Numbers by name, as one array: tens of thousands of these fit in memory.

    Example:
        >>> dict(Described(("a", "b"), np.array([1.0, 2.0])))
        {'a': 1.0, 'b': 2.0}
    """

    __slots__ = ("names", "values_")

    def __init__(self, names: Sequence[str], values: np.ndarray) -> None:
        self.names, self.values_ = names, values

    def __getitem__(self, name: str) -> float:
        return float(self.values_[_place(tuple(self.names))[name]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@functools.lru_cache(4)
def _place(names: tuple[str, ...]) -> dict[str, int]:
    return {name: at for at, name in enumerate(names)}


def read_corpus(source: str) -> Iterator[Sample]:
    """Every molecule of the tables under a folder, once, with its RDKit descriptors as targets.

    Descriptors enter as sign(x) log(1 + |x|), cut off 6 standard deviations from their mean; those
    that hardly vary are left out. What does not parse is left out too: there is enough.

    Args:
        source: `structures:FOLDER`.

    Raises:
        UsageError: no table with molecules is there.
    """
    folder = Path(source.partition(":")[2])
    spelled: dict[str, None] = {}
    for file in sorted(folder.rglob("*")):
        with contextlib.suppress(UsageError, NotFound):  # what holds no molecules
            samples = read_source(str(file), READERS, {}) if file.is_file() else ()
            spelled.update((s.data, None) for s in samples if isinstance(s.data, str))
    waiting = iter(spelled)
    chunks = iter(lambda: list(itertools.islice(waiting, TOGETHER)), [])
    done = itertools.chain.from_iterable(encoded_in_processes(_described, chunks, "drug", "rdkit"))
    found = [
        (smiles, arrays["descriptors"])
        for smiles, (arrays, _, _) in zip(spelled, done, strict=True)
        if arrays is not None
    ]
    if not found:
        raise UsageError(f"{source!r} holds no table with molecules", "name a folder of tables")
    table = np.stack([values for _, values in found])
    table = np.sign(table) * np.log1p(np.abs(table))
    deviation = table.std(axis=0)
    usual = np.array([np.unique(column, return_counts=True)[1].max() for column in table.T])
    varied = len(table) - usual
    enough = max(min(_FEWEST, len(table) / 5), _LEAST_VARIED * len(table))
    kept = (varied > enough) & (deviation > 0)
    table, mean, deviation = table[:, kept], table.mean(axis=0)[kept], deviation[kept]
    table = np.clip(table, mean - _FURTHEST * deviation, mean + _FURTHEST * deviation)
    names = tuple(name for name, keep in zip(descriptor_names(), kept, strict=True) if keep)
    for (smiles, _), values in zip(found, table, strict=True):
        yield Sample(smiles, smiles, Described(names, values), row={"smiles": smiles})


def _described(smiles: str) -> tuple[Arrays, Any]:
    return descriptors(molecule(smiles)), None
