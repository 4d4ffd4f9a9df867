import math

import numpy as np
import pytest

from deepfield.toolkit import scores
from deepfield.toolkit.intervals import bootstrap, paired_bootstrap


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_bootstrap_holds_the_truth_as_often_as_it_says(rng):
    held = 0
    for seed in range(60):
        sample = np.random.default_rng(seed).normal(size=80)
        low, high = bootstrap(np.mean, sample, repeats=200, seed=seed, level=0.9)
        held += low <= 0 <= high
    assert 0.78 <= held / 60 <= 0.98


def test_bootstrap_by_group_is_wider_where_groups_differ(rng):
    groups = np.repeat(np.arange(10), 20)
    values = rng.normal(size=10)[groups] + 0.1 * rng.normal(size=200)
    alone = bootstrap(np.mean, values, repeats=300)
    grouped = bootstrap(np.mean, values, groups=groups, repeats=300)
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert grouped == bootstrap(np.mean, values, groups=groups, repeats=300)


def test_bootstrap_of_nothing_or_of_one_class_is_nan():
    assert all(map(math.isnan, bootstrap(np.mean, np.zeros(0))))
    assert all(map(math.isnan, bootstrap(scores.roc_auc, np.ones(5), np.arange(5.0))))


def test_paired_bootstrap_sees_a_difference_that_single_intervals_hide(rng):
    y = rng.normal(size=200) * 3
    noise = rng.normal(size=200)
    first, second = y + 1.05 * noise, y + noise
    gap = paired_bootstrap(scores.rmse, y, first, second, repeats=300)
    assert 0 < gap.low < gap.value < gap.high
    assert bootstrap(scores.rmse, y, first, repeats=300).low < scores.rmse(y, second)
