"""Finding faces in pictures of any size: a pyramid of sizes around any detector of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

#: A detector sees faces of this width; larger ones are found where the picture has been shrunk.
WINDOW = 80
#: Pictures are searched with their longest side at most this long: 10 times 640 x 480.
LONGEST_SIDE = 2048

_STRIDE, _FIRST = 8, -13  # of the detector's cells, and the centre of the first, in pixels
_STEP = 5 / 6  # from one size to the next
_SHORTEST = 40  # pixels; in smaller pictures a face would be twice as large as the picture
_OVERLAP = 0.3382761351109955  # intersection over union above which two boxes are one face


@dataclass(frozen=True, slots=True)
class Box:
    """Where a face is, in pixels of the picture; it may reach out of it.

    Args:
        left: first column.
        top: first row.
        right: last column, included.
        bottom: last row, included.
        confidence: of the detector; above 0.

    Example:
        >>> box = Box(left=10, top=20, right=109, bottom=139, confidence=0.8)
        >>> box.right - box.left + 1, box.bottom - box.top + 1
        (100, 120)
    """

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


def find_faces(
    picture: np.ndarray,
    detector: Callable[[np.ndarray], np.ndarray],
    enlarge: float = 1.0,
    *,
    searched: float = 0.0,
    longest_side: int = LONGEST_SIDE,
) -> list[Box]:
    """Find faces of 80 pixels and more.

    The detector is asked at every size of the picture, each 5/6 of the last. Of boxes that overlap
    (intersection over union above 0.338) the surest stays. Boxes lie on the detector's grid of
    8 pixels, at the size at which a face was found.

    Args:
        picture: uint8 (height, width, 3), RGB, or (height, width).
        detector: from uint8 (1, height, width, 3) to float32 (1, rows, columns, 1): how sure it is
            of a face of 80 x 80 pixels around (8 column - 13, 8 row - 13); above 0 there is one.
        enlarge: the picture is enlarged this many times first: faces of 80 / `enlarge` pixels are
            found, in `enlarge` squared times the time.
        searched: sizes of up to so many times the picture are left out: they were searched before.
        longest_side: a picture that is longer then is shrunk to it; the smallest face that can be
            found grows with it (in a photo of 4,000 pixels to 160).

    Returns:
        Boxes in pixels of the picture as it was given, the surest first.

    Example:
        >>> def blind(picture):
        ...     return np.zeros((1, picture.shape[1] // 8, picture.shape[2] // 8, 1), "float32")
        >>> find_faces(np.zeros((240, 320, 3), np.uint8), blind)
        []

    Source:
        King, "Max-margin object detection", arXiv:1502.00046, with the pyramid of dlib 20.
        Deviations: dlib lays all sizes into one picture and so its grid of 8 pixels elsewhere;
        here each size starts at its own corner, and is shrunk with antialiasing. At the given size
        and away from the edges, around which `mmod` has a wider border, the answers are dlib's
        (`benchmarks/dlib_parity.py`).
    """
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    height, width = picture.shape[:2]
    found = [np.empty((0, 5))]
    most = longest_side / max(height, width)
    for level in _levels(picture, min(enlarge, most), min(searched, most)):
        rows, columns = level.shape[:2]
        sure = detector(level[None])[0, :, :, 0]
        row, column = np.nonzero(sure > 0)
        middles = _STRIDE * np.column_stack([column, row]) + _FIRST
        scale = np.array([width / columns, height / rows])
        # Half a window to each side, between the centres of the first and the last pixel.
        low = (middles - (WINDOW - 2) / 2) * scale - 0.5
        high = (middles + WINDOW / 2) * scale - 0.5
        found.append(np.column_stack([low, high, sure[row, column]]))
    boxes = np.concatenate(found)
    return [Box(*map(float, boxes[place])) for place in _surest(boxes)]


def _levels(picture: np.ndarray, scale: float, above: float) -> Iterator[np.ndarray]:
    """The picture at every size above one, the largest first."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    width, height = (max(1, round(side * scale)) for side in image.size)
    least, first = above * image.width, True
    while width > least and (first or min(width, height) >= _SHORTEST):
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        yield np.asarray(image)
        width, height, first = int(width * _STEP), int(height * _STEP), False


def _surest(boxes: np.ndarray) -> list[int]:
    """Places of the boxes (boxes, 5) that no surer one overlaps, the surest first."""
    left, top, right, bottom, sure = boxes.T
    area = (right - left + 1) * (bottom - top + 1)
    order = np.argsort(-sure, kind="stable")
    kept = []
    while order.size:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        across = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order]) + 1
        down = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order]) + 1
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        order = order[shared / (area[best] + area[order] - shared) <= _OVERLAP]
    return kept
