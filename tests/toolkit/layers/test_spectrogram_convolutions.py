import numpy as np
import pytest

from deepfield.toolkit.layers import SpectrogramConvolutions
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1] * 5 + [0] * 4, [1] * 9], bool)


def convolved(x, kernel):
    """(batch, steps, bands, channels), by the definition."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    steps = range(x.shape[1] - 2)
    rows = [
        [np.einsum("nijc,ijcf->nf", x[:, t : t + 3, b : b + 3], kernel)
         for b in range(0, x.shape[2] - 2, 2)]
        for t in steps
    ]  # fmt: skip
    return np.moveaxis(np.array(rows), 2, 0)


def test_it_is_what_a_layer_must_be():
    def reference(x, w):
        y, valid = (x * MASK[..., None])[..., None], MASK[:, :, None, None]
        for i in (1, 2):
            y = convolved(y, w[f"convolution{i}/kernel"])
            y = (y - w[f"norm{i}/moving_mean"]) / np.sqrt(w[f"norm{i}/moving_variance"] + 1e-3)
            y = np.maximum(y * w[f"norm{i}/gamma"] + w[f"norm{i}/beta"], 0) * valid
        return y.reshape(*y.shape[:2], -1)

    arguments = {"filters": (3, 4), "kernel_size": 3, "strides": 1, "momentum": 0.9}
    x = np.random.default_rng(0).normal(size=(2, 9, 6)).astype("float32")
    check_layer(SpectrogramConvolutions, arguments, x, reference, mask=MASK)


def test_a_strided_batch_answers_as_its_items_alone():
    layer = SpectrogramConvolutions((3, 4), 5, strides=3)
    x = np.random.default_rng(0).normal(size=(1, 20, 7)).astype("float32")
    for length in (6, 7, 8):
        mask = np.arange(20) < length
        whole = layer(x, mask=mask[None])[:, : -(-length // 3)]
        assert np.allclose(whole, layer(x[:, :length]), atol=1e-6)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="an odd kernel_size, got"):
        SpectrogramConvolutions((4,), 4)
    with pytest.raises(ValueError, match="at least one filter"):
        SpectrogramConvolutions(())
    with pytest.raises(ValueError, match="filters must be a positive integer, got 0"):
        SpectrogramConvolutions((4, 0))
