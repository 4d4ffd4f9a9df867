import keras
import numpy as np
import onnxruntime
import pytest

from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import MentionBlock, MentionOrder
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 6, (3, 5, 4)).astype("int32")
WORDS = RANDOM.normal(size=(3, 5, 4, 6)).astype("float32")


def ragged(stories=3, sentences=5, longest=4, words=6):
    """Ids of texts whose sentences and lengths differ; the question is the last sentence."""
    ids = RANDOM.integers(1, words, (stories, sentences, longest))
    length = RANDOM.integers(1, longest + 1, (stories, sentences, 1))
    ids = np.where(np.arange(longest) < length, ids, 0)
    for b in range(1, stories):
        ids[b, max(1, sentences - 1 - b) : -1] = 0
    return ids.astype("int32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numbers(arrays):
    return [keras.ops.convert_to_numpy(array) for array in arrays]


def weights_of(layer):
    prefix = f"{layer.name}/"
    return {
        v.path.removeprefix(prefix): keras.ops.convert_to_numpy(v).astype("float64")
        for v in layer.weights
    }


def normal(x, weights, name):
    centred = x - x.mean()
    scaled = centred / np.sqrt((centred**2).mean() + 1e-3)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0.0)


def messages(spoken, weights, name):
    """What each of a line of speakers hears from those before it, and from those after it."""
    told = [np.split(dense(n, weights, name), 4) for n in spoken]

    def walk(candidate, gate, line):
        m, heard = np.zeros_like(told[0][0]), {}
        for i in line:
            heard[i] = m
            z = sigmoid(told[i][gate])
            m = (1 - z) * m + z * np.tanh(told[i][candidate])
        return heard

    before = walk(0, 2, range(len(told)))
    after = walk(1, 3, reversed(range(len(told))))
    return [np.concatenate([before[i], after[i]]) for i in range(len(told))]


def block_by_hand(ids, words, weights):
    """The docstring, word for word, for one text: a mapping from places to words, and p."""
    places = {
        (t, i): word for t, line in enumerate(ids.tolist()) for i, word in enumerate(line) if word
    }
    h = {place: words[place].astype("float64") for place in places}
    n = {place: normal(x, weights, "normalize_1") for place, x in h.items()}
    for word in set(places.values()):
        mentions = [place for place in places if places[place] == word]
        heard = messages([n[place] for place in mentions], weights, "mention")
        for place, m in zip(mentions, heard, strict=True):
            h[place] = h[place] + dense(m, weights, "heard")

    n = {place: normal(x, weights, "normalize_2") for place, x in h.items()}
    position, features = weights["position"], words.shape[-1]
    told = [t for t in range(len(ids)) if ids[t].any()]
    s = {t: np.zeros(features) for t in told}
    for t, i in places:
        s[t] = s[t] + position[min(i, len(position) - 1)] * dense(n[t, i], weights, "word")
    read = dict(zip(told, messages([s[t] for t in told], weights, "reading"), strict=True))
    last = len(ids) - 1
    looks = {t: np.split(dense(s[t], weights, "look"), 2) for t in told}
    score = {t: looks[last][0] @ looks[t][1] / np.sqrt(features) for t in told if t < last}
    p = np.zeros(last)
    for t, value in score.items():
        p[t] = np.exp(value) / sum(np.exp(v) for v in score.values())
    known = {t: dense(np.concatenate([s[t], read[t]]), weights, "known") for t in told}
    known[last] = known[last] + dense(sum(p[t] * s[t] for t in score), weights, "seen")
    for t, i in places:
        inner = dense(n[t, i], weights, "own") + np.maximum(known[t], 0)
        h[t, i] = h[t, i] + dense(np.maximum(inner, 0), weights, "answer")
    return h, p


def compare(found, p, ids, words, weights, atol=2e-5):
    for b in range(len(ids)):
        h, looked = block_by_hand(ids[b], words[b], weights)
        for (t, i), expected in h.items():
            np.testing.assert_allclose(found[b, t, i], expected, atol=atol)
        np.testing.assert_allclose(p[b], looked, atol=atol)


def test_it_is_what_a_layer_must_be():
    def reference(inputs, weights):
        weights = {name: value.astype("float64") for name, value in weights.items()}
        h, p = np.zeros(WORDS.shape), np.zeros((3, 4))
        for b in range(3):
            own, p[b] = block_by_hand(IDS[b], WORDS[b], weights)
            for place, x in own.items():
                h[b][place] = x
        return [h, p]

    order = numbers(MentionOrder()(IDS))
    arguments = {"positions": 3, "messages": 2}
    check_layer(MentionBlock, arguments, [WORDS, *order], reference)


@pytest.mark.parametrize("messages", [None, 1, 5])
@pytest.mark.parametrize("sentences", [2, 5, 40])
def test_it_does_what_its_docstring_says_of_ragged_texts(sentences, messages):
    """Also along more mentions and sentences than are doubled up in one piece."""
    ids = ragged(sentences=sentences)
    words = RANDOM.normal(size=(*ids.shape, 6)).astype("float32")
    layer = MentionBlock(positions=3, messages=messages)
    h, p = numbers(layer([words, *MentionOrder()(ids)], mask=ids > 0))
    compare(h, p, ids, words, weights_of(layer))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def test_what_stands_in_the_padding_does_not_matter():
    ids = ragged()
    layer, order = MentionBlock(), MentionOrder()(ids)
    other = np.where((ids > 0)[..., None], WORDS, 100 * RANDOM.normal(size=WORDS.shape))
    one = numbers(layer([WORDS, *order], mask=ids > 0))
    two = numbers(layer([other.astype("float32"), *order], mask=ids > 0))
    np.testing.assert_array_equal(one[0][ids > 0], two[0][ids > 0])
    np.testing.assert_array_equal(one[1], two[1])


def test_more_padding_does_not_matter():
    ids, layer = ragged(), MentionBlock()
    one, p = numbers(layer([WORDS, *MentionOrder()(ids)], mask=ids > 0))
    more = [(0, 0), (0, 0), (0, 3)]
    wide = np.pad(ids, more)
    # empty sentences between the story and its question
    wide = np.insert(wide, [4, 4], 0, axis=1)
    words = np.insert(np.pad(WORDS, [*more, (0, 0)]), [4, 4], 9.0, axis=1)
    two, q = numbers(layer([words, *MentionOrder()(wide)], mask=wide > 0))
    np.testing.assert_allclose(two[wide > 0], one[ids > 0], atol=1e-5)
    np.testing.assert_allclose(q[:, :4], p, atol=1e-6)
    assert (q[:, 4:] == 0).all()


def test_names_of_words_do_not_matter():
    ids, layer = ragged(sentences=20), MentionBlock()
    words = RANDOM.normal(size=(*ids.shape, 6)).astype("float32")
    one = numbers(layer([words, *MentionOrder()(ids)], mask=ids > 0))
    # in another order they stand in other chunks, which round otherwise
    for names, atol in ((range(100, 105), 0), (RANDOM.permutation(np.arange(100, 105)), 5e-6)):
        renamed = np.array([0, *names])[ids]
        two = numbers(layer([words, *MentionOrder()(renamed)], mask=ids > 0))
        np.testing.assert_allclose(one[0][ids > 0], two[0][ids > 0], rtol=0, atol=atol)
        np.testing.assert_allclose(one[1], two[1], rtol=0, atol=atol)


def test_a_message_goes_from_mention_to_mention_of_its_word_alone():
    """Without words in common, and one sentence each, only sentences connect them."""
    layer = MentionBlock()
    ids = np.array([[[1, 2], [3, 1], [4, 5]]], "int32")
    words = RANDOM.normal(size=(1, 3, 2, 6)).astype("float32")
    layer([words, *MentionOrder()(ids)])
    for v in layer.weights:  # nothing passes from a sentence to its words
        if v.path.removeprefix(f"{layer.name}/").startswith("answer"):
            v.assign(np.zeros(v.shape))
    one = numbers(layer([words, *MentionOrder()(ids)]))[0]
    words[0, 0, 0, 0] += 1.0  # of one feature: normalisation takes equal ones away
    changed = np.abs(numbers(layer([words, *MentionOrder()(ids)]))[0] - one).max(axis=-1)[0] > 0
    np.testing.assert_array_equal(changed, [[True, False], [False, True], [False, False]])


def test_in_half_precision_long_texts_are_read_too():
    ids = ragged(sentences=40)
    words = RANDOM.normal(size=(*ids.shape, 6)).astype("float32")
    whole, half = MentionBlock(), MentionBlock(dtype="mixed_bfloat16")
    inputs = [words, *MentionOrder()(ids)]
    expected = numbers(whole(inputs, mask=ids > 0))
    half(inputs, mask=ids > 0)
    half.set_weights(whole.get_weights())
    found = half(inputs, mask=ids > 0)
    assert keras.backend.standardize_dtype(found[0].dtype) == "bfloat16"
    for a, b in zip(found, expected, strict=True):
        a = keras.ops.convert_to_numpy(keras.ops.cast(a, "float32"))
        assert np.abs(a - b).mean() < 0.03


def test_a_part_of_every_exchange_is_left_out_in_training():
    layer = MentionBlock(dropout=0.5)
    inputs = [WORDS, *MentionOrder()(IDS)]
    still = numbers(layer(inputs))[0]
    np.testing.assert_array_equal(still, numbers(layer(inputs, training=False))[0])
    one, two = (numbers(layer(inputs, training=True))[0] for _ in range(2))
    assert (one != still).any() and (one != two).any()


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_an_exported_network_reads_texts_of_any_size(policy):
    ids = keras.Input((None, None), dtype="int32", name="ids")
    words = keras.Input((None, None, 6), name="words")
    layer = MentionBlock(positions=3, dtype=policy)
    h, p = layer([words, *MentionOrder()(ids)], mask=keras.ops.not_equal(ids, 0))
    ends = {"h": h, "p": p}
    ends = {name: keras.layers.Identity(dtype="float32", name=name)(x) for name, x in ends.items()}
    model = keras.Model([ids, words], ends)
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for sentences, longest in ((2, 1), (5, 4), (70, 3)):
        fed = {"ids": ragged(sentences=sentences, longest=longest)}
        fed["words"] = RANDOM.normal(size=(*fed["ids"].shape, 6)).astype("float32")
        found = dict(zip(names, session.run(None, fed), strict=True))
        expected, atol = model(fed), 1e-5 if policy == "float32" else 0.05
        there = fed["ids"] > 0
        np.testing.assert_allclose(
            found["h"][there], expected["h"].numpy()[there], atol=atol, rtol=atol
        )
        np.testing.assert_allclose(found["p"], expected["p"], atol=atol)


def test_a_saved_network_answers_the_same(tmp_path):
    ids = keras.Input((None, None), dtype="int32", name="ids")
    words = keras.Input((None, None, 6), name="words")
    out = MentionBlock(3, 2, 0.1)([words, *MentionOrder()(ids)], mask=keras.ops.not_equal(ids, 0))
    model, fed = keras.Model([ids, words], out), {"ids": IDS, "words": WORDS}
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model(fed), loaded(fed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_shapes_are_known_as_far_as_the_input_is():
    for sentences in (5, None):
        line = None if sentences is None else 20
        inputs = [keras.KerasTensor((None, sentences, 4, 6))]
        inputs += [keras.KerasTensor((None, line), kind) for kind in ("int32", "int32", "bool")]
        h, p = MentionBlock().compute_output_spec(inputs)
        assert h.shape == (None, sentences, 4, 6) and p.shape == (None, sentences and 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": 0}, "positions must be a positive integer, got 0"),
        ({"messages": 0}, "messages must be a positive integer, got 0"),
        ({"messages": 1.5}, "messages must be a positive integer, got 1.5"),
        ({"dropout": 1}, "dropout must be from 0 to below 1, got 1"),
        ({"dropout": -0.1}, "dropout must be from 0 to below 1, got -0.1"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MentionBlock(**arguments)


def test_words_without_their_order_are_refused():
    with pytest.raises(ValueError, match="a list of words, order, back and first"):
        MentionBlock()(WORDS)
