"""Domains say what a network is judged by, what it chooses, and what stands beside it."""

import numpy as np
import pytest
import toys

from deepfield.toolkit.calibration import Platt, Temperature
from deepfield.toolkit.data import Encoded, Sample
from deepfield.toolkit.measuring import (
    LEAST_TO_CALIBRATE,
    Fitted,
    calibrated_if_better,
    measure,
)
from deepfield.toolkit.parts import Parts
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.quantities import Quantities, QuantityCalibration
from deepfield.toolkit.tasks import Classification, Task


class Alike(Task):
    """Whether two numbers are of the same kind; kinds are learnt."""

    output = "score"
    calibrator = Platt
    metrics = ("accuracy", "roc_auc")
    chosen = 0.5

    def predictions(self, outputs, calibrator):
        return (calibrator or Platt()).apply(outputs["score"])

    def choose(self, targets, outputs, calibrator):
        self.chosen = float(np.quantile(self.predictions(outputs, calibrator), 1 - targets.mean()))

    def score(self, metric, targets, predictions):
        said = (predictions >= self.chosen).astype(int) if metric == "accuracy" else predictions
        return super().score(metric, targets, said)


class Near:
    """A shallow model: near is alike."""

    def __init__(self, scale):
        self.scale = scale

    def predict(self, features):
        return np.exp(-np.abs(features[:, 0] - features[:, 1]) / self.scale)


class Comparing(Pipeline):
    """A network that is trained on kinds, and judged by pairs."""

    task_class = Alike
    baseline = "near"
    seeds = ()

    def forward(self, batch):
        return {"score": -np.abs(batch["x"] - batch["y"])}

    def trials(self, items):
        pairs = [(a, b) for i, a in enumerate(items) for b in items[:i]]
        return [
            Encoded(
                a.sample,
                {"x": a.arrays["x"], "y": b.arrays["x"]},
                target={"score": np.float32(a.target["kind"] == b.target["kind"])},
            )
            for a, b in pairs
        ]

    def fit_shallow(self, train, seed):
        self.seeds = (*self.seeds, seed)
        return Near(np.std(self.shallow_features(train)))


def parts(sizes):
    rng = np.random.default_rng(0)
    items, places = [], {}
    for part, size in sizes.items():
        places[part] = np.arange(len(items), len(items) + size)
        for index in range(size):
            kind = index % 4
            x = np.float32(3 * kind + rng.normal())
            items.append(Encoded(Sample(str(index), x), {"x": x}, target={"kind": np.int32(kind)}))
    return Parts(items, [], places)


def test_pairs_are_judged_where_kinds_are_learnt():
    pipeline, fitted, said = Comparing(), Fitted(), []
    measure(pipeline, parts({"train": 30, "valid": 20, "test": 24}), fitted, 5, said.append)
    assert {part: own["n"] for part, own in fitted.metrics.items()} == {"valid": 190, "test": 276}
    assert fitted.metrics["test"]["roc_auc"] > 0.9 and pipeline.task.chosen != 0.5
    assert isinstance(pipeline.calibrator, Platt) and pipeline.calibrator.slopes[0] > 0
    # the threshold was there before anything was measured
    assert fitted.metrics["test"]["accuracy"] > 0.8
    assert fitted.baseline["kind"] == "near" and pipeline.seeds == (5,)
    assert fitted.baseline["test"]["n"] == 276 and fitted.baseline["test"]["roc_auc"] > 0.9
    assert "near" in fitted.verdict and said[-1] == fitted.verdict


def test_the_headline_figure_has_the_interval_that_an_evaluation_would_give():
    pipeline, fitted = Comparing(), Fitted()
    dealt = parts({"train": 30, "valid": 20, "test": 24})
    measure(pipeline, dealt, fitted, 5)
    assert list(fitted.intervals) == ["valid", "test"]
    for part, own in fitted.intervals.items():
        assert list(own) == ["accuracy"]
        assert own["accuracy"][0] < fitted.metrics[part]["accuracy"] < own["accuracy"][1]
    # pairs that belong together are drawn together
    grouped = Fitted()
    for index, item in enumerate(dealt.of("test")):
        item.sample.group = str(index % 3)
    measure(Comparing(), dealt, grouped, 5)
    assert grouped.metrics == fitted.metrics
    assert grouped.intervals["valid"] == fitted.intervals["valid"]
    assert grouped.intervals["test"] != fitted.intervals["test"]


def test_a_part_without_a_single_pair_is_not_judged():
    fitted = Fitted()
    measure(Comparing(), parts({"train": 9, "valid": 12, "test": 1}), fitted, 0)
    assert list(fitted.metrics) == ["valid"] and set(fitted.baseline) == {
        "kind",
        "valid",
        "seconds",
    }
    nothing = Fitted()
    measure(Comparing(), parts({"train": 9, "valid": 0, "test": 0}), nothing, 0)
    assert nothing.metrics == {} and nothing.baseline == {}


# ------------------------- a calibrator is kept only where it helps on other samples


def samples(rng, n, sureness):
    """Logits that are `sureness` times as sure as they may be, and the classes drawn by them."""
    honest = rng.normal(scale=2.0, size=(n, 4))
    p = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    drawn = (p.cumsum(axis=1) > rng.uniform(size=(n, 1))).argmax(axis=1)
    return sureness * honest, drawn


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def task():
    return Classification({"labels": list("abcd")})


@pytest.mark.parametrize("sureness", [0.3, 4.0])
def test_a_network_that_is_too_sure_or_not_sure_enough_is_calibrated(task, rng, sureness):
    logits, targets = samples(rng, 400, sureness)
    calibrator, doubt = calibrated_if_better(task, logits, targets, 0)
    assert isinstance(calibrator, Temperature) and not doubt
    assert calibrator.temperature == pytest.approx(sureness, rel=0.25)


def test_too_few_samples_calibrate_nothing(task, rng):
    logits, targets = samples(rng, LEAST_TO_CALIBRATE, 4.0)
    assert calibrated_if_better(task, logits, targets, 0)[0] is not None
    for n in (0, 1, LEAST_TO_CALIBRATE - 1):
        calibrator, doubt = calibrated_if_better(task, logits[:n], targets[:n], 0)
        assert calibrator is None and doubt == f"{n} validation samples, 30 are needed"


def test_a_calibrator_that_does_not_help_is_dropped(task, rng):
    kept = 0
    for _ in range(20):
        logits, targets = samples(rng, 40, 1.0)
        calibrator, doubt = calibrated_if_better(task, logits, targets, 0)
        kept += calibrator is not None
        assert (calibrator is None) == ("log loss" in doubt)
    assert kept < 14  # most of the time there was nothing to mend


def test_intervals_are_kept_however_few_the_samples():
    task = Quantities({"names": ["y"], "binary": [False], "mean": [0.0], "scale": [1.0]})
    kept = calibrated_if_better(task, np.zeros((5, 1)), np.ones((5, 1)), 0)[0]
    assert isinstance(kept, QuantityCalibration)


def test_a_bundle_of_little_data_records_that_it_is_not_calibrated(tmp_path):
    said = []
    fitted = toys.Pictures().fit(
        "toy", out=tmp_path / "m", settings={"epochs": 1}, split="random:80/10/10", say=said.append
    )
    assert fitted.bundle.config["calibration"] is None
    told = [line for line in said if line.startswith("not calibrated: ")]
    assert len(told) == 1
    valid = fitted.metrics["valid"]
    if "ece" in valid:
        assert valid["ece"] == valid["ece_uncalibrated"]
    assert toys.Pictures.load(tmp_path / "m").calibrator is None
