"""Figures of verification agree with their definitions, also with ties, and say what is unknown."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit import matching

pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=40)
both_kinds = pairs.filter(lambda p: 0 < sum(y for y, _ in p) < len(p))


def every_threshold(s):
    levels = np.unique(s)
    return np.concatenate([[-np.inf], levels, [np.inf]])


@settings(max_examples=80, deadline=None)
@given(both_kinds)
def test_the_curve_is_sklearns(rows):
    y, s = np.array(rows, dtype=float).T
    fmr, fnmr = matching.det_curve(y, s)
    false, true, _ = oracle.roc_curve(y, s, drop_intermediate=False)
    np.testing.assert_allclose(fmr, false)
    np.testing.assert_allclose(fnmr, 1 - true)
    for t in every_threshold(s):
        got = matching.error_rates(y, s, t)
        assert got == (np.mean(s[y == 0] >= t), np.mean(s[y == 1] < t))


@settings(max_examples=80, deadline=None)
@given(both_kinds)
def test_the_equal_error_rate_lies_on_the_straight_pieces_of_the_curve(rows):
    y, s = np.array(rows, dtype=float).T
    fmr, fnmr = matching.det_curve(y, s)
    rate = matching.eer(y, s)
    along = np.linspace(0, len(fmr) - 1, 20_001)  # the curve, finely
    x, z = (np.interp(along, np.arange(len(fmr)), c) for c in (fmr, fnmr))
    nearest = np.abs(x - z).argmin()
    assert rate == pytest.approx(x[nearest], abs=3e-3)
    # turning round and swapping both kinds swaps the errors, and so leaves them equal
    assert matching.eer(1 - y, -s) == pytest.approx(rate)


@settings(max_examples=80, deadline=None)
@given(both_kinds, st.sampled_from([1.0, 0.5, 0.34, 0.29, 0.2, 0.1, 0.05]))
def test_the_largest_rate_within_what_is_allowed(rows, far):
    y, s = np.array(rows, dtype=float).T
    got, threshold = matching.tar_at_far(y, s, far), matching.threshold_for(y, s, far)
    if (y == 0).sum() * far < 1 - 1e-9:
        assert math.isnan(got) and math.isnan(threshold)
        return
    rates = [matching.error_rates(y, s, t) for t in every_threshold(s)]
    assert got == pytest.approx(max(1 - fnmr for fmr, fnmr in rates if fmr <= far + 1e-9))
    fmr, fnmr = matching.error_rates(y, s, threshold)
    assert fmr <= far + 1e-9 and 1 - fnmr == pytest.approx(got)


def test_a_rate_that_rounding_hides_is_reached():
    y = np.repeat([1.0, 0.0], [1, 100])
    s = np.append(0.5, np.linspace(1, 0, 100))
    assert 0.29 * 100 < 29  # in binary
    threshold = matching.threshold_for(y, s, 0.29)
    assert matching.error_rates(y, s, threshold)[0] == 0.29


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_no_threshold_answers_more_pairs_rightly_than_the_best(rows):
    y, s = np.array(rows, dtype=float).T
    best = matching.best_threshold(y, s)

    def right(t):
        return ((s >= t) == (y == 1)).sum()

    assert right(best) == max(map(right, every_threshold(s)))


def test_the_best_threshold_is_the_middle_one_and_half_way():
    assert matching.best_threshold([1, 0], [4, 1]) == 2.5
    # 4.5, 2.5 and 0.5 are equally good
    assert matching.best_threshold([1, 0, 1, 0, 1, 0], [5, 4, 3, 2, 1, 0]) == 2.5
    # 8.5 and 6.5 are: the stricter
    assert matching.best_threshold([1, 0, 1, 0], [9, 8, 7, 6]) == 8.5
    assert math.isnan(matching.best_threshold([], []))
    neighbours = np.array([1.0, np.nextafter(1.0, 0)])
    assert matching.best_threshold([1, 0], neighbours) == 1.0  # nothing lies between


@pytest.mark.parametrize("names", [list("abc"), [1, 2, 10]])
def test_folds_are_judged_at_the_threshold_of_the_others(names):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 300).astype(float)
    s = (rng.normal(size=300) + y).round(1)
    folds = np.array(names)[rng.integers(0, 3, 300)]
    shares = []
    for fold in names:
        own = folds == fold
        t = matching.best_threshold(y[~own], s[~own])
        shares.append(((s[own] >= t) == (y[own] == 1)).mean())
    found, accuracies, _ = matching.fold_accuracies(y, s, folds.tolist())
    assert found.tolist() == names
    np.testing.assert_allclose(accuracies, shares)
    mean, error = matching.folded_accuracy(y, s, folds)
    assert mean == pytest.approx(np.mean(shares))
    assert error == pytest.approx(scipy.stats.sem(shares))
    # a missing target takes no part, and order does not matter
    mixed = rng.permutation(301)
    y, s = np.append(y, np.nan)[mixed], np.append(s, 99.0)[mixed]
    assert matching.folded_accuracy(y, s, np.append(folds, folds[:1])[mixed]) == (mean, error)


def test_one_fold_has_no_others():
    assert all(map(math.isnan, matching.folded_accuracy([1, 0], [1, 0], ["a", "a"])))


def test_what_is_not_defined_is_nan():
    for y, s in (([], []), ([1, 1], [0, 1]), ([1, 0], [math.nan, 1]), ([math.nan], [1])):
        assert math.isnan(matching.eer(y, s))
        assert math.isnan(matching.tar_at_far(y, s, 1.0))
    assert math.isnan(matching.eer([0, 0], [0, 1]))
    assert matching.error_rates([1, 1], [0, 1], 0.5)[1] == 0.5
    assert math.isnan(matching.error_rates([1, 1], [0, 1], 0.5)[0])
    assert all(map(math.isnan, matching.error_rates([1, 0], [0, math.nan], 0.5)))
    with pytest.raises(ValueError, match="false match rate of 0"):
        matching.tar_at_far([1, 0], [1, 0], 0)
    with pytest.raises(ValueError, match="differ"):
        matching.eer([1, 0, 1], [1, 0])


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (1, 5000)])
def test_the_interval_of_a_rate_is_wilsons(count, total):
    wanted = scipy.stats.binomtest(count, total).proportion_ci(0.95, "wilson")
    got = matching.rate_interval(count, total)
    np.testing.assert_allclose(got, [wanted.low, wanted.high], atol=1e-12)
    assert got.low <= count / total <= got.high


def test_the_interval_of_nothing_is_unknown():
    assert all(map(math.isnan, matching.rate_interval(0, 0)))
    with pytest.raises(ValueError, match="2 cases of 1"):
        matching.rate_interval(2, 1)


def test_a_balanced_threshold_counts_both_kinds_alike():
    targets = np.array([1, 1, 0, 0, 0, 0, 0, 0])
    scores = np.array([9.0, 4.0, 5.0, 3.0, 3.0, 2.0, 2.0, 1.0])
    assert matching.best_threshold(targets, scores) == 7.0  # one same pair is lost
    assert matching.best_threshold(targets, scores, balanced=True) == 3.5  # one of six others
