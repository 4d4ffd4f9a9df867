"""Whether a path leads anywhere: what a user gives may be no path at all, such as a long SMILES.
And what the name of a file says of it.

Up to Python 3.13 pathlib raises where a text is too long to be a path; os.path says no.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def is_there(path: str | Path) -> bool:
    """Whether there is a file or a folder of this name."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | Path) -> bool:
    """Whether there is a file of this name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder of this name."""
    return os.path.isdir(path)  # noqa: PTH112


def no_file(path: str | Path, kind: str = "file") -> str:
    """Why a name that `is_file` says no to is none of a file, of some kind.

    Example:
        >>> no_file("/dev/null"), no_file("none.txt", "text")
        ("not a regular file: '/dev/null'", "no such text: 'none.txt'")
    """
    what = "a folder, not a file" if is_folder(path) else "not a regular file"
    return f"{what if is_there(path) else f'no such {kind}'}: {str(path)!r}"


def link_to(path: str | Path) -> str | None:
    """Where the link of this name leads; None where there is no link."""
    return os.readlink(path) if os.path.islink(path) else None  # noqa: PTH114, PTH115


def ends(source: str, suffixes: Iterable[str]) -> bool:
    """Whether a name ends in one of these suffixes, in small letters or large ones, also where
    `.gz` comes behind it.

    Example:
        >>> ends("A.CSV.gz", (".csv", ".tsv")), ends("a.csv.zip", (".csv",))
        (True, False)
    """
    return source.lower().removesuffix(".gz").endswith(tuple(suffixes))


def is_file_of(source: str, suffixes: Iterable[str]) -> bool:
    """Whether there is a file of this name, and its name `ends` so."""
    return ends(source, suffixes) and is_file(source)
