import numpy as np
import pytest
from sklearn.datasets import load_digits

from deepfield.toolkit.baselines import KINDS, fit_baseline, verdict
from deepfield.toolkit.calibration import ece
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.scores import accuracy, r2, roc_auc

SHALLOW = [kind for kind in KINDS if kind != "majority"]


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.data[order].astype("float32"), data.target[order]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 6)).astype("float32") * [1, 100, 0.01, 1, 1, 1]
    y = np.stack([x[:, 0] + x[:, 1] / 100, 3 * x[:, 2] * 100], axis=1) + 0.1 * rng.normal(
        size=(500, 2)
    )
    return x, y


@pytest.mark.parametrize("kind", SHALLOW)
def test_digits_are_learned_with_honest_probabilities(kind, digits):
    x, y = digits
    model = fit_baseline(kind, x[:1000], y[:1000])
    p = model.predict(x[1000:])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert accuracy(y[1000:], p) > 0.92
    assert ece(p, y[1000:]) < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_answers(kind, digits):
    x, y = digits
    first, second = (fit_baseline(kind, x[:200], y[:200], seed=3).predict(x[:20]) for _ in "ab")
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", SHALLOW)
def test_several_values_with_missing_targets_are_learned_whatever_their_units(kind, table):
    x, y = table
    given = y[:400].copy()
    given[::3, 0] = np.nan
    model = fit_baseline(kind, x[:400], given, task="regression")
    assert model.predict(x[400:]).shape == (100, 2)
    assert r2(y[400:], model.predict(x[400:])) > 0.7


@pytest.mark.parametrize("kind", SHALLOW)
def test_yes_or_no_tasks_with_missing_and_single_class_columns(kind, table):
    x, values = table
    y = (values > 0).astype(float)
    y = np.concatenate([y, np.ones((500, 1)), np.full((500, 1), np.nan)], axis=1)
    y[::3, 1] = np.nan
    p = fit_baseline(kind, x[:400], y[:400], task="multilabel").predict(x[400:])
    assert p.shape == (100, 4) and roc_auc(y[400:, :2], p[:, :2]) > 0.9
    assert (p[:, 2] == 1).all() and (p[:, 3] == 0).all()
    single = fit_baseline(kind, x[:400], y[:400, 0], task="multilabel")
    assert single.predict(x[400:]).shape == (100,)


def test_majority_says_the_shares_and_the_mean(table):
    x, y = table
    labels = np.array([0] * 300 + [2] * 200)
    p = fit_baseline("majority", x, labels, classes=4).predict(x[:1])
    np.testing.assert_allclose(p, [[0.6, 0, 0.4, 0]])
    mean = fit_baseline("majority", x, y[:, 0], task="regression").predict(x[:2])
    np.testing.assert_allclose(mean, y[:, 0].mean())


def test_the_draw_keeps_rare_classes():
    y = np.array([0] * 5000 + [1] * 5000 + [2] * 3)
    x = np.eye(3, dtype="float32")[y]
    model = fit_baseline("logistic", x, y, most_rows=100)
    assert model.rows <= 101
    assert model.predict(x[-1:]).argmax() == 2


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_and_broken_features_are_survived(kind):
    x = np.array([[0, np.nan], [1, np.inf], [2, 5]], dtype="float32")
    assert np.isfinite(fit_baseline(kind, x, np.array([0, 1, 1])).predict(x)).all()
    assert np.isfinite(
        fit_baseline(kind, x, np.array([0.0, 1, 4]), task="regression").predict(x)
    ).all()
    assert (fit_baseline(kind, x, np.array([1, 1, 1])).predict(x)[:, 1] == 1).all()


def test_unknown_kinds_tasks_and_unlabelled_data_are_usage_errors():
    x = np.zeros((2, 1), dtype="float32")
    for wrong in ({"kind": "oracle"}, {"task": "poetry"}, {"targets": np.full(2, np.nan)}):
        with pytest.raises(UsageError):
            fit_baseline(**{"kind": "svm", "features": x, "targets": np.arange(2), **wrong})


@pytest.mark.parametrize(
    ("net", "baseline", "metric", "start"),
    [
        ({"a": 0.97}, {"kind": "svm", "a": 0.98}, "a", "the baseline (svm) is better: a 0.98 ag"),
        ({"wer": 0.97}, {"kind": "svm", "wer": 0.98}, "wer", "the network is better than the ba"),
        ({"a": 0.97}, {"kind": "svm", "a": 0.97}, "a", "the network is not clearly better than"),
        ({"a": None}, {"a": 0.95}, "a", "no comparison: the network's a is not defined"),
        ({"a": 0.9}, {}, "a", "no comparison: the baseline's (shallow model) a is not"),
    ],
)
def test_the_verdict_is_plain(net, baseline, metric, start):
    assert verdict(net, baseline, metric).startswith(start)


def test_a_baseline_inside_the_interval_counts_as_equal():
    for theirs in (0.95, 0.98):
        told = verdict({"a": 0.97}, {"a": theirs}, "a", [0.94, 0.99])
        assert told.startswith("the network is not clearly better than")
    for interval in ([0.96, 0.98], [None, None], ()):
        assert "network is better" in verdict({"a": 0.97}, {"a": 0.95}, "a", interval)


def test_the_verdict_shows_enough_digits_to_tell_the_two_apart():
    assert "0.9912 against 0.9905" in verdict({"a": 0.9912}, {"a": 0.9905}, "a")
