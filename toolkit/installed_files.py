"""Files that other packages carry: found by path, without running any of the package's code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from deepfield.toolkit.errors import NotFound


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
