import keras
import numpy as np
import onnxruntime
import pytest

from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import MentionOrder
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 6, (3, 5, 4)).astype("int32")


def sorted_by_hand(inputs, weights=None):
    """Words by id, then by place, with plain sorting."""
    orders, backs, firsts = [], [], []
    for text in np.reshape(inputs, (len(inputs), -1)).tolist():
        order = sorted(range(len(text)), key=lambda i: (text[i], i))
        orders.append(order)
        backs.append([order.index(i) for i in range(len(text))])
        firsts.append([k == 0 or text[order[k]] != text[order[k - 1]] for k in range(len(text))])
    return [np.array(orders), np.array(backs), np.array(firsts)]


def numbers(arrays):
    return [keras.ops.convert_to_numpy(array) for array in arrays]


def test_it_is_what_a_layer_must_be():
    check_layer(MentionOrder, {}, IDS, sorted_by_hand)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 7), (2, 7, 1), (2, 60, 9)])
def test_mentions_stand_together_in_reading_order(shape):
    ids = RANDOM.integers(0, 5, shape).astype("int32")
    for found, expected in zip(numbers(MentionOrder()(ids)), sorted_by_hand(ids), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_text_of_one_word_keeps_its_order():
    order, back, first = numbers(MentionOrder()(np.full((2, 3, 4), 7, "int32")))
    np.testing.assert_array_equal(order, np.tile(np.arange(12), (2, 1)))
    np.testing.assert_array_equal(back, order)
    np.testing.assert_array_equal(first.sum(axis=1), [1, 1])


def test_words_go_there_and_back():
    words = RANDOM.normal(size=(3, 20, 2)).astype("float32")
    order, back, _ = map(np.array, MentionOrder()(IDS))
    for b in range(3):
        np.testing.assert_array_equal(words[b][order[b]][back[b]], words[b])


def test_an_exported_network_breaks_ties_alike():
    ids = keras.Input((None, None), dtype="int32", name="ids")
    order, back, first = MentionOrder()(ids)
    ends = {"order": order, "back": back, "first": keras.ops.cast(first, "int32")}
    model = keras.Model(ids, {n: keras.layers.Identity(name=n)(x) for n, x in ends.items()})
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for shape in ((1, 1, 1), (2, 3, 4), (2, 70, 9)):
        fed = RANDOM.integers(0, 4, shape).astype("int32")
        found = dict(zip(names, session.run(None, {"ids": fed}), strict=True))
        order, back, first = sorted_by_hand(fed)
        np.testing.assert_array_equal(found["order"], order)
        np.testing.assert_array_equal(found["back"], back)
        np.testing.assert_array_equal(found["first"], first)


def test_shapes_are_known_as_far_as_the_input_is():
    for shape, words in (((None, 3, 4), 12), ((2, None, 4), None)):
        spec = MentionOrder().compute_output_spec(keras.KerasTensor(shape, "int32"))
        assert [s.shape for s in spec] == [(shape[0], words)] * 3
        assert [s.dtype for s in spec] == ["int32", "int32", "bool"]


def test_a_single_sentence_is_no_text():
    with pytest.raises(ValueError, match="ids must be"):
        MentionOrder()(IDS[0])
