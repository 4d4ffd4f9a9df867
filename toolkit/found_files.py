"""Finding files of one kind where people keep them: in folders, and in tables and lines of paths.

No file is decoded here. What is wrong with one of them is told beside it and costs nobody else.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepfield.toolkit.cells import find_column, is_missing
from deepfield.toolkit.errors import NotFound, UsageError, called, listed
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.paths import is_file, is_there
from deepfield.toolkit.separated import is_blank
from deepfield.toolkit.text_files import open_text

#: Of a folder that links lead to: ten folders with links to all others would have ten million.
MOST_NAMES = 16


def named(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a file's name, without its folder, ends so, in small letters or large ones; hidden
    files are left out.
    """
    return name[:1] != "." and name.lower().endswith(suffixes)


def of_kind(source: str, is_name: Callable[[str], bool], starts: Callable[[bytes], bool]) -> bool:
    """Whether a source is a file of a kind, by its name or by its first 16 bytes."""
    path = Path(source)
    if not is_file(path):
        return False
    if is_name(path.name):
        return True
    try:
        with path.open("rb") as file:
            return starts(file.read(16))
    except OSError:
        return False


# --------------------------------------------------------------------------------- folders


def folders(root: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out; none where it cannot be read."""
    try:
        return [e.name for e in os.scandir(root) if e.name[:1] != "." and e.is_dir()]
    except OSError:  # told as the fault of a sample, when it is walked
        return []


def holds(folder: Path, is_name: Callable[[str], bool]) -> bool:
    """Whether a file of a kind lies in a folder itself; not where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return any(is_name(entry.name) for entry in entries)
    except OSError:
        return False


def walk(
    root: Path,
    is_name: Callable[[str], bool],
    below: tuple[str, ...] = (),
    skipped: tuple[str, ...] = (".",),
) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Names of the files of a kind below a folder, in natural order, with what is wrong with a
    folder. What links lead to has its own name and one by each of them, up to `MOST_NAMES`.

    Args:
        root: where the names start.
        is_name: of files of the kind.
        below: the folder inside it to walk.
        skipped: what folders that are not walked begin with.

    Returns:
        Lazily, pairs of a file's folders and name, and None; or of a folder that cannot be read
        and why.
    """
    # with the folders above it, by their identity, none of a file; and whether a link led there
    stack: list[tuple[tuple[str, ...], frozenset[Any] | None, bool]] = [(below, frozenset(), False)]
    by_links: Counter[Any] = Counter()
    while stack:
        names, above, linked = stack.pop()
        if above is None:
            yield names, None
            continue
        place = root.joinpath(*names)
        try:
            about = place.stat()
            this = about.st_dev, about.st_ino
            if this in above:  # a link that leads back: a circle
                continue
            by_links[this] += linked
            if linked and by_links[this] > MOST_NAMES:
                yield (*names, ""), f"links give this folder more than {MOST_NAMES} names"
                continue
            inner = above | {this}
            with os.scandir(place) as entries:
                asked = [e for e in entries if not e.name.startswith(skipped) or is_name(e.name)]
                inside = [(e.name, _is_folder(e), linked or e.is_symlink()) for e in asked]
        except OSError as error:
            yield (*names, ""), f"cannot read this folder: {error.strerror}"
            continue
        kept = [
            (name, folder, by_link)
            for name, folder, by_link in inside
            if (not name.startswith(skipped) if folder else is_name(name))
        ]
        kept.sort(key=lambda entry: natural(entry[0], folded=True), reverse=True)
        stack += [((*names, name), inner if folder else None, by) for name, folder, by in kept]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or where nobody may look
        return False


# ------------------------------------------------------------------ tables and lines of paths


def base_folder(source: str, root: str | None) -> Path:
    """Where the paths of a table start: `root`, or the table's own folder.

    Raises:
        NotFound: there is no such folder.
    """
    base = Path(root) if root is not None else Path() if source == "-" else Path(source).parent
    if not base.is_dir():
        raise NotFound(f"no such folder: {str(base)!r}", "--root names where the paths start")
    return base


def missing(path: str) -> str | None:
    """The fault of a file that is not there; None if it is."""
    return None if is_there(path) else f"no such file: {path}"


def file_in(
    row: dict[str, Any], column: str, base: Path, nameless: str
) -> tuple[str | None, Any, dict[str, Any]]:
    """What a cell of a table says of a file.

    Args:
        row: of the table.
        column: of the cell, which holds a path; or what stands in the file, encoded or decoded; or
            several of these, as sets are published: {"path", "bytes"}, {"path", "array", …}.
        base: where relative paths start.
        nameless: stands in the row for a file that has no name.

    Returns:
        The name that the cell gives, if any; the path, what stands in the file, or None for
        neither; and the row with a text in that cell.

    Example:
        >>> file_in({"image": {"path": None, "bytes": b"GIF"}}, "image", Path(), "row 1")
        (None, b'GIF', {'image': 'row 1'})
    """
    cell = row.get(column)
    data = path = cell
    if isinstance(cell, Mapping):
        path = cell.get("path")
        data = cell if "array" in cell else cell.get("bytes") or path
    name = None if is_missing(path) or not isinstance(path, str | Path) else str(path)
    if not isinstance(cell, str) and not is_missing(cell):
        row = {**row, column: name or nameless}
    if isinstance(data, str | Path):
        data = str(base / data) if name else None
    return name, None if is_missing(data) else data, row


def column_of_paths(source: str, row: Mapping[str, Any], usual: Sequence[str], what: str) -> str:
    """The column of a table that holds paths.

    Args:
        source: the table.
        row: its columns.
        usual: names of the column, the first that is there counts.
        what: the files are called: `"pictures"`.

    Raises:
        UsageError: none of these names.
    """
    column = find_column(row, None, usual, "the path")
    if column is None:
        raise UsageError(
            f"no column with the paths of the {what} in {called(source)}",
            f"call it {', '.join(usual)}; its columns: {listed(row)}",
        )
    return column


def lines_of_paths(source: str, root: str | None) -> Iterator[tuple[str, str, str | None]]:
    """Read a text with a path a line: as it is written, where that is, and what is wrong."""
    base = base_folder(source, root)
    with open_text(source) as lines:
        for line in lines:
            if not is_blank(line):
                name = line.strip()
                path = str(base / name)
                yield name, path, missing(path)
