"""What the outputs of a network mean: targets, loss, calibration, figures and the answer.

A pipeline has one task. NumPy only: tasks answer at prediction time.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.toolkit.calibration import Conformal, Temperature
from deepfield.toolkit.data import Arrays, is_missing
from deepfield.toolkit.errors import BadInput, UsageError


class Task:
    """The meaning of a network's outputs. Subclass it for an answer of another kind.

    Attributes:
        output: name of the network's output that carries the answer.
        losses: Keras loss by output name, as `toolkit.training` resolves it.
        calibrator: class in `toolkit.calibration` fitted on the validation part, or None.
        metrics: names in `toolkit.scores` that `evaluate` reports.
        logits: whether the output is logits of classes, whose energy tells strange inputs.
        padding: value by output name with which outputs of unequal length are stacked.
        monitor: the figure by which the best epoch is chosen.
        column: column of the samples by whose values `evaluate` divides its figures; without one
            `groups` says how they are divided.
        state: what was learnt from the training targets; JSON-able, kept in the bundle.
    """

    output: str = "output"
    losses: ClassVar[Mapping[str, str]] = {}
    calibrator: ClassVar[Any] = None
    metrics: tuple[str, ...] = ()
    logits: ClassVar[bool] = False
    padding: ClassVar[Mapping[str, float]] = {}
    monitor: str = "val_loss"
    column: ClassVar[str] = ""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = dict(state or {})

    def learn(self, targets: Sequence[Any]) -> None:
        """Take from the training targets what encoding and answering need."""

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

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Figures by class, task or whatever divides the data, for `evaluate`."""
        return {}

    def summary(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """Figures over the groups of a `column`, which `evaluate` adds to those of all samples."""
        return {}

    def published(self, group: str) -> dict[str, dict[str, float]]:
        """What others report of a group of a `column`: by their names, one of our figures."""
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

    output = "logits"
    losses: ClassVar[Mapping[str, str]] = {"logits": "categorical_crossentropy"}
    calibrator = Temperature
    metrics = ("accuracy", "top5_accuracy", "ece")
    logits = True
    monitor = "val_loss"
    fields = ("label", "probability", "alternatives")

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the outputs."""
        return list(self.state.get("labels", []))

    def learn(self, targets: Sequence[Any]) -> None:
        """Collect the labels, in natural order (2 before 10).

        Raises:
            UsageError: fewer than two classes.
        """
        labels = sorted({str(t) for t in targets if not is_missing(t)}, key=natural_key)
        if len(labels) < 2:
            found = f"one class only: {labels[0]!r}" if labels else "no labelled sample"
            raise UsageError(found, "a classifier learns from two or more classes")
        self.state["labels"] = labels

    def encode(self, target: Any) -> Arrays:
        """The class index, () int32.

        Raises:
            BadInput: the label is not one of the network's.
        """
        place = self._places().get(str(target))
        if place is None:
            near = difflib.get_close_matches(str(target), self.labels, n=3) or self.labels[:5]
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


class Regression(Task):
    """One or several numbers a sample, some of them missing; with conformal intervals.

    Targets are standardised for training; predictions come back in the targets' own units.
    """

    output = "values"
    losses: ClassVar[Mapping[str, str]] = {"values": "masked_mean_squared_error"}
    calibrator = Conformal
    metrics = ("rmse", "mae", "r2", "coverage_90")

    @property
    def names(self) -> list[str]:
        """Names of the quantities."""
        return list(self.state.get("names", ["value"]))

    def learn(self, targets: Sequence[Any]) -> None:
        """Mean and standard deviation of each quantity, over what is there.

        Raises:
            UsageError: a quantity with fewer than two different values.
        """
        first = next((t for t in targets if isinstance(t, Mapping)), None)
        self.state.setdefault("names", list(first) if first else ["value"])
        table = np.array([self._numbers(t) for t in targets], dtype=np.float64)
        for name, column in zip(self.names, table.T, strict=True):
            known = column[np.isfinite(column)]
            if len(np.unique(known)) < 2:
                raise UsageError(
                    f"{name!r} has {len(np.unique(known))} different values in training",
                    "leave this target out",
                )
        self.state["mean"] = np.nanmean(table, axis=0).tolist()
        self.state["scale"] = np.nanstd(table, axis=0).tolist()

    def _numbers(self, target: Any) -> list[float]:
        cells = target if isinstance(target, Mapping) else {self.names[0]: target}
        numbers = []
        for name in self.names:
            cell = cells.get(name)
            try:
                numbers.append(np.nan if is_missing(cell) else float(cell))  # type: ignore[arg-type]
            except (TypeError, ValueError):
                raise BadInput(f"{name} is {cell!r}, expected a number") from None
        return numbers

    def encode(self, target: Any) -> Arrays:
        """Standardised values (quantities,) float32, NaN where missing."""
        values = np.array(self._numbers(target), dtype=np.float64)
        scaled = (values - np.array(self.state["mean"])) / np.array(self.state["scale"])
        return {self.output: scaled.astype(np.float32)}

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Value, low and high of each quantity, (n, quantities, 3), standardised."""
        values = np.asarray(outputs[self.output], dtype=np.float64)
        values = values.reshape(len(values), -1)
        low, high = calibrator.apply(values) if calibrator else (values, values)
        return np.stack([values, low, high], axis=-1)

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """One figure in the targets' own units, the mean over the quantities.

        `predictions` are (n, quantities, 3) as above, or values alone, (n, quantities).
        """
        if metric.startswith("coverage"):
            return super().score(metric, targets, predictions[..., 1:])
        mean, scale = np.array(self.state["mean"]), np.array(self.state["scale"])
        values = predictions if predictions.ndim == 2 else predictions[..., 0]
        return super().score(metric, targets * scale + mean, values * scale + mean)

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Figures of every quantity, where there are several."""
        if len(self.names) == 1:
            return {}
        found: dict[str, Any] = {}
        for column, name in enumerate(self.names):
            state = {"names": [name]} | {k: [self.state[k][column]] for k in ("mean", "scale")}
            own = slice(column, column + 1)
            found[name] = type(self)(state).figures(targets[:, own], predictions[:, own])
        return found

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """Value, low and high in the targets' units; several quantities carry their names."""
        mean, scale = np.array(self.state["mean"]), np.array(self.state["scale"])
        table = prediction * scale[:, None] + mean[:, None]
        cells = [None if not np.isfinite(x) else round(float(x), 6) for x in table.ravel()]
        return dict(zip(self.fields, cells, strict=True))

    @property
    def fields(self) -> tuple[str, ...]:
        """`value, low, high`, or `NAME, NAME_low, NAME_high` for each of several quantities."""
        if len(self.names) == 1:
            return ("value", "low", "high")
        return tuple(f"{name}{end}" for name in self.names for end in ("", "_low", "_high"))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """A sort key that reads digits as numbers.

    Example:
        >>> sorted(["10", "9", "a2", "a10"], key=natural_key)
        ['9', '10', 'a2', 'a10']
    """
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), "") if p.isdigit() and p.isascii() else (1, 0, p) for p in parts if p]
