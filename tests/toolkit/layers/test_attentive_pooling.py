import numpy as np
import pytest

from deepfield.toolkit.layers import AttentivePooling
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
LENGTHS = np.array([5, 3, 1])
MASK = np.arange(5) < LENGTHS[:, None]


def reference(x, weights):
    pooled, shares = np.zeros((3, 2 * 4)), np.zeros((3, 5, 2))
    for b, n in enumerate(LENGTHS):
        own = x[b, :n].astype("float64")
        s = np.tanh(own @ weights["look/kernel"]) @ weights["weigh/kernel"]
        p = np.exp(s - s.max(axis=0)) / np.exp(s - s.max(axis=0)).sum(axis=0)
        shares[b, :n] = p
        pooled[b] = (p.T @ own).ravel()
    return [pooled, shares]


def test_it_is_what_a_layer_must_be():
    check_layer(AttentivePooling, {"heads": 2, "units": 3}, X, reference, mask=MASK)


def test_nothing_valid_gives_zeros():
    pooled, shares = AttentivePooling(2)(X, mask=np.zeros((3, 5), bool))
    assert not np.array(pooled).any()
    assert not np.array(shares).any()


def test_no_heads_are_refused():
    with pytest.raises(ValueError, match="heads must be a positive integer, got 0"):
        AttentivePooling(0)
