"""Curves that never fall, fitted to scores and what came true: what `toolkit.calibration` keeps."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(z: np.ndarray) -> np.ndarray:
    """The chance of a logit; it never overflows."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def logistic(z: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope, never negative, and offset of the logistic curve of a task's scores (see `Platt`).

    Args:
        z: (n,) scores.
        y: (n,) 0 or 1.
    """
    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return 1.0, 0.0
    wanted = np.where(y > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    center, scale = z.mean(), z.std()
    prior = math.log((positives + 1) / (negatives + 1))
    if not scale > 0:
        return 0.0, prior
    x = np.stack([(z - center) / scale, np.ones_like(z)], axis=1)  # conditioning only

    def loss(w: np.ndarray) -> float:
        t = x @ w
        return float((np.logaddexp(0, t) - wanted * t).sum())

    w = np.array([0.0, prior])
    now = loss(w)
    for _ in range(100):
        p = sigmoid(x @ w)
        gradient = x.T @ (p - wanted)
        if np.abs(gradient).max() < 1e-9 * len(y):
            break
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10 and loss(w - size * step) > now:
            size /= 2
        w = w - size * step
        now = loss(w)
    if w[0] <= 0:
        return 0.0, prior
    slope = float(w[0] / scale)
    return slope, float(w[1] - slope * center)


def pool_adjacent_violators(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares non-decreasing fit of y on x, as the knots of a piecewise linear curve.

    Args:
        x: (n,) scores, in any order, with ties.
        y: (n,) values.

    Returns:
        Rising knots and the non-decreasing level at each: the two ends of every constant block.
    """
    ends, inverse, weights = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, y) / weights
    blocks: list[list[float]] = []  # mean, weight, first, last
    for at, (mean, weight) in enumerate(zip(means, weights, strict=True)):
        block = [float(mean), float(weight), at, at]
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            level = (before[0] * before[1] + block[0] * block[1]) / total
            block = [level, total, before[2], block[3]]
        blocks.append(block)
    places = [(int(b[i]), b[0]) for b in blocks for i in ((2, 3) if b[2] < b[3] else (2,))]
    return ends[[place for place, _ in places]], np.array([level for _, level in places])
