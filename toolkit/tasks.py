"""What the outputs of a network mean: targets, loss, calibration, figures and the answer.

A pipeline has one task. NumPy only: tasks answer at prediction time.
"""

from __future__ import annotations

import functools
import heapq
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.toolkit.calibration import Temperature
from deepfield.toolkit.cells import is_missing
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput, UsageError, near_names
from deepfield.toolkit.ordering import natural

#: Classes whose names are numbers with decimals: so many, or else codes that come back so often.
_MOST_NUMBERED, _SOME_OF_EACH = 20, 10


class Task:
    """The meaning of a network's outputs. Subclass it for an answer of another kind.

    Attributes:
        name: what it is called where networks are listed.
        output: name of the network's output that carries the answer.
        losses: Keras loss by output name, as `toolkit.training` resolves it.
        loss_settings: arguments of those losses that follow from the targets.
        calibrator: class in `toolkit.calibration` fitted on the validation part, or None.
        metrics: names in `toolkit.scores` that `evaluate` reports.
        logits: whether the output is logits of classes, whose energy tells strange inputs.
        padding: value by output name with which outputs of unequal length are stacked.
        monitor: the figure by which the best epoch is chosen.
        shallow: what a baseline is to learn (see `toolkit.baselines`); for several columns of
            targets one a column.
        column: column of the samples by whose values `evaluate` divides its figures; without one
            `groups` says how they are divided.
        divided_by: what the keys of `groups` are.
        state: what was learnt from the training targets; JSON-able, kept in the bundle.

    Example:
        >>> class Doubled(Task):
        ...     def answer(self, prediction):
        ...         return {"double": 2 * float(prediction[0])}
        >>> Doubled().answer(np.array([1.5]))
        {'double': 3.0}
    """

    name: str = ""
    output: str = "output"
    losses: ClassVar[Mapping[str, str]] = {}
    loss_settings: Mapping[str, Any] = {}
    calibrator: ClassVar[Any] = None
    metrics: tuple[str, ...] = ()
    logits: ClassVar[bool] = False
    padding: ClassVar[Mapping[str, float]] = {}
    monitor: str = "val_loss"
    shallow: str | tuple[str, ...] = "classification"
    column: ClassVar[str] = ""
    divided_by: ClassVar[str] = "class"

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = dict(state or {})

    def learn(self, targets: Sequence[Any]) -> None:
        """Take from the training targets what encoding and answering need."""

    def restored(self) -> None:
        """Try the state of a bundle.

        Raises:
            ValueError: it makes no sense.
        """

    def contents(self, targets: Sequence[Any]) -> dict[str, Any]:
        """What `inspect` tells of targets: their range, how many of several are there, or how
        often each comes.
        """
        if all(isinstance(t, int | float) for t in targets):
            values = np.array(targets, dtype=float)
            return {"smallest": values.min(), "mean": values.mean(), "largest": values.max()}
        if all(isinstance(t, Mapping) for t in targets):
            return {name: sum(t.get(name) is not None for t in targets) for name in targets[0]}
        return dict(sorted(Counter(map(str, targets)).items(), key=lambda p: (-p[1], p[0])))

    def choose(self, targets: np.ndarray, outputs: Arrays, calibrator: Any) -> None:
        """Take from the validation part, once calibrated, what answers hang on: a threshold."""

    def encode(self, target: Any) -> Arrays:
        """One target as arrays by output name.

        Raises:
            BadInput: the target makes no sense for this task.
        """
        raise NotImplementedError

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Calibrated predictions of a batch, in the form that the metrics take."""
        raise NotImplementedError

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The columns of one answer."""
        raise NotImplementedError

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns that `answer` returns."""
        raise NotImplementedError

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """One figure: encoded targets against what `predictions` gave."""
        from deepfield.toolkit import scores

        return scores.SCORES[metric](targets, predictions)

    def figures(
        self, targets: np.ndarray, predictions: np.ndarray, metrics: Sequence[str] | None = None
    ) -> dict[str, float | None]:
        """Several figures, by default all of `metrics`; None where one is not defined."""
        values = {m: self.score(m, targets, predictions) for m in metrics or self.metrics}
        return {m: float(v) if np.isfinite(v) else None for m, v in values.items()}

    @property
    def headlines(self) -> tuple[str, ...]:
        """The metrics that are told with an interval: the first."""
        return self.metrics[:1]

    def intervals(
        self, targets: np.ndarray, predictions: np.ndarray, groups: Sequence[str | None] = (),
        kinds: Sequence[str] = (),
    ) -> dict[str, list[float | None]]:  # fmt: skip
        """The 95 % bootstrap interval of each of `headlines`: low and high by its name.

        Of the others it would take too long to be told with every training. None and None where
        there is none: a figure that is the same in every draw (nothing was wrong) is not certain.

        Args:
            targets: encoded targets of all samples.
            predictions: what `predictions` gave.
            groups: what each sample belongs to; whole groups are drawn again, since their samples
                are not independent. A sample without one is its own.
            kinds: the group of the `column` of every sample, where `folded` may give the figure.
        """
        from deepfield.toolkit import scores
        from deepfield.toolkit.intervals import bootstrap

        whole: list[Any] | None = None
        if any(group is not None for group in groups):
            whole = [f"\0{i}" if group is None else group for i, group in enumerate(groups)]
        found: dict[str, list[float | None]] = {}
        for metric in self.headlines:
            score: Callable[..., float] = functools.partial(self.score, metric)
            judged = [targets, predictions]
            if len(kinds) and metric in self.folded(targets, predictions, kinds)[0]:
                score, judged = self._of_folds(metric), [*judged, np.array(kinds)]
            low, high = bootstrap(score, *judged, groups=whole, repeats=500)
            found[metric] = [scores.or_none(low), scores.or_none(high)]
            if low == high:
                found[metric] = [None, None]
        return found

    def _of_folds(self, metric: str) -> Callable[..., float]:
        """One of the figures that folds give, as a function of targets, predictions and folds."""
        return lambda truth, said, kinds: self.folded(truth, said, kinds)[0].get(metric, math.nan)

    def speed(self, contexts: Sequence[Any], seconds: float) -> dict[str, float]:
        """Figures of how quickly items with these contexts were read and answered, for `evaluate`:
        none, unless a field has its own way to say it.
        """
        return {}

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Figures by class, task or whatever divides the data, for `evaluate`."""
        return {}

    def summary(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """Figures over the groups of a `column`, which `evaluate` adds to those of all samples."""
        return {}

    def folded(
        self, targets: np.ndarray, predictions: np.ndarray, kinds: Sequence[str]
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Figures that only the groups of a `column` together give: folds, of which each is judged
        by the others. Of all samples, and by group; they stand in for those of the same name.

        Args:
            targets: encoded targets of all samples.
            predictions: what `predictions` gave.
            kinds: the group of every sample.
        """
        return {}, {}

    def published(self, group: str) -> dict[str, dict[str, float]]:
        """What others report of a group of a `column`: by their names, one of our figures."""
        return {}

    def published_together(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What others report of all groups together: by their names, `metrics`, and what they are
        `on` in words.
        """
        return {}

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """Captions and PNGs for the report of `evaluate`."""
        return []


class Classification(Task):
    """One of several classes, from logits; calibrated by temperature.

    Example:
        >>> task = Classification({"labels": ["cat", "dog"]})
        >>> task.answer(np.array([0.2, 0.8]))["label"]
        'dog'
    """

    name = "classification"
    output = "logits"
    losses: ClassVar[Mapping[str, str]] = {"logits": "categorical_crossentropy"}
    calibrator = Temperature
    metrics: tuple[str, ...] = ("accuracy", "top5_accuracy", "ece")
    logits = True
    monitor = "val_loss"
    fields = ("label", "probability", "alternatives")

    def restored(self) -> None:
        """Labels must be texts.

        Raises:
            ValueError: one is not.
        """
        strange = [label for label in self.labels if not isinstance(label, str)]
        if strange:
            raise ValueError(f"{strange[0]!r} as a label")

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the outputs."""
        return list(self.state.get("labels", []))

    def learn(self, targets: Sequence[Any]) -> None:
        """Collect the labels, in natural order (2 before 10).

        Raises:
            UsageError: fewer than two classes, or measurements in their place.
        """
        labels = sorted({str(t) for t in targets if not is_missing(t)}, key=natural)
        if len(labels) < 2:
            found = f"one class only: {labels[0]!r}" if labels else "no labelled sample"
            raise UsageError(found, "a classifier learns from two or more classes")
        told = sum(not is_missing(t) for t in targets)
        if len(labels) > max(_MOST_NUMBERED, told / _SOME_OF_EACH) and _are_measured(labels):
            raise UsageError(
                f"labels are {len(labels)} different numbers, as {labels[0]}: measurements",
                "make classes of them, as 0 below a threshold and 1 above it",
            )
        self.state["labels"] = labels

    def encode(self, target: Any) -> Arrays:
        """The class index, () int32.

        Raises:
            BadInput: the label is not one of the network's.
        """
        place = self._places().get(str(target))
        if place is None:
            near = near_names(str(target), self.labels) or self.labels[:5]
            raise BadInput(f"label {str(target)!r} is not one of the model's ({', '.join(near)} …)")
        return {self.output: np.int32(place)}  # type: ignore[dict-item]

    def _places(self) -> dict[str, int]:
        # Data sets name classes by another key than people do (WordNet ids): `aliases` in the
        # state are accepted too.
        if not hasattr(self, "_index"):
            aliases = self.state.get("aliases") or self.labels
            self._index = {str(a): i for i, a in enumerate(aliases)}
            self._index |= {label: i for i, label in reversed(list(enumerate(self.labels)))}
        return self._index

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Probabilities (n, classes) float64."""
        return (calibrator or Temperature()).apply(outputs[self.output])

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The likeliest class, its probability, and the next ones."""
        values = prediction.tolist()
        best, *next_ones = heapq.nlargest(5, range(len(values)), key=values.__getitem__)
        labels = self.labels
        return {
            "label": labels[best],
            "probability": round(values[best], 6),
            "alternatives": {labels[i]: round(values[i], 6) for i in next_ones},
        }

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Precision, recall, F1 and support of every class that is there or was said."""
        from deepfield.toolkit import scores

        rows = scores.per_class(targets, predictions, self.labels)
        met = [row for row in rows if row["support"] or row["precision"] is not None]
        return {row.pop("class"): row for row in met}

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """Confusion matrix, reliability diagram, accuracy against reject rate."""
        from deepfield.toolkit import plots, scores

        table = scores.confusion(targets, predictions, len(self.labels))
        curve = scores.rejection_curve(targets, predictions)
        return [
            ("Confusion matrix", plots.confusion_plot(table, self.labels)),
            (
                "Reliability: of the answers given with 90 %, are nine in ten right?",
                plots.reliability_diagram({"network": (predictions, targets)}),
            ),
            (
                "Accuracy of the rest when the least certain answers are left to a person",
                plots.rejection_plot({"network": curve}),
            ),
        ]


def _are_measured(labels: Sequence[str]) -> bool:
    """Whether all are numbers, and not all of them whole."""
    number = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", re.IGNORECASE)
    return all(map(number.fullmatch, labels)) and not all(float(x).is_integer() for x in labels)
