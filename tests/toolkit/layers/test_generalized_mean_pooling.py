import numpy as np
import pytest

from deepfield.toolkit.layers import GeneralizedMeanPooling
from deepfield.toolkit.structure import connections
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).uniform(-0.5, 2, size=(3, 4, 5, 6)).astype("float32")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("x", [X, X[:, :, 0]], ids=["maps", "steps"])
def test_it_is_what_a_layer_must_be(per_channel, x):
    def reference(x, weights):
        x, p = np.maximum(x.astype("float64"), 0.01), weights["power"].astype("float64")
        return (x**p).mean(axis=tuple(range(1, x.ndim - 1))) ** (1 / p)

    arguments = {"power": 2.5, "per_channel": per_channel, "epsilon": 0.01}
    check_layer(GeneralizedMeanPooling, arguments, x, reference)


def test_one_is_the_mean_and_much_is_the_maximum():
    x = np.abs(X)
    np.testing.assert_allclose(GeneralizedMeanPooling(1.0)(x), x.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(GeneralizedMeanPooling(1e3)(x), x.max(axis=(1, 2)), rtol=0.01)


@pytest.mark.parametrize("factor", [1e-5, 1e10])
def test_no_size_of_the_input_is_too_much(factor):
    pool = GeneralizedMeanPooling(20.0, epsilon=1e-12)
    x = np.abs(X) + 0.1
    np.testing.assert_allclose(pool(factor * x), factor * np.asarray(pool(x)), rtol=1e-4)


def test_a_power_below_a_tenth_counts_as_a_tenth():
    pools = [GeneralizedMeanPooling(0.1), GeneralizedMeanPooling(0.1)]
    for pool in pools:
        pool(X)
    pools[0].set_weights([np.array([-3.0])])
    np.testing.assert_array_equal(pools[0](X), pools[1](X))


def test_its_connections_are_those_of_a_pooling():
    layer = GeneralizedMeanPooling()
    layer.build(X.shape)
    assert connections(layer, X.shape) == 4 * 5 * 6


@pytest.mark.parametrize("name", ["power", "epsilon"])
def test_a_wrong_argument_is_named(name):
    with pytest.raises(ValueError, match=f"{name} must be a number between 0"):
        GeneralizedMeanPooling(**{name: 0.0})


def test_vectors_have_no_places():
    with pytest.raises(ValueError, match="ndim"):
        GeneralizedMeanPooling()(np.ones((2, 3), "float32"))
