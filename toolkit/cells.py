"""Cells and columns of tables: what a cell says, and which column holds what."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deepfield.toolkit.errors import UsageError, listed

#: What stands in a cell that holds nothing.
MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "-"})
#: Words for yes and no, in small letters; domains add those of their field.
YES = ("1", "1.0", "true", "yes")
NO = ("0", "0.0", "false", "no")

#: Rows of a table, each with what is wrong with it.
Rows = Iterable[tuple[dict[str, Any], str | None]]


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN or one of the usual words for it."""
    if value is None or (isinstance(value, float) and value != value):
        return True
    return isinstance(value, str) and value.strip().lower() in MISSING


def text_of_cell(value: Any) -> str:
    """A cell as a label or a name: the number 1.0 is 1; yes and no are words, as in a text.

    Example:
        >>> text_of_cell(1.0), text_of_cell(True), text_of_cell(" EI")
        ('1', 'True', 'EI')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def find_column(
    row: Mapping[str, Any], given: str | None, usual: Sequence[str], what: str
) -> str | None:
    """The column that holds something: the one named, or the first of the usual names.

    Raises:
        UsageError: the column named is not in the table.
    """
    if given is not None:
        if given not in row:
            near = difflib.get_close_matches(given, list(row), n=3) or list(row)
            raise UsageError(f"no column {given!r} for {what}", f"columns: {listed(near)}")
        return given
    lowered = {name.lower(): name for name in reversed(list(row))}  # the first of several
    return next((lowered[name] for name in usual if name in lowered), None)


#: Rows without a cell that are passed over in search of one that has some.
_MOST_FAULTY = 10_000


def looked_at(
    rows: Rows, most: int = 100
) -> tuple[dict[str, None], list[dict[str, Any]], Iterator[tuple[dict[str, Any], str | None]]]:
    """Look at the first rows of a table, to tell its columns apart: of JSON, later rows may have
    more of them.

    Args:
        rows: of the table.
        most: that are looked at.

    Returns:
        The names of all their columns, in order; those rows that are good, or all if none is; and
        the rows as they came, from the first one on.

    Example:
        >>> names, _, rows = looked_at([({"a": 1}, None), ({"a": 2, "b": 3}, None)])
        >>> list(names), len(list(rows))
        (['a', 'b'], 2)
    """
    rest = iter(rows)
    head = list(itertools.islice(rest, most))
    if not any(row for row, _ in head):  # lines that are no rows tell nothing
        for pair in itertools.islice(rest, _MOST_FAULTY):
            head.append(pair)
            if pair[0]:
                break
    good = [row for row, fault in head if fault is None] or [row for row, _ in head]
    names = dict.fromkeys(name for row in good for name in row)
    return names, good, itertools.chain(head, rest)
