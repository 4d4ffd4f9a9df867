import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit import scores


@pytest.fixture
def rng():
    return np.random.default_rng(0)


pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4)), min_size=2, max_size=40)


@settings(max_examples=80, deadline=None)
@given(pairs.filter(lambda p: 0 < sum(y for y, _ in p) < len(p)))
def test_ranking_figures_agree_with_sklearn_also_with_ties(rows):
    y, s = np.array(rows, dtype=float).T
    assert scores.roc_auc(y, s) == pytest.approx(oracle.roc_auc_score(y, s))
    assert scores.pr_auc(y, s) == pytest.approx(oracle.average_precision_score(y, s))
    false, true, _ = oracle.roc_curve(y, s, drop_intermediate=False)
    np.testing.assert_allclose(scores.roc_curve(y, s), (false, true))


def test_class_figures_agree_with_sklearn(rng):
    y = rng.integers(0, 8, 400)
    p = rng.dirichlet(np.ones(8), 400) + 0.3 * np.eye(8)[y]
    said = p.argmax(axis=1)
    assert scores.accuracy(y, p) == scores.accuracy(y, said) == oracle.accuracy_score(y, said)
    assert scores.top5_accuracy(y, p) == oracle.top_k_accuracy_score(y, p, k=5)
    assert scores.mcc(y, p) == pytest.approx(oracle.matthews_corrcoef(y, said))
    wanted = oracle.roc_auc_score(y, p / p.sum(1, keepdims=True), multi_class="ovr")
    assert scores.roc_auc(y, p / p.sum(1, keepdims=True)) == pytest.approx(wanted)
    np.testing.assert_array_equal(scores.confusion(y, p), oracle.confusion_matrix(y, said))
    rows = scores.per_class(y, p, list("abcdefgh"))
    wanted = oracle.precision_recall_fscore_support(y, said)
    for key, column in zip(("precision", "recall", "f1", "support"), wanted, strict=True):
        np.testing.assert_allclose([row[key] for row in rows], column)


def test_value_figures_agree_with_sklearn_and_scipy(rng):
    y = rng.normal(size=200).round(1)
    p = (y + rng.normal(size=200)).round(1)
    assert scores.rmse(y, p) == pytest.approx(oracle.root_mean_squared_error(y, p))
    assert scores.mae(y, p) == pytest.approx(oracle.mean_absolute_error(y, p))
    assert scores.r2(y, p) == pytest.approx(oracle.r2_score(y, p))
    assert scores.pearson_r2(y, p) == pytest.approx(np.corrcoef(y, p)[0, 1] ** 2)
    assert scores.spearman(y, p) == pytest.approx(scipy.stats.spearmanr(y, p).statistic)


def test_missing_targets_are_left_out_and_tasks_averaged(rng):
    y = rng.integers(0, 2, (100, 3)).astype(float)
    p = rng.random((100, 3))
    y[::2, 0] = np.nan
    y[:, 2] = np.nan
    wanted = np.mean([scores.roc_auc(y[1::2, 0], p[1::2, 0]), scores.roc_auc(y[:, 1], p[:, 1])])
    assert scores.roc_auc(y, p) == pytest.approx(wanted)
    assert np.isfinite(scores.rmse(y, p)) and np.isfinite(scores.accuracy(y, p))


@pytest.mark.parametrize("name", sorted(set(scores.SCORES) - {"coverage_90", "top5_accuracy"}))
def test_figures_without_a_label_are_null(name):
    assert scores.figures([name], np.full(3, np.nan), np.zeros(3)) == {name: None}


def test_undefined_figures_and_nan_predictions_are_null():
    one = scores.figures(["roc_auc", "pr_auc", "mcc"], np.ones(4), np.linspace(0, 1, 4))
    assert one == {"roc_auc": None, "pr_auc": None, "mcc": None}
    flat = scores.figures(["r2", "spearman", "pearson_r2"], np.ones(4), np.arange(4.0))
    assert set(flat.values()) == {None}
    broken = np.array([0.2, np.nan, 0.8])
    for name in ("rmse", "roc_auc", "spearman", "accuracy"):
        assert scores.figures([name], np.array([0, 1, 1]), broken) == {name: None}


def test_perfect_and_useless_answers_have_the_known_figures():
    y = np.array([0, 0, 1, 1])
    assert scores.mcc(y, y) == 1 and scores.mcc(y, 1 - y) == -1
    assert scores.roc_auc(y, np.ones(4)) == 0.5
    assert scores.top5_accuracy(np.array([5]), np.zeros((1, 6))) == 0  # a tie is no answer


def test_coverage_counts_the_ends_and_takes_both_forms():
    y = np.array([0.0, 1.0, 2.0, np.nan])
    low, high = np.zeros(4), np.ones(4)
    assert scores.coverage(y, (low, high)) == pytest.approx(2 / 3)
    assert scores.coverage(y, np.stack([low, high], axis=-1)) == pytest.approx(2 / 3)
    endless = np.array([-np.inf, np.inf] * 4).reshape(4, 2)  # no interval holds nothing
    assert math.isnan(scores.coverage(y, endless))


def test_rejection_refuses_the_least_sure_first_and_ties_together():
    y = np.array([0, 1, 1, 0])
    p = np.array([0.1, 0.9, 0.3, 0.3])
    rate, accuracy = scores.rejection_curve(y, p)
    np.testing.assert_allclose(rate, [0, 0.5])
    np.testing.assert_allclose(accuracy, [0.75, 1])


def test_log_loss_is_scikit_learns_and_passes_over_what_is_missing(rng):
    from sklearn.metrics import log_loss

    p = rng.dirichlet(np.ones(4), size=50)
    y = rng.integers(0, 4, 50)
    assert scores.log_loss(y, p) == pytest.approx(log_loss(y, p, labels=range(4)))
    holes = np.append(y.astype(float), [np.nan, -1])
    assert scores.log_loss(holes, np.concatenate([p, p[:2]])) == pytest.approx(log_loss(y, p))
    tasks = rng.uniform(size=(50, 3))
    hits = (rng.uniform(size=(50, 3)) < tasks).astype(float)
    own = np.mean([log_loss(hits[:, t], tasks[:, t]) for t in range(3)])
    assert scores.log_loss(hits, tasks) == pytest.approx(own)
    assert np.isnan(scores.log_loss(np.array([np.nan]), np.array([0.5])))


# -- early recognition


def test_early_recognition_is_rdkits(rng):
    from rdkit.ML.Scoring import Scoring

    for _ in range(20):
        n = int(rng.integers(20, 400))
        y = (rng.random(n) < 0.1).astype(float)
        y[:2] = 0, 1
        p = rng.permutation(n) + 3.0 * n * y * rng.random(n)
        ranked = [[int(v)] for v in y[np.argsort(-p)]]
        assert scores.bedroc(y, p) == pytest.approx(Scoring.CalcBEDROC(ranked, 0, 20.0))
        (wanted,) = Scoring.CalcEnrichment(ranked, 0, [0.01])
        assert scores.enrichment(y, p) == pytest.approx(wanted)


def test_ties_share_what_early_recognition_gives():
    y = np.array([1.0, 0, 0, 0] * 25)
    assert scores.enrichment(y, np.zeros(100)) == pytest.approx(1)
    middle = np.mean([scores.bedroc(y, np.random.default_rng(s).random(100)) for s in range(300)])
    assert scores.bedroc(y, np.zeros(100)) == pytest.approx(middle, abs=0.02)
    for figure in (scores.enrichment, scores.bedroc):
        assert math.isnan(figure(np.zeros(4), np.arange(4.0)))
