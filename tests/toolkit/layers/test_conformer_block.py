import numpy as np
import pytest

from deepfield.toolkit.layers import ConformerBlock
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1] * 5 + [0] * 2, [1] * 7], bool)


def swish(x):
    return x / (1 + np.exp(-x))


def layer_norm(x, w, name):
    apart = x - x.mean(axis=-1, keepdims=True)
    scaled = apart / np.sqrt((apart**2).mean(axis=-1, keepdims=True) + 1e-3)
    return scaled * w[f"{name}/gamma"] + w[f"{name}/beta"]


def feed(x, w, name):
    y = layer_norm(x, w, f"{name}_norm")
    y = swish(y @ w[f"{name}_grow/kernel"] + w[f"{name}_grow/bias"])
    return y @ w[f"{name}_shrink/kernel"] + w[f"{name}_shrink/bias"]


def attention(x, w, left, right):
    y = layer_norm(x, w, "attention_norm")
    q, k, v = (
        np.einsum("btc,chd->bthd", y, w[f"attend/{n}/kernel"]) + w[f"attend/{n}/bias"]
        for n in ("query", "key", "value")
    )
    logits = np.einsum("bthd,bshd->bhts", q, k) / np.sqrt(q.shape[-1])
    place = np.arange(x.shape[1])
    ahead = place[None, :] - place[:, None]
    seen = MASK[:, None, None, :] | (ahead == 0)
    seen = seen & (ahead >= -left) & (ahead <= right)
    logits = np.where(seen, logits, -1e9)
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    read = np.einsum("bhts,bshd->bthd", share, v)
    kernel, bias = w["attend/attention_output/kernel"], w["attend/attention_output/bias"]
    return np.einsum("bthd,hdc->btc", read, kernel) + bias


def convolution(x, w, causal):
    y = layer_norm(x, w, "convolution_norm") @ w["gate/kernel"] + w["gate/bias"]
    value, gate = np.split(y, 2, axis=-1)
    y = value / (1 + np.exp(-gate)) * MASK[..., None]
    kernel = w["convolve/kernel"][:, :, 0]
    after = 0 if causal else (len(kernel) - 1) // 2
    padded = np.pad(y, ((0, 0), (len(kernel) - 1 - after, after), (0, 0)))
    y = sum(padded[:, k : k + x.shape[1]] * kernel[k] for k in range(len(kernel)))
    y = (y - w["norm/moving_mean"]) / np.sqrt(w["norm/moving_variance"] + 1e-3)
    y = swish(y * w["norm/gamma"] + w["norm/beta"])
    return y @ w["mix/kernel"] + w["mix/bias"]


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_what_a_layer_must_be(causal):
    def reference(x, w):
        y = x + 0.5 * feed(x, w, "first")
        y = y + attention(y, w, 3, 1)
        y = y + convolution(y, w, causal)
        return layer_norm(y + 0.5 * feed(y, w, "second"), w, "last_norm") * MASK[..., None]

    arguments = {"units": 6, "heads": 2, "kernel_size": 4, "expansion": 3, "left": 3, "right": 1,
                 "causal": causal, "dropout": 0.0, "momentum": 0.9}  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 7, 6)).astype("float32")
    check_layer(ConformerBlock, arguments, x, reference, mask=MASK, tolerance=3e-5)


def test_a_bounded_block_depends_on_a_bounded_stretch():
    layer = ConformerBlock(8, 2, kernel_size=3, left=2, right=0, causal=True)
    x = np.random.default_rng(0).normal(size=(1, 20, 8)).astype("float32")
    other = x.copy()
    other[:, 12:] += 1
    assert np.allclose(layer(x)[:, :12], layer(other)[:, :12], atol=1e-5)
    other = x.copy()
    other[:, :4] += 1  # attention 2 back, convolution 2 more
    assert np.allclose(layer(x)[:, 8:], layer(other)[:, 8:], atol=1e-5)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="heads must divide 8 units, got 3"):
        ConformerBlock(8, 3)
    with pytest.raises(ValueError, match="8 channels expected"):
        ConformerBlock(8, 2)(np.zeros((1, 4, 6), "float32"))
