"""Reading pairs of pictures, and pictures of people, from the forms in which people keep them.

A `Sample` is a pair (`data` is a `Pair`, `target` whether it is the same person, and the fold), or
a picture (`data` is a path, or encoded bytes; `target` and `group` the person). No picture is
decoded here; of a table one row at a time is held in memory.
"""

from __future__ import annotations

import bisect
import difflib
import functools
import itertools
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from deepfield.domains.face.drawn import SAMPLES_PLACE, sample_people, write_shot
from deepfield.domains.face.lfw import lfw_rows, starts_as_lfw
from deepfield.toolkit.cache import kept
from deepfield.toolkit.cells import NO, YES, Rows, find_column, is_missing, looked_at, text_of_cell
from deepfield.toolkit.data import (
    Reader,
    Sample,
    read_rows,
)
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError, called, listed
from deepfield.toolkit.found_files import (
    base_folder,
    folders,
    holds,
    lines_of_paths,
    missing,
    walk,
)
from deepfield.toolkit.installed_files import installed
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.paths import is_folder
from deepfield.toolkit.picture_files import (
    PATH,
    accepts_picture,
    accepts_table,
    accepts_zip,
    is_picture_name,
    looked_for,
    open_zip,
    picture_in,
    rows_of_pictures,
    unpacked,
)
from deepfield.toolkit.pictures import decode_image, looks_like_picture
from deepfield.toolkit.splits import PART_COLUMNS, part_named
from deepfield.toolkit.text_heads import (
    SEVERAL,
    first_lines,
    first_of,
    head_of_stdin,
    paths_or_table,
)

#: Columns that name the person in a picture, and the part of the data, by their usual names.
PERSON = ("person", "identity", "subject", "label", "class", "name")
#: Words that say whether two pictures show the same person.
SAME = {
    **dict.fromkeys((*YES, "same"), 1),
    **dict.fromkeys((*NO, "different"), 0),
}
#: What other people call the columns of a table of pairs.
_MEANT = {
    "a": re.compile(r"(path|file|filename|image|img|photo|picture|face)(a|1)|left|first"
                    r"|(a|1|left|first)(path|file|filename|image|img|photo|picture|face)"),
    "b": re.compile(r"(path|file|filename|image|img|photo|picture|face)(b|2)|right|second"
                    r"|(b|2|right|second)(path|file|filename|image|img|photo|picture|face)"),
    "same": re.compile(r"issame|same(person)?|match(ed|es)?|label|target|identical|genuine"),
    "fold": re.compile(r"folds?(id|no|number)?|cvfold"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures: what verification is asked about.

    Args:
        a: a path, encoded bytes or a uint8 array, as `decode_image` takes it; None without one.
        b: the other one.
    """

    a: Any
    b: Any


# ------------------------------------------------------------------------ pictures and folders


def _of_person(name: str, data: Any, person: str | None, fault: str | None = None) -> Sample:
    row = {"path": name} if person is None else {"path": name, "person": person}
    return Sample(name, data, person, person, row=row, fault=fault)


def _read_picture(source: str) -> Iterator[Sample]:
    yield _of_person(Path(source).name, source, None)


def _read_folder(source: str, people: bool = True) -> Iterator[Sample]:
    """A picture is of the person whose folder it lies in, however deep; without a folder of no one.

    With or without `people` the samples are the same: pictures of people.
    """
    root = Path(source)
    below = _people_in(root)
    empty = True
    for names, fault in walk(root, is_picture_name, below):
        empty = False
        person = names[len(below)] if len(names) > len(below) + 1 else None
        path = os.path.join(source, *names)  # noqa: PTH118
        yield _of_person("/".join(names), path, person, fault)
    if empty:
        raise NotFound(f"no picture in {source!r}", looked_for())


def _people_in(root: Path) -> tuple[str, ...]:
    """The folder with the people in it, of which a set is often the only one: lfw/lfw_funneled."""
    below: tuple[str, ...] = ()
    for _ in range(8):
        inside = folders(root.joinpath(*below))
        inner = (*below, *inside)
        if len(inside) != 1 or holds(root.joinpath(*below), is_picture_name):
            break
        if not folders(root.joinpath(*inner)) or holds(root.joinpath(*inner), is_picture_name):
            break
        below = inner
    return below


def _read_zip(source: str, people: bool = True) -> Iterator[Sample]:
    with open_zip(source) as (archive, members):
        # As in a folder: one that holds all others is no person.
        below = 0
        while len({n[below] for n, _ in members}) == 1 and min(len(n) for n, _ in members) > (
            below + 2
        ):
            below += 1
        members.sort(key=lambda pair: [natural(name, folded=True) for name in pair[0]])
        for names, info in members:
            data, fault = unpacked(archive, info)
            person = names[below] if len(names) > below + 1 else None
            yield _of_person("/".join(names), data, person, fault)


# ---------------------------------------------------------------------------------- tables


def _read_lfw(source: str, root: str | None = None, people: bool = False) -> Iterator[Sample]:
    base = base_folder(source, root)
    columns = {side: side for side in ("a", "b", "same", "fold")}
    pairs = _pairs(lfw_rows(source, base), base, columns)
    return _people_of(pairs, columns) if people else pairs


def _read_columns(source: str, **options: Any) -> Iterator[Sample]:
    return _of_rows(source, read_rows(source), **options)


def _of_rows(
    source: str, rows: Rows, root: str | None = None, people: bool = False, start: int = 1
) -> Iterator[Sample]:
    """A table of pairs or of pictures, as its columns say."""
    names, _, rows = looked_at(rows)
    columns = _pair_columns(source, names)
    if not columns:
        yield from _read_people(source, root, rows, start)
        return
    pairs = _pairs(rows, base_folder(source, root), columns, start)
    yield from _people_of(pairs, columns) if people else pairs


def _pair_columns(source: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Columns of a table of pairs by what they hold; nothing for a table of pictures.

    Raises:
        UsageError: neither, or a column that is nearly called so; it would be left out silently.
    """
    own = {name.strip().lower(): name for name in row}
    found = {wanted: own[wanted] for wanted in _MEANT if wanted in own}
    near = {w: near for w in _MEANT if w not in found and (near := _near(w, row)) is not None}
    if {"a", "b"} <= found.keys():
        wrong = {w: n for w, n in near.items() if w in ("same", "fold")}
        problem = "a column whose name is nearly one that is read"
    elif not row or find_column(row, None, PATH, "the path") is not None:
        return {}
    elif {"a", "b"} <= found.keys() | near.keys():
        wrong, problem = near, "no columns a and b with the pictures of a pair"
    else:
        raise UsageError(
            f"no columns with the paths of pictures in {called(source)}",
            f"pairs: a, b[, same[, fold]]; pictures: path[, person]; its columns: {listed(row)}",
        )
    if wrong:
        renamed = ", ".join(f"{name!r} to {wanted}" for wanted, name in wrong.items())
        raise UsageError(f"{called(source)}: {problem}", f"rename {renamed}")
    return {wanted: own.get(wanted, wanted) for wanted in _MEANT}  # of JSON, later rows have more


def _near(wanted: str, names: Iterable[str]) -> str | None:
    """The column that is meant by a name that is never used here."""
    for name in names:
        bare = re.sub(r"[^a-z0-9]", "", name.lower())
        if _MEANT[wanted].fullmatch(bare):
            return name
        if len(wanted) > 1 and bare[:1] == wanted[0]:
            alike = difflib.SequenceMatcher(None, bare, wanted).ratio()
            if alike > 0.8 or sorted(bare) == sorted(wanted):
                return name
    return None


def _pairs(rows: Rows, base: Path, columns: Mapping[str, str], start: int = 1) -> Iterator[Sample]:
    for number, (row, fault) in enumerate(rows, start):
        sides, names, faults = [], [], []
        for side in ("a", "b"):
            nameless = f"row {number} ({side})"
            name, data, row, wrong = picture_in(row, columns[side], base, nameless)
            if wrong:
                faults.append(f"{side}: {wrong}")
            sides.append(data)
            names.append(name)
        target, unclear = _target(row, columns)
        identity = f"row {number}" if None in names else f"{names[0]} {names[1]}"
        fault = fault or "; ".join(faults) or None
        yield Sample(
            identity, Pair(*sides), target, row=row, fault=fault, label_fault=unclear
        )  # fmt: skip


def _target(
    row: Mapping[str, Any], columns: Mapping[str, str]
) -> tuple[dict[str, Any] | None, str | None]:
    told = row.get(columns["same"])
    if is_missing(told):
        return None, None
    same = SAME.get(str(told).strip().lower())
    if same is None:
        return None, f"same is {str(told)[:40]!r}, expected 1 or 0 (or yes, true, same; no, …)"
    fold = row.get(columns["fold"])
    return {"same": same, "fold": None if is_missing(fold) else text_of_cell(fold)}, None


def _people_of(pairs: Iterable[Sample], columns: Mapping[str, str]) -> Iterator[Sample]:
    """The pictures of all pairs, each once, with the folder that it lies in for the person."""
    seen: set[str] = set()
    for pair in pairs:
        for side, data in (("a", pair.data.a), ("b", pair.data.b)):
            name = pair.row.get(columns[side])
            if data is None or is_missing(name):
                row = {"path": "" if is_missing(name) else name, "person": ""}
                lost = pair.fault or f"{side}: no path"
                yield Sample(f"{pair.id} ({side})", None, row=row, fault=lost)
                continue
            name = str(name)
            if name in seen:
                continue
            seen.add(name)
            folder = PurePosixPath(name.replace("\\", "/")).parent.name
            person = None if folder in ("", "..") else folder
            fault = missing(data) if isinstance(data, str) else None
            if person is None:
                fault = fault or "its path names no person: expected PERSON/PICTURE"
            yield _of_person(name, data, person, fault)


def _read_people(source: str, root: str | None, rows: Rows, start: int) -> Iterator[Sample]:
    names, _, rows = looked_at(rows)
    person = find_column(names, None, PERSON, "the person")
    part = find_column(names, None, PART_COLUMNS, "the part")
    for name, data, row, fault in rows_of_pictures(source, root, rows, start):
        told = row.get(person or "")
        who = None if is_missing(told) else text_of_cell(told)
        own_part = part_named(row.get(part or ""))
        yield Sample(name, data, who, who, own_part, row=row, fault=fault)


def _read_lines(source: str, root: str | None) -> Iterator[Sample]:
    for name, path, fault in lines_of_paths(source, root):
        yield _of_person(name, path, None, fault)


_read_text = paths_or_table(
    "picture",
    is_picture_name,
    PATH,
    (*_MEANT, *PERSON, *PART_COLUMNS),
    (),
    _read_lines,
    _read_columns,
)


def _read_stdin(source: str, **options: Any) -> Iterator[Sample]:
    head, text = head_of_stdin("pipe in a picture, lines of paths or a table")
    if looks_like_picture(head[:16]):
        return iter([_of_person("-", sys.stdin.buffer.read(), None)])
    starts = first_of(text, SEVERAL)
    if starts_as_lfw(*starts[:2]):
        return _read_lfw("-", **options)
    return _read_text("-", starts, **options)


# ----------------------------------------------------------------------------- pairs of people


def all_pairs(
    samples: Sequence[Sample], most: int | None = None, seed: int = 0
) -> Iterator[tuple[Sample, Sample, Sample]]:
    """Pair the pictures of people: all pairs, or a draw of them.

    Args:
        samples: pictures with the person as target; others, and faulty ones, are in no pair.
        most: pairs of the same person, and pairs of different people, at most; a larger number
            of either kind is drawn from at random, without replacement. None: all of them.
        seed: of the draw.

    Returns:
        Lazily, the pair as a sample (its row has the columns a, b and same) and the two pictures
        it was made of; first those of the same person, then those of different people.

    Example:
        >>> people = [Sample(name, name, target=name[0]) for name in ("a1", "a2", "b1")]
        >>> [(pair.id, pair.target["same"]) for pair, _, _ in all_pairs(people)]
        [('a1 a2', 1), ('a1 b1', 0), ('a2 b1', 0)]
    """
    people: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.fault is None and sample.target is not None:
            people.setdefault(str(sample.target), []).append(sample)
    ordered = [sample for own in people.values() for sample in own]
    ends: list[int] = []  # of a picture's person, in `ordered`
    for own in people.values():
        ends += [len(ends) + len(own)] * len(own)
    # A pair is counted with its first picture: its partners are the rest of the same person's
    # pictures, or all pictures of later people. So any pair is found by its number alone.
    for same in (1, 0):
        starts = [i + 1 if same else end for i, end in enumerate(ends)]
        stops = ends if same else [len(ordered)] * len(ordered)
        sums = list(itertools.accumulate(b - a for a, b in zip(starts, stops, strict=True)))
        for number in _drawn(sums[-1] if sums else 0, most, seed):
            first = bisect.bisect_right(sums, number)
            one, two = ordered[first], ordered[stops[first] - (sums[first] - number)]
            row = {"a": one.id, "b": two.id, "same": same}
            target = {"same": same, "fold": None}
            pair = Pair(one.data, two.data)
            yield Sample(f"{one.id} {two.id}", pair, target, row=row), one, two


def _drawn(count: int, most: int | None, seed: int) -> Sequence[int]:
    if most is None or count <= most:
        return range(count)
    return sorted(random.Random(seed).sample(range(count), most))


# -------------------------------------------------------------------------- built-in pictures

_PORTRAIT = ("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg")
_NO_FACE = ("sklearn", "datasets", "images", "china.jpg")


def _mirrored(beside: str = "") -> str:
    """The portrait as another camera might have it: mirrored, darker, compressed again."""

    def make(path: Path) -> None:
        from PIL import Image

        portrait: Any = decode_image(installed(*_PORTRAIT))
        turned = portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda x: 0.8 * x)
        turned.save(path, "JPEG", quality=70)

    return kept(SAMPLES_PLACE, "mirrored.jpg", make, beside)


def _pairs_of_samples() -> str:
    """The portrait with its mirror image, and with a photo that shows no face."""
    table = "pairs.csv"
    for place in (_PORTRAIT, _NO_FACE):
        copy = functools.partial(shutil.copyfile, installed(*place))
        kept(SAMPLES_PLACE, place[-1], copy, table)
    _mirrored(table)
    text = "a,b,same\ngrace_hopper.jpg,mirrored.jpg,1\ngrace_hopper.jpg,china.jpg,0\n"
    return kept(SAMPLES_PLACE, table, lambda path: path.write_text(text))


#: `sample:NAME` to what it stands for: pictures that ship with the dependencies, or made of them.
SAMPLES: dict[str, Callable[[], str]] = {
    "grace_hopper": lambda: installed(*_PORTRAIT),
    "mirrored": _mirrored,
    "china": lambda: installed(*_NO_FACE),
    "flower": lambda: installed("sklearn", "datasets", "images", "flower.jpg"),
    "pairs": _pairs_of_samples,
    "people": sample_people,
    "person_3": lambda: kept(SAMPLES_PLACE, "person_3.png", write_shot),
}


def _accepts_lfw(source: str) -> bool:
    if not accepts_table(source) or source.lower().endswith(".parquet"):
        return False
    try:
        return starts_as_lfw(*first_lines(source, 2))
    except DeepfieldError:  # told by the reader of tables
        return False


#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader(
        "standard input",
        "- (a picture, or a table of pairs or of pictures)",
        lambda s: s == "-",
        _read_stdin,
        ("root", "people"),
    ),
    Reader(
        "folder",
        "a folder per person, or a folder of pictures without names",
        is_folder,
        _read_folder,
        ("people",),
    ),
    Reader("zip", "a zip of such a folder", accepts_zip, _read_zip, ("people",)),
    Reader(
        "LFW's pairs",
        "LFW's pairs.txt or pairsDevTrain.txt, beside its folders of people",
        _accepts_lfw,
        _read_lfw,
        ("root", "people"),
    ),
    Reader(
        "table",
        "a CSV, TSV, JSONL or Parquet table of pairs (columns a, b, and same, fold) or of pictures"
        " (path, and person); lines of paths (.txt)",
        accepts_table,
        _read_text,
        ("root", "people"),
        rows=_of_rows,
    ),
    Reader("picture", "a picture", accepts_picture, _read_picture),
)
