"""Several quantities of one thing at once: numbers, and yes or no, many of them missing.

What a network is asked for where one measurement is no class among several: activities in a dozen
assays, a solubility, a yield beside whether it is toxic.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from deepfield.toolkit.calibration import KINDS, Conformal, Platt
from deepfield.toolkit.cells import is_missing
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.rising_curves import sigmoid
from deepfield.toolkit.tasks import Task

#: Deviations of an ensemble within which nine in ten of its members lie.
_NINETY = 1.645
#: Known validation samples below which a yes-or-no quantity is not calibrated.
_LEAST_TO_CALIBRATE = 30
#: Quantities that an error names.
_NAMED = 3
#: How strongly members are held to be alike before they are heard (see `member_weights`).
_PRIOR = 4.0
#: Logits beyond which no member is believed: 1 in 22,000 is otherwise.
_SURE = 10.0


class Quantities(Task):
    """One or several quantities a sample, each a number or yes-or-no, some of them missing.

    A network puts out (batch, quantities), or (batch, quantities, members) where it is an ensemble
    in one: standardised values, and logits of yes; or (batch, quantities, members, 2), with how
    much each member is to be heard of this sample. A quantity is yes-or-no if all its training
    targets are 0 or 1. Values come back in the targets' own units with a conformal interval,
    scaled by the spread of the members; yes-or-no as a calibrated probability, and the interval
    in which nine in ten members of such an ensemble would lie, where there are members.

    Example:
        >>> task = Quantities()
        >>> task.learn([{"logS": -1.0, "toxic": 0}, {"logS": -3.0, "toxic": 1}])
        >>> task.binary, task.fields
        ((False, True), ('logS', 'logS_low', 'logS_high', 'toxic', 'toxic_low', 'toxic_high'))
    """

    output = "quantities"
    losses: ClassVar[Mapping[str, str]] = {"quantities": "masked_quantities"}
    divided_by: ClassVar[str] = "target"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Yes-or-no quantities are classified, numbers are a regression."""
        kinds = {True: "classification", False: "regression"}
        return " and ".join(kinds[kind] for kind in (True, False) if kind in self.binary)

    @property
    def names(self) -> list[str]:
        """Names of the quantities."""
        return list(self.state.get("names", ["value"]))

    @property
    def binary(self) -> tuple[bool, ...]:
        """Which of them are yes-or-no."""
        return tuple(self.state.get("binary", [False] * len(self.names)))

    @property
    def loss_settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The loss must know which are yes-or-no."""
        return {"binary": self.binary}

    @property
    def calibrator(self) -> Any:  # type: ignore[override]
        """A calibrator that knows it too."""
        return QuantityCalibration(self.binary)

    @property
    def shallow(self) -> tuple[str, ...]:  # type: ignore[override]
        """What a shallow model learns, column by column."""
        return tuple("multilabel" if yes_or_no else "regression" for yes_or_no in self.binary)

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        """Figures of yes-or-no quantities, of numbers, or of both."""
        classes = ("roc_auc", "pr_auc", "ef_1pct", "bedroc", "ece")
        values = ("rmse", "mae", "r2", "pearson_r2", "spearman", "coverage_90")
        return (classes if any(self.binary) else ()) + (values if not all(self.binary) else ())

    @property
    def headlines(self) -> tuple[str, ...]:
        """The first of yes-or-no quantities, and the first of numbers."""
        return tuple(name for name in ("roc_auc", "rmse") if name in self.metrics)

    # -- targets

    def learn(self, targets: Sequence[Any]) -> None:
        """Which are yes-or-no; mean and standard deviation of the others, over what is there.

        Raises:
            UsageError: a quantity with fewer than two different values.
        """
        first = next((t for t in targets if isinstance(t, Mapping)), None)
        self.state.setdefault("names", list(first) if first else ["value"])
        rows, faults = [], []
        for target in targets:
            try:
                rows.append(self._numbers(target))
            except BadInput as error:  # rejected with its reason when it is encoded
                faults.append(error.reason)
        other = "leave that target out" if len(self.names) > 1 else "--targets names another column"
        if faults and not rows:
            raise UsageError(f"no row of training can be learnt from: {faults[0]}", other)
        rows_said = "row" if len(faults) == 1 else "rows"
        lost = f"; of {len(faults):,} rejected {rows_said} the first: {faults[0]}" if faults else ""
        table = np.array(rows, dtype=np.float64).reshape(-1, len(self.names))
        binary, mean, scale = [], [], []
        for name, column in zip(self.names, table.T, strict=True):
            known = column[np.isfinite(column)]
            values = np.unique(known)
            if len(values) < 2:
                told = f"is always {values[0]:g}" if len(values) else "has no value at all"
                raise UsageError(
                    f"{name!r} {told} in training{lost}", f"{other}, or give more data"
                )
            yes_or_no = set(values) <= {0.0, 1.0}
            binary.append(yes_or_no)
            mean.append(0.0 if yes_or_no else float(known.mean()))
            scale.append(1.0 if yes_or_no else float(known.std()))
        self.state |= {"binary": binary, "mean": mean, "scale": scale}

    def _numbers(self, target: Any) -> list[float]:
        cells = target if isinstance(target, Mapping) else {self.names[0]: target}
        return [np.nan if is_missing(c) else self.number(n, c) for n, c in self._own(cells)]

    def _own(self, cells: Mapping[str, Any]) -> list[tuple[str, Any]]:
        if len(self.names) == len(cells) == 1:  # one may be called as it likes
            return [(self.names[0], next(iter(cells.values())))]
        return [(name, cells.get(name)) for name in self.names]

    def number(self, name: str, cell: Any) -> float:
        """A cell as a number.

        Raises:
            BadInput: it is none.
        """
        try:
            value = float(cell)
        except (TypeError, ValueError):
            comma = isinstance(cell, str) and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", cell)
            wanted = "a number with a point, not a comma" if comma else "a number"
            raise BadInput(f"{name} is {cell!r}, expected {wanted}") from None
        if not np.isfinite(value):
            raise BadInput(f"{name} is {cell!r}, expected a finite number")
        return value

    def contents(self, targets: Sequence[Any]) -> dict[str, Any]:
        """How often each quantity says yes and no; of numbers how many are there."""
        if not all(isinstance(target, Mapping) for target in targets):
            return super().contents(targets)
        found: dict[str, Any] = {}
        for name in dict.fromkeys(name for target in targets for name in target):
            numbers = Counter(self._told(name, target.get(name)) for target in targets)
            del numbers[None]
            if numbers and numbers.keys() <= {0.0, 1.0}:
                found |= {f"{name} = {value:g}": n for value, n in sorted(numbers.items())}
            else:
                found[name] = numbers.total()
        return found

    def _told(self, name: str, cell: Any) -> float | None:
        """A cell as a number, where it is one."""
        try:
            return None if is_missing(cell) else self.number(name, cell)
        except BadInput:
            return None

    def encode(self, target: Any) -> Arrays:
        """Standardised values and 0 or 1, (quantities,) float32, NaN where missing.

        Raises:
            BadInput: a cell that is no number, or not 0 or 1 where it should be; nothing at all.
        """
        values = np.array(self._numbers(target), dtype=np.float64)
        if not np.isfinite(values).any():
            more = " …" if len(self.names) > _NAMED else ""
            raise BadInput(f"no label: no {', '.join(self.names[:_NAMED])}{more}")
        for name, value, yes_or_no in zip(self.names, values, self.binary, strict=True):
            if yes_or_no and value not in (0.0, 1.0) and np.isfinite(value):
                raise BadInput(f"{name} is {value:g}, expected 0 or 1")
        scaled = (values - np.array(self.state["mean"])) / np.array(self.state["scale"])
        return {self.output: scaled.astype(np.float32)}

    # -- predictions

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Value or probability, low and high of each quantity, (n, quantities, 3), standardised."""
        return (calibrator or self.calibrator).apply(outputs[self.output])

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """One figure, the mean over the quantities that it is for; values in their own units.

        `predictions` are (n, quantities, 3) as above, or (n, quantities).
        """
        values = metric in ("rmse", "mae", "r2", "pearson_r2", "spearman", "coverage_90")
        own = np.flatnonzero(np.array(self.binary) != values)
        mean, scale = np.array(self.state["mean"])[own], np.array(self.state["scale"])[own]
        if metric.startswith("coverage"):
            return super().score(metric, targets[:, own], predictions[:, own, 1:])
        said = predictions if predictions.ndim == 2 else predictions[..., 0]
        return super().score(metric, targets[:, own] * scale + mean, said[:, own] * scale + mean)

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Figures of every quantity, where there are several."""
        if len(self.names) == 1:
            return {}
        found: dict[str, Any] = {}
        for column, name in enumerate(self.names):
            state = {"names": [name]}
            state |= {k: [self.state[k][column]] for k in ("binary", "mean", "scale")}
            own = slice(column, column + 1)
            known = int(np.isfinite(targets[:, column]).sum())
            alone = type(self)(state)
            found[name] = {"n": known, **alone.figures(targets[:, own], predictions[:, own])}
        return found

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """Value or probability with low and high, in the targets' units."""
        mean, scale = np.array(self.state["mean"]), np.array(self.state["scale"])
        table = prediction * scale[:, None] + mean[:, None]
        cells = [round(x, 6) if math.isfinite(x) else None for x in table.ravel().tolist()]
        return dict(zip(self.fields, cells, strict=True))

    @property
    def fields(self) -> tuple[str, ...]:
        """`value, low, high` or `probability, low, high`; several quantities carry their names."""
        if len(self.names) == 1:
            return ("probability" if self.binary[0] else "value", "low", "high")
        return tuple(f"{name}{end}" for name in self.names for end in ("", "_low", "_high"))

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """Reliability of the first yes-or-no quantities."""
        from deepfield.toolkit import plots

        yes_or_no = np.flatnonzero(self.binary)[:6]
        if not len(yes_or_no):
            return []
        curves = {
            self.names[t]: (predictions[:, t, 0], targets[:, t])
            for t in yes_or_no
            if np.isfinite(targets[:, t]).any()
        }
        caption = "Reliability: of what was given 90 %, is nine in ten so?"
        return [(caption, plots.reliability_diagram(curves))] if curves else []


@dataclass(frozen=True)
class QuantityCalibration:
    """`Platt` for quantities that are yes-or-no, `Conformal` for the others.

    Yes-or-no outputs are calibrated where at least 30 validation samples, with both answers among
    them, are known; elsewhere they are read as logits. Members of an ensemble are heard by weight
    (see `member_weights`).

    Args:
        binary: which quantities are yes-or-no.
        weights: of the members, adding up to 1; none for all alike.
        slopes: of every quantity; 1 where nothing was calibrated, and for numbers.
        offsets: of every quantity; 0 where nothing was calibrated, and for numbers.
        widths: of every quantity; None for yes-or-no, and where too few samples were known.
        floors: of every quantity; 0 for yes-or-no.
        coverage: of the intervals.
    """

    kind: ClassVar[str] = "quantities"
    always: ClassVar[bool] = True
    binary: Sequence[bool] = (False,)
    weights: Sequence[float] = ()
    slopes: Sequence[float] = ()
    offsets: Sequence[float] = ()
    widths: Sequence[float | None] = ()
    floors: Sequence[float] = ()
    coverage: float = 0.9

    def fit(self, outputs: np.ndarray, targets: np.ndarray) -> QuantityCalibration:
        """Fit every quantity by itself.

        Args:
            outputs: (n, quantities), (n, quantities, members), or with how much they are heard.
            targets: (n, quantities), NaN where missing.
        """
        truth = np.asarray(targets, dtype=np.float64)
        weights = member_weights(outputs, truth, self.binary)
        value, spread = pooled(outputs, self.binary, weights)
        count = len(self.binary)
        slopes, offsets, floors = [1.0] * count, [0.0] * count, [0.0] * count
        widths: list[float | None] = [None] * count
        for t, yes_or_no in enumerate(self.binary):
            known = truth[np.isfinite(truth[:, t]), t]
            if not yes_or_no:
                pair = np.stack([value[:, t], spread[:, t]], axis=-1)[:, None]
                interval = Conformal.fit(pair, truth[:, t : t + 1], self.coverage)
                widths[t], floors[t] = interval.widths[0], interval.floors[0]
            elif len(known) >= _LEAST_TO_CALIBRATE and 0 < known.mean() < 1:
                curve = Platt.fit(value[:, t], truth[:, t])
                slopes[t], offsets[t] = curve.slopes[0], curve.offsets[0]
        return QuantityCalibration(
            self.binary, weights, slopes, offsets, widths, floors, self.coverage
        )

    def apply(self, outputs: np.ndarray) -> np.ndarray:
        """Value or probability, low and high, (n, quantities, 3) float64.

        Where no interval is known it is endless.
        """
        value, spread = pooled(outputs, self.binary, self.weights)
        told, _ = told_and_heard(outputs)
        several = told.ndim == 3 and told.shape[-1] > 1
        found = np.stack([value, np.full_like(value, -np.inf), np.full_like(value, np.inf)], -1)
        for t, yes_or_no in enumerate(self.binary):
            z, s = value[:, t], spread[:, t]
            if yes_or_no:
                a, b = (self.slopes[t], self.offsets[t]) if self.slopes else (1.0, 0.0)
                shifts = (0.0, -_NINETY, _NINETY) if several else (0.0,)
                for place, shift in enumerate(shifts):
                    found[:, t, place] = sigmoid(a * (z + shift * s) + b)
            elif self.widths and (width := self.widths[t]) is not None:
                half = width * np.maximum(s, self.floors[t])
                found[:, t, 1], found[:, t, 2] = z - half, z + half
        return found

    @property
    def doubt(self) -> str:
        """What it cannot say, of too few samples."""
        known = zip(self.binary, self.widths, strict=True)
        if not self.widths or all(yes_or_no or width is not None for yes_or_no, width in known):
            return ""
        needed = math.ceil(self.coverage / (1 - self.coverage) - 1e-9)
        return f"no intervals: {needed} known validation samples are needed"

    def config(self) -> dict[str, Any]:
        """Everything needed to make it again, JSON-able."""
        return {"kind": self.kind, **asdict(self)}


KINDS[QuantityCalibration.kind] = QuantityCalibration


def told_and_heard(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a network put out, and how much each member is to be heard: all alike if it says nothing
    of that. Both of one shape.
    """
    array = np.asarray(outputs)
    if array.ndim < 4:
        return array, np.ones_like(array)
    return array[..., 0], array[..., 1]


def member_weights(
    outputs: np.ndarray, targets: np.ndarray, binary: Sequence[bool]
) -> tuple[float, ...]:
    r"""How much each member of an ensemble is listened to, the same for all quantities.

    The weights $w$ (positive, $\sum w = 1$) maximise
    $\sum_t \log p_t(y | w) + \alpha \sum_m \log w_m$: for numbers a Gaussian of unknown
    width around what is `pooled`, for yes-or-no a Bernoulli of the chance that is, and a prior that
    all are alike, which a dozen validation samples do not outvote.

    Args:
        outputs: of the validation part, as `pooled` takes them.
        targets: (n, quantities), NaN where missing.
        binary: which quantities are yes-or-no.

    Returns:
        One weight a member; none where there is but one.
    """
    told, heard = told_and_heard(outputs)
    if told.ndim < 3 or told.shape[-1] == 1:
        return ()
    from scipy.optimize import minimize

    said = _clipped(told, binary)
    known = np.isfinite(targets)
    rows = []
    for t, yes_or_no in enumerate(binary):
        z, own = said[known[:, t], t], heard[known[:, t], t]
        rows.append((sigmoid(z) if yes_or_no else z, own, targets[known[:, t], t]))

    def cost(free: np.ndarray) -> float:
        weights = _shares(free)
        total = -_PRIOR * np.log(weights).sum() + 0.01 * np.log(np.exp(free).sum()) ** 2
        for (z, own, y), yes_or_no in zip(rows, binary, strict=True):
            mean = (z * own) @ weights / (own @ weights)
            if yes_or_no:
                total -= np.log(np.where(y > 0, mean, 1 - mean)).sum()
            elif len(y):
                total += len(y) / 2 * np.log(np.mean((mean - y) ** 2) + 1e-12)
        return float(total)

    count = said.shape[-1]
    found = minimize(cost, np.full(count, -np.log(count)), method="L-BFGS-B").x
    return tuple(round(float(w), 4) for w in _shares(found))


def _shares(free: np.ndarray) -> np.ndarray:
    return np.exp(free) / np.exp(free).sum()


def _clipped(told: np.ndarray, binary: Sequence[bool]) -> np.ndarray:
    array = np.array(told, dtype=np.float64)
    most = np.where(binary, _SURE, 1e6).reshape(1, -1, *[1] * (array.ndim - 2))
    return np.clip(array, -most, most)


def pooled(
    outputs: np.ndarray, binary: Sequence[bool], weights: Sequence[float] = ()
) -> tuple[np.ndarray, np.ndarray]:
    r"""What an ensemble says, and how far its members are from it, (n, quantities) each.

    Of numbers it is the mean; of yes-or-no the logit of the mean of the chances, so that one
    member's great logit does not outvote all others: $\sum_m h_m w_m z_m / \sum_m h_m w_m$, with
    the weights $w$ and how much a member is heard of the sample, $h$. Those who are not heard still
    tell by their distance that there is doubt. A deviation of 1 where there is one member.

    Args:
        outputs: (n, quantities, members), or without members; or (n, quantities, members, 2), what
            they say and how much they are heard.
        binary: which quantities are yes-or-no.
        weights: of the members; none for all alike.

    Source: Stone, "The opinion pool", Annals of Mathematical Statistics 1961. Deviation: a member
    may be heard of one sample more than of another.
    """
    told, heard = told_and_heard(outputs)
    if told.ndim < 3 or told.shape[-1] == 1:
        value = np.clip(np.asarray(told, np.float64), -1e6, 1e6)
        value = value.reshape(value.shape[:2])
        return value, np.ones_like(value)
    array, count = _clipped(told, binary), told.shape[-1]
    shares = np.array(weights if len(weights) == count else [1 / count] * count)
    voices = heard.astype(np.float64) * shares
    voices *= shares.sum() / voices.sum(axis=-1, keepdims=True)
    value, yes_or_no = (array * voices).sum(axis=-1), np.asarray(binary, bool)
    chance = (sigmoid(array[:, yes_or_no]) * voices[:, yes_or_no]).sum(axis=-1)
    value[:, yes_or_no] = np.log(chance / (1 - chance))
    return value, np.sqrt((array - value[..., None]) ** 2 @ shares)
