"""Lists of pairs as LFW writes them: `pairs.txt`, and View 1's `pairsDevTrain.txt`.

A line names a person and two of that person's pictures, or two people and a picture of each:

    10      300                             folds, and pairs of either kind in each of them
    Abel_Pacheco    1       4               the same person
    Robert_Downey_Jr        1       Tommy_Shane_Steiner     1

The first line may also hold one number (of pairs of either kind), or be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepfield.toolkit.errors import BROKEN
from deepfield.toolkit.separated import breaks_off, is_blank
from deepfield.toolkit.text_files import open_text

#: Folders of people, as they are called beside a list.
FOLDERS = (
    "", "lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled",
    "lfw-deepfunneled/lfw-deepfunneled",
)  # fmt: skip

_COUNTS = re.compile(r"[0-9]{1,7}(\s+[0-9]{1,7})?")
_COLUMNS = ("a", "b", "same", "fold")


def starts_as_lfw(first: str, second: str) -> bool:
    r"""Whether these are the first two lines of such a list.

    Example:
        >>> starts_as_lfw("10\t300", "Abel_Pacheco\t1\t4")
        True
    """
    counted = _COUNTS.fullmatch(first.strip()) is not None
    return _entry(second if counted else first) is not None


def lfw_rows(source: str, base: Path) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Read a list as the rows of a table of pairs.

    A picture is `NAME/NAME_0001.jpg`, in `base` or in one of `FOLDERS` there. The pairs of a line
    that cannot be read, and those that a cut file lacks, are rows with a fault.

    Args:
        source: the list, or `-`.
        base: where the folders of people, or one of `FOLDERS`, lie.

    Returns:
        Lazily, rows with the columns a, b, same and fold (empty without folds), and what is wrong.
    """
    nothing = dict.fromkeys(_COLUMNS, "")
    folds = each = index = number = 0
    started = False
    place: str | None = None
    with open_text(source) as lines:
        while True:
            try:
                line = next(lines, None)
            except BROKEN as error:
                yield nothing, breaks_off(number, error)
                return
            if line is None:
                break
            number += 1
            text = line.strip()
            if is_blank(text):
                continue
            if not started and _COUNTS.fullmatch(text):
                *several, each = map(int, text.split())
                folds = several[0] if several else 0
                started = True
                continue
            started = True
            fold = str(index // (2 * each) + 1) if folds and each else ""
            index += 1
            if each and index > 2 * each * max(1, folds):
                yield nothing, f"line {number}: more pairs than the first line counts"
                continue
            entry = _entry(text)
            if entry is None:
                told = "neither 'NAME 1 2' nor 'NAME 1 NAME 2'"
                yield {**nothing, "fold": fold}, f"line {number}: {told}: {text[:60]!r}"
                continue
            (one, i), (two, j) = entry
            if place is None:
                place = next((f for f in FOLDERS if (base / f / one).is_dir()), None)
            a, b = ((Path(place or "") / n / f"{n}_{k:04d}.jpg").as_posix()
                    for n, k in ((one, i), (two, j)))  # fmt: skip
            yield {"a": a, "b": b, "same": "1" if one == two else "0", "fold": fold}, None
    wanted = 2 * each * max(1, folds)
    if index < wanted:
        yield nothing, f"the list breaks off: {index:,} of {wanted:,} pairs"


def _entry(line: str) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """The two people of a line and the numbers of their pictures."""
    cells = line.strip().split("\t") if "\t" in line else line.split()
    if len(cells) == 3:
        cells.insert(2, cells[0])
    numbers = [c.strip() for c in cells[1::2]]
    if len(cells) != 4 or not all(n.isascii() and n.isdecimal() and len(n) < 9 for n in numbers):
        return None
    one, two = cells[0].strip(), cells[2].strip()
    if not one or not two or {"/", "\0"} & {*one, *two}:
        return None
    return (one, int(numbers[0])), (two, int(numbers[1]))
