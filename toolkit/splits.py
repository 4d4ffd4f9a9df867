"""Parts of a data set: training, validation and test, and what must not be in two of them."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from deepfield.toolkit.cells import is_missing
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError

PARTS = ("train", "valid", "test")
#: Kinds of split that every domain has.
_KINDS = ("source", "random", "group", "time")
#: How people call the parts of a data set.
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}

#: Columns that name the part or the group of a sample, by their usual names.
PART_COLUMNS = ("split", "part", "subset")
GROUP_COLUMNS = ("group",)


def part_named(cell: Any) -> str | None:
    """The part that a cell of a table names, by any of its usual names.

    Another word stays as it is, since a row can be answered all the same (see `Split.placed`); None
    for an empty cell.

    Example:
        >>> part_named("Dev"), part_named("train "), part_named("held-back"), part_named("")
        ('valid', 'train', 'held-back', None)
    """
    told = "" if is_missing(cell) else str(cell).strip()
    return PART_NAMES.get(told.lower(), told) or None


class Grouping(NamedTuple):
    """Which samples a split of a domain's own keeps together.

    Args:
        keys: of each sample; those with equal keys go to one part.
        ordered: groups fill training, validation and test one after the other, in the order in
            which a sorted list of their keys has them; otherwise they are dealt at random.
    """

    keys: Sequence[Any]
    ordered: bool = False


#: How samples are grouped for the kinds of split of a domain's own, by name.
Groupers = Mapping[str, Callable[[Sequence[Sample]], Grouping]]


@dataclass(frozen=True, slots=True)
class Split:
    """How samples are dealt to training, validation and test.

    Args:
        kind: `"source"` (the parts that the data itself names), `"random"` (stratified by label),
            `"group"` (no group in two parts), `"time"` (the latest are tested on), or a kind of the
            domain's own.
        fractions: of training, validation and test; they sum to 1.
        seed: of the shuffle.
    """

    kind: str = "random"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0

    @classmethod
    def parse(cls, text: str | None, seed: int = 0) -> Split:
        """Read `KIND`, `TRAIN/VALID/TEST` or `KIND:TRAIN/VALID/TEST`, in fractions or percent.

        Example:
            >>> Split.parse("group:70/15/15").fractions
            (0.7, 0.15, 0.15)
        """
        kind, _, shares = (text or "").rpartition(":")
        if not kind and "/" not in shares:
            kind, shares = shares, ""
        if not shares:
            return cls(kind or "auto", seed=seed)
        try:
            numbers = [float(part) for part in shares.split("/")]
        except ValueError:
            numbers = []
        total = sum(numbers)
        if len(numbers) != 3 or min(numbers) < 0 or numbers[0] <= 0 or total <= 0:
            raise UsageError(
                f"--split {text!r} is not KIND:TRAIN/VALID/TEST", "for example random:80/10/10"
            )
        train, valid, test = (number / total for number in numbers)
        return cls(kind or "random", (train, valid, test), seed)

    def placed(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Samples as they come; where their parts matter, a copy of one in a part of no known name
        has that as its fault.
        """
        for sample in samples:
            unknown = self.kind in ("auto", "source") and sample.part not in (None, *PARTS)
            if sample.fault is None and unknown:
                fault = f"part {sample.part!r} is none of train, valid and test"
                sample = replace(sample, fault=fault)
            yield sample

    def deal(
        self, samples: Sequence[Sample], groupers: Groupers | None = None
    ) -> dict[str, np.ndarray]:
        """Deal samples to the parts.

        Args:
            samples: all that are labelled.
            groupers: for the kinds of the domain's own.

        Returns:
            Sorted indices by part name. Empty parts are there, empty.

        Raises:
            UsageError: `group` without groups, `source` without parts, or too little to deal.
        """
        kind = self.kind
        if kind == "auto":
            kind = "source" if {s.part for s in samples} - {None} else "random"
            if kind == "random" and any(s.group is not None for s in samples):
                kind = "group"
        if kind == "source":
            if all(s.part is None for s in samples):
                raise UsageError(
                    "--split source, but the samples have no part",
                    "add a column with train, valid or test, or leave --split out",
                )
            return self._by_source(samples)
        if kind == "group":
            if not any(s.group is not None for s in samples):
                raise UsageError(
                    "--split group, but the samples have no group", "add --group COLUMN"
                )
            keys: list[Hashable] = [s.group or f"\0{i}" for i, s in enumerate(samples)]
            return self._by_group(samples, keys)
        if kind == "random":
            return self._by_group(samples, list(range(len(samples))))
        if kind == "time":
            return self._later_after(_by_time(samples))
        if kind not in (groupers or {}):
            raise _unknown(kind, groupers)
        own = (groupers or {})[kind](samples)
        return self._in_order(own) if own.ordered else self._by_group(samples, list(own.keys))

    def _in_order(self, grouping: Grouping) -> dict[str, np.ndarray]:
        """Whole groups, in their order, to training until it has its share, then to the next."""
        members: dict[Any, list[int]] = {key: [] for key in sorted(set(grouping.keys))}
        for index, key in enumerate(grouping.keys):
            members[key].append(index)
        total = len(grouping.keys)
        limits = np.cumsum(self.fractions) * total
        dealt: dict[str, list[int]] = {part: [] for part in PARTS}
        for own in members.values():
            for part, limit in zip(PARTS, limits, strict=True):
                before = sum(len(dealt[p]) for p in PARTS[: PARTS.index(part) + 1])
                if before + len(own) <= limit + 1e-9 or part == PARTS[-1]:
                    dealt[part] += own
                    break
        return {part: np.array(sorted(indices), dtype=int) for part, indices in dealt.items()}

    def _later_after(self, times: Sequence[Any]) -> dict[str, np.ndarray]:
        """The latest to the test part, those before to validation, no time to two parts: cut
        between times, as near to the shares as leaves no part empty. Of two times the later one is
        tested on.
        """
        if not times:
            return {part: np.zeros(0, int) for part in PARTS}
        order = sorted(range(len(times)), key=times.__getitem__)
        runs = [list(run) for _, run in itertools.groupby(order, key=lambda i: times[i])]
        if len(runs) == 1 and self.fractions[0] < 1:
            raise UsageError(
                "--split time, but all samples are of one time", "use another kind of split"
            )
        ends = np.cumsum([len(run) for run in runs])
        tested = int(self.fractions[2] > 0)
        checked = int(self.fractions[1] > 0 and len(runs) > 1 + tested)
        limits = np.cumsum(self.fractions) * len(times)

        def cut(part: int, least: int, most: int) -> int:
            return least + int(np.argmin(np.abs(ends[least - 1 : most] - limits[part])))

        last = cut(1, 1 + checked, len(runs) - tested)
        first = cut(0, 1, last - checked) if self.fractions[1] else last
        dealt = zip(PARTS, (runs[:first], runs[first:last], runs[last:]), strict=True)
        return {part: np.array(sorted(itertools.chain(*own)), dtype=int) for part, own in dealt}

    def _by_source(self, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
        parts = {part: [i for i, s in enumerate(samples) if s.part == part] for part in PARTS}
        unplaced = [i for i, s in enumerate(samples) if s.part not in PARTS]
        parts["train"] = sorted(parts["train"] + unplaced)
        if not parts["train"]:
            raise UsageError("no sample is in the training part", "name the part 'train'")
        if not parts["valid"]:  # the data has a test part alone: validation comes out of training
            train = parts["train"]
            share = self.fractions[1] / max(1e-9, self.fractions[0] + self.fractions[1])
            inner = Split("auto", (1 - share, share, 0.0), self.seed)
            own = [
                Sample(s.id, None, target=s.target, group=s.group)
                for s in (samples[i] for i in train)
            ]
            dealt = inner.deal(own)
            parts["valid"] = [train[i] for i in dealt["valid"]]
            parts["train"] = [train[i] for i in dealt["train"]]
        return {part: np.array(sorted(indices), dtype=int) for part, indices in parts.items()}

    def _by_group(
        self, samples: Sequence[Sample], keys: Sequence[Hashable]
    ) -> dict[str, np.ndarray]:
        # Groups are dealt label by label, so that every part has every label when it can; of one
        # label each group goes to the part that is furthest below its share.
        rng = np.random.default_rng(self.seed)
        members: dict[Hashable, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            members[key].append(index)
        by_label: dict[str, list[Hashable]] = defaultdict(list)
        labels = {
            key: Counter(_stratum(samples[i].target) for i in indices)
            for key, indices in members.items()
        }
        for key, own in labels.items():
            by_label[own.most_common(1)[0][0]].append(key)
        if 2 * len(by_label) > len(members):
            # Names, not classes: nearly every group has a label of its own.
            by_label = {"": list(members)}
        dealt: dict[str, list[Hashable]] = {part: [] for part in PARTS}
        for label in sorted(by_label):
            groups = by_label[label]
            order = [groups[i] for i in rng.permutation(len(groups))]
            total = sum(len(members[key]) for key in order)
            have = [0, 0, 0]
            for key in order:
                lacking = [
                    f * total - h if f else -np.inf
                    for f, h in zip(self.fractions, have, strict=True)
                ]
                part = int(np.argmax(lacking))
                have[part] += len(members[key])
                dealt[PARTS[part]].append(key)
        for name, share in zip(PARTS, self.fractions, strict=True):
            if not share or dealt[name] or len(members) == len(samples):
                continue
            # few groups, of many labels each: one that takes no label out of training
            held = Counter(label for key in dealt["train"] for label in labels[key])
            spare = [key for key in dealt["train"] if all(held[own] > 1 for own in labels[key])]
            if spare:
                least = min(spare, key=lambda key: len(members[key]))
                dealt["train"].remove(least)
                dealt[name].append(least)
        return {
            part: np.array(sorted(i for key in keys for i in members[key]), dtype=int)
            for part, keys in dealt.items()
        }


def _by_time(samples: Sequence[Sample]) -> list[Any]:
    """When each was measured: numbers, or dates in the order of the calendar."""
    untold = next((s for s in samples if s.time is None), None)
    if untold is not None:
        raise UsageError(
            f"--split time, but {untold.id!r} has no time", "add --time COLUMN, and fill it"
        )
    if len({isinstance(s.time, str) for s in samples}) > 1:
        raise UsageError(
            "--split time: numbers and dates in one column", "write all as one of them"
        )
    return [_moment(s) if isinstance(s.time, str) else s.time for s in samples]


def _moment(sample: Sample) -> datetime:
    text = str(sample.time).strip()
    plain = re.sub(r"^(\d{4})[/.](\d\d)(?:[/.](\d\d))?\b", _with_dashes, text)
    plain = re.sub(r" ?(UTC|GMT)$", "+00:00", plain)
    try:
        # of a month alone the first day; without a zone Greenwich's
        told = datetime.fromisoformat(
            f"{plain}-01" if re.fullmatch(r"\d{4}-\d\d", plain) else plain
        )
    except ValueError:
        raise UsageError(
            f"--split time: {text!r} of {sample.id!r} is no date",
            "write dates as 2007-08-31, or numbers",
        ) from None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _with_dashes(found: re.Match[str]) -> str:
    return "-".join(part for part in found.groups() if part)


def _stratum(target: Any) -> str:
    # Numbers and long answers are not labels: stratifying by them would deal single samples.
    return str(target) if isinstance(target, str | int | bool) else ""


def kept_together(
    samples: Sequence[Sample], kind: str = "auto", groupers: Groupers | None = None
) -> list[Sample]:
    """Samples with a `group` that also holds what a kind of split of the domain's own keeps in one
    part, and copies: samples whose `data` are equal. Unchanged where there is nothing to join.

    Raises:
        UsageError: no such kind.

    Example:
        >>> made = kept_together([Sample("1", "CC"), Sample("2", "CO"), Sample("3", "CC")])
        >>> made[0].group == made[2].group != made[1].group
        True
    """
    own: Sequence[Any] = ()
    if kind not in ("auto", *_KINDS):
        if kind not in (groupers or {}):
            raise _unknown(kind, groupers)
        own = (groupers or {})[kind](samples).keys
    first: dict[Hashable, int] = {}
    pairs = []
    for index, sample in enumerate(samples):
        keys: list[Hashable] = [("group", sample.group)] if sample.group else []
        keys += [("own", own[index])] if own else []
        if (content := _content(sample.data)) is not None:
            keys.append(("data", content))
        pairs += [(first.setdefault(key, index), index) for key in keys]
    roots = linked(len(samples), pairs)
    if len(set(roots)) == len(roots):
        return list(samples)
    return [replace(sample, group=str(own)) for sample, own in zip(samples, roots, strict=True)]


def linked(count: int, pairs: Sequence[Sequence[int]] | np.ndarray) -> list[int]:
    """The cluster of each of `count` things, called by its first: what pairs join is one.

    Example:
        >>> linked(5, [(4, 3), (1, 4)])
        [0, 1, 2, 1, 1]
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in np.asarray(pairs, dtype=np.int64).reshape(-1, 2).tolist():
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return [root(index) for index in range(count)]


def _content(data: Any) -> Hashable | None:
    """What equal data have in common; None where that cannot be told."""
    if isinstance(data, np.ndarray):
        return fingerprint({"": data})
    if isinstance(data, str | bytes | tuple) or is_dataclass(data):
        try:
            hash(data)
        except TypeError:  # something in it can be changed
            return None
        return data  # type: ignore[return-value]
    return None


def _unknown(kind: str, groupers: Groupers | None) -> UsageError:
    known = ", ".join((*_KINDS, *(groupers or ())))
    return UsageError(f"no split of kind {kind!r}", f"known: {known}")


def folds(samples: Sequence[Sample], count: int, seed: int = 0) -> list[np.ndarray]:
    """Deal samples to `count` folds of about equal size, groups kept whole, labels balanced.

    Raises:
        UsageError: fewer groups (or samples) than folds.
    """
    keys = [s.group if s.group is not None else f"\0{i}" for i, s in enumerate(samples)]
    if len(set(keys)) < count:
        raise UsageError(
            f"{count} folds from {len(set(keys))} groups", f"ask for at most {len(set(keys))} folds"
        )
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    order = list(members)
    order = [order[i] for i in rng.permutation(len(order))]
    order.sort(key=lambda k: (_stratum(samples[members[k][0]].target), -len(members[k])))
    sizes = [0] * count
    dealt: list[list[int]] = [[] for _ in range(count)]
    for key in order:
        fold = int(np.argmin(sizes))
        sizes[fold] += len(members[key])
        dealt[fold] += members[key]
    return [np.array(sorted(fold), dtype=int) for fold in dealt]


def fingerprint(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Sixteen bytes that tell an item's content: equal content, equal bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()


def exact_duplicates(fingerprints: Sequence[Hashable]) -> list[list[int]]:
    """Groups of two or more indices with the same content, in order of first appearance."""
    seen: dict[Hashable, list[int]] = defaultdict(list)
    for index, value in enumerate(fingerprints):
        seen[value].append(index)
    return [group for group in seen.values() if len(group) > 1]


def near_duplicates(
    hashes: Sequence[int], distance: int = 3, most: int = 10_000
) -> list[tuple[int, int]]:
    """Pairs of 64-bit perceptual hashes that differ in at most `distance` bits.

    Two hashes within 3 bits agree in at least one of their four 16-bit words, so only hashes that
    share a word are compared.

    Args:
        hashes: unsigned 64-bit numbers.
        distance: most differing bits, at most 3.
        most: pairs returned at most.
    """
    values = np.asarray(hashes, dtype=np.uint64)
    pairs: set[tuple[int, int]] = set()
    for word in range(4):
        key = (values >> np.uint64(16 * word)) & np.uint64(0xFFFF)
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        for run in np.split(order, edges):
            if not 1 < len(run) <= 4000:  # a word shared by thousands says nothing (blank pictures)
                continue
            for at, index in enumerate(run[:-1]):
                rest = run[at + 1 :]
                close = rest[np.bitwise_count(values[rest] ^ values[index]) <= distance]
                pairs.update((int(min(index, j)), int(max(index, j))) for j in close)
                if len(pairs) >= most:
                    return sorted(pairs)
    return sorted(pairs)


def across_parts(
    pairs: Sequence[Sequence[int]], parts: Mapping[str, np.ndarray]
) -> list[Sequence[int]]:
    """Those groups of indices whose members lie in more than one part: leakage."""
    part_of = {int(i): part for part, indices in parts.items() for i in indices}
    return [pair for pair in pairs if len({part_of.get(int(i)) for i in pair} - {None}) > 1]
