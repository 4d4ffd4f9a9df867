import numpy as np
import pytest
from keras import ops

from deepfield.toolkit.layers._running import running_sum


@pytest.mark.parametrize("width", [1, 2, 3, 8, 13, 20])
def test_it_adds_up_what_the_window_shows(width):
    x = np.random.default_rng(0).normal(size=(2, 20, 3)).astype("float32")
    y = np.asarray(running_sum(ops.convert_to_tensor(x), width))
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=1)
    np.testing.assert_allclose(y, windows.sum(axis=-1), atol=1e-5)
    piece = np.asarray(running_sum(ops.convert_to_tensor(x[:, 20 - width :]), width))
    np.testing.assert_array_equal(piece, y[:, -1:])  # to the last bit
