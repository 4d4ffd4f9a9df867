"""The order in which people expect names: numbers in them by their value."""

from __future__ import annotations

import re
from typing import Any


def natural(text: str, folded: bool = False) -> tuple[list[Any], str]:
    """A key to sort names by in natural order; names that differ have keys that differ.

    Args:
        text: the name.
        folded: large letters beside small ones, as in a list of files, not all before them.

    Example:
        >>> sorted(["10", "9", "a2", "a10"], key=natural)
        ['9', '10', 'a2', 'a10']
    """
    pieces: list[Any] = re.split(r"([0-9]+)", text.casefold() if folded else text)
    # By length first, so that no number is converted, however long it is.
    pieces[1::2] = [(len(p), p) for p in (piece.lstrip("0") for piece in pieces[1::2])]
    return pieces, text
