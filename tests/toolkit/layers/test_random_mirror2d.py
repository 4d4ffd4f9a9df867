"""RandomMirror2D: left for right, in training alone."""

import numpy as np
import pytest

from deepfield.toolkit.layers import RandomMirror2D
from deepfield.toolkit.testing import check_layer

PICTURES = np.random.default_rng(0).uniform(0, 255, (40, 3, 4, 2)).astype("float32")


def test_it_keeps_the_contract_of_a_layer():
    check_layer(RandomMirror2D, {"probability": 0.4, "seed": 3}, PICTURES, training_only=True)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_so_many_are_mirrored_and_the_others_are_as_they_were(probability):
    many = np.repeat(PICTURES, 25, axis=0)
    seen = np.asarray(RandomMirror2D(probability, seed=0)(many, training=True))
    mirrored = (seen == many[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (seen == many).all(axis=(1, 2, 3))).all()
    assert abs(mirrored.mean() - probability) < 0.05


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_a_probability_outside_its_range_is_an_error(probability):
    with pytest.raises(ValueError, match="RandomMirror2D: probability must lie between 0 and 1"):
        RandomMirror2D(probability)
