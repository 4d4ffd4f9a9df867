import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import DilatedResidual1D
from deepfield.toolkit.testing import check_layer


def windows(x, size, dilation):
    span = (size - 1) * dilation + 1
    return np.lib.stride_tricks.sliding_window_view(x, span, axis=1)[..., ::dilation]


def reference_of(size, dilation, strides, padding, epsilon):
    def reference(x, w):
        h = (x - w["norm/moving_mean"]) / np.sqrt(w["norm/moving_variance"] + epsilon)
        h = np.maximum(0, h * w["norm/gamma"] + w["norm/beta"])
        reach = (size - 1) * dilation // 2
        if padding == "same":
            h = np.pad(h, ((0, 0), (reach, reach), (0, 0)))
        found = np.einsum("bick,kcf->bif", windows(h, size, dilation), w["gated/kernel"])
        linear, gate = np.split(found + w["gated/bias"], 2, axis=-1)
        change = linear / (1 + np.exp(-gate)) @ w["mix/kernel"][0] + w["mix/bias"]
        kept = x[:, reach : x.shape[1] - reach] if padding == "valid" else x
        return kept[:, ::strides] + change[:, ::strides]

    return reference


@pytest.mark.parametrize(
    ("size", "dilation", "strides", "padding"),
    [(3, 2, 1, "same"), (5, 3, 1, "valid"), (3, 1, 3, "valid"), (1, 1, 1, "valid")],
)
def test_it_is_what_a_layer_must_be(size, dilation, strides, padding):
    x = np.random.default_rng(0).standard_normal((2, 17, 4)).astype("float32")
    arguments = {
        "kernel_size": size, "dilation_rate": dilation, "strides": strides, "padding": padding,
        "dropout": 0.2, "momentum": 0.8, "epsilon": 0.01,
    }  # fmt: skip
    check_layer(
        DilatedResidual1D, arguments, x, reference_of(size, dilation, strides, padding, 0.01)
    )


def test_a_stack_with_strides_gives_what_the_one_with_holes_gives_for_each_window():
    grids = (1, 3, 9)
    rng = np.random.default_rng(1)
    wide = [DilatedResidual1D(5, grid, padding="valid") for grid in grids]
    thin = [DilatedResidual1D(5, 1, strides, "valid") for strides in (3, 3, 1)]
    x = rng.standard_normal((1, 90, 6)).astype("float32")
    field = 1 + 4 * sum(grids)
    y = keras.ops.convert_to_tensor(x)
    for layer in wide:
        y = layer(y)
    window = keras.ops.convert_to_tensor(x[:, 11 : 11 + field])
    z = window
    for own, other in zip(thin, wide, strict=True):
        own.build(z.shape)
        own.set_weights(other.get_weights())
        z = own(z)
    assert z.shape == (1, 1, 6)
    assert np.allclose(np.asarray(y)[:, 11], np.asarray(z)[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "odd"),
        ({"kernel_size": 0}, "positive"),
        ({"padding": "causal"}, "same"),
        ({"dropout": 1.0}, "dropout"),
        ({"strides": 2}, "padding='valid'"),
        ({"strides": 2, "dilation_rate": 2, "padding": "valid"}, "dilation_rate=1"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DilatedResidual1D(**arguments)
