"""Faces that fill their picture, as detectors and people cut them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from deepfield.domains.face.detection import WINDOW, Box, find_faces

#: Of the shorter side: what is laid around a picture.
BORDER = 0.25


def find_filling_faces(
    picture: np.ndarray, detector: Callable[[np.ndarray], np.ndarray]
) -> list[Box]:
    """Find faces that fill most of their picture, where `find_faces` finds none.

    A detector has learnt from faces with something around them. So a border is laid around the
    picture, of the levels at its edge; and it is shrunk before, to twice the detector's window, in
    which smaller faces are lost and the search takes as long as that of a tiny picture.

    Args:
        picture: uint8 (height, width, 3), RGB.
        detector: of `find_faces`.

    Returns:
        Boxes in pixels of the picture, the surest first; they may reach out of it.

    Example:
        >>> def blind(picture):
        ...     return np.zeros((1, picture.shape[1] // 8, picture.shape[2] // 8, 1), "float32")
        >>> find_filling_faces(np.zeros((160, 160, 3), np.uint8), blind)
        []
    """
    from PIL import Image

    height, width = picture.shape[:2]
    shrunk = min(1.0, 2 * WINDOW / min(height, width))
    columns, rows = max(1, round(width * shrunk)), max(1, round(height * shrunk))
    if shrunk < 1:
        image = Image.fromarray(picture)
        picture = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR))
    border = round(BORDER * min(rows, columns))
    around = np.pad(picture, ((border, border), (border, border), (0, 0)), mode="edge")
    across, down = width / columns, height / rows
    return [
        replace(
            box, left=_back(box.left, border, across), top=_back(box.top, border, down),
            right=_back(box.right, border, across), bottom=_back(box.bottom, border, down),
        )
        for box in find_faces(around, detector)
    ]  # fmt: skip


def _back(place: float, border: int, scale: float) -> float:
    """A place beside the border, in pixels of the picture before it was shrunk."""
    return (place - border + 0.5) * scale - 0.5
