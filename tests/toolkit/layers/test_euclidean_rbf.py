import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import EuclideanRBF
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def reference(x, weights):
    return ((x[..., None, :] - weights["centers"]) ** 2).sum(axis=-1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"units": 5, "trainable_centers": True, "centers_initializer": "glorot_uniform"},
        {"units": 2, "centers": [[1.0, -1, 1, -1], [-1, -1, 1, 1]], "trainable_centers": False},
    ],
)
def test_it_is_what_a_layer_must_be(arguments):
    check_layer(EuclideanRBF, arguments, X, reference, tolerance=2e-5)


def test_leading_axes_are_kept():
    layer = EuclideanRBF(5)
    x = np.stack([X, 2 * X])
    assert tuple(layer(x).shape) == layer.compute_output_shape(x.shape) == (2, 3, 5)


def test_fixed_centres_are_no_parameters_and_do_not_move():
    centers = [[1.0, -1.0]]
    layer = EuclideanRBF(1, centers=centers)
    layer.build((None, 2))
    assert layer.trainable_weights == []
    assert keras.ops.convert_to_numpy(layer.weights[0]).tolist() == centers


def test_connections_are_those_of_the_papers_output_layer():
    assert EuclideanRBF(10).connections((None, 84)) == 840


def test_the_distance_to_a_centre_is_exactly_zero_in_half_precision():
    center = np.random.default_rng(1).normal(size=(1, 84)).astype("float16").astype("float32")
    layer = EuclideanRBF(1, centers=center, dtype="mixed_float16")
    assert float(layer(center)[0, 0]) == 0.0


@pytest.mark.parametrize("units", [0, 2.0, None])
def test_a_wrong_number_of_units_is_named(units):
    with pytest.raises(ValueError, match=f"units must be a positive integer, got {units}"):
        EuclideanRBF(units)


def test_centres_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r"shape \(3, features\), got \(1, 2\)"):
        EuclideanRBF(3, centers=[[1.0, 2.0]])
    with pytest.raises(ValueError, match="the input has 4 features, the given centers 2"):
        EuclideanRBF(1, centers=[[1.0, 2.0]])(X)
