"""Eigenfaces: the shallow model beside the network, and where face recognition began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepfield.toolkit.calibration import Platt

#: Side of the grey pictures that are compared.
SIDE = 32
# Principal axes of less variance than this share of the first hold rounding alone.
_LEAST_VARIANCE = 1e-6
_MOST_OF_ONE = 200  # pictures of a person that are paired: nearly 20,000 pairs
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # Rec. 601


@dataclass(frozen=True)
class Eigenfaces:
    """Fitted eigenfaces; `fit_eigenfaces` makes them.

    Args:
        mean: (d,) of the training pictures.
        axes: (components, d): principal axes, each divided by the deviation along it.
        curve: from minus the distance to the probability of being the same person.
    """

    mean: np.ndarray
    axes: np.ndarray
    curve: Platt

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        """Whitened coordinates (n, components) float64 of pictures (n, d)."""
        return (np.asarray(pictures, dtype=np.float64) - self.mean) @ self.axes.T

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probability of being the same person, (n,) float64.

        Args:
            features: (n, 2 d), the two pictures of a pair side by side.
        """
        one, two = np.split(np.asarray(features), 2, axis=1)
        return self.curve.apply(-_apart(self.embed(one), self.embed(two)))


def fit_eigenfaces(
    pictures: np.ndarray,
    people: Sequence[Any] | np.ndarray,
    *,
    components: int = 100,
    most_pictures: int = 5000,
    most_pairs: int = 10_000,
    seed: int = 0,
) -> Eigenfaces:
    """Principal axes of faces, and what a distance along them means.

    The distance is Euclidean after whitening: every axis is divided by its deviation. A logistic
    curve is fitted (`Platt`) to pairs of the training people: all of the same person or
    `most_pairs` drawn from them, and as many of different people.

    Args:
        pictures: float (n, d), as `portrait` makes them.
        people: (n,) who is in each.
        components: axes kept at most; fewer where the pictures have no more, and not more than one
            for every four pictures: along more, all of them would lie equally far apart.
        most_pictures: pictures used, drawn where there are more.
        most_pairs: pairs of each kind for the curve.
        seed: of the draws and of the solver.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> people = np.repeat(np.arange(20), 5)
        >>> pictures = rng.normal(size=(20, 64))[people] + 0.1 * rng.normal(size=(100, 64))
        >>> model = fit_eigenfaces(pictures, people, components=19)
        >>> model.predict(np.hstack([pictures[[0, 0]], pictures[[1, 5]]])).round(1).tolist()
        [1.0, 0.0]

    Source: Turk & Pentland 1991, "Eigenfaces for recognition". Deviations: the axes are whitened
    (there the distance is plain), distances are read as probabilities, and no picture is refused
    for lying far from all faces.
    """
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(seed)
    x, names = np.asarray(pictures, dtype=np.float64), np.asarray(people)
    if len(x) > most_pictures:
        chosen = np.sort(rng.permutation(len(x))[:most_pictures])
        x, names = x[chosen], names[chosen]
    count = max(1, min(components, len(x) // 4, x.shape[1]))
    with np.errstate(invalid="ignore"):  # pictures that are all alike have no variance to share
        model = PCA(count, random_state=seed).fit(x)
    variance = model.explained_variance_
    kept = variance > _LEAST_VARIANCE * max(variance[0], np.finfo(float).tiny)
    axes = model.components_[kept] / np.sqrt(variance[kept])[:, None]
    raw = Eigenfaces(model.mean_, axes, Platt())
    where = raw.embed(x)
    pairs, same = _pairs(names, most_pairs, rng)
    score = -_apart(where[pairs[:, 0]], where[pairs[:, 1]])
    return Eigenfaces(model.mean_, axes, Platt.fit(score, same))


def portrait(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A face as a small grey picture: (side * side,) float32 of mean 0 and deviation 1.

    Every pixel is the mean over its area, so that nothing of a larger picture is skipped. Mean and
    deviation take away how bright and how contrasty the light was; a picture of one grey is 0.

    Args:
        pixels: (height, width, 3) or (height, width), uint8 or float.
        side: of the small picture.
    """
    picture = np.asarray(pixels, dtype=np.float32)
    grey = picture @ _GREY if picture.ndim == 3 else picture
    small = _areas(grey.shape[0], side) @ grey @ _areas(grey.shape[1], side).T
    small -= small.mean()
    deviation = float(small.std())
    return (small / deviation if deviation > 1e-3 else 0 * small).ravel().astype(np.float32)


def _areas(size: int, side: int) -> np.ndarray:
    """How much each of `size` pixels counts in each of `side` larger or smaller ones."""
    edges, pixel = np.linspace(0, size, side + 1), np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (np.maximum(overlap, 0) * (side / size)).astype(np.float32)


def _pairs(people: np.ndarray, most: int, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """Index pairs (pairs, 2) of the same and of different people, and which is which."""
    _, member = np.unique(people, return_inverse=True)
    order = np.argsort(member, kind="stable")
    found = []
    for own in np.split(order, np.cumsum(np.bincount(member))[:-1]):
        own = rng.permutation(own)[:_MOST_OF_ONE]
        one, two = np.triu_indices(len(own), 1)
        found.append(np.stack([own[one], own[two]], axis=1))
    same = np.concatenate(found)
    if len(same) > most:
        same = same[rng.permutation(len(same))[:most]]
    drawn = rng.integers(0, len(member), (20 * max(len(same), 100), 2))
    other = drawn[member[drawn[:, 0]] != member[drawn[:, 1]]][: max(len(same), 100)]
    return np.concatenate([same, other]), np.repeat([1.0, 0.0], [len(same), len(other)])


def _apart(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.sqrt(((one - two) ** 2).sum(axis=1))
