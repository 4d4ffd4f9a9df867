"""From what a network puts out to what may be believed: probabilities, intervals, and a warning.

Every calibrator is a small dataclass with the same four parts: `fit(outputs, targets)` makes one,
`apply(outputs)` uses it, `config()` is JSON, and `from_config` brings it back. NumPy alone.

    logits (n, classes)      Temperature   -> probabilities (n, classes)
    logits (n, tasks)        Platt         -> probabilities (n, tasks)
    scores (n, tasks)        Isotonic      -> probabilities (n, tasks)
    values (n, tasks)        Conformal     -> low, high (n, tasks)
    logits (n, classes)      Novelty       -> in_domain (n,), score (n,)

A single task may also come without its axis, as (n,). Targets that are NaN are missing labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from deepfield.toolkit.errors import UnusableModel
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.rising_curves import logistic, pool_adjacent_violators, sigmoid

#: Where infinite outputs are cut: far beyond any logit, near enough for float64 to add.
_LARGEST = 1e6


class _Configured:
    # A dataclass of numbers, lists and None is its own JSON.
    kind: ClassVar[str]
    always: ClassVar[bool] = False  # kept also where it does not improve the likelihood

    def config(self) -> dict[str, Any]:
        """Everything needed to make it again, JSON-able: the kind and the fitted numbers."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Temperature(_Configured):
    r"""Softmax with one temperature: $p = \mathrm{softmax}(z / T)$.

    The temperature changes no decision, only how sure the network says it is.

    Args:
        temperature: T, within 0.01 and 1000.

    Example:
        >>> import numpy as np
        >>> logits = np.array([[8.0, 0.0], [8.0, 0.0], [8.0, 0.0], [8.0, 0.0]])
        >>> sure = Temperature.fit(logits, np.array([0, 0, 0, 1]))  # sure of all, right in 3 of 4
        >>> bool(sure.temperature > 1)
        True

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 9. Deviation: one
    pseudo-observation is added, a sample of median margin that is wrong in favour of the runner-up.
    Without it a validation part that the network answers without a mistake would ask for
    certainty; with it the confidence stays near $1 - 1/n$ (the rule of succession).
    """

    kind: ClassVar[str] = "temperature"
    temperature: float = 1.0

    @classmethod
    def fit(cls, outputs: np.ndarray, targets: np.ndarray) -> Temperature:
        """Minimise the negative log-likelihood over T.

        Args:
            outputs: float logits (..., classes); infinities are cut, rows with NaN ignored.
            targets: class indices (...); NaN or negative is a missing label.

        Returns:
            The calibrator; T = 1 where there is nothing to learn from.
        """
        z = _finite(outputs).reshape(-1, np.shape(outputs)[-1])
        y = np.asarray(targets, dtype=float).reshape(-1)
        keep = (y >= 0) & ~np.isnan(z).any(axis=1)  # NaN >= 0 is False
        z, y = z[keep], y[keep].astype(int)
        if not len(y) or z.shape[1] < 2 or not np.ptp(z, axis=1).any():
            return cls()
        z = z - z.max(axis=1, keepdims=True)
        ranked = np.argsort(z, axis=1)[:, -2]
        margins = -z[np.arange(len(z)), ranked]
        typical = int(np.argsort(margins)[len(z) // 2])
        z = np.concatenate([z, z[typical : typical + 1]])
        y = np.append(y, ranked[typical])
        own = z[np.arange(len(z)), y]

        def slope_and_curvature(b: float) -> tuple[float, float]:
            p = softmax(b * z)
            mean = (p * z).sum(axis=1)
            spread = (p * (z - mean[:, None]) ** 2).sum(axis=1)
            return float((mean - own).mean()), float(spread.mean())

        # Convex in 1/T: Newton's step where it stays inside the bracket, bisection (of the
        # logarithm, since the scale is unknown) where it does not.
        low, inverse, high = 1e-3, 1.0, 1e2
        for _ in range(60):
            slope, curvature = slope_and_curvature(inverse)
            low, high = (inverse, high) if slope < 0 else (low, inverse)
            step = inverse - slope / curvature if curvature > 0 else 0.0
            after = step if low < step < high else math.sqrt(low * high)
            if abs(after - inverse) <= 1e-9 * inverse:
                break
            inverse = after
        return cls(temperature=1 / inverse)

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities (..., classes), float64, that sum to 1; a row with NaN stays NaN."""
        return softmax(_finite(outputs) / self.temperature)


@dataclass(frozen=True)
class Platt(_Configured):
    r"""A logistic curve a task: $p = \sigma(a z + b)$.

    Args:
        slopes: a of every task, never negative.
        offsets: b of every task.

    Example:
        >>> import numpy as np
        >>> logits = np.array([-8.0, -8.0, -8.0, 8.0, 8.0, 8.0])  # sure of all, right in 4 of 6
        >>> curve = Platt.fit(logits, np.array([0, 0, 1, 1, 1, 0]))
        >>> curve.apply(np.array([-8.0, 8.0])).round(2).tolist()
        [0.4, 0.6]

    Source: Platt 1999, with the targets $(n_+ + 1)/(n_+ + 2)$ and $1/(n_- + 2)$ and the
    safeguarded Newton method of Lin, Lin & Weng 2007, section 3. Deviations: a is at least 0 (a
    task on which the network ranks worse than chance gets its base rate, not an upturned ranking),
    and a task with fewer than two classes keeps a = 1, b = 0.
    """

    kind: ClassVar[str] = "platt"
    slopes: Sequence[float] = (1.0,)
    offsets: Sequence[float] = (0.0,)

    @classmethod
    def fit(cls, outputs: np.ndarray, targets: np.ndarray) -> Platt:
        """Fit every task by itself.

        Args:
            outputs: float logits (n,) or (n, tasks).
            targets: 0, 1 or NaN, of the same shape.
        """
        pairs = [logistic(z, y) for z, y in _tasks(outputs, targets)]
        return cls(slopes=[a for a, _ in pairs], offsets=[b for _, b in pairs])

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of the positive class, float64, of the shape of `outputs`."""
        z = _finite(outputs)
        p = sigmoid(_columns(z) * np.array(self.slopes) + np.array(self.offsets))
        return p.reshape(z.shape)


@dataclass(frozen=True)
class Isotonic(_Configured):
    r"""A non-decreasing curve a task, straight between its knots and flat beyond them.

    Suits scores whose calibration curve is no logistic; wants some hundreds of samples. The curve
    is kept within $1/(n+2)$ of 0 and 1, since n samples can show no more certainty than that.

    Args:
        knots: rising scores of every task; None where the task had fewer than two classes, and
            its scores are read as logits.
        levels: the probability at each knot.

    Example:
        >>> import numpy as np
        >>> scores, right = np.arange(8.0), np.array([0, 0, 1, 0, 1, 1, 0, 1])
        >>> Isotonic.fit(scores, right).apply(np.array([0.0, 2.0, 7.0])).round(2).tolist()
        [0.1, 0.5, 0.9]

    Source: Zadrozny & Elkan 2002; pool-adjacent-violators, Barlow et al. 1972. Deviation: the
    bounds above.
    """

    kind: ClassVar[str] = "isotonic"
    knots: Sequence[Sequence[float] | None] = (None,)
    levels: Sequence[Sequence[float] | None] = (None,)

    @classmethod
    def fit(cls, outputs: np.ndarray, targets: np.ndarray) -> Isotonic:
        """Fit every task by itself.

        Args:
            outputs: float scores, best logits, (n,) or (n, tasks).
            targets: 0, 1 or NaN, of the same shape.
        """
        knots: list[Sequence[float] | None] = []
        levels: list[Sequence[float] | None] = []
        for z, y in _tasks(outputs, targets):
            if len(np.unique(y)) < 2:
                knots.append(None)
                levels.append(None)
                continue
            x, level = pool_adjacent_violators(z, y)
            edge = 1 / (len(y) + 2)
            knots.append(x.tolist())
            levels.append(np.clip(level, edge, 1 - edge).tolist())
        return cls(knots=knots, levels=levels)

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of the positive class, float64, of the shape of `outputs`."""
        z = _finite(outputs)
        columns = _columns(z)
        curves = [
            sigmoid(column) if x is None or p is None else np.interp(column, x, p)
            for column, x, p in zip(columns.T, self.knots, self.levels, strict=True)
        ]
        return np.stack(curves, axis=1).reshape(z.shape)


@dataclass(frozen=True)
class Conformal(_Configured):
    r"""Intervals $\hat y \pm q\,s$ that hold the truth at a stated rate, whatever the network.

    q is the $\lceil (n+1)\,c \rceil$-th smallest of $|y - \hat y| / s$ over n samples that the
    network was not trained on, so that a new sample of the same kind is covered with a probability
    of at least c. s is the spread that the network gives (an ensemble's deviation), or 1.

    Args:
        coverage: c, between 0 and 1.
        widths: q of every task; None, so an endless interval, where n is too small for c
            (fewer than 9 samples for 0.9).
        floors: smallest spread of every task, a twentieth of the median: an ensemble that agrees
            by chance is not certain.

    Example:
        >>> import numpy as np
        >>> measured = np.arange(20.0)
        >>> limits = Conformal.fit(measured + 0.5, measured, coverage=0.9)  # always 0.5 too high
        >>> low, high = limits.apply(np.array([7.0]))
        >>> low.tolist(), high.tolist()
        ([6.5], [7.5])

    Source: Lei et al. 2018, algorithm 2 (split conformal) and section 5.2 (scaled by spread);
    Papadopoulos et al. 2008. Deviation: the floor.
    """

    kind: ClassVar[str] = "conformal"
    always: ClassVar[bool] = True
    coverage: float = 0.9
    widths: Sequence[float | None] = (None,)
    floors: Sequence[float] = (0.0,)

    @classmethod
    def fit(cls, outputs: np.ndarray, targets: np.ndarray, coverage: float = 0.9) -> Conformal:
        """Find the widths, every task by itself.

        Args:
            outputs: predicted values (n,) or (n, tasks); or (n, tasks, 2), where the last axis
                holds the value and its spread.
            targets: measured values (n,) or (n, tasks), NaN where missing.
            coverage: wanted share of covered samples, strictly between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage is {coverage}, expected a share between 0 and 1")
        value, spread = _value_and_spread(outputs)
        wanted = _columns(np.asarray(targets, dtype=float))
        widths: list[float | None] = []
        floors: list[float] = []
        for task in range(wanted.shape[1]):
            y, v, s = wanted[:, task], value[:, task], spread[:, task]
            keep = np.isfinite(y) & np.isfinite(v) & np.isfinite(s)
            floor = float(np.median(s[keep])) / 20 if keep.any() else 0.0
            floor = floor or 1e-12
            misfit = np.sort(np.abs(y - v)[keep] / np.maximum(s[keep], floor))
            # A hair is taken off, or 0.9 * 10 = 9.000000000000002 would round up to 10.
            rank = math.ceil((len(misfit) + 1) * coverage - 1e-9)
            widths.append(float(misfit[rank - 1]) if rank <= len(misfit) else None)
            floors.append(floor)
        return cls(coverage=coverage, widths=widths, floors=floors)

    def apply(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Low and high, float64, each of the shape of the predicted values."""
        value, spread = _value_and_spread(outputs)
        q = np.array([np.inf if width is None else width for width in self.widths])
        half = q * np.maximum(spread, np.array(self.floors))
        shape = np.shape(outputs) if np.ndim(outputs) < 3 else np.shape(outputs)[:2]
        return (value - half).reshape(shape), (value + half).reshape(shape)


#: Calibrators by the name that a configuration gives.
KINDS: dict[str, Any] = {c.kind: c for c in (Temperature, Platt, Isotonic, Conformal, Novelty)}


def from_config(config: dict[str, Any]) -> Any:
    """Make a calibrator from its `config()`, also after a journey through JSON.

    Raises:
        UnusableModel: a kind that is not known, or fields that it does not have.

    Example:
        >>> from_config({"kind": "temperature", "temperature": 1.5}).temperature
        1.5
    """
    fields = dict(config)
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        raise UnusableModel(
            f"the model's calibration is of kind {kind!r}", f"known kinds: {', '.join(KINDS)}"
        )
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise UnusableModel(
            f"the model's calibration {kind!r} does not fit: {error}",
            "it was made by another version: train it again, or install that version",
        ) from None


def cross_fit(
    calibrator: Any,
    outputs: np.ndarray,
    targets: np.ndarray,
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[Any] | None = None,
    **options: Any,
) -> Any:
    """Calibrated outputs of which each was made without its own target: what `ece` may judge.

    Args:
        calibrator: whose `fit` and `apply` are used: a class, or one made with its settings.
        outputs: with samples along the first axis.
        targets: with samples along the first axis.
        folds: parts; as many as there are samples (or groups) if those are fewer. A fold whose
            rest is empty gets the calibrator that nothing was learned by.
        seed: of the deal.
        groups: samples of one group are in one fold.
        options: for `fit`, such as `coverage`.

    Returns:
        What the calibrator's `apply` returns (for `conformal` a pair), rows in the given order.

    Example:
        >>> import numpy as np
        >>> logits, right = np.array([-8.0, 8.0] * 20), np.array([0, 1, 1, 1] * 10)
        >>> found = cross_fit(Platt, logits, right)
        >>> bool(found.max() < 0.99)  # before, 8.0 meant 0.9997
        True
    """
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    part = _deal(targets, folds, seed, groups)
    whole: list[np.ndarray] = []
    paired = False
    for fold in np.unique(part):
        inside = part == fold
        made = calibrator.fit(outputs[~inside], targets[~inside], **options).apply(outputs[inside])
        paired = isinstance(made, tuple)
        pieces = made if paired else (made,)
        if not whole:
            whole = [np.empty((len(targets), *p.shape[1:]), dtype=p.dtype) for p in pieces]
        for place, piece in zip(whole, pieces, strict=True):
            place[inside] = piece
    if not whole:
        return calibrator.fit(outputs, targets, **options).apply(outputs)
    return tuple(whole) if paired else whole[0]


def ece(probabilities: np.ndarray, targets: np.ndarray, bins: int = 15) -> float:
    r"""Expected calibration error: $\sum_b \frac{n_b}{n}\,|\mathrm{acc}_b - \mathrm{conf}_b|$.

    Args:
        probabilities: (n, classes) with targets (n,): the error of the most probable class; or of
            the shape of the targets, (n,) or (n, tasks): the error of the positive class, as the
            mean over tasks.
        targets: class indices, or 0 and 1; NaN is missing.
        bins: of equal width over [0, 1].

    Returns:
        The error, a fraction; NaN where no target is known.

    Example:
        >>> import numpy as np
        >>> round(ece(np.array([0.9, 0.9, 0.9, 0.9]), np.array([1, 1, 1, 0])), 4)
        0.15

    Source: Guo et al. 2017, eq. 5.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(targets, dtype=float)
    if p.ndim == y.ndim == 2:
        tasks = [ece(p[:, t], y[:, t], bins) for t in range(p.shape[1])]
        known = [error for error in tasks if not math.isnan(error)]
        return float(np.mean(known)) if known else math.nan
    confidence, share, count = reliability(p, y, bins)
    total = count.sum()
    return float(count @ np.abs(share - confidence) / total) if total else math.nan


def reliability(
    probabilities: np.ndarray, targets: np.ndarray, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bins behind `ece`: mean confidence, share that came true, and count, each (bins,).

    Empty bins have a confidence at their middle and a share equal to it. Arguments as in `ece`,
    but for one task at a time.

    Example:
        >>> import numpy as np
        >>> said, true, count = reliability(np.array([0.1, 0.9, 0.9]), np.array([0, 1, 0]), bins=2)
        >>> said.tolist(), true.tolist(), count.tolist()
        ([0.1, 0.9], [0.0, 0.5], [1, 2])
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(targets, dtype=float)
    if p.ndim == 2:
        confidence, hit = p.max(axis=1), (p.argmax(axis=1) == y).astype(float)
    else:
        confidence, hit = p, y
    keep = np.isfinite(y) & np.isfinite(confidence)
    confidence, hit = confidence[keep], hit[keep]
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    middle = (np.arange(bins) + 0.5) / bins
    divisor = np.maximum(count, 1)
    mean = np.where(count, np.bincount(place, confidence, bins) / divisor, middle)
    share = np.where(count, np.bincount(place, hit, bins) / divisor, middle)
    return mean, share, count


# ---------------------------------------------------------------------------------- arithmetic


def _deal(targets: np.ndarray, folds: int, seed: int, groups: Sequence[Any] | None) -> np.ndarray:
    # The fold of every sample: groups whole, and single samples balanced over the classes.
    rng = np.random.default_rng(seed)
    n = len(targets)
    order = rng.permutation(n)
    if groups is None:
        if targets.ndim == 1:
            order = order[np.argsort(targets[order], kind="stable")]
        part = np.empty(n, dtype=int)
        part[order] = np.arange(n) % max(1, folds)
        return part
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.zeros(max(1, folds), dtype=int)
    fold_of = np.empty(len(names), dtype=int)
    counts = np.bincount(member, minlength=len(names))
    shuffled = rng.permutation(len(names))
    for group in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        fold_of[group] = np.argmin(sizes)
        sizes[fold_of[group]] += counts[group]
    return fold_of[member]


def _tasks(outputs: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    # The known pairs of every task.
    z, y = _columns(_finite(outputs)), _columns(np.asarray(targets, dtype=np.float64))
    if z.shape != y.shape:
        raise ValueError(f"outputs {np.shape(outputs)} and targets {np.shape(targets)} differ")
    keep = np.isfinite(z) & np.isfinite(y)
    return [(z[keep[:, t], t], y[keep[:, t], t]) for t in range(z.shape[1])]


def _value_and_spread(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    array = np.asarray(outputs, dtype=np.float64)
    if array.ndim == 3:
        return array[..., 0], array[..., 1]
    value = _columns(array)
    return value, np.ones_like(value)


def _columns(array: np.ndarray) -> np.ndarray:
    return array[:, None] if array.ndim == 1 else array


def _finite(outputs: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(outputs, dtype=np.float64), -_LARGEST, _LARGEST)


def softmax(z: np.ndarray) -> np.ndarray:
    """Probabilities of logits (..., classes); it never overflows."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
