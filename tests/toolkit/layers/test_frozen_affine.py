import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import FrozenAffine
from deepfield.toolkit.structure import connections, parameters
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")


@pytest.mark.parametrize("x", [X, X[:, 0, 0]], ids=["maps", "vectors"])
def test_it_is_what_a_layer_must_be(x):
    arguments = {"scale_initializer": "random_normal", "offset_initializer": "random_uniform"}
    check_layer(FrozenAffine, arguments, x, lambda x, w: w["scale"] * x + w["offset"])


def test_at_first_it_changes_nothing():
    np.testing.assert_array_equal(FrozenAffine()(X), X)


def test_it_is_batch_normalisation_after_training():
    norm, layer = keras.layers.BatchNormalization(), FrozenAffine()
    norm.build(X.shape), layer.build(X.shape)
    random = np.random.default_rng(1)
    gamma, beta, mean, variance = (random.uniform(0.5, 2, 5).astype("float32") for _ in range(4))
    norm.set_weights([gamma, beta, mean, variance])
    scale = gamma / np.sqrt(variance + norm.epsilon)
    layer.set_weights([scale, beta - mean * scale])
    np.testing.assert_allclose(layer(X), norm(X), atol=1e-5)


def test_training_leaves_it_and_it_counts_as_no_parameter():
    layer = FrozenAffine()
    model = keras.Sequential([keras.Input((5,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((4, 5)), np.zeros((4, 1)))
    assert [np.unique(w).tolist() for w in layer.get_weights()] == [[1.0], [0.0]]
    assert parameters(layer) == 0 and connections(layer, (None, 5)) is None


def test_other_channels_than_built_for_are_an_error():
    layer = FrozenAffine()
    layer(X)
    with pytest.raises(ValueError, match="axis -1"):
        layer(X[..., :4])
