"""Faces turned upright and cut out at one size: what networks for faces are given to see."""

from __future__ import annotations

import numpy as np

from deepfield.toolkit.errors import BadInput

#: Height and width of a chip, in pixels.
CHIP = 150
#: Where five points lie in the mean face (x, y; the face's square is the unit): outer and inner
#: corner of the eye at the right of the picture, of the eye at its left, base of the nose.
MEAN_FACE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Find the rotation, scale and shift that bring points closest to others.

    $$ \min_{c, R, t} \sum_i \lVert c R\, x_i + t - y_i \rVert^2 $$

    In two dimensions cR is a complex factor, so the least squares have a closed form and R is
    never a reflection.

    Args:
        source: x, (points, 2).
        target: y, (points, 2).

    Returns:
        The matrix cR (2, 2) and the shift t (2,), float64.

    Example:
        >>> turn, shift = similarity(MEAN_FACE, 2 * MEAN_FACE + [3, 4])
        >>> turn.round(6).tolist(), shift.round(6).tolist()
        ([[2.0, -0.0], [0.0, 2.0]], [3.0, 4.0])

    Source:
        Umeyama, "Least-squares estimation of transformation parameters between two point
        patterns", IEEE TPAMI 13, 1991, equations 40 to 42, in two dimensions.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    middle, aim = source.mean(axis=0), target.mean(axis=0)
    a, b = source - middle, target - aim
    spread = (a * a).sum()
    along = (a * b).sum() / spread
    across = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    turn = np.array([[along, -across], [across, along]])
    return turn, aim - turn @ middle


def chip_of(
    picture: np.ndarray, points: np.ndarray, size: int = CHIP, padding: float = 0.25
) -> np.ndarray:
    """Cut a face out, upright and at one size.

    Its five points are laid on those of the mean face, with a border of `padding` times the face
    around it. Pixels are interpolated bilinearly; if the face is more than twice as large as the
    chip, the picture is first halved until it is not. What lies outside the picture is black.

    Args:
        picture: uint8 (height, width, 3), or (height, width).
        points: (5, 2), x and y, as `Landmarks` finds them.
        size: height and width of the chip, in pixels.
        padding: the border, as a part of the face's size.

    Returns:
        uint8 (size, size, 3).

    Raises:
        BadInput: the points (nearly) coincide.

    Example:
        >>> picture = np.full((300, 300, 3), 200, np.uint8)
        >>> chip_of(picture, 100 + 80 * MEAN_FACE).shape
        (150, 150, 3)

    Source:
        As dlib 20 cuts out faces, its conventions included: a chip reaches from the centre of its
        first pixel to that of its last; levels are truncated; halving is a filter 1 4 6 4 1 that
        shifts by (1.25, 0.75).
    """
    place = (padding + MEAN_FACE) / (2 * padding + 1) * size
    turn, shift = similarity(place, points)
    scale = float(np.hypot(*turn[0]))
    if not np.isfinite(scale) or size * scale < 2:
        raise BadInput("a face whose landmarks lie on one point")
    centre = turn @ np.full(2, size / 2) + shift
    half = (size * scale - 1) / 2  # from the centre of the face to its edges
    rotation = turn / scale
    halvings, width = 0, (size * scale + 1) / 2
    while width > size:
        halvings, width = halvings + 1, (width + 1) / 2
    if halvings:
        # Only what the chip needs is halved, with a border that the filter wants.
        reach = half * np.abs(rotation).sum(axis=1) + 2 ** (halvings + 2) - 2
        last = np.array(picture.shape[1::-1]) - 1
        low = np.floor(np.clip(centre - reach, 0, last) + 0.5).astype(int)
        high = np.floor(np.clip(centre + reach, 0, last) + 0.5).astype(int) + 1
        picture, centre = picture[low[1] : high[1], low[0] : high[0]], centre - low
    for _ in range(halvings):
        if min(picture.shape[:2]) <= 8:  # hardly a pixel of the face lies in the picture
            return np.zeros((size, size, 3), np.uint8)
        picture, centre, half = _halved(picture), centre / 2 - (1.25, 0.75), half / 2
    steps = np.linspace(-half, half, size)
    x = centre[0] + rotation[0, 0] * steps + rotation[0, 1] * steps[:, None]
    y = centre[1] + rotation[1, 0] * steps + rotation[1, 1] * steps[:, None]
    chip = _interpolated(picture, x, y)
    return np.repeat(chip, 3, axis=2) if chip.shape[2] == 1 else chip


def _halved(picture: np.ndarray) -> np.ndarray:
    """Every second pixel after the filter 1 4 6 4 1 along both axes; (n - 3) // 2 are left."""
    for axis in (1, 0):
        rows = np.moveaxis(picture, axis, 0)
        count = (len(rows) - 3) // 2
        p, q, r, s, t = (rows[at : at + 2 * count - 1 : 2] for at in range(5))
        # Whole numbers in 16 bits: 255 times 16 times 16 just fits.
        total = r * np.uint16(6)
        total += (q.astype(np.uint16) + s) << np.uint16(2)
        total += p
        total += t
        picture = np.moveaxis(total, 0, axis)
    return (picture >> np.uint16(8)).astype(np.uint8)


def _interpolated(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Levels at (x, y), bilinear and truncated; black where a neighbour is missing."""
    height, width = picture.shape[:2]
    pixels = np.ascontiguousarray(picture).reshape(height * width, -1)
    left, top = np.floor(x), np.floor(y)
    inside = (left >= 0) & (top >= 0) & (left + 1 < width) & (top + 1 < height)
    across, down = (x - left)[..., None], (y - top)[..., None]
    at = np.where(inside, top * width + left, 0).astype(np.intp)
    if height < 2 or width < 2:
        return np.zeros((*x.shape, pixels.shape[1]), np.uint8)
    back, sink = 1 - across, 1 - down
    above = back * pixels[at] + across * pixels[at + 1]
    below = back * pixels[at + width] + across * pixels[at + width + 1]
    levels = sink * above + down * below
    return np.where(inside[..., None], levels, 0).astype(np.uint8)
