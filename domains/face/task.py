"""What the distance of two faces means: the same person or not, how sure, and how often wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.face import published
from deepfield.toolkit.calibration import Platt
from deepfield.toolkit.cells import is_missing
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.tasks import Task

#: What is said of two faces: of the same person, or not.
SAID = {True: "the same person", False: "different people"}
#: False match rates at which a threshold is measured, as far as the pairs allow.
RATES = (1e-1, 1e-2, 1e-3, 1e-4)
#: What a distance means where nothing was calibrated: even odds at `distance`, and odds that fall
#: e-fold with every 1 / `slope` beyond it. It suits vectors of length 1, of which unrelated ones
#: are about 1.4 apart.
CURVE: Mapping[str, float] = {"distance": 1.0, "slope": 10.0}
_NEXT_TO_NOTHING = 1e-12


class Verification(Task):
    r"""Whether two faces are of the same person, from the distance of their embeddings.

    The output `score` (n,) is minus the distance. Its calibrated probability is
    $\sigma(a \cdot score + b)$ (`Platt`); without a calibrator $\sigma(slope (d_0 - d))$ with the
    curve in `state["curve"]` (see `CURVE`). Who is who is learnt from names, output `person`; how
    far two faces may be apart is measured on pairs.

    `state`, JSON-able: `people`, the names in training; `curve`; `operating_points` (see
    `measure_points`), with `measured_on`, `n_same` and `n_different`.

    Attributes:
        fmr: the false match rate at which it is decided; None for the usual point.

    Example:
        >>> task = Verification()
        >>> task.predictions({"score": np.array([-0.5, -1.0])}, None).round(3).tolist()
        [0.993, 0.5]
        >>> task.answer(np.float64(0.993))
        {'same': True, 'probability': 0.993}
    """

    name = "verification"
    output = "score"
    losses: ClassVar[Mapping[str, str]] = {"person": "categorical_crossentropy"}
    calibrator = Platt
    metrics = (
        "accuracy", "roc_auc", "eer", *(f"tar_at_far_1e-{digit}" for digit in (1, 2, 3, 4)),
        "fmr", "fnmr", "ece",
    )  # fmt: skip
    fields = ("same", "probability", "distance", "threshold", "fmr", "fnmr", "measured_on")
    column: ClassVar[str] = "fold"

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(state)
        self.fmr: float | None = None

    # -- targets

    @property
    def people(self) -> list[str]:
        """Names in training, in the order of the classes."""
        return list(self.state.get("people", []))

    def learn(self, targets: Sequence[Any]) -> None:
        """Collect the people, in natural order (2 before 10).

        Raises:
            UsageError: fewer than two people, or pairs, which do not say who is who.
        """
        people = sorted({str(t) for t in targets if _is_name(t)}, key=natural)
        if len(people) < 2:
            hint = "train on a folder per person, or on a pairs table with --people"
            if not people and any(isinstance(t, Mapping) for t in targets):
                raise UsageError("pairs do not say who is who, and a network learns people", hint)
            found = f"one person only: {people[0]!r}" if people else "no picture with a name"
            raise UsageError(found, f"a network learns to tell two or more people apart: {hint}")
        self.state["people"] = people
        self._index = {name: place for place, name in enumerate(people)}

    def contents(self, targets: Sequence[Any]) -> dict[str, Any]:
        """Of pairs how many are of the same person and how many are in each fold."""
        if not all(isinstance(t, Mapping) for t in targets):
            return super().contents(targets)
        same = [_same(t["same"]) for t in targets if not is_missing(t.get("same"))]
        folds = Counter(str(t["fold"]) for t in targets if not is_missing(t.get("fold")))
        return {
            SAID[True]: int(sum(same)),
            SAID[False]: len(same) - int(sum(same)),
            **{f"fold {name}": folds[name] for name in sorted(folds, key=natural)},
        }

    def encode(self, target: Any) -> Arrays:
        """Of a pair `{"same": 0 or 1}` the `score` to reach, () float32; of a name the `person`.

        The person is a class index () int32, -1 for somebody who was not in training.

        Raises:
            BadInput: `same` is missing or neither 0 nor 1; neither a pair nor a name.
        """
        if isinstance(target, Mapping):
            same = np.float32(_same(target.get("same")))
            return {self.output: same}  # type: ignore[dict-item]
        if not _is_name(target):
            raise BadInput(f"{target!r} is neither a pair nor a person's name")
        if not hasattr(self, "_index"):
            self._index = {name: place for place, name in enumerate(self.people)}
        place = np.int32(self._index.get(str(target), -1))
        return {"person": place}  # type: ignore[dict-item]

    # -- answers

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Calibrated probabilities of being the same, (n,) float64."""
        score = np.asarray(outputs[self.output], dtype=np.float64)
        if calibrator is None:
            slope = self._curve["slope"]
            calibrator = Platt(slopes=[slope], offsets=[slope * self._curve["distance"]])
        return calibrator.apply(score)

    @property
    def _curve(self) -> Mapping[str, float]:
        return {**CURVE, **self.state.get("curve", {})}

    def curve_of(self, calibrator: Any) -> dict[str, float]:
        """What a distance means, in the form of `CURVE`, to a network and its calibrator."""
        if isinstance(calibrator, Platt) and calibrator.slopes[0] > 0:
            slope, offset = float(calibrator.slopes[0]), float(calibrator.offsets[0])
            return {"distance": offset / slope, "slope": slope}
        return dict(self._curve)

    def check(self, calibrator: Any) -> None:
        """Refuse a state, as a stranger's bundle may bring it, in which nothing makes sense.

        Raises:
            ValueError: numbers that are no rates, thresholds or distances; people without names.
        """
        if not all(isinstance(name, str) for name in self.people):
            raise ValueError("the names of the people make no sense")
        slope, middle = self._curve["slope"], self._curve["distance"]
        if not (0 < slope < math.inf and 0 <= middle < math.inf):
            raise ValueError(f"the curve is {dict(self._curve)}")
        for point in self.state.get("operating_points") or ():
            rates = [point["fmr"], point["fnmr"], *point["fmr_interval"], *point["fnmr_interval"]]
            if not all(0 <= rate <= 1 for rate in [*rates, point["target"] or 0]):
                raise ValueError(f"an operating point has rates of {rates}")
            if not (0 <= point["probability"] <= 1 + 1e-9 and math.isfinite(point["distance"])):
                raise ValueError(f"an operating point lies at {point['probability']!r}")
        said = self.predictions({self.output: np.array([-0.5])}, calibrator)
        if said.shape != (1,) or not np.isfinite(said).all():
            raise ValueError("the calibrated answer is no number")
        self.answer(said[0])

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The same or not, at the threshold of `fmr`, and the probability."""
        sure = float(prediction)
        return {"same": sure >= self.threshold, "probability": round(sure, 6)}

    @property
    def threshold(self) -> float:
        """The probability from which two faces are taken for the same person's."""
        return float(self.point(self.fmr)["probability"])

    # -- operating points

    def choose(self, targets: np.ndarray, outputs: Arrays, calibrator: Any) -> None:
        """Measure the operating points on the validation part."""
        sure = self.predictions(outputs, calibrator)
        self.measure_points(targets, -np.asarray(outputs[self.output]), sure, "the validation part")

    def measure_points(
        self, targets: np.ndarray, distances: np.ndarray, probabilities: np.ndarray,
        measured_on: str, usual: float | None = None,
    ) -> None:  # fmt: skip
        """Find thresholds, and measure how often each is wrong, into `state["operating_points"]`.

        The first point, with `target` None, is `usual`, or where both error rates together are
        least; then one for every rate in `RATES` that 1 / rate pairs of different people allow,
        `target` being the rate. A point holds `fmr` and `fnmr` as measured, each with its 95 %
        interval (`fmr_interval`, `fnmr_interval`: low, high; see `matching.rate_interval`), and the
        threshold as a `distance` and as a `probability`, half way between two pairs that were seen.
        Rates belong to a threshold found on the same pairs: on others expect them within their
        interval.

        Args:
            targets: (n,) 1 for the same person, 0 for different ones; NaN is left out.
            distances: (n,) of their embeddings.
            probabilities: (n,) calibrated, falling with the distance.
            measured_on: what the pairs are, in words; their numbers are added.
            usual: the distance of the first point, where it was chosen on other pairs.
        """
        from deepfield.toolkit import matching

        y = np.asarray(targets, dtype=np.float64)
        known = np.isfinite(y)
        y, sure = y[known], np.asarray(probabilities, dtype=np.float64)[known]
        apart = np.asarray(distances, dtype=np.float64)[known]
        same, different = int((y > 0.5).sum()), int((y <= 0.5).sum())
        for name in ("operating_points", "measured_on", "n_same", "n_different"):
            self.state.pop(name, None)
        if not same or not different:
            return
        points = []
        for rate in (None, *RATES):
            if rate is not None:
                edge = matching.threshold_for(y, -apart, rate)
            elif usual is not None:
                edge = -usual
            else:
                edge = matching.best_threshold(y, -apart, balanced=True)
            if math.isnan(edge):  # too few pairs to measure it
                continue
            least = _between(sure[-apart >= edge], sure[-apart < edge])
            # measured as it is answered: by the probability
            false = int((sure[y <= 0.5] >= least).sum())
            missed = int((sure[y > 0.5] < least).sum())
            if rate is not None and false > rate * different * (1 + 1e-9):
                continue  # the probability does not tell them apart
            points.append(
                {
                    "target": rate,
                    "fmr": false / different,
                    "fmr_interval": list(matching.rate_interval(false, different)),
                    "fnmr": missed / same,
                    "fnmr_interval": list(matching.rate_interval(missed, same)),
                    "distance": -edge,
                    "probability": least,
                }
            )
        if points:
            on = f"{measured_on}: {same:,} pairs of the same, {different:,} of different people"
            self.state |= {
                "operating_points": points, "measured_on": on,
                "n_same": same, "n_different": different,
            }  # fmt: skip

    def point(self, fmr: float | None = None) -> dict[str, Any]:
        """The operating point of a false match rate, with `measured_on`.

        Args:
            fmr: one of the rates that were measured; None for the usual point. Where
                nothing was measured that is even odds, with rates of None.

        Raises:
            UsageError: a rate that was not measured; the hint names those that were.
        """
        points = self.state.get("operating_points") or []
        on = {"measured_on": self.state.get("measured_on", "")}
        measured = {p["target"]: p for p in points}
        if fmr is None:
            unknown = dict.fromkeys(("target", "fmr", "fmr_interval", "fnmr", "fnmr_interval"))
            even = {**unknown, "distance": self._curve["distance"], "probability": 0.5}
            return {**measured.get(None, even), **on}
        for target, found in measured.items():
            if target is not None and math.isclose(target, fmr, rel_tol=1e-6):
                return {**found, **on}
        rates = sorted((target for target in measured if target is not None), reverse=True)
        if not rates:
            raise UsageError(
                f"no threshold was measured for a false match rate of {fmr:g}",
                "this model knows none: leave --fmr away, or train it with more validation pairs",
            )
        said = ", ".join(f"{rate:g}" for rate in rates)
        raise UsageError(
            f"no threshold was measured for a false match rate of {fmr:g}",
            f"there are {said}; the smallest that {self.state['n_different']:,} pairs of different "
            f"people could show is {rates[-1]:g}",
        )

    # -- figures

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """One figure; `accuracy`, `fmr` and `fnmr` at the threshold of `fmr`.

        `tar_at_far_X` is NaN where there are fewer than 1 / X pairs of different people.
        """
        from deepfield.toolkit import matching

        if metric == "accuracy":
            p = np.asarray(predictions, dtype=np.float64)
            said = np.where(np.isnan(p), p, p >= self.threshold)
            return super().score(metric, targets, said)
        if metric in ("fmr", "fnmr"):
            false, missed = matching.error_rates(targets, predictions, self.threshold)
            return false if metric == "fmr" else missed
        if metric == "eer":
            return matching.eer(targets, predictions)
        if metric.startswith("tar_at_far_"):
            return matching.tar_at_far(targets, predictions, float(metric.rpartition("_")[2]))
        return super().score(metric, targets, predictions)

    def folded(
        self, targets: np.ndarray, predictions: np.ndarray, kinds: Sequence[str]
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Accuracy and its standard error as LFW's View 2 reports them (`folded_accuracy`).

        In each fold it is decided at the threshold that is best on the others, whatever the model
        was given. Nothing where there are fewer than two folds, or a pair is in none.
        """
        from deepfield.toolkit import matching

        names, shares, _ = matching.fold_accuracies(targets, predictions, kinds)
        if len(names) < 2 or "" in names.tolist() or not np.isfinite(shares).all():
            return {}, {}
        mean, error = matching.mean_and_error(shares)
        own = {str(n): {"accuracy": float(s)} for n, s in zip(names, shares, strict=True)}
        return {"accuracy": mean, "accuracy_se": error}, own

    def published_together(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Accuracies of other networks, where the folds are those of LFW's View 2."""
        return published.figures(groups)

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """ROC and DET curve, the scores of both kinds of pairs, reliability."""
        from deepfield.toolkit import matching_plots, plots

        y, p = np.asarray(targets, dtype=np.float64), np.asarray(predictions)
        curve = {"network": (y, p)}
        found = []
        if (y > 0.5).any() and (y < 0.5).any():
            found = [
                (
                    "Pairs of the same person that are recognised, against pairs of different "
                    "people that are taken for the same",
                    plots.roc_plot(curve, log_rates=True),
                ),
                ("Both errors against each other", matching_plots.det_plot(curve)),
            ]
        return [
            *found,
            (
                "How sure the answers are, and from where on two faces are taken for the same "
                "person's",
                matching_plots.score_histogram(y, p, self.threshold),
            ),
            (
                "Reliability: of the pairs given 90 %, are nine in ten of the same person?",
                plots.reliability_diagram({"network": (p, y)}),
            ),
        ]


def _is_name(target: Any) -> bool:
    # any word may be a name, also those that tables use for nothing (Nan)
    named = isinstance(target, str | int | np.integer) and not isinstance(target, bool)
    return named and bool(str(target).strip())


def _same(cell: Any) -> float:
    if is_missing(cell):
        raise BadInput("same is missing")
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if value not in (0.0, 1.0):
        raise BadInput(f"same is {cell!r}, expected 1 or 0")
    return value


def _between(accepted: np.ndarray, refused: np.ndarray) -> float:
    """A probability between those that are accepted and refused: half way between their log-odds,
    as the distance is half way between the distances.
    """
    if not len(accepted):
        return float(np.nextafter(refused.max(), np.inf))
    low = float(accepted.min())
    high = float(refused.max(initial=_NEXT_TO_NOTHING))
    if not len(refused) or not high < low:
        return low

    def odds(p: float) -> float:
        p = min(max(p, _NEXT_TO_NOTHING), 1 - _NEXT_TO_NOTHING)
        return math.log(p) - math.log1p(-p)

    middle = 1 / (1 + math.exp(-(odds(low) + odds(high)) / 2))
    return middle if high < middle <= low else low
