"""How sure a figure is: bootstrap intervals of it, and of the difference between two models."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate's confidence interval; both NaN where it could not be formed.

    Example:
        >>> Interval(0.81, 0.87).high
        0.87
    """

    low: float
    high: float


class Difference(NamedTuple):
    """How much the first model's figure lies above the second's, with its interval.

    Example:
        >>> found = Difference(0.02, low=-0.01, high=0.05)
        >>> found.low <= 0 <= found.high  # the models may be equally good
        True
    """

    value: float
    low: float
    high: float


def bootstrap(
    function: Callable[..., float],
    *arrays: np.ndarray,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a figure over samples drawn again with replacement.

    Args:
        function: of the arrays, such as `roc_auc`.
        arrays: with samples along the first axis.
        groups: (n,) names; whole groups are drawn (speakers, series), since samples of one group
            are not independent.
        repeats: draws; those for which the figure is not defined are left out.
        seed: of the draws.
        level: share of the distribution that lies within.

    Returns:
        Low and high; NaN where fewer than half of the draws gave a figure.

    Example:
        >>> from deepfield.toolkit.scores import accuracy
        >>> y = np.tile([0, 1], 50)
        >>> said = np.where(np.arange(100) < 20, 1 - y, y)  # 80 of 100 are right
        >>> low, high = bootstrap(accuracy, y, said)
        >>> 0.70 < low < 0.75 and 0.85 < high < 0.90
        True

    Source: Efron & Tibshirani 1993, section 13.3.
    """
    parts = [np.asarray(array) for array in arrays]
    rng = np.random.default_rng(seed)
    n = len(parts[0])
    blocks: list[np.ndarray] | None = None
    if groups is not None:
        _, member = np.unique(np.asarray(groups), return_inverse=True)
        blocks = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    values = []
    for _ in range(repeats if n else 0):
        if blocks is None:
            rows = rng.integers(0, n, n)
        else:
            drawn = rng.integers(0, len(blocks), len(blocks))
            rows = np.concatenate([blocks[i] for i in drawn])
        values.append(function(*(part[rows] for part in parts)))
    known = np.array([v for v in values if math.isfinite(v)])
    if not len(known) or len(known) < repeats / 2:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_bootstrap(
    function: Callable[[Any, Any], float],
    targets: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    **options: Any,
) -> Difference:
    """Difference of a figure between two models on the same samples, drawn together.

    Args:
        function: such as `accuracy`.
        targets: (n,) or (n, tasks).
        first: predictions of one model.
        second: predictions of the other.
        options: as of `bootstrap`.

    Returns:
        `function(targets, first) - function(targets, second)` and its interval: the models differ
        at that level where the interval leaves out 0.

    Example:
        >>> from deepfield.toolkit.scores import accuracy
        >>> y = np.tile([0, 1], 50)
        >>> worse = np.where(np.arange(100) < 20, 1 - y, y)  # 80 of 100 are right
        >>> found = paired_bootstrap(accuracy, y, y, worse)
        >>> round(found.value, 2), found.low > 0  # the interval leaves out 0
        (0.2, True)
    """

    def gap(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return function(y, a) - function(y, b)

    low, high = bootstrap(gap, targets, first, second, **options)
    return Difference(gap(np.asarray(targets), first, second), low, high)
