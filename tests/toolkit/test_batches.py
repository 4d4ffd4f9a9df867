"""The order of the data is a function of the seed and the epoch; ragged items are padded."""

import keras
import numpy as np
import pytest

from deepfield.toolkit.batches import Batches
from deepfield.toolkit.training import class_weights


def ragged(count=40):
    rng = np.random.default_rng(0)
    items = [{"steps": rng.normal(size=(2 + i % 7, 3)).astype("float32")} for i in range(count)]
    return items, [{"logits": np.int32(i % 2)} for i in range(count)]


def even(count=20):
    return [{"x": np.array([float(i)], "float32")} for i in range(count)], [
        {"y": np.array([10.0 * i], "float32")} for i in range(count)
    ]


def orders(seed, epochs=3, **settings):
    batches = Batches(*even(), 6, seed, **settings)
    return [np.concatenate(batches.order(e)).tolist() for e in range(epochs)]


def test_the_order_is_a_function_of_seed_and_epoch():
    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    first, second, third = orders(1)
    assert first != second != third
    late = Batches(*even(), 6, 1)
    assert np.concatenate(late.order(2)).tolist() == third


def test_every_item_comes_once_an_epoch():
    for items in (even(), ragged()):
        batches = Batches(*items, 6, 0)
        assert sorted(np.concatenate(batches.order(4)).tolist()) == list(range(batches.count))
        assert len(batches) == -(-batches.count // 6) == len(batches.order(4))


def test_without_a_seed_the_order_is_that_of_the_items():
    batches = Batches(*even(), 6)
    assert np.concatenate(batches.order(3)).tolist() == list(range(20))


def test_items_stay_with_their_targets_and_weights():
    batches = Batches(*even(), 6, 3, weights=np.arange(20, dtype="float32"))
    batches.on_epoch_begin()
    for index in range(len(batches)):
        x, y, weight = batches[index]
        np.testing.assert_array_equal(10 * x, y)
        np.testing.assert_array_equal(x[:, 0], weight)


def test_ragged_items_are_padded_with_the_given_value_beside_items_of_like_length():
    items, targets = ragged(400)
    batches = Batches(items, targets, 20, 0, {"steps": -9.0})
    batches.on_epoch_begin()
    waste = []
    for index in range(len(batches)):
        x, _ = batches[index]
        chosen = batches.order(0)[index]
        for row, item in zip(x, chosen, strict=True):
            own = items[item]["steps"]
            np.testing.assert_array_equal(row[: len(own)], own)
            assert (row[len(own) :] == -9.0).all()
        waste.append((x[..., 0] == -9.0).mean())
    assert np.mean(waste) < 0.1


def test_a_resumed_epoch_has_the_batches_that_were_left():
    whole, rest = Batches(*even(), 6, 5), Batches(*even(), 6, 5)
    rest.epoch, rest.skip = 2, 3
    whole.epoch = 2
    for each in (whole, rest):
        each.on_epoch_begin()
    assert rest.num_batches == len(whole) - 3
    np.testing.assert_array_equal(whole[3][0], rest[0][0])
    rest.on_epoch_end()
    rest.on_epoch_begin()
    assert (rest.epoch, rest.num_batches) == (3, len(whole))


@pytest.mark.parametrize("mask", [True, False])
def test_ragged_batches_go_through_keras_fit(mask):
    items, targets = ragged()
    x = keras.Input((None, 3), name="steps")
    h = keras.layers.Masking(-9.0)(x) if mask else x
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(h)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    batches = Batches(items, targets, 8, 0, {"steps": -9.0})
    assert np.isfinite(model.fit(batches, epochs=2, shuffle=False, verbose=0).history["loss"]).all()


def test_resized_batches_share_the_items():
    batches = Batches(*even(), 6, 0)
    batches.epoch, batches.skip = 3, 1
    twin = batches.resized(20)
    assert len(twin) == 1 and twin[0][0].shape == (20, 1)
    assert twin.items["x"] is batches.items["x"]
    assert (batches.batch_size, batches.epoch, batches.skip) == (6, 3, 1)


def test_class_weights_make_every_class_weigh_the_same():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels)
    sums = [weights[labels == k].sum() for k in range(3)]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-6)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)


def test_a_network_with_an_output_that_nothing_is_learnt_from_is_trained():
    series = keras.Input((None, 3), name="steps")
    h = keras.layers.GRU(4, return_sequences=True, name="reader")(series)
    outputs = {"seen": h, "logits": keras.layers.Dense(2, name="logits")(h[:, -1])}
    model = keras.Model(series, outputs)
    model.compile("sgd", {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    batches = Batches(*ragged(), 8, 0, named=True)
    assert list(batches[0][1]) == ["logits"]
    history = model.fit(batches, validation_data=batches, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
