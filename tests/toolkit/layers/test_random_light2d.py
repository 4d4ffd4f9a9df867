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
        "gamma": 0.5,
        "saturation": 0.4,
        "value_range": (0.0, 255.0),
    }
    check_layer(RandomLight2D, arguments | {"seed": 3}, PICTURES, training_only=True)


def test_gamma_keeps_black_and_white_and_moves_what_lies_between():
    pictures = np.tile(np.linspace(0, 255, 6, dtype="float32").reshape(1, 1, 6, 1), (400, 2, 1, 1))
    lit = np.asarray(RandomLight2D(gamma=1.0, seed=0)(pictures, training=True))
    np.testing.assert_allclose(lit[..., [0, -1], 0], pictures[..., [0, -1], 0], atol=1e-3)
    gammas = np.log(lit[:, 0, 1:5, 0] / 255) / np.log(pictures[:, 0, 1:5, 0] / 255)
    np.testing.assert_allclose(gammas, gammas[:, :1].repeat(4, 1), rtol=1e-3)  # one a picture
    assert 0.5 - 1e-3 <= gammas.min() < 0.52 and 1.95 < gammas.max() <= 2 + 1e-3
    assert abs(np.median(np.log(gammas))) < 0.1


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
        {"gamma": -1.0},
        {"saturation": 1.5},
        {"value_range": (1.0, 1.0)},
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomLight2D(**wrong)
