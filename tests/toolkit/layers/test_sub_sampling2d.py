import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import ScaledTanh, SubSampling2D
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 7, 8, 2)).astype("float32")


def windows(x, pool, strides):
    """(batch, rows, columns, channels, pool height, pool width)"""
    view = np.lib.stride_tricks.sliding_window_view(x, pool, axis=(1, 2))
    return view[:, :: strides[0], :: strides[1]]


@pytest.mark.parametrize("reduction", ["sum", "average"])
def test_it_is_what_a_layer_must_be(reduction):
    def reference(x, weights):
        reduced = getattr(np, {"sum": "sum", "average": "mean"}[reduction])(
            windows(x, (3, 2), (2, 1)), axis=(-2, -1)
        )
        return np.tanh(weights["coefficient"] * reduced + weights["bias"])

    arguments = {
        "pool_size": (3, 2),
        "strides": (2, 1),
        "reduction": reduction,
        "activation": "tanh",
        "coefficient_initializer": "random_normal",
        "bias_initializer": "random_normal",
    }
    check_layer(SubSampling2D, arguments, X, reference)


def test_untrained_it_averages():
    np.testing.assert_allclose(
        SubSampling2D(2)(X), windows(X, (2, 2), (2, 2)).mean(axis=(-2, -1)), atol=1e-6
    )


def test_a_layer_can_be_its_activation():
    layer = SubSampling2D(2, activation=ScaledTanh(slope=0.5))
    twin = keras.layers.deserialize(keras.layers.serialize(layer))
    assert twin.activation.slope == 0.5
    np.testing.assert_array_equal(layer(X), twin(X))


def test_connections_are_those_of_s2():
    assert SubSampling2D(2).connections((None, 28, 28, 6)) == 5880


def test_free_sizes_stay_free():
    assert SubSampling2D(2).compute_output_shape((None, None, 5, 3)) == (None, None, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "pool_size must be positive, got 0"),
        ({"pool_size": (2, 2, 2)}, "pool_size must be an integer or a pair"),
        ({"strides": 1.5}, "strides must be an integer or a pair of them, got 1.5"),
        ({"reduction": "max"}, "reduction must be 'sum' or 'average', got 'max'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SubSampling2D(**arguments)


def test_an_input_smaller_than_the_window_is_an_error():
    with pytest.raises(ValueError, match="at least"):
        SubSampling2D(4).compute_output_shape((None, 3, 8, 1))
