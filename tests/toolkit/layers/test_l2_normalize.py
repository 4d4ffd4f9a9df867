import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import L2Normalize
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")


@pytest.mark.parametrize("axis", [-1, 1, [1, 2]])
def test_it_is_what_a_layer_must_be(axis):
    axes = tuple(axis) if isinstance(axis, list) else axis
    check_layer(
        L2Normalize,
        {"axis": axis, "epsilon": 1e-3},
        X,
        lambda x, _: x / np.sqrt((x**2).sum(axis=axes, keepdims=True)),
    )


def test_half_precision_neither_overflows_nor_vanishes():
    layer = L2Normalize(dtype="mixed_float16")
    x = np.array([[3e4, 4e4], [3e-6, 4e-6]], "float16")
    np.testing.assert_allclose(layer(x), [[0.6, 0.8]] * 2, atol=0.02)


def test_zeros_stay_zeros_and_have_a_finite_gradient():
    x = keras.Input((3,))
    dense = keras.layers.Dense(3, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(x, L2Normalize(epsilon=0.1)(dense(x)))
    np.testing.assert_array_equal(model(np.ones((2, 3))), np.zeros((2, 3)))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 3)))
    kernel = np.array(dense.kernel)
    assert np.isfinite(kernel).all() and (kernel > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 1.5}, "axis must be an integer or several, got 1.5"),
        ({"axis": []}, "axis must be an integer or several"),
        ({"epsilon": 0.0}, "epsilon must be a number between 0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        L2Normalize(**arguments)
