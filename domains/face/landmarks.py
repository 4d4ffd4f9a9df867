"""Five points of a face by an ensemble of regression trees, without any library but NumPy."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from deepfield.domains.face.alignment import similarity
from deepfield.domains.face.detection import Box
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import UnusableModel


@dataclass(frozen=True, eq=False)
class Landmarks:
    r"""Finds five points of a face: the corners of both eyes, and the base of the nose.

    The points start as the mean shape, laid into the face's box. Each of 15 cascades compares grey
    levels at pixels that go along with the points, and adds to them what the reached leaves of its
    500 trees hold:

    $$ s_{t+1} = s_t + \sum_k \mathrm{leaf}_{tk}\bigl(g(M_t \delta_i + s_t[a_i])\bigr) $$

    where M_t is the rotation and scale that brings the mean shape closest to s_t, and a node goes
    to its first child where g[i] - g[j] > threshold.

    Args:
        mean_shape: (points, 2) float32, x and y, in the unit of the box.
        anchors: (cascades, pixels) integers: the point that a pixel goes along with.
        deltas: (cascades, pixels, 2) float32: its distance from it.
        splits: (cascades, trees, inner nodes, 2) integers: the pixels that a node compares.
        thresholds: (cascades, trees, inner nodes) float32.
        leaves: (cascades, trees, leaves, 2 points) float32.

    Raises:
        UnusableModel: arrays that do not fit together.

    Example:
        >>> from deepfield.domains.face.adopt import LANDMARKS, find_file, read_shape_predictor
        >>> arrays = read_shape_predictor(find_file(LANDMARKS))  # doctest: +SKIP
        >>> Landmarks.from_arrays(arrays)(picture, box).shape  # doctest: +SKIP
        (5, 2)

    Source:
        Kazemi, Sullivan, "One millisecond face alignment with an ensemble of regression trees",
        CVPR 2014, algorithm 1; rounding as in dlib 20, with which whole pixels agree.
    """

    mean_shape: np.ndarray
    anchors: np.ndarray
    deltas: np.ndarray
    splits: np.ndarray
    thresholds: np.ndarray
    leaves: np.ndarray

    def __post_init__(self) -> None:
        """Refuse arrays whose shapes or places do not fit together."""
        points = len(self.mean_shape)
        cascades, trees, inner = self.thresholds.shape
        wanted = {
            "mean_shape": (points, 2),
            "anchors": (cascades, self.anchors.shape[-1]),
            "deltas": (*self.anchors.shape, 2),
            "splits": (*self.thresholds.shape, 2),
            "leaves": (cascades, trees, inner + 1, 2 * points),
        }
        wrong = [name for name, shape in wanted.items() if getattr(self, name).shape != shape]
        if inner & (inner + 1):
            wrong.append("thresholds")
        if wrong or self.anchors.max() >= points or self.splits.max() >= self.anchors.shape[1]:
            raise UnusableModel(
                f"the landmarks do not fit together: {', '.join(wrong) or 'places'}",
                "adopt the model again",
            )

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Landmarks:
        """From what `arrays` gives, or a file of dlib's.

        Raises:
            UnusableModel: an array is missing, or they do not fit together.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise UnusableModel(f"the landmarks lack {missing[0]!r}", "adopt the model again")
        return cls(**{name: arrays[name] for name in names})

    def arrays(self) -> Arrays:
        """All arrays by name, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Refuse numbers, as a stranger's bundle may bring them, that find no five points.

        Raises:
            ValueError: it cannot be done with them.
        """
        for name, array in self.arrays().items():
            if not np.isfinite(array).all() or (array.min() < 0 and array.dtype.kind != "f"):
                raise ValueError(f"the landmarks' {name} make no sense")
        try:
            with np.errstate(all="ignore"):
                found = self(np.zeros((90, 90, 3), np.uint8), Box(5, 5, 84, 84, 1.0))
        except IndexError:  # places that are no whole numbers
            raise ValueError("the landmarks' places make no sense") from None
        if found.shape != (5, 2):
            raise ValueError(f"{len(found)} landmarks, expected 5")

    def __call__(self, picture: np.ndarray, box: Box) -> np.ndarray:
        """Find the points of a face.

        Args:
            picture: uint8 (height, width, 3), RGB, or (height, width).
            box: where the face is; it may reach out of the picture.

        Returns:
            (5, 2) float32, x and y in whole pixels as dlib rounds them: outer and inner corner of
            the eye at the right of the picture, outer and inner corner of the eye at the left,
            base of the nose.
        """
        height, width = picture.shape[:2]
        # Boxes as dlib has them: whole pixels, the last one included.
        left, top, right, bottom = (_nearest(edge) for edge in _edges(box))
        size, corner = np.array([right - left, bottom - top]), np.array([left, top])
        grey = picture if picture.ndim == 2 else None
        shape = self.mean_shape.ravel().astype(np.float32)
        depth = int(self.thresholds.shape[2]).bit_length()
        trees = np.arange(self.thresholds.shape[1])
        for cascade in range(len(self.thresholds)):
            points = shape.reshape(-1, 2)
            turn = similarity(self.mean_shape, points)[0].astype(np.float32)
            unit = self.deltas[cascade] @ turn.T + points[self.anchors[cascade]]
            places = _nearest(unit.astype(np.float64) * size + corner)
            x, y = places[:, 0], places[:, 1]
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            x, y = np.where(inside, x, 0), np.where(inside, y, 0)
            if grey is None:
                level = picture[y, x].sum(axis=1, dtype=np.int32) // 3
            else:
                level = grey[y, x].astype(np.int32)
            level = np.where(inside, level, 0).astype(np.float32)
            one, two = level[self.splits[cascade, ..., 0]], level[self.splits[cascade, ..., 1]]
            second = one - two <= self.thresholds[cascade]
            node = np.zeros(len(trees), np.intp)
            for _ in range(depth):
                node = 2 * node + 1 + second[trees, node]
            steps = self.leaves[cascade, trees, node - self.thresholds.shape[2]]
            # Row by row, as dlib adds: the same sum to the last bit.
            shape = np.add.reduce(np.concatenate([shape[None], steps]), axis=0)
        found = shape.reshape(-1, 2).astype(np.float64) * size + corner
        return _nearest(found).astype(np.float32)


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def _nearest(values: np.ndarray | float) -> np.ndarray:
    return np.floor(np.asarray(values, np.float64) + 0.5).astype(np.int64)
