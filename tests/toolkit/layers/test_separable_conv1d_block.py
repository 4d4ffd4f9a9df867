import numpy as np
import pytest

from deepfield.toolkit.layers import SeparableConv1DBlock
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1] * 6 + [0] * 3, [1] * 9], bool)


def norm(x, weights, name):
    gamma, beta, mean, variance = (
        weights[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def over_time(x, kernel, strides, dilation, causal):
    """Each channel by itself, step by step."""
    size = len(kernel)
    after = 0 if causal else (size - 1) * dilation // 2
    before = (size - 1) * dilation - after
    padded = np.pad(x, ((0, 0), (before, after), (0, 0)))
    steps = range(0, x.shape[1], strides)
    rows = [sum(padded[:, t + k * dilation] * kernel[k, :, 0] for k in range(size)) for t in steps]
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(
    ("filters", "strides", "dilation", "causal"), [(5, 2, 1, False), (3, 1, 2, True)]
)
def test_it_is_what_a_layer_must_be(filters, strides, dilation, causal):
    def reference(x, weights):
        y = x * MASK[..., None]
        late = MASK[:, ::strides][..., None]
        for i in (1, 2):
            y = over_time(y, weights[f"time{i}/kernel"], strides if i == 1 else 1, dilation, causal)
            y = norm(y @ weights[f"channels{i}/kernel"][0], weights, f"norm{i}")
            if i == 2:
                short = x
                if filters != 3:
                    short = norm(
                        x[:, ::strides] @ weights["shortcut/kernel"][0], weights, "shortcut_norm"
                    )
                y = y + short
            y = np.tanh(y) * late
        return y

    arguments = {"filters": filters, "kernel_size": 4, "repeats": 2, "strides": strides,
                 "dilation": dilation, "causal": causal, "activation": "tanh", "momentum": 0.9,
                 "dropout": 0.0, "residual": True}  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    mask = MASK if strides == 1 else None
    if mask is None:
        x = x * MASK[..., None]
        check_layer(SeparableConv1DBlock, arguments, x[1:].repeat(2, axis=0), tolerance=1e-4)
        layer = SeparableConv1DBlock(**arguments)
        got = np.asarray(layer(x, mask=MASK))
        weights = {v.path.removeprefix(f"{layer.name}/"): np.asarray(v) for v in layer.weights}
        assert np.allclose(got, reference(x, weights), atol=1e-5)
        return
    check_layer(SeparableConv1DBlock, arguments, x, reference, mask=mask)


def test_a_causal_block_does_not_look_ahead():
    layer = SeparableConv1DBlock(4, 5, repeats=2, causal=True)
    x = np.random.default_rng(0).normal(size=(1, 20, 3)).astype("float32")
    other = x.copy()
    other[:, 12:] += 1
    assert np.allclose(layer(x)[:, :12], layer(other)[:, :12])
    assert not np.allclose(layer(x)[:, 12:], layer(other)[:, 12:])


def test_a_strided_batch_answers_as_its_items_alone():
    layer = SeparableConv1DBlock(4, 5, strides=2)
    x = np.random.default_rng(0).normal(size=(1, 20, 3)).astype("float32")
    for length in (7, 8, 9):
        mask = np.arange(20) < length
        whole = layer(x, mask=mask[None])[:, : -(-length // 2)]
        assert np.allclose(whole, layer(x[:, :length]), atol=1e-6)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="kernel_size must be a positive integer, got 0"):
        SeparableConv1DBlock(4, 0)
    with pytest.raises(ValueError, match="dropout must be from 0 to below 1, got 1"):
        SeparableConv1DBlock(4, 3, dropout=1)
