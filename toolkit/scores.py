"""The figures that judge a network: one function each, `(targets, predictions) -> float`.

    classes       targets (n,) class indices      predictions (n, classes), or (n,) indices
    yes or no     targets (n,) or (n, tasks), 0/1 predictions of the same shape, in [0, 1]
    values        targets (n,) or (n, tasks)      predictions of the same shape

NaN in the targets is a missing label and left out. Over tasks the figure is the mean of those for
which it is defined. What is not defined (one class alone, no label at all, a prediction that is
NaN) is NaN, and `null` in JSON: never a number that looks like one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from deepfield.toolkit.calibration import ece

Score = Callable[[Any, Any], float]


# ------------------------------------------------------------------------------------- classes


def accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Share of right answers. Columns of 0/1 targets are decided at 0.5, as 1-D floats are.

    Example:
        >>> accuracy([2, 0, 1, 1], [2, 0, 1, 0])
        0.75
    """
    return _over_tasks(_accuracy, targets, predictions)


def _accuracy(y: np.ndarray, p: np.ndarray) -> float:
    return float((decide(p) == y).mean())


def decide(predictions: np.ndarray) -> np.ndarray:
    """Class indices (n,): the largest of (n, classes); 1-D floats at 0.5; anything else as it is.

    1-D floats above 1 are taken for class indices.

    Example:
        >>> decide(np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])).tolist()
        [1, 0]
    """
    p = np.asarray(predictions)
    if p.ndim == 2:
        return p.argmax(axis=1)
    if p.dtype.kind == "f" and (not p.size or np.nanmax(p) <= 1):
        return (p >= 0.5).astype(int)
    return p


def top5_accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Share of samples (n, classes) whose class is among the five largest; ties go against it.

    Example:
        >>> top5_accuracy([0, 5], [[0.3, 0.2, 0.2, 0.1, 0.1, 0.1], [0.3, 0.2, 0.2, 0.1, 0.1, 0.1]])
        0.5
    """
    y, p = _known(targets, predictions)
    if not len(y) or np.isnan(p).any():
        return math.nan
    own = np.take_along_axis(p, y.astype(int)[:, None], axis=1)
    return float(((p >= own).sum(axis=1) <= 5).mean())


def log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    r"""Negative log-likelihood: the mean of $-\log p(y)$ over the known targets.

    Args:
        targets: class indices, or 0 and 1; NaN (or a negative class) is missing.
        probabilities: (n, classes) with targets (n,), or of the shape of the targets; cut at
            1e-12, so that one miss costs much but not all.

    Example:
        >>> round(log_loss([0, 1], [[0.5, 0.5], [0.75, 0.25]]), 4)  # (ln 2 + ln 4) / 2
        1.0397
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(targets, dtype=float)
    if p.ndim > y.ndim and p.shape[-1] > 1:
        p, y = p.reshape(-1, p.shape[-1]), y.reshape(-1)
        keep = (y >= 0) & ~np.isnan(p).any(axis=1)
        likely = p[keep, y[keep].astype(int)]
    else:
        p, y = p.reshape(-1), y.reshape(-1)
        keep = np.isfinite(y) & np.isfinite(p)
        likely = np.where(y[keep] > 0.5, p[keep], 1 - p[keep])
    return float(-np.log(np.maximum(likely, 1e-12)).mean()) if len(likely) else math.nan


def mcc(targets: np.ndarray, predictions: np.ndarray) -> float:
    r"""Matthews' correlation, for any number of classes.

    $(c\,s - \sum_k p_k t_k) / \sqrt{(s^2 - \sum p_k^2)(s^2 - \sum t_k^2)}$ with c of s right, class
    k predicted $p_k$ and true $t_k$ times. Source: Gorodkin 2004. NaN where either has one class.

    Example:
        >>> round(mcc([1, 1, 1, 0], [1, 1, 0, 0]), 4)
        0.5774
    """
    return _over_tasks(_mcc, targets, predictions)


def _mcc(y: np.ndarray, p: np.ndarray) -> float:
    matrix = confusion(y, p).astype(float)
    true, said, n = matrix.sum(axis=1), matrix.sum(axis=0), matrix.sum()
    scale = math.sqrt((n**2 - (said**2).sum()) * (n**2 - (true**2).sum()))
    return float((np.trace(matrix) * n - true @ said) / scale) if scale else math.nan


def confusion(
    targets: np.ndarray, predictions: np.ndarray, classes: int | None = None
) -> np.ndarray:
    """Counts (classes, classes): rows are what is true, columns what was said.

    Example:
        >>> confusion([0, 0, 1, 2], [0, 1, 1, 1]).tolist()
        [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    """
    y, p = _known(targets, predictions)
    true, said = y.astype(int), decide(p).astype(int)
    count = classes or int(max(true.max(initial=0), said.max(initial=0), 1)) + 1
    return np.bincount(true * count + said, minlength=count * count).reshape(count, count)


def per_class(
    targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """A row a class: `class, precision, recall, f1, support`; None where nothing was said or is so.

    Example:
        >>> per_class([0, 1, 1], [0, 1, 0], ["cat", "dog"])[1]
        {'class': 'dog', 'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2}
    """
    matrix = confusion(targets, predictions, len(labels))
    hits, true, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)

    def share(part: int, whole: int) -> float | None:
        return float(part / whole) if whole else None

    return [
        {
            "class": label,
            "precision": share(hits[k], said[k]),
            "recall": share(hits[k], true[k]),
            "f1": share(2 * hits[k], true[k] + said[k]),
            "support": int(true[k]),
        }
        for k, label in enumerate(labels)
    ]


def rejection_curve(
    targets: np.ndarray, predictions: np.ndarray, confidence: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy of what remains when the least sure answers are refused.

    Args:
        targets: (n,) class indices.
        predictions: (n, classes) or (n,) probabilities.
        confidence: (n,); by default the probability of the answer.

    Returns:
        Rejected shares, rising from 0, and the accuracy of the rest; samples of equal confidence
        are refused together.

    Example:
        >>> rejected, right = rejection_curve([1, 0, 1, 0], [0.9, 0.2, 0.3, 0.4])
        >>> rejected.tolist(), right.round(2).tolist()
        ([0.0, 0.25, 0.5, 0.75], [0.75, 0.67, 1.0, 1.0])
    """
    y, p = np.asarray(targets, dtype=float), np.asarray(predictions)
    if confidence is None:
        confidence = p.max(axis=1) if p.ndim == 2 else np.maximum(p, 1 - p)
    sure = np.asarray(confidence, dtype=float)
    keep = np.isfinite(y) & np.isfinite(sure)
    right, sure = (decide(p) == y)[keep].astype(float), sure[keep]
    if not len(sure):
        return np.zeros(0), np.zeros(0)
    order = np.argsort(-sure, kind="stable")
    kept = np.arange(1, len(order) + 1)
    share = np.cumsum(right[order]) / kept
    ends = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))[::-1]
    return 1 - kept[ends] / len(order), share[ends]


# ------------------------------------------------------------------------------------- ranking


def roc_auc(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counting half (Mann & Whitney).

    Classes (n,) against (n, classes): the mean of one against the rest.

    Example:
        >>> roc_auc([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
        0.75
    """
    return _over_tasks(_roc_auc, *_one_against_rest(targets, predictions))


def _roc_auc(y: np.ndarray, p: np.ndarray) -> float:
    positive = y > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return math.nan
    return float((ranks(p)[positive].sum() - n * (n + 1) / 2) / (n * m))


def pr_auc(targets: np.ndarray, predictions: np.ndarray) -> float:
    r"""Average precision, $\sum_i (R_i - R_{i-1}) P_i$ over the thresholds, as scikit-learn's.

    Classes (n,) against (n, classes): the mean of one against the rest.

    Example:
        >>> round(pr_auc([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]), 4)
        0.8333
    """
    return _over_tasks(_pr_auc, *_one_against_rest(targets, predictions))


def _pr_auc(y: np.ndarray, p: np.ndarray) -> float:
    if not 0 < (y > 0.5).sum() < len(y):
        return math.nan
    recall, precision = pr_curve(y, p)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def enrichment(targets: np.ndarray, predictions: np.ndarray, share: float = 0.01) -> float:
    """How many times more positives the best share holds than a share drawn at random would.

    Ties at the edge count in proportion. NaN without a positive.

    Example:
        >>> enrichment([1, 1, 0, 0, 0, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1], share=0.25)
        4.0
    """
    return _over_tasks(lambda y, p: _enrichment(y, p, share), targets, predictions)


def _enrichment(y: np.ndarray, p: np.ndarray, share: float) -> float:
    positive = y > 0.5
    if not positive.any():
        return math.nan
    chosen = max(1, math.ceil(share * len(y)))
    edge = np.sort(p)[-chosen]
    above, level = p > edge, p == edge
    part = (chosen - above.sum()) / level.sum()
    found = positive[above].sum() + part * positive[level].sum()
    return float(found / chosen / positive.mean())


def top_k_accuracy(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Share of positives in the best k, k being how many positives there are (Jaganathan 2019).

    Example:
        >>> top_k_accuracy([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
        0.5
    """
    y, p = _one_against_rest(targets, predictions)
    return _over_tasks(lambda y, p: _enrichment(y, p, (y.sum() - 0.5) / len(y)) * y.mean(), y, p)


def bedroc(targets: np.ndarray, predictions: np.ndarray, alpha: float = 20.0) -> float:
    r"""Early recognition: positives weigh $e^{-\alpha r / N}$ by their rank r, scaled to [0, 1].

    With alpha = 20 the first 8 % of the ranking make 80 % of the figure. Ties share their weights.
    Source: Truchon & Bayly 2007, eq. (36). NaN where either answer is missing.

    Example:
        >>> round(bedroc([0, 1, 0, 0, 0, 0, 0, 0], [8, 7, 6, 5, 4, 3, 2, 1]), 4)  # second of eight
        0.0821
    """
    return _over_tasks(lambda y, p: _bedroc(y, p, alpha), targets, predictions)


def _bedroc(y: np.ndarray, p: np.ndarray, alpha: float) -> float:
    positive, total = y > 0.5, len(y)
    share = positive.mean()
    if not 0 < share < 1:
        return math.nan
    weights = np.exp(-alpha * np.arange(1, total + 1) / total)
    _, inverse, counts = np.unique(-p, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    level = np.diff(np.append(0.0, np.cumsum(weights))[np.append(0, ends)]) / counts
    gained = float(level[inverse][positive].sum())
    at_random = positive.sum() / total * (1 - math.exp(-alpha)) / math.expm1(alpha / total)
    rie = gained / at_random
    scale = share * math.sinh(alpha / 2)
    scale /= math.cosh(alpha / 2) - math.cosh(alpha / 2 - alpha * share)
    return float(rie * scale + 1 / (1 - math.exp(alpha * (1 - share))))


def roc_curve(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False- and true-positive rate, from (0, 0) to (1, 1), a point a distinct score; (n,) each.

    Example:
        >>> [rate.tolist() for rate in roc_curve([1, 0, 1, 0], [4, 3, 2, 1])]
        [[0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0]]
    """
    hits, said, positives, n = _thresholds(targets, scores)
    false = (said - hits) / max(1, n - positives)
    return np.append(0.0, false), np.append(0.0, hits / max(1, positives))


def pr_curve(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall (rising) and precision at every distinct score, from the highest; (n,) each.

    Example:
        >>> [rate.round(2).tolist() for rate in pr_curve([1, 0, 1, 0], [4, 3, 2, 1])]
        [[0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 0.67, 0.5]]
    """
    hits, said, positives, _ = _thresholds(targets, scores)
    return hits / max(1, positives), hits / said


def _thresholds(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, int]:
    y, p = _known(targets, scores)
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True)) if len(y) else np.zeros(0, int)
    positive = (y > 0.5)[order]
    return np.cumsum(positive)[ends], ends + 1, int(positive.sum()), len(y)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean; (n,) to (n,) float64.

    Example:
        >>> ranks(np.array([7.1, 3.0, 7.1, 0.5])).tolist()
        [3.5, 2.0, 3.5, 1.0]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


# -------------------------------------------------------------------------------------- values


def rmse(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Root of the mean squared error, in the unit of the target.

    Example:
        >>> round(rmse([6.0, 7.0, 8.0], [6.5, 7.0, 7.0]), 4)
        0.6455
    """
    return _over_tasks(lambda y, p: math.sqrt(((y - p) ** 2).mean()), targets, predictions)


def mae(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error, in the unit of the target.

    Example:
        >>> mae([6.0, 7.0, 8.0], [6.5, 7.0, 7.0])
        0.5
    """
    return _over_tasks(lambda y, p: float(np.abs(y - p).mean()), targets, predictions)


def r2(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Share of the variance explained, 1 - SSE/SST: negative where the mean would do better.

    Example:
        >>> r2([6.0, 7.0, 8.0], [6.5, 7.0, 7.0])
        0.375
    """
    return _over_tasks(_r2, targets, predictions)


def _r2(y: np.ndarray, p: np.ndarray) -> float:
    total = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - p) ** 2).sum() / total) if np.ptp(y) > 0 and total > 0 else math.nan


def pearson_r2(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Squared Pearson correlation, as Ma et al. 2015 report: blind to offset, scale and sign.

    Example:
        >>> round(pearson_r2([1.0, 2.0, 3.0], [30.0, 20.0, 10.0]), 4)
        1.0
    """
    return _over_tasks(lambda y, p: _pearson(y, p) ** 2, targets, predictions)


def spearman(targets: np.ndarray, predictions: np.ndarray) -> float:
    """Correlation of the ranks, ties sharing their mean.

    Example:
        >>> round(spearman([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 9.0, 0.3]), 4)
        0.8
    """
    return _over_tasks(lambda y, p: _pearson(ranks(y), ranks(p)), targets, predictions)


def _pearson(y: np.ndarray, p: np.ndarray) -> float:
    if len(y) < 2 or not np.ptp(y) > 0 or not np.ptp(p) > 0:
        return math.nan
    y, p = y - y.mean(), p - p.mean()
    scale = np.sqrt((y**2).sum()) * np.sqrt((p**2).sum())
    return float((y * p).sum() / scale) if scale > 0 else math.nan


def coverage(targets: np.ndarray, predictions: Any) -> float:
    """Share of targets within their interval, ends included, of those that have one.

    Args:
        targets: (n,) or (n, tasks).
        predictions: a pair (low, high) of arrays like `targets`, or one array with low and high
            along an additional last axis.

    Example:
        >>> low, high = np.array([5.0, 6.0, 7.0, 8.0]), np.array([6.0, 7.0, 8.0, 9.0])
        >>> coverage([5.5, 6.5, 8.5, 8.0], (low, high))
        0.75
    """
    if isinstance(predictions, tuple):
        low, high = predictions
    else:
        low, high = np.moveaxis(np.asarray(predictions), -1, 0)
    y = np.asarray(targets, dtype=float)
    keep = np.isfinite(y) & np.isfinite(low) & np.isfinite(high)
    return float(((low <= y) & (y <= high))[keep].mean()) if keep.any() else math.nan


# ----------------------------------------------------------------------------------- all of them

#: Figures by the key that `evaluate` prints. `coverage_90` wants the interval, not the value.
SCORES: dict[str, Score] = {
    "accuracy": accuracy,
    "top5_accuracy": top5_accuracy,
    "ece": lambda targets, predictions: ece(predictions, targets),
    "roc_auc": roc_auc,
    "pr_auc": pr_auc,
    "ef_1pct": enrichment,
    "bedroc": bedroc,
    "mcc": mcc,
    "top_k_accuracy": top_k_accuracy,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
    "pearson_r2": pearson_r2,
    "spearman": spearman,
    "coverage_90": coverage,
}

#: Figures of which less is better; more is better of the others.
LOWER_IS_BETTER = frozenset({"ece", "rmse", "mae", "wer", "cer"})


def figures(names: Iterable[str], targets: np.ndarray, predictions: Any) -> dict[str, float | None]:
    """Several figures at once, ready for JSON: None where one is not defined.

    Example:
        >>> figures(["accuracy", "roc_auc"], [1, 1], [0.9, 0.4])
        {'accuracy': 0.5, 'roc_auc': None}
    """
    return {name: or_none(SCORES[name](targets, predictions)) for name in names}


def or_none(value: float) -> float | None:
    """The number, or None where JSON has none: NaN and infinities."""
    return float(value) if math.isfinite(value) else None


# ---------------------------------------------------------------------------------- arithmetic


def _known(targets: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    y, p = np.asarray(targets, dtype=float), np.asarray(predictions)
    if len(y) != len(p):
        raise ValueError(f"{len(y)} targets, but {len(p)} predictions")
    keep = np.isfinite(y)
    return y[keep], p[keep]


def _over_tasks(function: Score, targets: Any, predictions: Any) -> float:
    y, p = np.asarray(targets, dtype=float), np.asarray(predictions)
    if y.ndim == 2:
        each = [_over_tasks(function, y[:, t], p[:, t]) for t in range(y.shape[1])]
        known = [value for value in each if math.isfinite(value)]
        return float(np.mean(known)) if known else math.nan
    y, p = _known(y, p)
    if not len(y) or np.isnan(p).any():
        return math.nan
    return float(function(y, p))


def _one_against_rest(targets: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    y, p = np.asarray(targets, dtype=float), np.asarray(predictions)
    if y.ndim == p.ndim:
        return y, p
    flags = (y[:, None] == np.arange(p.shape[1])).astype(float)
    flags[~np.isfinite(y)] = np.nan
    return flags, p
