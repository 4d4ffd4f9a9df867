import numpy as np
import pytest

from deepfield.toolkit.layers import SpecAugment
from deepfield.toolkit.testing import check_layer


def test_it_is_what_a_layer_must_be():
    x = np.random.default_rng(0).normal(3, 1, (4, 60, 16)).astype("float32")
    arguments = {"time_masks": 2, "time_width": 20, "time_share": 0.3, "feature_masks": 2,
                 "feature_width": 8, "value": -1.0, "seed": 5}  # fmt: skip
    check_layer(SpecAugment, arguments, x, lambda x, _: x, training_only=True)


def test_widths_are_spread_evenly_and_never_greater():
    x = np.ones((2000, 50, 10), "float32")
    y = np.asarray(SpecAugment(1, 8, 1.0, 1, 4, seed=1)(x, training=True))
    times = (y.max(axis=2) == 0).sum(axis=1)
    bands = (y.max(axis=1) == 0).sum(axis=1)
    assert np.allclose(np.bincount(times, minlength=9) / 2000, 1 / 9, atol=0.03)
    assert np.allclose(np.bincount(bands, minlength=5) / 2000, 1 / 5, atol=0.04)
    places = (y.max(axis=2) == 0).mean(axis=0)
    assert places[20:30].std() < 0.03  # anywhere


def test_a_short_item_is_hidden_in_its_own_share_only():
    x = np.ones((500, 100, 4), "float32")
    mask = np.arange(100) < np.full((500, 1), 20)
    y = np.asarray(SpecAugment(1, 50, 0.25, 0, 0, seed=1)(x, training=True, mask=mask))
    hidden = (y == 0).all(axis=2)
    assert hidden.sum(axis=1).max() == 5 and not hidden[:, 20:].any()


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="time_share must lie between 0 and 1, got 2"):
        SpecAugment(time_share=2)
