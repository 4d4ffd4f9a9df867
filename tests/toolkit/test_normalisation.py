"""Recomputed statistics of batch normalisation are those of the items, for the kept weights."""

import keras
import numpy as np
import pytest

from deepfield.toolkit import training
from deepfield.toolkit.batches import Batches
from deepfield.toolkit.layers import RandomWarp2D, ResidualBlock2D
from deepfield.toolkit.normalisation import recalibrate
from deepfield.toolkit.recipe import Recipe

RNG = np.random.default_rng(0)
PICTURES = RNG.normal(2.0, 3.0, (300, 8, 8, 1)).astype("float32")


def batches(batch_size=64, seed=0):
    targets = [{"logits": np.int32(i % 2)} for i in range(len(PICTURES))]
    return Batches([{"pixels": p} for p in PICTURES], targets, batch_size, seed)


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="pixels")
    x = RandomWarp2D(shift=0.3, rotate_deg=40, name="augment")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5)(x)
    x = ResidualBlock2D(4)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))


def test_statistics_are_those_of_the_unaugmented_items():
    model = network()
    recalibrate(model, batches(), batch_size=100)
    norm = model.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, [PICTURES.mean()], rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, [PICTURES.var()], rtol=1e-4)


def test_inner_layers_are_reached_and_everything_else_is_left_as_it_was():
    model = network()
    nested = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(nested) > 1
    trained = [np.array(v) for v in model.trainable_variables]
    seeds = [np.array(v) for v in model.non_trainable_variables if "seed" in v.path]
    recalibrate(model, batches())
    assert all(np.abs(layer.moving_mean).max() > 0 for layer in nested)
    assert all(layer.momentum == 0.99 and "call" not in vars(layer) for layer in nested)
    for before, after in zip(trained, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, after)
    now = [np.array(v) for v in model.non_trainable_variables if "seed" in v.path]
    for before, after in zip(seeds, now, strict=True):
        np.testing.assert_array_equal(before, after)


def test_frozen_layers_keep_their_statistics():
    model = network()
    model.get_layer("norm").trainable = False
    recalibrate(model, batches())
    assert float(model.get_layer("norm").moving_mean[0]) == 0.0


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_with_it_is_repeatable_and_ends_with_the_statistics_of_the_items(ema):
    recipe = Recipe(epochs=2, recalibrate_bn=True, ema=ema, keep="last")
    kept = []
    for _ in range(2):
        model = network()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        training.fit(model, batches(), batches(128, None), recipe, loss, training.Run())
        kept.append([np.array(v) for v in model.weights])
    for a, b in zip(*kept, strict=True):
        np.testing.assert_array_equal(a, b)
    norm = model.get_layer("norm")
    np.testing.assert_allclose(norm.moving_mean, [PICTURES.mean()], rtol=1e-4)


def test_long_items_come_in_small_batches_and_as_they_are(monkeypatch):
    rng = np.random.default_rng(0)
    items = [{"steps": rng.normal(5, 2, (n, 1)).astype("float32")} for n in (600, 500, 550) * 10]
    targets = [{"logits": np.int32(0)}] * len(items)

    def vary(rng, chosen, inputs, targets):
        return {"steps": inputs["steps"] + 100}, targets

    feed = Batches(items, targets, 16, 0, vary=vary)
    inputs = keras.Input((None, 1), name="steps")
    x = keras.layers.BatchNormalization(name="norm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    seen = []
    plain = keras.Model.__call__
    monkeypatch.setattr(
        keras.Model, "__call__", lambda m, x, **k: seen.append(len(x)) or plain(m, x, **k)
    )
    monkeypatch.setattr("deepfield.toolkit.normalisation.MOST_VALUES", 600 * 9)
    recalibrate(model, feed)
    assert max(seen) == 9 and sum(seen) == len(items)
    assert 4 < float(model.get_layer("norm").moving_mean[0]) < 5.5
