"""The user's cache: what is made once and asked for again, and what stands in for it where nothing
can be written there.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.paths import is_there


def cache_folder() -> Path:
    """The cache, which need not be there: `$DEEPFIELD_CACHE`, or `~/.cache/deepfield`.

    Raises:
        UsageError: nobody knows where the home folder is.
    """
    given = os.environ.get("DEEPFIELD_CACHE")
    try:
        return Path(given) if given else Path("~/.cache/deepfield").expanduser()
    except RuntimeError:
        raise UsageError(
            "this user has no home folder for the cache", "export DEEPFIELD_CACHE=$(mktemp -d)"
        ) from None


def unwritable(folder: Path, make: bool = True) -> str:
    """Why nothing can be written in a folder; "" if it can.

    Args:
        folder: where.
        make: make it if it is not there; else the nearest folder above it is asked, and nothing
            is changed.
    """
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        while not is_there(folder):
            folder = folder.parent
    except OSError as error:
        return error.strerror or str(error)
    if not folder.is_dir():
        return "Not a directory"
    return "" if os.access(folder, os.W_OK) else "Permission denied"


@functools.cache
def passing() -> Path:
    """A temporary folder that goes with the process.

    Raises:
        OSError: none can be made.
    """
    folder = Path(tempfile.mkdtemp(prefix="deepfield."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def place_for(place: str, name: str = "") -> Path:
    """The folder of the cache in which something is, or can be, kept; else one that passes.

    Args:
        place: the folder's path inside the cache.
        name: of what is kept; if it is there already the folder need not be writable.
    """
    folder = cache_folder() / place
    if (name and is_there(folder / name)) or not unwritable(folder):
        return folder
    folder = passing() / place
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(place: str, name: str, make: Callable[[Path], object], beside: str = "") -> str:
    """A file or folder of this name, made by the first who asks for it, whole or not at all.

    Args:
        place: of the folder, as in `place_for`.
        name: what it is called.
        make: writes it at a path.
        beside: it is kept where this one is.

    Returns:
        Its path: in the cache, or where nothing can be written there in a temporary folder.
    """
    folder = place_for(place, beside or name)
    path = folder / name
    if not is_there(path):
        unfinished = folder / f"{os.getpid()}.{threading.get_ident()}.{name}"
        try:
            make(unfinished)
            unfinished.replace(path)
        except OSError:  # another process was quicker with a folder
            if not is_there(path):
                raise
        finally:
            if unfinished.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
            else:
                unfinished.unlink(missing_ok=True)
    return str(path)
