import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import LocallyConnected2D
from deepfield.toolkit.structure import connections, parameters
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype("float32")


def filtered(x, kernel, bias, kernel_size, strides, shared):
    """Place by place, as the definition says: each with the weights of its region."""
    (height, width), (down, across) = kernel_size, strides
    rows = (x.shape[1] - height) // down + 1
    columns = (x.shape[2] - width) // across + 1
    out = np.zeros((len(x), rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            r, s = i // shared[0], j // shared[1]
            patch = x[:, i * down : i * down + height, j * across : j * across + width]
            weights = kernel[r, s].reshape(height, width, x.shape[3], -1)
            out[:, i, j] = np.einsum("buvc,uvck->bk", patch, weights) + bias[r, s]
    return out


@pytest.mark.parametrize("shared", [(1, 1), (2, 3)])
def test_it_is_what_a_layer_must_be(shared):
    arguments = {
        "filters": 4,
        "kernel_size": (3, 2),
        "strides": (1, 2),
        "shared": shared,
        "activation": "tanh",
        "kernel_initializer": "glorot_uniform",
        "bias_initializer": "random_normal",
        "kernel_regularizer": "l2",
    }

    def reference(x, w):
        return np.tanh(filtered(x, w["kernel"], w["bias"], (3, 2), (1, 2), shared))

    check_layer(LocallyConnected2D, arguments, X, reference)


def test_without_bias():
    def reference(x, weights):
        none = np.zeros((3, 4, 1))
        return filtered(x, weights["kernel"], none, (3, 3), (2, 2), (1, 1))

    check_layer(
        LocallyConnected2D,
        {"filters": 2, "kernel_size": 3, "strides": 2, "use_bias": False},
        X,
        reference,
    )


def test_one_region_is_an_ordinary_convolution():
    layer, plain = LocallyConnected2D(4, 3, shared=(5, 7)), keras.layers.Conv2D(4, 3)
    layer(X), plain(X)
    plain.set_weights([layer.get_weights()[0].reshape(3, 3, 3, 4), np.zeros(4)])
    np.testing.assert_allclose(layer(X), plain(X), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "kernel", "strides", "expected"),
    [(63, 9, 1, 62_774_800), (55, 7, 2, 7_850_000), (25, 5, 1, 2_829_456)],
    ids=["L4", "L5", "L6"],
)
def test_it_counts_as_the_layers_of_deepface(size, kernel, strides, expected):
    with keras.StatelessScope(initialize_variables=False):
        layer = LocallyConnected2D(16, kernel, strides)
        layer.build((None, size, size, 16))
        assert layer.count_params() == parameters(layer) == expected
        # each weight is used once a picture
        assert connections(layer, (None, size, size, 16)) == expected
    keras.utils.clear_session()


def test_shared_weights_are_fewer_than_connections():
    layer = LocallyConnected2D(60, 3, shared=2)  # the third layer of DeepID
    layer.build((None, 8, 6, 40))
    assert parameters(layer) == 3 * 2 * 60 * (9 * 40 + 1)
    assert connections(layer, (None, 8, 6, 40)) == 6 * 4 * 60 * (9 * 40 + 1)


def test_the_start_fits_the_inputs_of_a_unit():
    layer = LocallyConnected2D(8, 5, kernel_initializer="he_normal")
    layer.build((None, 20, 20, 16))
    kernel = layer.get_weights()[0]
    assert np.isclose(kernel.std(), np.sqrt(2 / (25 * 16)), rtol=0.02)
    assert not np.array_equal(kernel[0, 0], kernel[0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0, "kernel_size": 3}, "filters must be a positive integer, got 0"),
        ({"filters": 2, "kernel_size": "3"}, "kernel_size must be an integer or a pair"),
        ({"filters": 2, "kernel_size": 3, "strides": 0}, "strides must be positive, got 0"),
        ({"filters": 2, "kernel_size": 3, "shared": (1, 0)}, "shared must be positive"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(**arguments)


@pytest.mark.parametrize("size", [(None, 8), (2, 8)])
def test_a_size_that_is_free_or_too_small_is_an_error(size):
    with pytest.raises(ValueError, match=r"must be known and at least \(3, 3\), got"):
        LocallyConnected2D(2, 3).build((None, *size, 3))
