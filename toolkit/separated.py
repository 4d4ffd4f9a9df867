"""Tables of cells between commas, semicolons or tabs, read line by line.

A bad row costs itself alone: a quote that is opened and never closed does not swallow the rows
behind it, and an empty cell of a table with one column is a row though nothing stands in its line.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deepfield.toolkit.errors import BROKEN, UsageError, no_rows

#: Excel's note of what is between the cells.
_SEPARATOR = re.compile(r"sep=[,;\t]\s*$", re.IGNORECASE)


class _Lines:
    """Lines of a text that remember those of the row at hand, and can take them back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.rest = iter(lines)
        self.again: deque[str] = deque()
        self.number = 0
        self.row: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.rest).replace("\0", "")
        self.number += 1
        self.row.append(line)
        return line

    def keep_first(self) -> str:
        """The first line of the row; those behind it are read again."""
        first, *others = self.row
        self.again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def is_blank(line: str) -> bool:
    """Whether a line holds nothing: Excel's note of what is between the cells, which the header
    tells as well, is nothing.

    Example:
        >>> is_blank(" "), is_blank("sep=;"), is_blank("path;label")
        (True, True, False)
    """
    return not line.strip() or _SEPARATOR.match(line) is not None


def read_separated(
    source: str, first: str, lines: Iterable[str]
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Rows of a table, each with what is wrong with it (None for a good one).

    Args:
        source: its name, for errors.
        first: its header line, which tells what stands between the cells.
        lines: all of its lines, the header too.

    Raises:
        UsageError: no text, two columns of one name, or a header alone.
    """
    if "\0" in first:
        raise UsageError(f"{source!r} is not a text table", "expected CSV, TSV, JSONL or Parquet")
    delimiter = max("\t,;", key=first.count)
    told = _Lines(lines)
    table = csv.reader(told, delimiter=delimiter)
    cells, fault = _row(told, table, delimiter)
    while not cells and not fault:
        cells, fault = _row(told, table, delimiter)
    if not cells:
        raise UsageError(f"{source!r}, {fault}", "expected a line with the names of the columns")
    header = _names(source, cells)
    empty, some = 0, False  # empty lines, of which those at the end are no rows
    while True:
        try:
            cells, fault = _row(told, table, delimiter)
        except StopIteration:
            if not some:
                raise no_rows(source) from None
            return
        except BROKEN as error:
            yield dict.fromkeys(header, ""), breaks_off(told.number, error)
            return
        if not cells and not fault:
            empty += 1
            continue
        if len(header) == 1:
            yield from (({header[0]: ""}, None) for _ in range(empty))
        empty, some = 0, True
        if len(cells) != len(header):
            fault = fault or f"line {told.number}: {_counted(cells, delimiter, header)}"
        yield dict(itertools.zip_longest(header, cells[: len(header)], fillvalue="")), fault


def _row(told: _Lines, table: Iterator[list[str]], delimiter: str) -> tuple[list[str], str | None]:
    """The cells of the next row, none of an empty line; and what is wrong with it."""
    told.row.clear()
    cells, fault = [], None
    try:
        cells = next(table)
    except csv.Error as error:  # a cell over the field limit
        fault = f"line {told.number}: {error}"
    if len(told.row) > 1 and (fault or not _is_closed(told.row, delimiter)):
        line = told.keep_first()
        cells = next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE))
        fault = f"line {told.number}: a quote is opened and never closed"
    return cells, fault


def _names(source: str, cells: Sequence[str]) -> list[str]:
    header = [name.strip() for name in cells]
    if header.count("") > 1:  # spreadsheets leave empty columns behind
        header = [name or f"column {place}" for place, name in enumerate(header, start=1)]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise UsageError(f"{source!r} has two columns named {min(twice)!r}", "rename one of them")
    return header


def _is_closed(row: Sequence[str], delimiter: str) -> bool:
    """Whether the lines of a row are one because a cell has line breaks, in quotes."""
    try:
        next(csv.reader(row, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _counted(cells: Sequence[str], delimiter: str, header: Sequence[str]) -> str:
    between = {"\t": "tabs", ",": "commas", ";": "semicolons"}[delimiter]
    told = f"{len(cells)} cells" if len(cells) != 1 else "1 cell"
    return f"{told} between {between}, the header has {len(header)}"


def breaks_off(line: int, error: Exception) -> str:
    """What is wrong with the row in which a damaged file ends."""
    return f"the file breaks off after line {line}: {error}"
