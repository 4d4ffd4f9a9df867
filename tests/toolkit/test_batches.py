"""The order of the data is a function of the seed and the epoch; ragged items are padded."""

import keras
import numpy as np
import pytest

from deepfield.toolkit.batches import Batches, Feed
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


# -- what is varied, and few shapes


def added(rng, chosen, inputs, targets):
    """Every item gets a number, the same in input and target."""
    number = rng.normal(size=(len(chosen), 1)).astype("float32")
    return {"x": inputs["x"] + number}, {"y": targets["y"] + 10 * number}


def varied(seed=1, epoch=0, skip=0, **settings):
    batches = Batches(*even(), 6, seed, vary=added, **settings)
    batches.epoch, batches.skip = epoch, skip
    batches.on_epoch_begin()
    return [batches[i] for i in range(batches.num_batches)]


def test_what_varies_depends_on_seed_epoch_and_batch_alone():
    first = varied()
    for x, y in first:
        np.testing.assert_allclose(10 * x, y, rtol=1e-5)
        assert (x != np.round(x)).all()
    for again in (varied(), first):
        for (x, y), (a, b) in zip(first, again, strict=True):
            np.testing.assert_array_equal(x, a)
            np.testing.assert_array_equal(y, b)
    offsets = [np.mod(batches[0][0], 1) for batches in (first, varied(2), varied(epoch=1))]
    assert not np.array_equal(offsets[0], offsets[1])
    assert not np.array_equal(offsets[0], offsets[2])
    assert not np.array_equal(offsets[0], np.mod(first[1][0], 1))


@pytest.mark.parametrize("lengths", [(3, 4, 5, 3), (4, 4, 4, 4), (4, 4)])
def test_a_network_is_trained_on_batches_of_which_the_length_varies(lengths):
    items = [{"x": np.ones((n, 1), "float32")} for n in lengths]
    targets = [{"y": np.ones(1, "float32")} for _ in lengths]
    seen = []

    def vary(rng, chosen, inputs, targets):
        more = int(rng.integers(0, 9))
        x = np.pad(inputs["x"], ((0, 0), (0, more), (0, 0)))
        seen.append(x.shape[1])
        return {"x": x}, targets

    vary.widens = ("x",)
    x = keras.Input((None, 1), name="x")
    y = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x))
    model = keras.Model(x, y)
    model.compile("sgd", "mse")
    model.fit(Feed(Batches(items, targets, 2, 0, vary=vary)), epochs=4, verbose=0, shuffle=False)
    assert len(set(seen)) > 1


def test_what_varies_is_repeated_by_a_resumed_epoch():
    whole, rest = varied(epoch=2), varied(epoch=2, skip=2)
    assert len(whole) == len(rest) + 2
    for (x, y), (a, b) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(x, a)
        np.testing.assert_array_equal(y, b)


def test_what_varies_knows_the_places_of_its_items():
    seen = []

    def vary(rng, chosen, inputs, targets):
        np.testing.assert_array_equal(inputs["x"][:, 0], chosen)
        seen.extend(chosen.tolist())
        return inputs, targets

    batches = Batches(*even(), 6, 1, vary=vary)
    batches.on_epoch_begin()
    for index in range(len(batches)):
        batches[index]
    assert sorted(seen) == list(range(20))


def stories(count=300, most=100, words=9):
    rng = np.random.default_rng(0)
    items, targets = [], []
    for i in range(count):
        sentences = int(rng.integers(1, most + 1))
        story = rng.integers(1, 9, (sentences, int(rng.integers(1, words + 1)))).astype("int32")
        items.append({"story": story})
        targets.append({"logits": np.int32(i), "grounds": np.zeros(sentences, "float32")})
    return items, targets


def all_batches(batches):
    batches.on_epoch_begin()
    return [batches[i] for i in range(len(batches))]


@pytest.mark.parametrize("seed", [None, 4])
def test_shapes_are_few(seed):
    items, targets = stories()
    padding = {"grounds": np.nan}
    batches = Batches(items, targets, 8, seed, padding, named=True, few_shapes=True)
    order = batches.order(0)
    shapes = set()
    for (story, asked), chosen in zip(all_batches(batches), order, strict=True):
        longest = max(len(items[i]["story"]) for i in chosen)
        assert longest <= story.shape[1] <= max(2, 1.5 * longest)
        assert story.shape[2] == 9 and asked["grounds"].shape == story.shape[:2]
        shapes.add(story.shape[1:])
        for row, grounds, item in zip(story, asked["grounds"], chosen, strict=False):
            own = items[item]["story"]
            np.testing.assert_array_equal(row[: len(own), : own.shape[1]], own)
            assert (row != 0).sum() == own.size
            assert not np.isnan(grounds[: len(own)]).any() and np.isnan(grounds[len(own) :]).all()
    powers = {2**k for k in range(8)} | {3 * 2**k for k in range(6)}
    assert {sentences for sentences, _ in shapes} <= powers
    assert len(shapes) <= len(powers)


def test_axes_that_are_never_long_have_one_length():
    items, targets = stories(most=16)
    batches = Batches(items, targets, 8, 4, {"grounds": np.nan}, few_shapes=True, named=True)
    assert {story.shape for story, _ in all_batches(batches)} == {(8, 16, 9)}


def test_the_last_batch_is_filled_up_in_training_alone():
    items, targets = stories(20)
    sizes = {}
    for seed in (None, 4):
        for few in (False, True):
            batches = Batches(items, targets, 8, seed, few_shapes=few, named=True)
            found = all_batches(batches)
            sizes[seed, few] = sorted(len(asked["logits"]) for _, asked in found)
            drawn = np.concatenate([asked["logits"] for _, asked in found])
            assert set(drawn.tolist()) == set(range(20))
    assert sizes == {
        (None, False): [4, 8, 8], (None, True): [4, 8, 8],
        (4, False): [4, 8, 8], (4, True): [8, 8, 8],
    }  # fmt: skip
    asked = next(a for (_, a), chosen in zip(found, batches.order(0), strict=True)
                 if len(chosen) == 4)  # fmt: skip
    np.testing.assert_array_equal(asked["logits"][:4], asked["logits"][4:])


def test_a_filled_batch_has_weights_and_is_varied_too():
    numbers = []

    def vary(rng, chosen, inputs, targets):
        numbers.append(len(chosen))
        return inputs, targets

    weights = np.arange(20, dtype="float32")
    batches = Batches(*even(), 6, 1, weights=weights, few_shapes=True, vary=vary)
    for x, y, weight in all_batches(batches):
        assert len(x) == len(y) == len(weight) == 6
        np.testing.assert_array_equal(x[:, 0], weight)
    assert numbers == [6] * 4


def test_few_shapes_are_repeated_by_seed_and_epoch_and_by_a_resumed_epoch():
    items, targets = stories(60)

    def batches_of(epoch, skip=0, seed=4):
        batches = Batches(items, targets, 8, seed, few_shapes=True, named=True)
        batches.epoch, batches.skip = epoch, skip
        batches.on_epoch_begin()
        return [batches[i][0] for i in range(batches.num_batches)]

    whole = batches_of(2)
    for again, start in ((batches_of(2), 0), (batches_of(2, 5), 5)):
        for a, b in zip(whole[start:], again, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(
        a.shape != b.shape or (a != b).any() for a, b in zip(whole, batches_of(3), strict=True)
    )


@pytest.mark.parametrize(
    ("size", "rounded"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 8), (13, 16), (17, 24), (25, 32), (33, 48)],
)
def test_lengths_are_rounded_to_powers_of_two_and_three_quarters_of_them(size, rounded):
    from deepfield.toolkit.batches import _rounded

    assert _rounded(size) == rounded
