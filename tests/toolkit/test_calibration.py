import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit import calibration
from deepfield.toolkit.calibration import (
    KINDS,
    Conformal,
    Isotonic,
    Novelty,
    Platt,
    Temperature,
    cross_fit,
    ece,
    from_config,
    reliability,
)  # fmt: skip
from deepfield.toolkit.errors import UnusableModel


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def overconfident(rng, n=3000, classes=5, temperature=2.5):
    logits = rng.normal(size=(n, classes)) * 4
    odds = Temperature(temperature).apply(logits)
    targets = (odds.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, targets


def binary(rng, n=2000, tasks=2, a=0.5, b=-1.0):
    z = rng.normal(size=(n, tasks)) * 3
    return z, (rng.random((n, tasks)) < 1 / (1 + np.exp(-(a * z + b)))).astype(float)


# ---------------------------------------------------------------------------------- temperature


def test_temperature_is_recovered_and_minimises_the_likelihood(rng):
    logits, targets = overconfident(rng)
    found = Temperature.fit(logits, targets).temperature
    assert found == pytest.approx(2.5, rel=0.1)

    def nll(t):
        return -np.log(Temperature(t).apply(logits)[np.arange(len(targets)), targets]).mean()

    grid = np.linspace(1.5, 4, 500)
    assert found == pytest.approx(grid[np.argmin([nll(t) for t in grid])], abs=0.02)


@pytest.mark.parametrize("scale", [1e-2, 1, 1e2])
def test_temperature_follows_the_scale_of_the_logits(rng, scale):
    logits, targets = overconfident(rng)
    found = Temperature.fit(logits * scale, targets).temperature
    assert found == pytest.approx(2.5 * scale, rel=0.1)


def test_perfect_separation_gives_no_more_confidence_than_its_samples(rng):
    for n in (10, 1000):
        targets = np.arange(n) % 4
        p = Temperature.fit(np.eye(4)[targets] * 30, targets).apply(np.eye(4)[targets] * 30)
        assert 1 - 2 / n < p.max(axis=1).min() < 1 - 0.3 / n


def test_temperature_takes_infinities_missing_labels_one_class_and_nothing():
    logits = np.array([[np.inf, 0.0], [0.0, -np.inf], [1.0, 2.0], [np.nan, 0.0]])
    found = Temperature.fit(logits, np.array([0, 0, np.nan, 1]))
    assert np.isfinite(found.temperature)
    p = found.apply(logits)
    np.testing.assert_allclose(p[:3].sum(axis=1), 1)
    assert np.isnan(p[3]).all()
    assert Temperature.fit(np.zeros((0, 3)), np.zeros(0)) == Temperature()
    assert Temperature.fit(np.ones((5, 3)), np.zeros(5)) == Temperature()
    assert np.isfinite(Temperature.fit(np.eye(3), np.zeros(3)).temperature)


def test_temperature_takes_the_steps_of_a_sequence(rng):
    logits, targets = overconfident(rng, n=600)
    whole = Temperature.fit(logits, targets)
    assert Temperature.fit(logits.reshape(100, 6, 5), targets.reshape(100, 6)) == whole
    assert whole.apply(logits.reshape(100, 6, 5)).shape == (100, 6, 5)


# ---------------------------------------------------------------------------- Platt and isotonic


def test_platt_recovers_each_tasks_curve_and_ignores_missing_labels(rng):
    z, y = binary(rng, n=8000)
    y[::3, 1] = np.nan
    found = Platt.fit(z, y)
    np.testing.assert_allclose(found.slopes, 0.5, atol=0.06)
    np.testing.assert_allclose(found.offsets, -1, atol=0.12)
    alone = Platt.fit(z[np.arange(8000) % 3 > 0, 1], y[np.arange(8000) % 3 > 0, 1])
    assert alone.slopes[0] == pytest.approx(found.slopes[1])
    assert found.apply(z).shape == z.shape and alone.apply(z[:, 1]).shape == (8000,)


def test_platt_stays_finite_on_separated_tied_and_single_class_tasks():
    z = np.array([[-3, -2, 5, 0], [-1, -1, 5, 0], [1, 1, 5, 1], [9, 2, 5, 1]], dtype=float)
    y = np.array([[0, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]], dtype=float)
    found = Platt.fit(z, y)
    assert 0 < found.slopes[0] < 100
    assert (found.slopes[1], found.offsets[1]) == (1, 0)  # one class: left alone
    assert found.slopes[2] == 0  # the same score for all: the base rate
    assert np.isfinite(found.apply(np.full((1, 4), np.inf))).all()


def test_platt_never_turns_a_ranking_around(rng):
    z, y = binary(rng, tasks=1, a=-1.0)
    assert Platt.fit(z, y).slopes == [0.0]
    assert Platt.fit(z, y).apply(z).mean() == pytest.approx(y.mean(), abs=1e-3)


def test_isotonic_is_monotone_never_certain_and_keeps_single_class_tasks(rng):
    z, y = binary(rng)
    y[:, 1] = 1
    found = Isotonic.fit(z, y)
    p = found.apply(z)
    assert (np.diff(p[np.argsort(z[:, 0]), 0]) >= 0).all()
    assert p.min() > 0 and p.max() < 1
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-z[:, 1])))


# ----------------------------------------------------------------------------------- conformal


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_conformal_intervals_cover_new_samples_task_by_task(rng, coverage):
    y = rng.normal(size=(4000, 2)) * [1, 10]
    y[rng.random(y.shape) < 0.2] = np.nan
    found = Conformal.fit(np.zeros((2000, 2)), y[:2000], coverage=coverage)
    low, high = found.apply(np.zeros((2000, 2)))
    known = np.isfinite(y[2000:])
    inside = (low <= y[2000:]) & (y[2000:] <= high)
    for task in (0, 1):
        assert inside[known[:, task], task].mean() == pytest.approx(coverage, abs=0.04)
    assert found.widths[1] == pytest.approx(10 * found.widths[0], rel=0.15)


def test_conformal_quantile_is_the_finite_sample_one():
    y = np.arange(1.0, 10)
    assert Conformal.fit(np.zeros(9), y).widths == [9.0]  # ceil(10 * 0.9) = 9th of 9
    assert Conformal.fit(np.zeros(8), y[:8]).widths == [None]
    low, high = Conformal.fit(np.zeros(8), y[:8]).apply(np.zeros(2))
    assert np.isneginf(low).all() and np.isposinf(high).all()


def test_conformal_widens_with_the_spread_and_distrusts_agreement(rng):
    spread = rng.uniform(0.1, 3, size=(3000, 1))
    y = rng.normal(size=(3000, 1)) * spread
    outputs = np.stack([np.zeros_like(y), spread], axis=-1)
    low, high = Conformal.fit(outputs, y).apply(
        np.array([[[0.0, 1.0]], [[0.0, 2.0]], [[0.0, 0.0]]])
    )
    width = (high - low)[:, 0]
    assert width[1] == pytest.approx(2 * width[0]) and width[2] > 0
    assert width[0] / 2 == pytest.approx(1.645, rel=0.1)


def test_conformal_refuses_a_coverage_of_one():
    with pytest.raises(ValueError, match="coverage is 1"):
        Conformal.fit(np.zeros(3), np.zeros(3), coverage=1)


# -------------------------------------------------------------------------- all of them together


def test_every_kind_survives_json(rng):
    logits, targets = overconfident(rng, n=300)
    z, y = binary(rng, n=300)
    data = {"temperature": (logits, targets), "novelty": (logits,)}
    for kind, cls in KINDS.items():
        start = cls((True,)) if kind == "quantities" else cls  # it is told what is yes-or-no
        fitted = start.fit(*data.get(kind, (z, y)))
        config = json.loads(json.dumps(fitted.config(), allow_nan=False))
        outputs = data.get(kind, (z,))[0]
        np.testing.assert_array_equal(from_config(config).apply(outputs), fitted.apply(outputs))


def test_unknown_kinds_and_fields_are_unusable_models():
    with pytest.raises(UnusableModel, match="'crystal'"):
        from_config({"kind": "crystal"})
    with pytest.raises(UnusableModel, match="does not fit"):
        from_config({"kind": "platt", "gradient": 3})


def test_cross_fitting_calibrates_unseen_samples(rng):
    logits, targets = overconfident(rng)
    before, after = Temperature().apply(logits), cross_fit(Temperature, logits, targets)
    assert ece(after, targets) < 0.03 < ece(before, targets)


def test_cross_fitting_never_lets_a_sample_calibrate_itself():
    # Each sample's own target is far off: seen, it would widen its interval to hold it.
    y = np.zeros(50)
    y[7] = 1000
    low, high = cross_fit(Conformal, np.zeros(50), y, folds=5, coverage=0.97)
    assert high[7] < 1000 and low.shape == (50,)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_cross_fitting_takes_fewer_samples_than_folds(n):
    out = cross_fit(Platt, np.arange(float(n)), np.arange(n) % 2, folds=5)
    assert out.shape == (n,) and np.isfinite(out).all()


def test_cross_fitting_keeps_groups_whole(rng, monkeypatch):
    groups = np.repeat(["a", "b", "c", "d"], 25)
    for seed in range(3):
        part = calibration._deal(np.zeros(100), 3, seed, groups)
        assert all(len(set(part[groups == g])) == 1 for g in "abcd")
        assert len(set(part)) == 3


# ------------------------------------------------------------------------------------------ ece


def test_ece_follows_its_formula():
    # Two of three right at 0.75 in one bin, one wrong at 0.95 in another.
    p = np.array([[0.75, 0.25], [0.75, 0.25], [0.25, 0.75], [0.05, 0.95]])
    y = np.array([0, 0, 0, 0])
    assert ece(p, y, bins=10) == pytest.approx(3 / 4 * abs(2 / 3 - 0.75) + 1 / 4 * 0.95)
    assert ece(p[:, 0], 1 - y, bins=10) == pytest.approx((2 * 0.25 + 0.75 + 0.95) / 4)


def test_ece_is_the_mean_over_tasks_that_have_labels():
    p = np.array([[0.2, 0.5], [0.2, 0.5]])
    y = np.array([[0, np.nan], [0, np.nan]])
    assert ece(p, y) == pytest.approx(0.2)
    assert np.isnan(ece(p[:, 1], y[:, 1]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=50))
def test_ece_is_a_fraction_and_bins_hold_every_sample(pairs):
    p, y = np.array(pairs).T
    assert 0 <= ece(p, y) <= 1
    assert reliability(p, y)[2].sum() == len(p)


# -------------------------------------------------------------------------------------- novelty


def test_novelty_flags_what_no_class_fits_and_keeps_its_quantile(rng):
    known = np.eye(4)[rng.integers(0, 4, 2000)] * 12 + rng.normal(size=(2000, 4))
    found = Novelty.fit(known[:1000])
    inside, score = found.apply(np.concatenate([known[1000:], np.zeros((10, 4))]))
    assert inside[:1000].mean() == pytest.approx(0.99, abs=0.01)
    assert not inside[1000:].any()
    assert "unlike" in found.reason(score[-1]) and "unlike" not in found.reason(score[0])
    assert f"{found.threshold:.3g}" in found.reason(score[-1])


def test_novelty_of_radial_networks_is_the_distance_to_the_nearest_class(rng):
    centers = rng.choice([-1.0, 1.0], (10, 84))

    def logits(x):
        return -((x[:, None] - centers) ** 2).sum(-1)

    near = centers[rng.integers(0, 10, 500)] + 0.1 * rng.normal(size=(500, 84))
    inside, score = Novelty.fit(logits(near)).apply(logits(np.zeros((1, 84))))
    assert not inside[0] and score[0] == pytest.approx(84 - np.log(10), abs=0.01)


def test_novelty_takes_given_scores_nan_and_nothing():
    found = Novelty.fit(np.arange(101.0), 0.9, measure="given", name="distance")
    assert found.threshold == 90
    inside, _ = found.apply(np.array([90.0, 91.0, np.nan]))
    assert inside.tolist() == [True, False, False]
    assert found.reason(95).startswith("unlike the training data: distance 95 is above 90")
    assert Novelty.fit(np.zeros((0, 3))).apply(np.zeros((2, 3)))[0].all()
