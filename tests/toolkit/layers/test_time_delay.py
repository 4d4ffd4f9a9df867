import numpy as np
import pytest

from deepfield.toolkit.layers import TimeDelay
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1] * 5 + [0] * 3, [1] * 8], bool)


def test_it_is_what_a_layer_must_be():
    def reference(x, w):
        padded = np.pad(x * MASK[..., None], ((0, 0), (4, 2), (0, 0)))
        y = sum(padded[:, 2 * k : 2 * k + 8] @ w["delays/kernel"][k] for k in range(4))
        y = (y - w["norm/moving_mean"]) / np.sqrt(w["norm/moving_variance"] + 1e-3)
        return np.tanh(y * w["norm/gamma"] + w["norm/beta"]) * MASK[..., None]

    arguments = {"units": 5, "before": 2, "after": 1, "spacing": 2, "strides": 1,
                 "activation": "tanh", "dropout": 0.0, "momentum": 0.9}  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    check_layer(TimeDelay, arguments, x, reference, mask=MASK)


def test_a_strided_batch_answers_as_its_items_alone():
    layer = TimeDelay(4, 3, 1, strides=3)
    x = np.random.default_rng(0).normal(size=(1, 20, 3)).astype("float32")
    for length in (6, 7, 8):
        mask = np.arange(20) < length
        whole = layer(x, mask=mask[None])[:, : -(-length // 3)]
        assert np.allclose(whole, layer(x[:, :length]), atol=1e-6)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="strides and spacing cannot both be above 1"):
        TimeDelay(4, strides=2, spacing=2)
    with pytest.raises(ValueError, match="after must be an integer of at least 0, got -1"):
        TimeDelay(4, after=-1)
