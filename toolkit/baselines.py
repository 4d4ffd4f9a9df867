"""The shallow model beside the net: quick, plain, and sometimes the better one.

A deep network earns its place by beating one of these on the same samples. scikit-learn is
imported when one is fitted, never by a prediction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepfield.toolkit.calibration import Temperature
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.scores import LOWER_IS_BETTER

#: Names of the baselines and what they are, for `--help` and reports.
KINDS: dict[str, str] = {
    "svm": "support vector machine with a radial kernel",
    "logistic": "logistic (for values: ridge) regression",
    "forest": "random forest of 200 trees",
    "majority": "the most frequent class, or the mean",
}
TASKS = ("classification", "regression", "multilabel")


@dataclass
class Baseline:
    """A fitted shallow model; `fit_baseline` makes one.

    Args:
        kind: a name in `KINDS`.
        task: `"classification"`, `"regression"` or `"multilabel"`, or one of the last two a column.
        columns: classes, or tasks; 0 where a single task came without its axis.
        models: one a task (one in all for classification).
        rows: how many samples it was fitted on.
    """

    kind: str
    task: str | Sequence[str]
    columns: int
    models: list[_Fitted] = field(repr=False)
    rows: int

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Answer for features (n, d).

        Returns:
            float64 probabilities (n, classes) for classification; for the other tasks
            probabilities of the positive class, or values, of the shape the targets had.
        """
        x = _clean(features)
        if self.task == "classification":
            return self.models[0].probabilities(x, self.columns)
        answers = [
            model.values(x) if task == "regression" else model.probabilities(x, 2)[:, 1]
            for task, model in zip(_each(self.task, len(self.models)), self.models, strict=True)
        ]
        return np.stack(answers, axis=1) if self.columns else answers[0]


def fit_baseline(
    kind: str,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    task: str | Sequence[str] = "classification",
    classes: int | None = None,
    seed: int = 0,
    most_rows: int = 5000,
) -> Baseline:
    """Fit a shallow model on at most `most_rows` samples, drawn with the shares of the classes.

    The support vector machine chooses its scaling (a common factor, which suits pixels and
    fingerprints, or each feature by its own deviation, which suits descriptors) and its cost on a
    held-out quarter of at most 2,000 samples. The decision values of that quarter also give the
    temperature of its softmax: scikit-learn's own probabilities cost five further fits.

    Args:
        kind: a name in `KINDS`.
        features: float (n, d); infinities and NaN count as 0.
        targets: class indices (n,); values or 0/1 (n,) or (n, tasks). NaN is a missing label.
        task: `"classification"`, `"regression"` or `"multilabel"` (yes or no, a column a task); or
            a sequence of the last two, one a column.
        classes: how many there are, if more than the targets show.
        seed: of the draw and of the model.
        most_rows: samples used at most, for every task.

    Raises:
        UsageError: a kind or task that is not known, or no labelled sample at all.

    Example:
        >>> import numpy as np
        >>> x = np.arange(40, dtype="float32")[:, None]
        >>> model = fit_baseline("logistic", x, (x[:, 0] > 20).astype(int))
        >>> model.predict(x[[0, 39]]).argmax(axis=1).tolist()
        [0, 1]
    """
    if kind not in KINDS:
        raise UsageError(f"no baseline named {kind!r}", f"there are {', '.join(KINDS)}")
    for one in [task] if isinstance(task, str) else task:
        if one not in TASKS:
            raise UsageError(f"no task named {one!r}", f"there are {', '.join(TASKS)}")
    x = np.asarray(features)
    y = np.asarray(targets, dtype=float)
    if not np.isfinite(y).any():
        raise UsageError("no sample has a label", "the baseline needs some, as the network does")
    models, used = [], 0
    told = list(y.T) if y.ndim == 2 else [y]
    for column, own in zip(told, _each(task, len(told)), strict=True):
        labelled = np.flatnonzero(np.isfinite(column))
        rows = labelled[_draw(column[labelled], most_rows, own, seed)]
        models.append(_fit(kind, _clean(x[rows]), column[rows], own, seed))
        used = max(used, len(rows))
    if task == "classification":
        columns = max(classes or 0, int(np.nanmax(y)) + 1)
    else:
        columns = y.shape[1] if y.ndim == 2 else 0
    return Baseline(kind, task, columns, models, used)


def _each(task: str | Sequence[str], count: int) -> Sequence[str]:
    """The task of every column."""
    return [task] * count if isinstance(task, str) else task


def verdict(
    net: Mapping[str, Any],
    baseline: Mapping[str, Any],
    metric: str,
    interval: Sequence[float | None] = (),
) -> str:
    """The plain word on whether the network was worth its trouble.

    Args:
        net: its figures by key.
        baseline: its figures, and its `kind`.
        metric: the key to compare by.
        interval: low and high of the network's figure; a baseline inside counts as equal.

    Example:
        >>> net, shallow = {"accuracy": 0.97}, {"kind": "svm", "accuracy": 0.98}
        >>> print(verdict(net, shallow, "accuracy"))
        the baseline (svm) is better: accuracy 0.98 against 0.97; use it, or collect more data
    """
    kind = baseline.get("kind", "shallow model")
    ours, theirs = _number(net.get(metric)), _number(baseline.get(metric))
    if math.isnan(ours):
        return f"no comparison: the network's {metric} is not defined on this data"
    if math.isnan(theirs):
        return f"no comparison: the baseline's ({kind}) {metric} is not defined on this data"
    gain = theirs - ours if metric in LOWER_IS_BETTER else ours - theirs
    a, b = _two_numbers(ours, theirs)
    low, high = interval or (None, None)
    if a == b or _number(low) <= theirs <= _number(high):
        return (
            f"the network is not clearly better than the baseline ({kind}): "
            f"{metric} {a} against {b}; the baseline is simpler"
        )
    if gain < 0:
        return (
            f"the baseline ({kind}) is better: {metric} {b} against {a}; "
            "use it, or collect more data"
        )
    return f"the network is better than the baseline ({kind}): {metric} {a} against {b}"


# -------------------------------------------------------------------------------------- models


@dataclass
class _Fitted:
    # One scikit-learn model of one task, behind its scaling; or, without a model, a constant.
    model: Any
    center: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0
    calibration: Temperature | None = None  # of decision values
    constant: float = 0.0

    def values(self, x: np.ndarray) -> np.ndarray:
        if self.model is None:
            return np.full(len(x), self.constant)
        return np.asarray(self.model.predict((x - self.center) / self.scale), dtype=float)

    def probabilities(self, x: np.ndarray, columns: int) -> np.ndarray:
        full = np.zeros((len(x), columns))
        if self.model is None:  # one class is all that was seen
            full[:, int(self.constant)] = 1.0
            return full
        scaled = (x - self.center) / self.scale
        if self.calibration is None:
            shares = self.model.predict_proba(scaled)
        else:
            shares = self.calibration.apply(_decision(self.model, scaled))
        full[:, self.model.classes_.astype(int)] = shares
        return full


def _fit(kind: str, x: np.ndarray, y: np.ndarray, task: str, seed: int) -> _Fitted:
    if not len(y):
        return _Fitted(None)  # a task without a label: 0, the first class
    if len(np.unique(y)) == 1:
        return _Fitted(None, constant=float(y[0]))
    values = task == "regression"
    y = y if values else y.astype(int)
    if kind == "svm":
        return _fit_svm(x, y, values, seed)
    if kind == "logistic":
        return _fit_linear(x, y, values)
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        grown: dict[str, Any] = {"random_state": seed, "n_jobs": -1}
        if values:
            model = RandomForestRegressor(200, max_features=1 / 3, **grown).fit(x, y)
            return _Fitted(model.set_params(n_jobs=1))  # several add up in any order
        forest = RandomForestClassifier(200, oob_score=True, **grown).fit(x, y)
        out_of_bag = np.log(np.maximum(forest.oob_decision_function_, 1e-3))
        calibration = Temperature.fit(out_of_bag, np.searchsorted(forest.classes_, y))
        return _Fitted(forest.set_params(n_jobs=1), calibration=calibration)
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return _Fitted((DummyRegressor() if values else DummyClassifier(strategy="prior")).fit(x, y))


def _fit_linear(x: np.ndarray, y: np.ndarray, values: bool) -> _Fitted:
    from sklearn.linear_model import LogisticRegression, Ridge

    center, scale = _scaling(x, "each")
    model = Ridge(alpha=10.0) if values else LogisticRegression(C=0.3, max_iter=200, tol=1e-3)
    return _Fitted(model.fit((x - center) / scale, y), center, scale)


def _fit_svm(x: np.ndarray, y: np.ndarray, values: bool, seed: int) -> _Fitted:
    from sklearn.svm import SVC, SVR

    def machine(scaled: np.ndarray, wanted: np.ndarray, cost: float) -> Any:
        if not values:
            return SVC(C=cost, decision_function_shape="ovo", cache_size=500).fit(scaled, wanted)
        unit = wanted.std() or 1.0
        return SVR(C=cost * unit, epsilon=0.1 * unit, cache_size=500).fit(scaled, wanted)

    def decisions(model: Any, scaled: np.ndarray) -> np.ndarray:
        return model.predict(scaled) if values else _decision(model, scaled)

    # Choices are made on few samples (the time grows with the square), three quarters to fit on.
    few = _draw(y, 2000, "regression" if values else "classification", seed)
    inner, outer = few[len(few) // 4 :], few[: len(few) // 4]
    best: tuple[float, str, float, Temperature | None] = (math.inf, "common", 1.0, None)
    for way in ("common", "each"):
        center, scale = _scaling(x[inner], way)
        for cost in (1.0, 10.0):
            if not len(outer) or len(np.unique(y[inner])) < 2:
                continue
            model = machine((x[inner] - center) / scale, y[inner], cost)
            said = decisions(model, (x[outer] - center) / scale)
            if values:
                calibration, loss = None, float(((said - y[outer]) ** 2).mean())
            else:
                place = {int(name): at for at, name in enumerate(model.classes_)}
                truth = np.array([place.get(int(name), -1) for name in y[outer]])
                calibration = Temperature.fit(said, truth)
                loss = float((said.argmax(axis=1) != truth).mean())
            best = min(best, (loss, way, cost, calibration), key=lambda choice: choice[0])
    _, way, cost, calibration = best
    center, scale = _scaling(x, way)
    model = machine((x - center) / scale, y, cost)
    return _Fitted(model, center, scale, None if values else calibration or Temperature())


def _decision(model: Any, x: np.ndarray) -> np.ndarray:
    # What a temperature turns into probabilities, (n, classes): logarithms of a forest's shares,
    # and of a support vector machine each class's worst decision against another (its own
    # one-against-rest values are votes, nearly the same for every sample).
    if not hasattr(model, "decision_function"):
        return np.log(np.maximum(model.predict_proba(x), 1e-3))
    d = model.decision_function(x)
    if d.ndim == 1:
        return np.stack([-d / 2, d / 2], axis=1)
    worst = np.full((len(d), len(model.classes_)), np.inf)
    for pair, (first, second) in enumerate(itertools.combinations(range(worst.shape[1]), 2)):
        np.minimum(worst[:, first], d[:, pair], out=worst[:, first])
        np.minimum(worst[:, second], -d[:, pair], out=worst[:, second])
    return worst


def _scaling(x: np.ndarray, way: str) -> tuple[np.ndarray, np.ndarray | float]:
    center, deviation = x.mean(axis=0), x.std(axis=0)
    if way == "common":
        return center, float(np.sqrt((deviation**2).mean())) or 1.0
    return center, np.where(deviation > 1e-6 * max(1e-30, float(deviation.max())), deviation, 1.0)


# --------------------------------------------------------------------------------------- data


def _draw(y: np.ndarray, most: int, task: str, seed: int) -> np.ndarray:
    # Indices in random order, at most `most`; of every class its share, and at least one.
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    if task == "regression" or len(y) <= most:
        return order[:most]
    order = order[np.argsort(y[order], kind="stable")]
    _, first, counts = np.unique(y[order], return_index=True, return_counts=True)
    wanted = np.maximum(1, np.floor(counts * (most / len(y)))).astype(int)
    drawn = [order[at : at + number] for at, number in zip(first, wanted, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _clean(features: np.ndarray) -> np.ndarray:
    x = np.asarray(features, dtype=np.float32)
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    return np.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)


# --------------------------------------------------------------------------------------- words


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float | np.number) else math.nan


def _two_numbers(a: float, b: float) -> tuple[str, str]:
    # As few digits as show the gap to a tenth; equal where four do not tell them apart.
    for digits in (2, 3, 4):
        first, second = f"{a:.{digits}g}", f"{b:.{digits}g}"
        lost = abs(float(first) - a) + abs(float(second) - b)
        if first != second and lost <= 0.1 * abs(a - b):
            break
    return first, second
