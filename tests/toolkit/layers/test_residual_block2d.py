import numpy as np
import pytest

from deepfield.toolkit.layers import ResidualBlock2D
from deepfield.toolkit.structure import parameters
from deepfield.toolkit.testing import check_layer


def conv(x, kernel, strides):
    """Keras' "same": the odd pixel at the end."""
    margins = []
    for size, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        margins.append((total // 2, total - total // 2))
    view = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), *margins, (0, 0))), kernel.shape[:2], axis=(1, 2)
    )
    return np.einsum("bijcuv,uvco->bijo", view[:, :: strides[0], :: strides[1]], kernel)


def norm(x, weights, name, epsilon):
    w = {
        part: weights[f"{name}/{part}"]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    return w["gamma"] * (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + epsilon) + w["beta"]


@pytest.mark.parametrize(
    ("strides", "filters"), [((2, 1), 5), ((1, 1), 3)], ids=["projected", "identity"]
)
def test_it_is_what_a_layer_must_be(strides, filters):
    def reference(x, weights):
        y = np.tanh(norm(conv(x, weights["conv1/kernel"], strides), weights, "bn1", 0.01))
        y = norm(conv(y, weights["conv2/kernel"], (1, 1)), weights, "bn2", 0.01)
        if filters != 3:
            x = conv(x, weights["shortcut_conv/kernel"], strides)
            x = norm(x, weights, "shortcut_bn", 0.01)
        return np.tanh(y + x)

    arguments = {
        "filters": filters,
        "kernel_size": (3, 2),
        "strides": strides,
        "activation": "tanh",
        "momentum": 0.9,
        "epsilon": 0.01,
        "kernel_initializer": "glorot_normal",
        "kernel_regularizer": "l2",
    }
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
    check_layer(ResidualBlock2D, arguments, x, reference)


def test_the_two_convolutions_start_with_different_weights():
    layer = ResidualBlock2D(4)
    layer.build((None, 8, 8, 4))
    first, second = layer.conv1.get_weights()[0], layer.conv2.get_weights()[0]
    assert not np.allclose(first, second)


def test_counts_are_those_of_its_convolutions():
    layer = ResidualBlock2D(16, strides=2)
    layer.build((None, 9, 9, 8))
    kernels = 9 * 8 * 16 + 9 * 16 * 16 + 8 * 16
    assert parameters(layer) == kernels + 3 * 2 * 16  # gamma and beta of three normalisations
    assert layer.connections((None, 9, 9, 8)) == 5 * 5 * kernels


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="filters must be a positive integer, got -1"):
        ResidualBlock2D(-1)
    with pytest.raises(ValueError, match=r"momentum must be a number between 0 and 1 .* got 1\.5"):
        ResidualBlock2D(4, momentum=1.5)
    with pytest.raises(ValueError, match="strides must be positive, got 0"):
        ResidualBlock2D(4, strides=0)
