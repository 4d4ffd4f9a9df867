"""Files that other packages carry: found by path, without running any of the package's code."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from deepfield.toolkit.errors import NotFound, UnusableModel


def installed(package: str, *place: str, extra: str = "") -> str:
    """Find a file inside an installed package without importing it.

    Args:
        package: its import name.
        place: folders and the file's name inside it.
        extra: the extra of deepfield that brings the package; none for a dependency.

    Raises:
        NotFound: the package or the file is not there.
    """
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root, *place)
        if path.exists():
            return str(path)
    wanted = f'"deepfield[{extra}]"' if extra else "--force-reinstall deepfield"
    raise NotFound(
        f"the package {package} is not installed, or lacks {'/'.join(place)}",
        f"pip install {wanted}",
    )


def published(package: str, *place: str, sha256: str, extra: str, pins: str = "") -> Path:
    """Find a file inside an installed package, and check that it is the one that was published.

    Args:
        package: its import name.
        place: folders and the file's name inside it.
        sha256: of the published file, in hexadecimal digits.
        extra: the extra of deepfield that brings the package.
        pins: what pip is asked for to have that file again, if the package's name is not enough.

    Raises:
        NotFound: the package or the file is not there.
        UnusableModel: the file is another one.
    """
    path = Path(installed(package, *place, extra=extra))
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise UnusableModel(
            f"{path} has SHA-256 {found[:16]}…, not {sha256[:16]}…", again(pins or package)
        )
    return path


def again(package: str) -> str:
    """The hint where a file of a package is not what it should be.

    Example:
        >>> again("spliceai==1.3.1")
        'install it again: pip install --force-reinstall spliceai==1.3.1'
    """
    return f"install it again: pip install --force-reinstall {package}"
