import numpy as np
import pytest

from deepfield.toolkit.layers import CtcLogSoftmax
from deepfield.toolkit.testing import check_layer

MASK = np.array([[1, 1, 1, 0, 0], [1] * 5], bool)


def test_it_is_what_a_layer_must_be():
    def reference(z, _):
        y = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        return np.where(MASK[..., None], y, np.array([0.0, -2e4, -2e4, -2e4]))

    z = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    check_layer(CtcLogSoftmax, {"impossible": -2e4}, z, reference, mask=MASK)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="impossible must be a number between -60000 and -1000"):
        CtcLogSoftmax(impossible=-10.0)
