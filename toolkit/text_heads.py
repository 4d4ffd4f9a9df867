"""What a text holds, told by its first lines: a table, lines of paths, or a form of a field's own.

A text is a file or standard input, gzipped or not, whatever its encoding. Nothing of it is lost:
a file is opened again to be read, and standard input keeps what was looked at.
"""

from __future__ import annotations

import io
import re
import sys
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BROKEN, UsageError, called, unreadable
from deepfield.toolkit.found_files import base_folder
from deepfield.toolkit.paths import ends, is_there
from deepfield.toolkit.separated import is_blank
from deepfield.toolkit.text_files import is_gzipped, open_text

#: Of a line, and of standard input, no more is looked at.
_MOST = 1 << 16
#: First lines that tell whether a text lists paths.
SEVERAL = 20


def header_cells(first: str) -> set[str]:
    """The names of columns that a line would be the header of, in small letters.

    Example:
        >>> sorted(header_cells('"Path";Label'))
        ['label', 'path']
    """
    return {cell.strip().strip('"').lower() for cell in re.split("[\t,;]", first)}


def first_lines(source: str, count: int = 1) -> list[str]:
    """The first lines of a file that hold anything, `""` in the place of those it lacks.

    Raises:
        DeepfieldError: it cannot be read.
    """
    try:
        with open_text(source) as lines:
            return first_of(lines, count)
    except BROKEN as error:
        raise unreadable(source, error) from None


def first_of(lines: TextIO, count: int = 1) -> list[str]:
    """`first_lines` of a text that is open already."""
    found: list[str] = []
    while len(found) < count and (line := lines.readline(_MOST)):
        found += [] if is_blank(line) else [line]
    return found + [""] * (count - len(found))


def head_of_stdin(hint: str) -> tuple[bytes, TextIO]:
    """The beginning of standard input, as it is and as a text: unzipped and decoded.

    Args:
        hint: what to pipe into it.

    Raises:
        UsageError: there is nothing in it.
    """
    stdin: Any = sys.stdin.buffer
    head = stdin.peek(_MOST)[:_MOST]
    while all(map(is_blank, (text := _decoded(head)).splitlines())):
        # what has arrived of a slow pipe: an archive's header, or blank lines
        more = stdin.raw.read(_MOST) if len(head) < _MOST else b""
        if not more:
            raise UsageError("standard input is empty", hint)
        head += more
        before: Any = io.BufferedReader(_Again(head, stdin.raw), max(_MOST, len(head)))
        sys.stdin = io.TextIOWrapper(before)
        before.peek(1)
    return head, io.StringIO(text, newline="")


def _decoded(head: bytes) -> str:
    plain = zlib.decompressobj(31).decompress(head, _MOST) if is_gzipped(head) else head
    wide = plain[:2] in (b"\xff\xfe", b"\xfe\xff")
    return plain.decode("utf-16" if wide else "utf-8-sig", "replace")


class _Again(io.RawIOBase):
    """A stream with what was read of it already before it."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.head:
            return int(self.rest.readinto(buffer))
        some = self.head[: len(buffer)]
        self.head = self.head[len(some) :]
        buffer[: len(some)] = some
        return len(some)


def lists_paths(
    source: str,
    lines: Sequence[str],
    kind: str,
    is_name: Callable[[str], bool],
    paths: Sequence[str],
    others: Collection[str],
    root: str | None,
    named: Collection[str] = (),
) -> bool:
    """Whether a text is a path a line, rather than a table.

    Args:
        source: the text.
        lines: its first ones, some `SEVERAL`: a path may be wrong.
        kind: what its files are called: `"picture"`.
        is_name: whether a name is that of such a file.
        paths: usual names of the column of paths.
        others: usual names of further columns: two cells, one of them so named, are a header too.
        root: where its paths start, as `base_folder` takes it.
        named: options given that name columns.

    Raises:
        UsageError: it is neither, or columns are named and there are none.
    """
    first, *_ = names = [line.strip() for line in lines]
    if not first:
        raise UsageError(f"{called(source)} is empty", "a path a line, or a table with a header")
    base, cells = base_folder(source, root), header_cells(first)
    if not is_there(base / first):  # whose name may have commas
        if first.startswith("{") or cells & {*paths}:
            return False
        if len(cells) > 1 and cells & {*others}:
            return False
    if not any(is_name(Path(name).name) or is_there(base / name) for name in names if name):
        raise UsageError(
            f"{called(source)} is no {kind}, no table and no lines of paths",
            f"a table has a column {' or '.join(paths)}; paths stand alone, one a line",
        )
    if named:
        raise UsageError(
            f"{called(source)} holds lines of paths, without columns",
            "write a table with a header",
        )
    return True


def paths_or_table(
    kind: str,
    is_name: Callable[[str], bool],
    paths: Sequence[str],
    others: Collection[str],
    columns: Collection[str],
    lines: Callable[[str, str | None], Iterator[Sample]],
    table: Callable[..., Iterator[Sample]],
) -> Callable[..., Iterator[Sample]]:
    """Make a reader of tables, and of a `.txt` or a piped text whatever its first lines say.

    Args:
        kind: as `lists_paths` takes it, and so `is_name`, `paths` and `others`.
        is_name: see there.
        paths: see there.
        others: see there.
        columns: options that name columns.
        lines: reads a path a line, of a source and the root of its paths.
        table: reads a table, of a source and all options.

    Returns:
        Reads a source, with its options; `starts` are its first lines where they are known.
    """

    def read(source: str, starts: Sequence[str] = (), **options: Any) -> Iterator[Sample]:
        if not starts and not ends(source, (".txt",)):
            return table(source, **options)
        starts, root = starts or first_lines(source, SEVERAL), options.get("root")
        named = options.keys() & {*columns}
        if lists_paths(source, starts, kind, is_name, paths, others, root, named):
            return lines(source, root)
        return table(source, **options)

    return read
