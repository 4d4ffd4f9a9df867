"""Losses against NumPy; what is missing counts for nothing."""

import keras
import numpy as np
import pytest

from deepfield.toolkit import losses
from deepfield.toolkit.errors import UsageError

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype("float32") * 3
CLASSES = RNG.integers(0, 4, 6)


def log_softmax(z):
    z = z.astype("float64") - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_mixes_the_label_with_the_uniform_distribution(smoothing):
    q = (1 - smoothing) * np.eye(4)[CLASSES] + smoothing / 4
    expected = -(q * log_softmax(LOGITS)).sum(-1)
    loss = losses.SparseCrossentropy(smoothing, reduction="none")
    np.testing.assert_allclose(loss(CLASSES, LOGITS), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(CLASSES[:, None], LOGITS), expected, rtol=1e-5)
    mean = losses.SparseCrossentropy(smoothing)(CLASSES, LOGITS)
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_unknown_class_costs_nothing_and_teaches_nothing(smoothing):
    some = np.where(np.arange(6) % 2, CLASSES, -1)
    loss = losses.SparseCrossentropy(smoothing, reduction="none")
    whole = np.asarray(loss(CLASSES, LOGITS))
    np.testing.assert_allclose(loss(some, LOGITS), whole * (np.arange(6) % 2), rtol=1e-6)
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(4, use_bias=False)(x))
    model.compile(keras.optimizers.SGD(1.0), losses.SparseCrossentropy(smoothing))
    before = model.get_weights()[0].copy()
    model.train_on_batch(LOGITS, np.full(6, -1))
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_as_many_classes_as_the_batch_has_steps():
    x = keras.Input((None,))
    model = keras.Model(x, keras.layers.Rescaling(1.0)(x))
    model.compile("sgd", losses.SparseCrossentropy())
    expected = -log_softmax(LOGITS)[np.arange(6), CLASSES].mean()
    for width in (4, 5):
        wide = np.full((6, width), -1e9, "float32")
        wide[:, :4] = LOGITS
        np.testing.assert_allclose(model.evaluate(wide, CLASSES, verbose=0), expected, rtol=1e-5)


def test_smoothing_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.SparseCrossentropy(1.0)


def missing(values):
    values = values.astype("float32").copy()
    values[0, 1:] = np.nan
    values[3] = np.nan
    return values


BINARY = (False, True, True, False)


def quantities(targets, outputs):
    """Squared error and cross-entropy, column by column; every label counts alike."""
    total = np.zeros(len(targets))
    for t, yes_or_no in enumerate(BINARY):
        y, z = targets[:, t].astype("float64"), outputs[:, t].astype("float64")
        own = np.log1p(np.exp(z)) - y * z if yes_or_no else (y - z) ** 2
        total += np.nan_to_num(own) / len(BINARY)
    return total


def test_missing_quantities_count_for_nothing():
    answers = RNG.integers(0, 2, (6, 4))
    targets = missing(np.where(BINARY, answers, RNG.normal(size=(6, 4))))
    loss = losses.MaskedQuantities(BINARY, reduction="none")
    np.testing.assert_allclose(loss(targets, LOGITS), quantities(targets, LOGITS), rtol=1e-4)


def test_every_member_of_an_ensemble_learns_as_if_alone():
    targets = missing(np.where(BINARY, RNG.integers(0, 2, (6, 4)), RNG.normal(size=(6, 4))))
    members = np.stack([LOGITS, LOGITS[::-1], 2 * LOGITS], axis=-1)
    expected = np.mean([quantities(targets, members[..., m]) for m in range(3)], axis=0)
    loss = losses.MaskedQuantities(BINARY, reduction="none")
    np.testing.assert_allclose(loss(targets, members), expected, rtol=1e-4)


def test_a_flag_too_few_is_an_error():
    with pytest.raises(ValueError, match="2 flags for 4 quantities"):
        losses.MaskedQuantities([True, False])(LOGITS, LOGITS)


def test_missing_targets_count_for_nothing_in_the_binary_crossentropy():
    targets = missing(RNG.integers(0, 2, (6, 4)))
    p = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    each = -np.where(targets == 1, np.log(p), np.log(1 - p)) * np.isfinite(targets)
    expected = each.sum(-1) / np.maximum(1, np.isfinite(targets).sum(-1))
    loss = losses.MaskedBinaryCrossentropy(reduction="none")
    np.testing.assert_allclose(loss(targets, LOGITS), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["masked_quantities", "masked_binary_crossentropy"])
def test_missing_targets_leave_no_gradient(name):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(4, use_bias=False, kernel_initializer="identity")(x))
    model.compile(keras.optimizers.SGD(1.0), losses.get(name))
    targets = np.zeros((6, 4), "float32")
    targets[:, 2] = np.nan
    model.train_on_batch(LOGITS, targets)
    kernel = np.array(model.weights[0])
    assert np.isfinite(kernel).all()
    np.testing.assert_array_equal(kernel[:, 2], np.eye(4)[:, 2])
    assert (kernel[:, 0] != np.eye(4)[:, 0]).any()


def test_losses_survive_their_config():
    for name in losses.LOSSES:
        made = losses.get(name, label_smoothing=0.2)
        twin = keras.losses.deserialize(keras.losses.serialize(made))
        assert twin.get_config() == made.get_config()


def test_an_unknown_loss_is_named():
    with pytest.raises(UsageError, match="loss"):
        losses.get("categorical_crosentropy")
