"""RandomOcclusion2D: one rectangle of one value, in training alone."""

import numpy as np
import pytest

from deepfield.toolkit.layers import RandomOcclusion2D
from deepfield.toolkit.testing import check_layer

PICTURES = np.random.default_rng(0).uniform(300, 400, (400, 20, 30, 3)).astype("float32")


def covered(**arguments):
    seen = np.asarray(RandomOcclusion2D(seed=0, **arguments)(PICTURES, training=True))
    hidden = (seen != PICTURES).any(axis=-1)
    return seen, hidden


def test_it_keeps_the_contract_of_a_layer():
    arguments = {
        "probability": 0.9,
        "least": 0.1,
        "most": 0.3,
        "aspect": 2.0,
        "value_range": (0.0, 1.0),
        "seed": 3,
    }
    check_layer(RandomOcclusion2D, arguments, PICTURES[:8] / 400, training_only=True)


def test_what_is_covered_is_one_rectangle_of_one_value_in_the_range():
    seen, hidden = covered(probability=1.0, least=0.1, most=0.4)
    for picture, mask in zip(seen, hidden, strict=True):
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        assert (mask == rows[:, None] & columns).all()
        assert (np.diff(np.flatnonzero(rows)) == 1).all()
        assert (np.diff(np.flatnonzero(columns)) == 1).all()
        (value,) = np.unique(picture[mask])
        assert 0 <= value <= 255
    assert len(np.unique(seen[hidden])) > 300


def test_areas_and_forms_are_those_asked_for():
    _, hidden = covered(probability=1.0, least=0.1, most=0.2, aspect=1.5)
    areas = hidden.mean(axis=(1, 2))
    assert 0.08 < areas.min() < 0.12 and 0.18 < areas.max() < 0.22
    shape = hidden.any(axis=2).mean(axis=1) / hidden.any(axis=1).mean(axis=1)
    assert shape.min() > 1 / 1.5 - 0.15 and shape.max() < 1.5 + 0.15
    assert shape.min() < 0.8 and shape.max() > 1.25


def test_every_row_and_column_can_be_covered():
    _, hidden = covered(probability=1.0, least=0.1, most=0.1)
    assert hidden.any(axis=(0, 1)).all() and hidden.any(axis=(0, 2)).all()


@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_so_many_are_covered(probability):
    _, hidden = covered(probability=probability, least=0.1, most=0.2)
    assert abs(hidden.any(axis=(1, 2)).mean() - probability) < 0.06


def test_a_rectangle_may_be_as_high_as_the_picture():
    _, hidden = covered(probability=1.0, least=0.9, most=0.9, aspect=4.0)
    assert hidden.any(axis=2).all(axis=1).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 2.0}, "RandomOcclusion2D: probability must lie between 0 and 1"),
        ({"least": 0.3, "most": 0.2}, "least <= most"),
        ({"most": 1.5}, "least <= most"),
        ({"aspect": 0.5}, "aspect must be 1 or more"),
        ({"value_range": (1.0, 0.0)}, "value_range must not fall"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomOcclusion2D(**arguments)


def test_free_sizes_are_an_error():
    with pytest.raises(ValueError, match="known height and width"):
        RandomOcclusion2D().build((None, None, 8, 1))
