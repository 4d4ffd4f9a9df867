import inspect
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest

from deepfield.domains.qa import models
from deepfield.domains.qa.features import encode, words_of
from deepfield.domains.qa.layers import OrderedLogits, RandomEmptySentences, RandomSlots
from deepfield.domains.qa.models import ARCHITECTURES, memn2n
from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.domains.qa.world import simulate
from deepfield.toolkit.data import collate
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.export import copied_once, to_onnx
from deepfield.toolkit.structure import layer_table, parameters

RANDOM = np.random.default_rng(0)
LOOKING = ("memn2n", "mention_network", "query_reduction")
SMALL = {
    "entity_network": {"entities": 4, "positions": 3},
    "mention_network": {"hops": 2, "positions": 3},
}


def batch(words=20, stories=3, sentences=7, longest=5):
    """Ragged stories: lengths differ, of sentences too."""
    story = RANDOM.integers(1, words, (stories, sentences, longest))
    length = RANDOM.integers(1, longest + 1, (stories, sentences, 1))
    story = np.where(np.arange(longest) < length, story, 0)
    for b in range(stories):
        story[b, sentences - 2 * b :] = 0
    question = RANDOM.integers(1, words, (stories, 4))
    question[1, 2:] = 0
    return {"story": story.astype("int32"), "question": question.astype("int32")}


def built(name, words=20, classes=6, **hyper):
    return ARCHITECTURES[name](words, classes, units=8, **{**SMALL.get(name, {}), **hyper})


def answers_of(model, fed):
    found = model(fed)
    found = found if isinstance(found, dict) else {"logits": found}
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


@pytest.mark.parametrize("slots", [0, 4])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_builder_gives_logits_from_ids(name, slots):
    model = built(name, slots=slots)
    assert [tensor.name for tensor in model.inputs] == ["story", "question"]
    assert model.name == name
    found = answers_of(model, batch())
    assert found["logits"].shape == (3, 6) and found["logits"].dtype == "float32"
    assert np.isfinite(found["logits"]).all()
    assert set(model.output_names) == ({"logits", "attention"} if name in LOOKING else {"logits"})


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_weight_that_is_drawn_hangs_on_the_seed(name):
    def drawn(seed):
        keras.utils.set_random_seed(seed)
        return {v.path: np.array(v) for v in built(name, slots=3).trainable_weights}

    one, again, two = drawn(1), drawn(1), drawn(2)
    for path, values in one.items():
        np.testing.assert_array_equal(values, again[path])
        ones_and_zeros = len(np.unique(values)) <= 2
        assert ones_and_zeros or (values != two[path]).any(), path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_hyper_parameter_has_a_default(name):
    words, classes, slots, *hyper = inspect.signature(ARCHITECTURES[name]).parameters.values()
    assert (words.name, classes.name, slots.name) == ("words", "classes", "slots")
    assert all(parameter.default is not parameter.empty for parameter in (slots, *hyper))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_padding_of_words_and_of_sentences_changes_nothing(name):
    model, fed = built(name, slots=3), batch()
    together = answers_of(model, fed)
    for b in range(3):
        sentences = int(fed["story"][b].any(axis=-1).sum())
        words = int((fed["story"][b] != 0).sum(axis=-1).max())
        asked = int((fed["question"][b] != 0).sum())
        alone = answers_of(
            model,
            {
                "story": fed["story"][b : b + 1, :sentences, :words],
                "question": fed["question"][b : b + 1, :asked],
            },
        )
        np.testing.assert_allclose(alone["logits"][0], together["logits"][b], atol=1e-5)
        if name in LOOKING:
            p = together["attention"][b]
            np.testing.assert_allclose(alone["attention"][0], p[:, :sentences], atol=1e-5)
            assert (p[:, sentences:] == 0).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_exported_network_takes_stories_of_any_size(name, tmp_path):
    # by Keras itself; a second block of the mention network is converted below, as it is shipped
    hops = {"mention_network": {"hops": 1}, "memn2n": {"hops": 2}}.get(name, {})
    model = built(name, slots=3, **hops)
    model(batch())
    with copied_once():
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    names = sorted(model.output_names)
    assert [entry.name for entry in session.get_inputs()] == ["story", "question"]
    for sentences, longest in ((7, 5), (1, 1), (90, 3)):
        fed = batch(sentences=max(sentences, 5), longest=longest)
        fed["story"] = fed["story"][:, :sentences]
        outputs = [o.name for o in session.get_outputs()]
        if len(names) == 1:  # a single one has no name of its own there
            outputs = names
        found = dict(zip(outputs, session.run(None, fed), strict=True))
        expected = answers_of(model, fed)
        for output in names:
            np.testing.assert_allclose(found[output], expected[output], atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_weight_learns(name):
    model = built(name, slots=3)
    before = [w.copy() for w in model.get_weights()]
    model.compile(keras.optimizers.SGD(0.5), {"logits": loss()}, jit_compile=False)
    model.train_on_batch(batch(), named(model, np.array([0, 3, 5])))
    for old, new, variable in zip(before, model.get_weights(), model.weights, strict=True):
        if "seed" not in variable.path:
            assert (old != new).any(), variable.path


def named(model, targets):
    """Keras wants a single output's targets without a name."""
    return {"logits": targets} if len(model.output_names) > 1 else targets


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# -- learning


def stories(count, slots, length=5):
    """Stories of the simulated world: all at once, in one batch."""
    pairs = [
        pair
        for tale in simulate(count, 1, length, 2, names="usual" if not slots else "invented")
        for pair in tale.asked()
        if pair[0].task != "before"
    ]
    least = 3 if slots else 1  # names are of one story alone
    told = [[*map(words_of, a.sentences), words_of(a.question)] for a, _ in pairs]
    vocabulary = Vocabulary.learn(told, slots, least)
    encoded = [encode(asked, vocabulary) for asked, _ in pairs]
    if slots:
        targets = [
            read.place(words_of(t)[0]) for (_, read), (_, t) in zip(encoded, pairs, strict=True)
        ]
        classes = slots
    else:
        labels = sorted({answer for _, answer in pairs})
        targets, classes = [labels.index(answer) for _, answer in pairs], len(labels)
    return (
        collate([arrays for arrays, _ in encoded], {}),
        np.array(targets),
        len(vocabulary),
        classes,
    )


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        pytest.param(
            name, slots, id=f"{name}-{'slots' if slots else 'words'}",
            marks=pytest.mark.slow if slots and name != "mention_network" else [],
        )
        for name in ARCHITECTURES
        for slots in (0, 14)
    ],
)  # fmt: skip
def test_it_learns_stories_by_heart(name, slots):
    """With slots there are no words to learn by heart, only what happened."""
    keras.utils.set_random_seed(1)
    # without a look at sentences it takes more stories to find out that slots mean nothing
    many = bool(slots) and name not in LOOKING
    fed, targets, words, classes = stories(300, slots, 4) if many else stories(30, slots)
    sizes = {"entity_network": {"entities": 5}, "mention_network": {"hops": 2}}.get(name, {})
    model = ARCHITECTURES[name](words, classes, slots=slots, units=32, **sizes)
    epochs, batch = (25, 32) if many else (60, 64)
    rate: Any = 0.01
    if name == "mention_network":  # at a constant rate it forgets now and then what it has learnt
        rate = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(targets) // batch))
    model.compile(keras.optimizers.Adam(rate), {"logits": loss()}, jit_compile=False)
    model.fit(fed, named(model, targets), epochs=epochs, batch_size=batch, verbose=0)
    right = answers_of(model, fed)["logits"].argmax(axis=-1) == targets
    assert right.mean() >= (0.6 if slots else 0.95)  # guessing: below 0.2


# -- each by itself


@pytest.mark.parametrize("hops", [1, 3])
def test_memn2n_has_the_papers_parameters(hops):
    words, classes, d, times = 30, 7, 8, 11
    sizes = {"units": d, "hops": hops, "memories": times}
    adjacent = memn2n(words, classes, answers=range(classes), **sizes)
    assert parameters(adjacent) == (hops + 1) * (words + times) * d
    assert parameters(memn2n(words, classes, **sizes)) == parameters(adjacent) + d * classes
    layerwise = memn2n(words, classes, tying="layerwise", **sizes)
    assert parameters(layerwise) == 3 * words * d + 2 * times * d + d * d + d * classes


def test_query_reduction_has_the_papers_parameters():
    build = ARCHITECTURES["query_reduction"]
    ends, reset, layer = 30 * 8 + 8 * 7 + 7, 8 + 1, 8 * 16 + 8 + 8 + 1
    own = build(30, 7, units=8, hops=3, reset=True)
    assert parameters(own) == ends + 3 * layer + 2 * reset  # none in the last layer
    assert parameters(build(30, 7, units=8, hops=3, tied=True)) == ends + layer + reset


def test_tied_layers_are_layers_of_their_own_with_equal_weights():
    build, fed = ARCHITECTURES["query_reduction"], batch()
    tied = build(20, 6, units=8, hops=3, tied=True)
    own = build(20, 6, units=8, hops=3)
    for variable in own.weights:
        layer, _, name = variable.path.rpartition("/")
        shared = f"reduce/{name}" if layer.startswith("reduce") else variable.path
        variable.assign(next(v for v in tied.weights if v.path == shared))
    for name, values in answers_of(own, fed).items():
        np.testing.assert_allclose(answers_of(tied, fed)[name], values, atol=1e-6)


def test_update_gates_start_nearly_closed():
    model = ARCHITECTURES["query_reduction"](30, 7, units=8)
    biases = {v.path: float(v.numpy()[0]) for v in model.weights if v.path.endswith("e_bias")}
    assert biases["reduce_1/update_bias"] == biases["reduce_2/update_bias"] == -2.5
    assert all(value == 0 for path, value in biases.items() if "update" not in path)


def test_entity_network_has_the_papers_parameters():
    model = ARCHITECTURES["entity_network"](30, 7, units=8, entities=4, positions=5)
    assert parameters(model) == 30 * 8 + 2 * 5 * 8 + 4 * 8 + 3 * 64 + 8 + 64 + 8 + 8 * 7


@pytest.mark.parametrize(("memories", "rectified"), [(50, False), (2, False), (50, True)])
def test_memn2n_answers_by_equations_1_to_4(memories, rectified):
    """Adjacent tying, position encoding off: the whole network in NumPy."""
    words, hops, fed = 20, 3, batch()
    sizes = {"units": 8, "hops": hops, "memories": memories, "rectified": rectified}
    model = memn2n(words, 6, answers=range(1, 7), position_encoding=False, **sizes)
    weights = {w.path: keras.ops.convert_to_numpy(w).astype("float64") for w in model.weights}
    tables = [weights[f"words_{k}/embeddings"] for k in range(hops + 1)]
    times = [weights[f"times_{k}/embeddings"] for k in range(hops + 1)]
    found = answers_of(model, fed)
    for b in range(3):
        told = [row[row > 0] for row in fed["story"][b] if row.any()]
        rows = told[-memories:]  # it keeps no more
        u = tables[0][fed["question"][b][fed["question"][b] > 0]].sum(axis=0)
        for k in range(hops):
            m, c = (
                np.stack([tables[j][r].sum(axis=0) + times[j][len(rows) - 1 - i]
                          for i, r in enumerate(rows)])
                for j in (k, k + 1)
            )  # fmt: skip
            empty = memories - len(rows)  # places of the memory, which match with 0
            p = np.exp(m @ u) / (np.exp(m @ u).sum() + empty)
            attention = found["attention"][b, k, : len(told)]
            np.testing.assert_allclose(attention[-len(rows) :], p, atol=1e-5)
            assert not attention[: -len(rows)].any()
            u = u + p @ c
            if rectified:
                u[:4] = np.maximum(u[:4], 0)
        np.testing.assert_allclose(found["logits"][b], u @ tables[-1][1:7].T, atol=1e-5)


def test_a_linear_start_has_the_weights_of_the_network_with_softmax():
    straight, soft = (built("memn2n", linear=linear) for linear in (True, False))
    soft.set_weights(straight.get_weights())
    fed = batch()
    shares, products = (answers_of(model, fed)["attention"] for model in (soft, straight))
    assert (shares >= 0).all() and (shares.sum(axis=-1) <= 1).all()
    assert (products < 0).any()


# -- the mention network


def moved(model):
    """Weights off their initial values, so that a forgotten bias shows."""
    random = np.random.default_rng(5)
    for variable in model.weights:
        if "seed" not in variable.path:
            variable.assign(variable.numpy() + random.normal(0, 0.2, variable.shape))
    return model


@pytest.mark.parametrize("grounds", [False, True])
def test_mention_network_has_the_parameters_of_its_parts(grounds):
    build = ARCHITECTURES["mention_network"]
    model = build(20, 6, slots=4, units=8, hops=3, positions=5, messages=2, grounds=grounds)
    block = 5 * 8 + 2 * 16  # positions, two normalisations
    block += 2 * (8 * 8 + 8) + (4 * 8 + 8)  # what mentions and sentences say, what is heard
    block += (8 * 8 + 8) + 2 * 8 * 16  # a word in its sentence, look, seen
    block += (12 * 16 + 16) + 8 * 16 + (16 * 8 + 8)  # known, own, answer
    ends = 16 * 8 + 10 * 8 + 16 + 9 + (8 * 16 + 16) + (16 * 2 + 2)
    assert parameters(model) == 3 * block + ends + grounds * (8 * 8 + 8 + 9)


def test_a_slot_has_no_parameters_and_no_answers_no_layer():
    build = ARCHITECTURES["mention_network"]
    few, many = (build(10 + n, n, slots=n, units=8, hops=1) for n in (3, 30))
    assert parameters(few) == parameters(many)
    assert not {"asked", "answer"} & {layer.name for layer in many.layers}


def test_grounds_are_a_number_for_each_sentence():
    model, fed = built("mention_network", slots=3, grounds=True), batch()
    found = answers_of(model, fed)
    assert set(model.output_names) == {"logits", "attention", "grounds"}
    assert found["grounds"].shape == (3, 7) and found["attention"].shape == (3, 2, 7)
    alone = answers_of(model, {"story": fed["story"][2:, :3], "question": fed["question"][2:]})
    np.testing.assert_allclose(alone["grounds"][0], found["grounds"][2, :3], atol=1e-5)


def test_words_of_the_text_point_at_their_classes():
    """What no word of the text says and the question does not add to is as unlikely as can be."""
    model = moved(built("mention_network", classes=4, answers=[5, 0, 7, 8]))
    fed = {"story": np.array([[[5, 2], [7, 5]]], "int32"), "question": np.array([[3, 4]], "int32")}
    pointed = keras.Model(model.inputs, model.get_layer("pointed").output)(fed)
    assert (np.array(pointed)[0] == -12).tolist() == [False, True, False, True]
    assert np.isfinite(answers_of(model, fed)["logits"]).all()


@pytest.mark.parametrize("classes", [5, 9], ids=["slots alone", "labels and slots"])
def test_names_in_other_slots_get_the_same_logits_there(classes):
    words, slots = 20, 5
    model, fed = moved(built("mention_network", words, classes, slots=slots)), batch(words)
    one = answers_of(model, fed)
    order = np.random.default_rng(3).permutation(slots)
    ids = np.concatenate([np.arange(words - slots), words - slots + order]).astype("int32")
    two = answers_of(model, {name: ids[array] for name, array in fed.items()})
    labels = classes - slots
    np.testing.assert_allclose(two["logits"][:, :labels], one["logits"][:, :labels], atol=2e-5)
    np.testing.assert_allclose(
        two["logits"][:, labels:][:, order], one["logits"][:, labels:], atol=2e-5
    )
    np.testing.assert_allclose(two["attention"], one["attention"], atol=2e-5)


def test_names_in_later_slots_get_the_same_answers_there():
    model = moved(built("mention_network", 26, 10, slots=10))
    fed = batch(21)  # of ten slots the first five
    later = {name: np.where(array >= 16, array + 5, array) for name, array in fed.items()}
    one, two = answers_of(model, fed)["logits"], answers_of(model, later)["logits"]
    np.testing.assert_allclose(one[:, :5], two[:, 5:], atol=1e-6)


def test_the_mention_network_as_it_is_shipped_reads_stories_of_any_size():
    model = moved(built("mention_network", slots=3, grounds=True))
    made = to_onnx(model)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for sentences, longest in ((7, 5), (5, 1), (90, 3)):
        fed = batch(sentences=sentences, longest=longest)
        found = dict(zip(names, session.run(None, fed), strict=True))
        for name, expected in answers_of(model, fed).items():
            np.testing.assert_allclose(found[name], expected, atol=1e-4, rtol=1e-5)


def test_as_many_answers_as_classes():
    with pytest.raises(UsageError, match="2 answers for 3 classes"):
        built("mention_network", 9, 3, answers=[4, 5])


def test_the_attention_of_query_reduction_is_what_is_left_at_the_end():
    z = np.array([[[0.5], [0.0], [0.5], [1.0], [0.25]]], "float32")
    left = keras.ops.convert_to_numpy(models._left_at_the_end(z[:, :3]))
    np.testing.assert_allclose(left, [[0.25, 0, 0.5]], atol=1e-6)
    left = keras.ops.convert_to_numpy(models._left_at_the_end(z))
    np.testing.assert_allclose(left, [[0, 0, 0, 0.75, 0.25]], atol=1e-6)


def test_slots_are_shuffled_in_training_and_their_logits_put_back():
    layer, fed = RandomSlots(10, 5, seed=1), batch(words=15)
    same = layer([fed["story"], fed["question"]])
    np.testing.assert_array_equal(same[0], fed["story"])
    np.testing.assert_array_equal(same[2], np.tile(np.arange(5), (3, 1)))
    story, question, order = (
        keras.ops.convert_to_numpy(x) for x in layer([fed["story"], fed["question"]], training=True)
    )
    assert not np.array_equal(story, fed["story"])
    for b in range(3):
        new = np.concatenate([np.arange(10), 10 + order[b]])
        np.testing.assert_array_equal(story[b], new[fed["story"][b]])
        np.testing.assert_array_equal(question[b], new[fed["question"][b]])
        assert sorted(order[b]) == list(range(5))
    # a network that answers with slot s of the shuffled story means what was slot i, order[i] = s
    logits = np.eye(7, dtype="float32")[[2 + order[b][3] for b in range(3)]]
    back = OrderedLogits(5)(logits, order=order, training=True)
    np.testing.assert_array_equal(keras.ops.argmax(back, axis=-1), [2 + 3] * 3)
    np.testing.assert_array_equal(OrderedLogits(5)(logits, order=order), logits)


def test_empty_sentences_come_between_the_others_in_training():
    story = batch(stories=2, sentences=40)["story"]
    layer = RandomEmptySentences(0.25, seed=3)
    same, told = layer(story)
    np.testing.assert_array_equal(same, story)
    np.testing.assert_array_equal(told, story.any(axis=-1))
    new, told = (keras.ops.convert_to_numpy(x) for x in layer(story, training=True))
    assert new.shape == (2, 50, 5)
    for b, length in enumerate((40, 38)):
        rows = new[b][told[b]]
        np.testing.assert_array_equal(rows[rows.any(axis=-1)], story[b, :length])
        assert told[b].sum() - length in (9, 10)
        assert told[b][: told[b].sum()].all()  # padding stays at the end
        assert not rows.any(axis=-1)[:-1].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"words": 2, "classes": 3}, "2 word ids and 3 classes"),
        ({"words": 9, "classes": 1}, "9 word ids and 1 classes"),
        ({"words": 9, "classes": 3, "slots": 4}, "4 of them slots"),
    ],
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_numbers_that_make_no_sense_are_named(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        ARCHITECTURES[name](**arguments)


def test_wrong_tying_is_named():
    with pytest.raises(UsageError, match="'adjacent' or 'layerwise', got 'none'"):
        memn2n(9, 3, tying="none")
    with pytest.raises(UsageError, match="2 answers for 3 classes"):
        memn2n(9, 3, answers=[4, 5])
    with pytest.raises(UsageError, match="tying 'layerwise'"):
        memn2n(9, 2, answers=[4, 5], tying="layerwise")


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_can_be_described(architecture):
    table = layer_table(ARCHITECTURES[architecture](20, 6))
    assert table["total"]["parameters"] > 0 and len(table["layers"]) > 2
