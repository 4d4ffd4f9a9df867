import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import ArcMargin
from deepfield.toolkit.losses import SparseCrossentropy
from deepfield.toolkit.structure import connections
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 8)).astype("float32")
LABELS = np.array([0, 4, 2, -1, 4, 99], "int32")  # -1 and 99 are no class
ARGUMENTS = {
    "classes": 5,
    "margin": 0.4,
    "scale": 8.0,
    "kernel_initializer": "random_normal",
    "kernel_regularizer": "l2",
}


def angles(x, kernel):
    x, w = x.astype("float64"), kernel.astype("float64")
    cosine = x @ w / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(w, axis=0)
    return np.arccos(np.clip(cosine, -1, 1))


def reference(inputs, weights):
    """Eq. (3) of the paper, angle by angle."""
    x, labels = inputs
    theta = angles(x, weights["kernel"])
    for i, label in enumerate(labels):
        if 0 <= label < 5:
            theta[i, label] += 0.4
    assert theta.max() < np.pi
    return 8.0 * np.cos(theta)


def test_it_is_what_a_layer_must_be():
    check_layer(ArcMargin, ARGUMENTS, [X, LABELS], reference)


def test_without_labels_it_gives_scaled_cosines():
    check_layer(ArcMargin, ARGUMENTS, X, lambda x, w: 8.0 * np.cos(angles(x, w["kernel"])))


def circle(theta):
    """Vectors at these angles from the first class, whose direction is (1, 0)."""
    return np.stack([np.cos(theta), np.sin(theta)], axis=1).astype("float32")


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_more_angle_never_gives_a_larger_logit(margin):
    layer = ArcMargin(2, margin, 1.0, kernel_initializer="identity")
    theta = np.linspace(0, np.pi, 2001)
    logits = np.asarray(layer([circle(theta), np.zeros(2001, "int32")]))[:, 0]
    assert (np.diff(logits) <= 1e-6).all()
    assert np.abs(np.diff(logits)).max() < 0.01  # no step
    small = theta < np.pi - margin - 0.01
    np.testing.assert_allclose(logits[small], np.cos(theta + margin)[small], atol=2e-3)


@pytest.mark.parametrize("theta", [0.0, 1e-4, np.pi - 0.5, np.pi - 1e-4, np.pi])
def test_gradients_are_finite_at_every_angle(theta):
    x = keras.Input((2,))
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="identity")
    label = keras.Input((), dtype="int32")
    arc = ArcMargin(2, kernel_initializer="identity")
    model = keras.Model([x, label], arc([dense(x), label]))
    model.compile(keras.optimizers.SGD(1e-3), SparseCrossentropy())
    model.train_on_batch([circle(np.array([theta])), np.array([0])], np.array([0]))
    for weights in model.get_weights():
        assert np.isfinite(weights).all() and np.abs(weights).max() < 10


def test_an_embedding_of_zeros_has_finite_logits():
    layer = ArcMargin(3)
    assert (np.asarray(layer(np.zeros((1, 4), "float32"))) == 0).all()


def test_half_precision_loses_only_the_last_cast():
    whole, half = ArcMargin(5), ArcMargin(5, dtype="mixed_float16")
    expected = np.asarray(whole([X, LABELS]))
    half.build([X.shape, LABELS.shape])
    half.set_weights(whole.get_weights())
    np.testing.assert_allclose(half([X, LABELS]), expected, atol=0.04)  # 64 has steps of 1/16


def test_labels_may_be_a_column():
    layer = ArcMargin(5)
    np.testing.assert_array_equal(layer([X, LABELS]), layer([X, LABELS[:, None]]))


def test_its_connections_are_features_times_classes():
    layer = ArcMargin(5)
    layer.build([(None, 8), (None,)])
    assert connections(layer, [(None, 8), (None,)]) == connections(layer, (None, 8)) == 40
    assert layer.compute_output_shape([(None, 8), (None,)]) == (None, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 0}, "classes must be a positive integer, got 0"),
        ({"classes": 2, "margin": -0.1}, "margin must be a number between 0"),
        ({"classes": 2, "margin": 1.6}, "margin must be a number between 0 and 1.57"),
        ({"classes": 2, "scale": 0}, "scale must be a number between 0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArcMargin(**arguments)


@pytest.mark.parametrize("shapes", [[(2, 8)] * 3, (2, 8, 8)])
def test_wrong_inputs_are_named(shapes):
    with pytest.raises(ValueError, match="ArcMargin: e"):
        ArcMargin(2).build(shapes)
