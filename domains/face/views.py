"""A face seen several ways: the mean of its vectors says more of it than any one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: A border of 0.33 or 0.18 of the face around it, where `alignment` leaves 0.25.
WIDER, CLOSER = 1.66 / 1.5, 1.36 / 1.5


def zoomed(chips: np.ndarray, factor: float) -> np.ndarray:
    """Chips at the same size that show more of what is around the face, or less.

    Bilinear. What would lie outside the chip is taken from its edge.

    Args:
        chips: uint8 (..., side, side, channels).
        factor: of the width that is seen: above 1 more, below 1 less.

    Example:
        >>> chips = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
        >>> zoomed(chips, 0.5)[0, 2, :, 0].tolist()
        [11, 12, 12, 12, 13]
    """
    side = chips.shape[-2]
    middle = (side - 1) / 2
    at = np.clip((np.arange(side) - middle) * factor + middle, 0, side - 1)
    low = np.minimum(at.astype(np.intp), side - 2)
    far = (at - low).astype(np.float32)
    seen = chips.astype(np.float32)
    for axis in (-3, -2):
        seen = np.moveaxis(seen, axis, -1)
        seen = seen[..., low] * (1 - far) + seen[..., low + 1] * far
        seen = np.moveaxis(seen, -1, axis)
    return np.ascontiguousarray(np.rint(seen).astype(np.uint8))


def mirrored(chips: np.ndarray) -> np.ndarray:
    """Chips (..., side, side, channels) with left and right exchanged."""
    return np.ascontiguousarray(chips[..., ::-1, :])


#: How a chip (..., side, side, channels) may be seen.
VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda chips: chips,
    "mirrored": mirrored,
    "wider": lambda chips: zoomed(chips, WIDER),
    "closer, mirrored": lambda chips: mirrored(zoomed(chips, CLOSER)),
}

#: A face and its mirror image are as good.
USUAL_VIEWS = ("plain", "mirrored")


def face_vectors(
    embed: Callable[[np.ndarray], np.ndarray], chips: np.ndarray, views: Sequence[str] = ("plain",)
) -> np.ndarray:
    """Vectors of faces: the mean over their views, brought to length 1.

    Args:
        embed: from chips (batch, side, side, channels) to vectors (batch, units).
        chips: uint8 (batch, side, side, channels).
        views: of `VIEWS`.

    Returns:
        (batch, units), float32.

    Example:
        >>> def embed(chips):
        ...     return chips.reshape(len(chips), -1)[:, :2].astype("float32")
        >>> face_vectors(embed, np.array([3, 4], np.uint8).reshape(1, 1, 2, 1)).round(1).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    return unit(np.sum([embed(VIEWS[view](chips)) for view in views], axis=0))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (batch, units) at length 1, float32; one of 0 stays as it is."""
    length = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
