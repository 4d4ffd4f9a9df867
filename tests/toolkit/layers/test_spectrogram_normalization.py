import numpy as np
import pytest

from deepfield.toolkit.layers import SpectrogramNormalization
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1, 1, 1, 1, 1, 0, 0], [1] * 7], bool)


def reference(left, right, epsilon, each):
    axis = 0 if each else None

    def normalised(x, _):
        y = np.zeros_like(x)
        for b, length in enumerate(MASK.sum(axis=1)):
            for t in range(length):
                low = 0 if left is None else max(0, t - left)
                high = length if left is None else min(length, t + right + 1)
                seen = x[b, low:high]
                y[b, t] = (x[b, t] - seen.mean(axis=axis)) / np.sqrt(seen.var(axis=axis) + epsilon)
        return y

    return normalised


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize(("left", "right"), [(None, 0), (2, 1), (3, 0)])
def test_it_is_what_a_layer_must_be(left, right, each):
    x = np.random.default_rng(0).normal(-8, 2, (2, 7, 3)).astype("float32")
    x[~MASK] = 0
    arguments = {"left": left, "right": right, "epsilon": 0.01, "each": each}
    check_layer(
        SpectrogramNormalization, arguments, x, reference(left, right, 0.01, each), mask=MASK,
        tolerance=1e-4,
    )  # fmt: skip


def test_loudness_does_not_matter():
    x = np.random.default_rng(0).normal(size=(1, 20, 4)).astype("float32")
    layer = SpectrogramNormalization()
    assert np.allclose(layer(x + 5), layer(x), atol=1e-5)
