"""A calibrator is kept only where it helps on samples that it was not fitted to."""

import numpy as np
import pytest
import toys

from deepfield.toolkit.calibration import Temperature
from deepfield.toolkit.measuring import LEAST_TO_CALIBRATE, calibrated_if_better
from deepfield.toolkit.quantities import Quantities, QuantityCalibration
from deepfield.toolkit.tasks import Classification


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
