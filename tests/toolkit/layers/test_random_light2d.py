"""RandomLight2D: light and colour, per picture, in training alone."""

import numpy as np
import pytest

from deepfield.toolkit.layers import RandomLight2D
from deepfield.toolkit.testing import check_layer

PICTURES = np.random.default_rng(0).uniform(0, 255, (6, 5, 7, 3)).astype("float32")


def test_it_keeps_the_contract_of_a_layer():
    arguments = {
        "brightness": 0.3,
        "contrast": 0.5,
        "exposure": 2.0,
        "saturation": 0.4,
        "value_range": (0.0, 255.0),
    }
    check_layer(RandomLight2D, arguments | {"seed": 3}, PICTURES, training_only=True)


def test_exposure_takes_light_away_by_stops():
    many = np.repeat(PICTURES, 100, axis=0)
    lit = np.asarray(RandomLight2D(exposure=3.0, seed=0)(many, training=True))
    share = lit / many
    of_each = share.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(share, np.broadcast_to(of_each, share.shape), rtol=1e-4)
    assert 1 / 8 - 1e-4 <= of_each.min() < 0.15 and 0.98 < of_each.max() <= 1 + 1e-4
    stops = -np.log2(of_each)
    assert 0.5 < np.median(stops) < 1.0  # 3 v^2 with v ~ U(0, 1): the median is 0.75


def test_exposure_counts_from_the_lowest_value():
    layer = RandomLight2D(exposure=2.0, value_range=(-1.0, 1.0), seed=0)
    pictures = PICTURES / 127.5 - 1
    lit = np.asarray(layer(pictures, training=True))
    assert (lit >= -1).all() and (lit <= pictures + 1e-6).all()


def test_saturation_keeps_the_grey_of_every_place():
    calm = 100 + (PICTURES - 127) / 10
    lit = np.asarray(RandomLight2D(saturation=1.0, seed=0)(calm, training=True))
    np.testing.assert_allclose(lit.mean(3), calm.mean(3), rtol=1e-4)
    away, before = lit - lit.mean(3, keepdims=True), calm - calm.mean(3, keepdims=True)
    factors = (away * before).sum((1, 2, 3)) / (before**2).sum((1, 2, 3))
    assert (factors > 0).all() and (factors < 2).all() and np.ptp(factors) > 0.3
    grey = calm[..., :1]
    same = np.asarray(RandomLight2D(saturation=1.0, seed=0)(grey, training=True))
    np.testing.assert_allclose(same, grey, rtol=1e-5)


def test_contrast_keeps_the_mean_of_every_picture():
    calm = 100 + (PICTURES - 127) / 10  # far from both ends, so that nothing is cut
    lit = np.asarray(RandomLight2D(contrast=0.5, seed=0)(calm, training=True))
    np.testing.assert_allclose(lit.mean((1, 2, 3)), calm.mean((1, 2, 3)), rtol=1e-4)
    spread = lit.std((1, 2, 3)) / calm.std((1, 2, 3))
    assert (spread > 1 / 1.5 - 1e-3).all() and (spread < 1.5 + 1e-3).all()
    assert len(np.unique(spread.round(3))) == len(calm)


def test_brightness_shifts_every_picture_as_a_whole():
    calm = 100 + (PICTURES - 127) / 10
    lit = np.asarray(RandomLight2D(brightness=0.2, seed=0)(calm, training=True))
    shift = (lit - calm).reshape(len(calm), -1)
    assert (shift.std(axis=1) < 1e-3).all()
    assert (np.abs(shift).max() <= 0.2 * 255) and np.abs(shift).max() > 5


def test_values_stay_in_the_range():
    lit = np.asarray(RandomLight2D(brightness=1.0, contrast=3.0, seed=1)(PICTURES, training=True))
    assert lit.min() >= 0 and lit.max() <= 255


@pytest.mark.parametrize(
    "wrong",
    [
        {"brightness": 2.0},
        {"contrast": -0.1},
        {"exposure": -1.0},
        {"saturation": 1.5},
        {"value_range": (1.0, 1.0)},
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomLight2D(**wrong)
