import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import MappedConv2D
from deepfield.toolkit.testing import check_layer

TABLE = [[1, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0]]
X = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype("float32")


def convolve(x, patches, table, strides):
    """Sum over existing connections one by one, as the paper's figure 2 draws it."""
    table = np.array(table)
    view = np.lib.stride_tricks.sliding_window_view(x, patches.shape[1:], axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1]]
    out = np.zeros((*view.shape[:3], table.shape[1]))
    for patch, (c, k) in zip(patches, np.argwhere(table), strict=True):
        out[..., k] += np.einsum("bijuv,uv->bij", view[:, :, :, c], patch)
    return out


def test_it_is_what_a_layer_must_be():
    arguments = {
        "table": TABLE,
        "kernel_size": (3, 2),
        "strides": (2, 1),
        "padding": "valid",
        "activation": "tanh",
        "kernel_initializer": "he_normal",
        "bias_initializer": "random_normal",
        "kernel_regularizer": "l2",
    }

    def reference(x, weights):
        return np.tanh(convolve(x, weights["kernel"], TABLE, (2, 1)) + weights["bias"])

    check_layer(MappedConv2D, arguments, X, reference)


def test_same_padding_and_no_bias():
    def reference(x, weights):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return convolve(padded, weights["kernel"], TABLE, (1, 1))

    arguments = {"table": TABLE, "kernel_size": 3, "padding": "same", "use_bias": False}
    check_layer(MappedConv2D, arguments, X, reference)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_the_static_shape_is_the_true_one(padding, size):
    layer = MappedConv2D(TABLE, 3, strides=2, padding=padding)
    x = np.zeros((1, size, size + 1, 3), "float32")
    assert tuple(layer(x).shape) == layer.compute_output_shape(x.shape)


def test_a_full_table_is_an_ordinary_convolution():
    layer, plain = MappedConv2D(np.ones((3, 4)), 3), keras.layers.Conv2D(4, 3)
    layer(X), plain(X)
    plain.set_weights([keras.ops.convert_to_numpy(layer.dense_kernel()), np.zeros(4)])
    np.testing.assert_allclose(layer(X), plain(X), atol=1e-5)


def test_only_existing_connections_have_weights_and_connections():
    layer = MappedConv2D(TABLE, 5)
    layer.build((None, 14, 14, 3))
    assert layer.count_params() == 6 * 25 + 4
    assert layer.connections((None, 14, 14, 3)) == 10 * 10 * (6 * 25 + 4)
    dense = keras.ops.convert_to_numpy(layer.dense_kernel())
    assert (np.abs(dense).sum(axis=(0, 1)) > 0).tolist() == (np.array(TABLE) > 0).tolist()


def test_absent_connections_stay_zero_in_training():
    model = keras.Sequential([MappedConv2D(TABLE, 3), keras.layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    before = model.layers[0](X) is not None and model.layers[0].get_weights()[0]
    model.train_on_batch(X, np.ones((2, 4)))
    dense = keras.ops.convert_to_numpy(model.layers[0].dense_kernel())
    assert (dense[:, :, np.array(TABLE) == 0] == 0).all()
    assert (model.layers[0].get_weights()[0] != before).all()


def test_the_initializer_sees_the_dense_kernel():
    layer = MappedConv2D(
        TABLE, 1, kernel_initializer=lambda shape, dtype: np.arange(12.0).reshape(shape)
    )
    layer.build((None, 4, 4, 3))
    assert layer.get_weights()[0].ravel().tolist() == [0, 2, 3, 5, 6, 8]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 0], r"must be a matrix .* got shape \(2,\)"),
        ([[1, 2]], r"of 0 and 1, got shape \(1, 2\) with values \[1, 2\]"),
        ([[1, 0], [1, 0]], r"output maps \[1\] of table have no input map"),
    ],
)
def test_a_wrong_table_is_named(table, message):
    with pytest.raises(ValueError, match=message):
        MappedConv2D(table, 3)


def test_a_wrong_padding_is_named():
    with pytest.raises(ValueError, match="padding must be 'valid' or 'same', got 'full'"):
        MappedConv2D(TABLE, 3, padding="full")


def test_the_channels_must_be_the_tables_rows():
    with pytest.raises(ValueError, match="axis -1"):
        MappedConv2D(TABLE, 3)(np.zeros((1, 5, 5, 2), "float32"))
