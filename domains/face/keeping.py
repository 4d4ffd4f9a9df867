"""Where pictures are kept that are made when they are first asked for."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deepfield.toolkit.bundle import cache_folder
from deepfield.toolkit.paths import is_there


def kept(name: str, make: Callable[[Path], object], beside: str = "") -> str:
    """A file or folder of this name, made by the first who asks for it, whole or not at all.

    Args:
        name: what it is called.
        make: writes it at a path.
        beside: it is kept where this one is.

    Returns:
        Its path: in the cache; where nothing can be written there, in a temporary folder that
        goes with the process.
    """
    folder = _folder(beside or name)
    path = folder / name
    if not is_there(path):
        unfinished = folder / f"{os.getpid()}.{name}"
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


def unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, which is made if it is not there; "" if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(folder, os.W_OK) else "Permission denied"


def _folder(name: str) -> Path:
    folder = cache_folder() / "face" / "samples"
    if is_there(folder / name) or not unwritable(folder):
        return folder
    return _passing()


@functools.cache
def _passing() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="deepfield."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
