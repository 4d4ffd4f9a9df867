"""Pictures where people keep them: files, zip archives, tables of paths or of encoded pictures.

No picture is decoded here. What is wrong with one of them is told beside it and costs nobody else;
only an archive's index is held in memory.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepfield.toolkit.cells import Rows, looked_at
from deepfield.toolkit.data import read_rows
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.found_files import (
    base_folder,
    column_of_paths,
    file_in,
    missing,
    named,
    of_kind,
)
from deepfield.toolkit.paths import is_file, is_file_of
from deepfield.toolkit.pictures import SUFFIXES, looks_like_picture

#: Members of an archive that unpack to more are not read.
MOST_MEMBER_BYTES = 1 << 28
#: Columns that hold the path of a picture, by their usual names.
PATH = ("path", "file", "filename", "image")

_SUFFIXES = tuple(SUFFIXES)
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")


def is_picture_name(name: str) -> bool:
    """Whether a file's name, without its folder, is that of a picture; hidden files are none."""
    return named(name, _SUFFIXES)


def accepts_picture(source: str) -> bool:
    """Whether a source is a picture, by its name or by how it starts."""
    return of_kind(source, is_picture_name, looks_like_picture)


def looked_for() -> str:
    """The hint where there is no picture."""
    return f"looked for {' '.join(sorted(SUFFIXES))}, in its subfolders too"


# --------------------------------------------------------------------------------- archives


def accepts_zip(source: str) -> bool:
    """Whether a source is a zip archive, by its name or by its content."""
    path = Path(source)
    return is_file(path) and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path))


@contextlib.contextmanager
def open_zip(
    source: str,
) -> Iterator[tuple[zipfile.ZipFile, list[tuple[tuple[str, ...], zipfile.ZipInfo]]]]:
    """Open an archive, and list the pictures in it: their folders and name, and the member.

    Raises:
        UsageError: not a readable zip.
        NotFound: no picture in it.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UsageError(f"{source!r} is not a readable zip: {error}", "zip it again") from None
    with archive:
        members = []
        for info in archive.infolist():
            names = tuple(n for n in info.filename.replace("\\", "/").split("/") if n)
            inner = names[:-1]
            hidden = any(n == "__MACOSX" or (n[0] == "." and n != "..") for n in inner)
            if names and not info.is_dir() and not hidden and is_picture_name(names[-1]):
                members.append((names, info))
        if not members:
            raise NotFound(f"no picture in {source!r}", looked_for())
        yield archive, members


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[bytes | None, str | None]:
    """The bytes of a member, or why they are not read; nothing is written to disk."""
    if info.flag_bits & 1:
        return None, "encrypted in the archive"
    if ".." in info.filename.replace("\\", "/").split("/") or info.filename[:1] in "/\\":
        return None, f"its name leads out of the archive: {info.filename!r}"
    if info.file_size > MOST_MEMBER_BYTES:
        return None, f"unpacks to {info.file_size:,} bytes, the limit is {MOST_MEMBER_BYTES:,}"
    try:  # never extracted; what a lying header hides is cut off by reading the size it states
        with archive.open(info) as member:
            return member.read(info.file_size), None
    except Exception as error:
        return None, f"broken in the archive: {str(error) or type(error).__name__}"


# ---------------------------------------------------------------------------------- tables


def accepts_table(source: str) -> bool:
    """Whether a source is a file with the suffix of a table, or lines of paths (.txt)."""
    return is_file_of(source, _TABLES)


def picture_in(
    row: dict[str, Any], column: str, base: Path, nameless: str
) -> tuple[str | None, Any, dict[str, Any], str | None]:
    """What a cell of a table says of a picture, as `file_in`, and what is wrong with it."""
    name, data, row = file_in(row, column, base, nameless)
    if data is None:
        return name, None, row, f"no path in column {column!r}" if column else "no path"
    return name, data, row, missing(data) if isinstance(data, str) else None


def rows_of_pictures(
    source: str,
    root: str | None = None,
    rows: Rows | None = None,
    start: int = 1,
) -> Iterator[tuple[str, Any, dict[str, Any], str | None]]:
    """Read a table with a column of paths, or of pictures.

    Args:
        source: the table, or `-`.
        root: where its paths start.
        rows: of the table, as `read_rows` gives them, where they were looked at already.
        start: number of the first.

    Returns:
        Lazily, for each row its name, the path or picture to decode, its columns (a name in the
        place of a picture) and what is wrong with it.

    Raises:
        NotFound: no such table or folder.
        UsageError: no table, or none with a column of that kind.
    """
    base = base_folder(source, root)
    names, _, rows = looked_at(read_rows(source) if rows is None else rows)
    column = column_of_paths(source, names, PATH, "pictures") if names else ""
    for number, (row, fault) in enumerate(rows, start):
        told, data, row, wrong = picture_in(row, column, base, f"row {number}")
        yield told or f"row {number}", data, row, fault or wrong
