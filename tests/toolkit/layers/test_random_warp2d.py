"""RandomWarp2D: one interpolation, in training alone, the same for the same seed."""

import numpy as np
import pytest

from deepfield.toolkit.layers import RandomWarp2D
from deepfield.toolkit.testing import check_layer

PICTURES = np.random.default_rng(0).uniform(0, 255, (6, 12, 10, 3)).astype("float32")


def test_it_keeps_the_contract_of_a_layer():
    arguments = {
        "shift": 0.1,
        "rotate_deg": 12.0,
        "scale": 0.2,
        "shear_deg": 5.0,
        "elastic": 0.05,
        "elastic_sigma": 0.2,
        "fill_value": 3.0,
        "seed": 3,
    }
    check_layer(RandomWarp2D, arguments, PICTURES, training_only=True)


def test_without_ranges_it_is_the_identity():
    warped = np.asarray(RandomWarp2D(seed=0)(PICTURES, training=True))
    np.testing.assert_allclose(warped, PICTURES, atol=1e-3)


def test_a_whole_turn_range_keeps_the_middle_of_a_picture():
    picture = np.zeros((4, 9, 9, 1), "float32")
    picture[:, 4, 4] = 100
    warped = np.asarray(RandomWarp2D(rotate_deg=180, seed=0)(picture, training=True))
    np.testing.assert_allclose(warped[:, 4, 4, 0], 100, rtol=1e-3)


def test_a_shift_moves_the_centre_of_mass_by_no_more_than_asked():
    picture = np.zeros((64, 21, 21, 1), "float32")
    picture[:, 8:13, 8:13] = 1
    warped = np.asarray(RandomWarp2D(shift=0.1, seed=0)(picture, training=True))[..., 0]
    rows = (warped * np.arange(21)[None, :, None]).sum((1, 2)) / warped.sum((1, 2))
    moved = rows - 10
    assert np.abs(moved).max() <= 2.1 + 1e-3 and np.abs(moved).max() > 1.0
    assert len(np.unique(moved.round(4))) == 64


def test_what_lies_outside_reads_the_fill_value():
    picture = np.full((8, 6, 6, 1), 50.0, "float32")
    warped = np.asarray(RandomWarp2D(shift=0.9, fill_value=7.0, seed=0)(picture, training=True))
    assert warped.min() == pytest.approx(7.0)


def test_the_elastic_field_has_the_standard_deviation_asked_for():
    ramp = np.tile(np.arange(40, dtype="float32")[:, None], (256, 1, 40))[..., None]
    warped = np.asarray(RandomWarp2D(elastic=0.04, seed=0)(ramp, training=True))
    moved = (warped - ramp)[:, 15:25, 15:25]
    assert moved.std() == pytest.approx(1.6, rel=0.15)


def test_the_same_seed_warps_alike():
    one, two = (RandomWarp2D(rotate_deg=20, elastic=0.05, seed=5) for _ in range(2))
    first = np.asarray(one(PICTURES, training=True))
    np.testing.assert_array_equal(first, np.asarray(two(PICTURES, training=True)))
    assert not np.array_equal(first, np.asarray(one(PICTURES, training=True)))


@pytest.mark.parametrize("wrong", [{"shift": -1}, {"shear_deg": 90}, {"elastic_sigma": 0}])
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomWarp2D(**wrong)
