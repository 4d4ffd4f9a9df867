import numpy as np

from deepfield.toolkit.layers import PreciseDense
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)


def test_it_is_a_dense_layer():
    x = RANDOM.normal(size=(3, 5)).astype("float32")
    check_layer(
        PreciseDense,
        {"units": 4, "activation": "tanh"},
        x,
        lambda x, w: np.tanh(x @ w["kernel"] + w["bias"]),
    )


def test_what_cancels_leaves_the_rest():
    x = RANDOM.uniform(0.5, 1, (4, 1000)).astype("float32")
    kernel = RANDOM.normal(0, 1e4, (1000, 1)).astype("float32")
    layer = PreciseDense(1, use_bias=False)
    layer.build((None, 1000))
    layer.kernel.assign(kernel)
    exact = x.astype("float64") @ kernel.astype("float64")
    np.testing.assert_allclose(layer(x), exact, rtol=1e-6)
