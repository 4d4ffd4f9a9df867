"""Whether a path leads anywhere: what a user gives may be no path at all, such as a long SMILES.

Up to Python 3.13 pathlib raises where a text is too long to be a path; os.path says no.
"""

from __future__ import annotations

import os
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


def link_to(path: str | Path) -> str | None:
    """Where the link of this name leads; None where there is no link."""
    return os.readlink(path) if os.path.islink(path) else None  # noqa: PTH114, PTH115
