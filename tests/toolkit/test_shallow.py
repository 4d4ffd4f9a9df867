"""Kernel machines and forests say what scikit-learn's say, and what leaving one out would say."""

import numpy as np
import pytest

from deepfield.toolkit.layers import DecisionTrees
from deepfield.toolkit.shallow import (
    chosen_references,
    chosen_share,
    fit_kernel_machine,
    grow_boosted,
    grow_forests,
)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3))
Y = np.stack([np.sin(X[:, 0]) + X[:, 1], X.sum(axis=1) > 0, X[:, 2] ** 2], axis=1).astype(float)
Y[::7, 2] = np.nan
BINARY = (False, True, False)


def kernel(a, b):
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / 4)


ALL = np.arange(len(X))


def fitted(references, rows, y, noise=0.1):
    """Ridge regression on K_sr K_rr^(-1/2) with an offset, by scikit-learn."""
    from scipy.linalg import sqrtm
    from sklearn.linear_model import Ridge

    root = np.linalg.inv(np.real(sqrtm(kernel(references, references))))
    machine = Ridge(alpha=noise).fit(kernel(X[rows], references) @ root, y[rows])
    return lambda x: machine.predict(kernel(x, references) @ root)


@pytest.fixture
def one_noise(monkeypatch):
    monkeypatch.setattr("deepfield.toolkit.shallow._NOISE", np.array([0.1]))
    monkeypatch.setattr("deepfield.toolkit.shallow._SMALLEST", 1e-14)


@pytest.mark.parametrize("some", [ALL, ALL[::2]])
def test_it_is_ridge_regression_on_similarities(some, one_noise):
    made = fit_kernel_machine(kernel(X, X[some]), some, Y, BINARY)
    for t in (0, 2):
        rows = np.flatnonzero(np.isfinite(Y[:, t]))
        got = kernel(X, X[some]) @ made.weights[:, t] + made.offsets[t]
        np.testing.assert_allclose(got, fitted(X[some], rows, Y[:, t])(X), atol=1e-4)


def test_left_out_answers_are_those_of_a_machine_that_did_not_see_the_sample(one_noise):
    made = fit_kernel_machine(kernel(X, X), ALL, Y[:, :1], [False])
    for left in (0, 17, 59):
        expected = fitted(X, np.delete(ALL, left), Y[:, 0])(X[left : left + 1])
        np.testing.assert_allclose(made.left_out[left, 0], expected[0], atol=1e-4)


def test_yes_or_no_becomes_a_logit_that_left_out_samples_confirm():
    made = fit_kernel_machine(kernel(X, X), ALL, Y, BINARY)
    logits = made.left_out[:, 1]
    assert ((logits > 0) == Y[:, 1]).mean() > 0.85
    assert abs((1 / (1 + np.exp(-logits))).mean() - Y[:, 1].mean()) < 0.05
    assert np.isnan(made.left_out[::7, 2]).all() and np.isfinite(made.left_out[:, 0]).all()


def test_fewer_references_answer_nearly_as_well():
    some = np.arange(0, 60, 2)
    made = fit_kernel_machine(kernel(X, X[some]), some, Y, BINARY)
    assert np.corrcoef(made.left_out[:, 0], Y[:, 0])[0, 1] > 0.9


def test_references_are_all_there_is_or_some_with_the_rare_ones():
    targets = np.zeros((100, 2))
    targets[::20, 0] = 1
    targets[:, 1] = RANDOM.normal(size=100)
    np.testing.assert_array_equal(chosen_references(targets, (True, False), 100), np.arange(100))
    chosen = chosen_references(targets, (True, False), 20)
    assert len(set(chosen)) == 20 and set(range(0, 100, 20)) <= set(chosen)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, chosen_references(targets, (True, False), 20))


def test_of_two_kernels_the_one_that_tells_more_is_taken():
    blind = np.exp(-((RANDOM.normal(size=(60, 1)) - RANDOM.normal(size=(1, 60))) ** 2))
    blind = blind @ blind.T / 60
    assert chosen_share(kernel(X, X), blind, Y, BINARY) == 0
    assert chosen_share(blind, kernel(X, X), Y, BINARY) == 1
    silent = np.full((60, 1), np.nan)
    assert 0 <= chosen_share(kernel(X, X), blind, silent, [True]) <= 1


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("leaves", [60, 8])
def test_forests_are_those_of_scikit_learn_as_layers(leaves, sparse):
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    numbers = (
        [(ExtraTreesRegressor, 1 / 3, False), (RandomForestRegressor, 1 / 3, True)]
        if sparse
        else [(ExtraTreesRegressor, 1.0, False), (ExtraTreesRegressor, 0.1, False)]
    )
    yes_or_no = [(ExtraTreesRegressor, "sqrt", True), (RandomForestRegressor, "sqrt", True)]
    forests = grow_forests(X, Y, BINARY, trees=20, leaves=leaves, depth=6, sparse=sparse)
    for t, forest in enumerate(forests):
        known = np.isfinite(Y[:, t])
        same = [
            kind(
                10, max_features=asks, max_depth=6, bootstrap=bootstrap, random_state=half,
                max_leaf_nodes=leaves if known.sum() > leaves else None,
            ).fit(X[known], Y[known, t])
            for half, (kind, asks, bootstrap) in enumerate(yes_or_no if BINARY[t] else numbers)
        ]  # fmt: skip
        expected = np.mean([forest_.predict(X.astype("float32")) for forest_ in same], axis=0)
        relevance = np.mean([forest_.feature_importances_ for forest_ in same], axis=0)
        np.testing.assert_allclose(forest.relevance, relevance)
        layer = DecisionTrees(20, 2 * leaves - 1, 6)
        layer.build((None, 3))
        layer.set_trees(forest.trees, forest.start)
        got = np.ravel(layer(X.astype("float32")))
        if BINARY[t]:  # a straight line of the shares, rising
            line = np.polyfit(expected, got, 1)
            assert line[0] > 0
            expected = np.polyval(line, expected)
        np.testing.assert_allclose(got, expected, atol=1e-4)


def asked_trees(grown, trees, depth, leaves=8):
    """What boosted trees say of the samples."""
    layer = DecisionTrees(trees, 2 * leaves - 1, depth)
    layer.build((None, 3))
    layer.set_trees(grown.trees, grown.start)
    return np.ravel(layer(X.astype("float32")))


def test_boosted_trees_are_those_of_scikit_learn_as_layers():
    from sklearn.ensemble import GradientBoostingRegressor

    (one,) = grow_boosted(X, Y[:, :1], [False], trees=30, depth=3)
    known = np.isfinite(Y[:, 0])
    same = GradientBoostingRegressor(
        n_estimators=30, learning_rate=0.05, max_depth=3, max_features="sqrt", subsample=0.6,
        random_state=0,
    ).fit(X[known], Y[known, 0])  # fmt: skip
    told = asked_trees(one, 30, 3)
    np.testing.assert_allclose(told, same.predict(X.astype("float32")), atol=1e-4)


def test_a_boosted_tree_of_logits_says_what_the_equation_says(monkeypatch):
    from sklearn.tree import DecisionTreeRegressor

    monkeypatch.setattr("deepfield.toolkit.shallow._drawn", lambda count: 1.0)
    yes = (X[:, 0] + X[:, 1] > 0).astype(float)
    start = np.linspace(-3.0, 3.0, len(X))
    (one,) = grow_boosted(X, yes[:, None], [True], trees=1, depth=30, start=start[:, None])
    chance = 1 / (1 + np.exp(-start))
    leaf = DecisionTreeRegressor(max_depth=30).fit(X, yes - chance)
    assert leaf.get_n_leaves() == len(X)  # one sample each, whatever features were asked
    expected = 0.05 * (yes - chance) / (1 + chance * (1 - chance))
    np.testing.assert_allclose(asked_trees(one, 1, 30, len(X)), expected, atol=1e-6)


def test_boosted_trees_stay_within_reason_where_the_start_is_sure_and_wrong():
    yes = (X[:, 0] > 0).astype(float)
    start = np.where(yes > 0, 9.0, -9.0)
    start[:3] *= -1
    (one,) = grow_boosted(X, yes[:, None], [True], trees=400, depth=3, start=start[:, None])
    told = asked_trees(one, 400, 3)
    assert np.abs(told).max() < 20  # without a ridge: hundreds
    wrong = np.sign(start) != np.sign(yes - 0.5)
    assert (np.sign(told[wrong]) == np.sign(yes - 0.5)[wrong]).all()


def test_boosted_trees_mend_what_another_model_says():
    from sklearn.ensemble import GradientBoostingRegressor

    start = np.random.default_rng(1).normal(size=Y.shape)
    boosted = grow_boosted(X, Y, BINARY, trees=30, depth=3, start=start)
    asked = X.astype("float32")
    for t, one in enumerate(boosted):
        known = np.isfinite(Y[:, t])
        y, given = Y[known, t], start[known, t]
        layer = DecisionTrees(30, 15, 3)
        layer.build((None, 3))
        layer.set_trees(one.trees, one.start)
        mended = np.ravel(layer(asked))[known]
        if BINARY[t]:
            before, after = (np.logaddexp(0, z) - y * z for z in (given, given + mended))
            assert after.mean() < 0.8 * before.mean()
            continue
        same = GradientBoostingRegressor(
            n_estimators=30, learning_rate=0.05, max_depth=3, max_features="sqrt", subsample=0.6,
            init="zero", random_state=0,
        ).fit(X[known], y - given)  # fmt: skip
        np.testing.assert_allclose(mended, same.predict(asked[known]), atol=1e-4)


def test_many_boosted_trees_are_rows_whose_mean_counts(monkeypatch):
    monkeypatch.setattr("deepfield.toolkit.shallow._ROW", 10)
    (both,) = grow_boosted(X, Y[:, :1], [False], trees=20, depth=2)
    (one,) = grow_boosted(X, Y[:, :1], [False], trees=10, depth=2)
    (other,) = grow_boosted(X, Y[:, :1], [False], trees=10, depth=2, seed=1)
    said = []
    for made in (both, one, other):
        layer = DecisionTrees(20, 7, 2)
        layer.build((None, 3))
        layer.set_trees(made.trees, made.start)
        said.append(np.ravel(layer(X.astype("float32"))))
    np.testing.assert_allclose(said[0], (said[1] + said[2]) / 2, atol=1e-5)


def test_of_one_answer_alone_there_is_nothing_to_boost():
    (one,) = grow_boosted(X, np.zeros((60, 1)), [True], trees=5, depth=2)
    assert one.trees == [] and one.start < -5
    (mended,) = grow_boosted(
        X, np.zeros((60, 1)), [True], trees=5, depth=2, start=np.full((60, 1), -3.0)
    )
    assert mended.trees == [] and mended.start == 0
    layer = DecisionTrees(5, 7, 2)
    layer.build((None, 3))
    layer.set_trees(one.trees, one.start)
    np.testing.assert_allclose(layer(X.astype("float32")), np.full((60, 1), one.start), rtol=1e-6)
