r"""How well scores tell pairs of the same from pairs of different things: verification.

Two faces, two voices, two fingerprints: of the same, or not? Everywhere

    targets (n,)   1 for a pair of the same, 0 for a pair of different ones; NaN is left out
    scores (n,)    the more alike the higher; a pair is taken for the same where score >= threshold

and with $n_s$ pairs of the same and $n_d$ of different things, at a threshold t,

    FMR(t)  = #{different: score >= t} / n_d     false match rate (FAR, false-positive rate)
    FNMR(t) = #{same: score < t} / n_s           false non-match rate; 1 - FNMR is TAR, the true
                                                 accept rate

as ISO/IEC 19795-1 defines them. Every distinct score is a threshold: nothing is binned, pairs of
equal score are taken together, and all costs are those of one sort. What is not defined (a kind
of pair that is missing, a score that is NaN) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from deepfield.toolkit.intervals import Interval

_HAIR = 1e-9  # 0.29 * 100 is 28.999999999999996, and 29 false matches of 100 are a rate of 0.29


# --------------------------------------------------------------------------------------- rates


def error_rates(targets: Any, scores: Any, threshold: float) -> tuple[float, float]:
    """FMR and FNMR at a threshold.

    Example:
        >>> error_rates([1, 1, 0, 0, 0, 0], [0.9, 0.4, 0.6, 0.3, 0.2, 0.1], 0.5)
        (0.25, 0.5)
    """
    y, s = _known(targets, scores)
    if np.isnan(s).any():
        return math.nan, math.nan
    taken, same = s >= threshold, y > 0.5
    return _share(taken, ~same), _share(~taken, same)


def eer(targets: Any, scores: Any) -> float:
    r"""Equal error rate: where FMR = FNMR.

    Between the two thresholds around the crossing the curve is taken as straight, as the area
    under a ROC curve takes it where scores are tied.

    Example:
        >>> eer([1, 1, 1, 1, 0, 0, 0, 0], [9, 8, 7, 3, 5, 2, 1, 0])
        0.25
    """
    fmr, fnmr = det_curve(targets, scores)
    gap = fmr - fnmr  # rises from -1 to 1
    if not len(gap) or np.isnan(gap).any():
        return math.nan
    after = int(np.argmax(gap >= 0))
    part = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(fmr[after - 1] + part * (fmr[after] - fmr[after - 1]))


def tar_at_far(targets: Any, scores: Any, far: float) -> float:
    """The largest TAR of all thresholds whose measured FMR is at most `far`.

    Conservative: nothing is interpolated, so that the rate is one that a threshold reaches.

    Args:
        targets: (n,) 1 or 0.
        scores: (n,).
        far: the allowed FMR, above 0 and at most 1.

    Returns:
        The rate; NaN where there are fewer than 1 / far pairs of different things, which could
        not show so small a rate, or none of the same.

    Example:
        >>> tar_at_far([1, 1, 1, 1, 0, 0, 0, 0], [9, 8, 7, 3, 5, 2, 1, 0], 0.25)
        1.0
        >>> tar_at_far([1, 1, 1, 1, 0, 0, 0, 0], [9, 8, 7, 3, 5, 2, 1, 0], 0.01)
        nan
    """
    levels = _levels(targets, scores)
    count = levels.within(far)
    if count is None or not levels.same:
        return math.nan
    return float(levels.hits[count - 1] / levels.same) if count else 0.0


def det_curve(targets: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """FMR, rising from 0 to 1, and FNMR, falling from 1 to 0: a point a distinct score, (n,) each.

    What is drawn on normal deviates is a DET curve (Martin et al. 1997); `1 - FNMR` against FMR is
    the ROC curve.

    Example:
        >>> det_curve([1, 0, 1, 0], [4, 3, 2, 1])
        (array([0. , 0. , 0.5, 0.5, 1. ]), array([1. , 0.5, 0.5, 0. , 0. ]))
    """
    levels = _levels(targets, scores)
    fmr = np.append(0, levels.false) / (levels.different or math.nan)
    return fmr, (levels.same - np.append(0, levels.hits)) / (levels.same or math.nan)


# ---------------------------------------------------------------------------------- thresholds


def threshold_for(targets: Any, scores: Any, fmr: float) -> float:
    """The threshold that keeps the measured FMR within `fmr` and refuses fewest of the same.

    It lies half way between the lowest score that is accepted and the highest that is refused: a
    rounding of either changes no answer. Where nothing may be accepted it is just above all scores.

    Args:
        targets: (n,) 1 or 0.
        scores: (n,).
        fmr: the allowed FMR, above 0 and at most 1.

    Returns:
        The threshold; NaN where there are fewer than 1 / fmr pairs of different things.

    Example:
        >>> threshold_for([1, 1, 1, 0, 0, 0, 0], [9, 8, 4, 7, 6, 2, 1], 0.25)
        6.5
    """
    levels = _levels(targets, scores)
    count = levels.within(fmr)
    return math.nan if count is None else levels.threshold(count)


def best_threshold(targets: Any, scores: Any, balanced: bool = False) -> float:
    """The threshold of which most pairs are answered rightly.

    `balanced` counts pairs of the same and of different things alike, however many there are of
    each: the false match rate and the false non-match rate together are least then.

    Where several are equally good it is the middle one of them (of two in the middle the
    stricter), half way between the scores on both sides of it. NaN without a pair.

    Example:
        >>> best_threshold([1, 1, 1, 0, 0], [9, 8, 6, 4, 1])
        5.0
    """
    return _levels(targets, scores).best(balanced)


def fold_accuracies(
    targets: Any, scores: Any, folds: Sequence[Hashable] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every fold answered at the threshold that is best on all the others.

    Args:
        targets: (n,) 1 or 0.
        scores: (n,).
        folds: (n,) names or numbers, all of one type.

    Returns:
        The folds, sorted; the accuracy in each; its threshold. NaN where there is but one fold.

    Example:
        >>> same, scores = [1, 0, 1, 0, 1, 0], [0.9, 0.1, 0.8, 0.2, 0.3, 0.4]
        >>> folds, right, thresholds = fold_accuracies(same, scores, [1, 1, 2, 2, 3, 3])
        >>> right.round(2).tolist()
        [1.0, 1.0, 0.5]
    """
    y, s = np.asarray(targets, dtype=float), np.asarray(scores, dtype=float)
    keep = np.isfinite(y)
    names, member = np.unique(np.asarray(folds)[keep], return_inverse=True)
    y, s = y[keep], s[keep]
    order = np.argsort(-s, kind="stable")  # once: a part of what is sorted is sorted
    y, s, member = y[order], s[order], member[order]
    accuracies, thresholds = np.full(len(names), math.nan), np.full(len(names), math.nan)
    for fold in range(len(names)):
        own = member == fold
        if own.all() or np.isnan(s).any():
            continue
        thresholds[fold] = _counted(y[~own], s[~own]).best()
        accuracies[fold] = ((s[own] >= thresholds[fold]) == (y[own] > 0.5)).mean()
    return names, accuracies, thresholds


def folded_accuracy(
    targets: Any, scores: Any, folds: Sequence[Hashable] | np.ndarray
) -> tuple[float, float]:
    r"""Accuracy as Labeled Faces in the Wild reports it: mean over folds, and its standard error.

    In each fold the threshold is the one that is best on all other folds (`best_threshold`). With
    accuracies $p_i$ of k folds the mean is $\hat\mu = \sum p_i / k$ and its standard error
    $S_E = \hat\sigma / \sqrt{k}$, $\hat\sigma^2 = \sum (p_i - \hat\mu)^2 / (k - 1)$.

    Args:
        targets: (n,) 1 or 0.
        scores: (n,).
        folds: (n,) names or numbers, all of one type.

    Returns:
        Mean and standard error; both NaN with fewer than two folds.

    Example:
        >>> folded_accuracy([1, 0, 1, 0], [0.9, 0.2, 0.8, 0.1], [1, 1, 2, 2])
        (1.0, 0.0)

    Source: Huang, Ramesh, Berg & Learned-Miller 2007, "Labeled Faces in the Wild", section 3
    (View 2). The protocol leaves open how a threshold is chosen; here by the best accuracy.
    """
    return mean_and_error(fold_accuracies(targets, scores, folds)[1])


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean of values (n,) and its standard error; both NaN where there are fewer than two.

    Example:
        >>> mean, error = mean_and_error(np.array([0.98, 0.99, 1.0]))
        >>> round(mean, 4), round(error, 4)
        (0.99, 0.0058)
    """
    if len(values) < 2:
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


# ----------------------------------------------------------------------------------- intervals


def rate_interval(count: int, total: int, level: float = 0.95) -> Interval:
    r"""Confidence interval of a rate of which `count` of `total` cases were seen.

    With $\hat p$ = count / total and z the normal deviate of the level,
    $(\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}) / (1 + z^2/n)$: of sensible
    width also where no error was seen. Cases must be independent; pairs that share a picture or a
    person are not quite, and their interval should be somewhat wider than this.

    Example:
        >>> low, high = rate_interval(0, 1000)
        >>> low, round(high, 5)
        (0.0, 0.00383)

    Source: Wilson 1927; recommended by Brown, Cai & DasGupta 2001.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} cases of {total}")
    if not total:
        return Interval(math.nan, math.nan)
    from statistics import NormalDist

    z, p = NormalDist().inv_cdf((1 + level) / 2), count / total
    middle = p + z * z / (2 * total)
    half = z * math.sqrt(p * (1 - p) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    low = (middle - half) / scale if count else 0.0
    high = (middle + half) / scale if count < total else 1.0
    return Interval(max(0.0, low), min(1.0, high))


# ---------------------------------------------------------------------------------- arithmetic


class _Levels(NamedTuple):
    """What is accepted down to each distinct score, from the highest."""

    scores: np.ndarray  # falling
    false: np.ndarray  # pairs of different things that are accepted
    hits: np.ndarray  # pairs of the same that are accepted
    different: int
    same: int

    def within(self, fmr: float) -> int | None:
        """How many levels may be accepted; None where so small a rate cannot be measured."""
        if not 0 < fmr <= 1:
            raise ValueError(f"a false match rate of {fmr}, expected more than 0 and at most 1")
        allowed = math.floor(fmr * self.different + _HAIR)
        return int(np.searchsorted(self.false, allowed, side="right")) if allowed else None

    def threshold(self, count: int) -> float:
        """What accepts the first `count` levels and refuses the others."""
        if count == 0:
            return float(np.nextafter(self.scores[0], np.inf))
        accepted = float(self.scores[count - 1])
        if count == len(self.scores):
            return accepted
        refused = float(self.scores[count])
        middle = accepted / 2 + refused / 2
        return middle if refused < middle <= accepted else accepted

    def best(self, balanced: bool = False) -> float:
        if not len(self.scores):
            return math.nan
        hits, refused = np.append(0, self.hits), self.different - np.append(0, self.false)
        right = hits + refused
        if balanced:  # in whole numbers: equally good ones are equal
            right = hits * max(1, self.different) + refused * max(1, self.same)
        best = np.flatnonzero(right == right.max())
        return self.threshold(int(best[(len(best) - 1) // 2]))


def _levels(targets: Any, scores: Any) -> _Levels:
    y, s = _known(targets, scores)
    if np.isnan(s).any():
        y, s = y[:0], s[:0]
    order = np.argsort(-s, kind="stable")
    return _counted(y[order], s[order])


def _counted(y: np.ndarray, s: np.ndarray) -> _Levels:
    """Of scores that fall already."""
    ends = np.flatnonzero(np.append(s[1:] != s[:-1], np.ones(len(s[:1]), bool)))
    hits = np.cumsum(y > 0.5)[ends]
    same = int(hits[-1]) if len(hits) else 0
    return _Levels(s[ends], ends + 1 - hits, hits, len(y) - same, same)


def _known(targets: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    y, s = np.asarray(targets, dtype=float), np.asarray(scores, dtype=float)
    if y.shape != s.shape:
        raise ValueError(f"targets {y.shape} and scores {s.shape} differ")
    keep = np.isfinite(y)
    return y[keep], s[keep]


def _share(flags: np.ndarray, among: np.ndarray) -> float:
    return float(flags[among].mean()) if among.any() else math.nan
