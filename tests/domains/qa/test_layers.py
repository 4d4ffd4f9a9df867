"""Layers of the mention network, against plain NumPy."""

import json

import keras
import numpy as np
import pytest

from deepfield.domains.qa.layers import (
    OrderedLogits,
    Places,
    PointedWords,
    RandomEmptySentences,
    RandomSlots,
    WithQuestion,
)
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)


def twin(layer):
    return keras.layers.deserialize(json.loads(json.dumps(keras.layers.serialize(layer))))


@pytest.mark.parametrize(("words", "asked"), [(5, 3), (3, 5), (4, 4), (1, 9)])
def test_the_question_is_the_last_sentence(words, asked):
    story = RANDOM.integers(1, 9, (2, 6, words)).astype("int32")
    question = RANDOM.integers(1, 9, (2, asked)).astype("int32")
    text = keras.ops.convert_to_numpy(WithQuestion()([story, question]))
    expected = np.zeros((2, 7, max(words, asked)), "int32")
    expected[:, :6, :words] = story
    expected[:, 6, :asked] = question
    np.testing.assert_array_equal(text, expected)


def test_the_text_has_one_sentence_more():
    question = keras.KerasTensor((None, None), "int32")
    for sentences, more in ((6, 7), (None, None)):
        story = keras.KerasTensor((None, sentences, 4), "int32")
        spec = WithQuestion().compute_output_spec([story, question])
        assert spec.shape == (None, more, None) and spec.dtype == "int32"


def test_words_point_at_their_classes():
    ids = RANDOM.integers(0, 6, (3, 4, 5)).astype("int32")
    scores = RANDOM.normal(size=ids.shape).astype("float32")
    answers = [3, 0, 5, 2, 77]
    layer = PointedWords(answers, least=-5.0)
    for own in (layer, twin(layer)):
        found = own([ids, scores])
        assert found.shape == (3, 5) == own.compute_output_shape([(3, 4, 5), (3, 4, 5)])
        for b in range(3):
            for k, word in enumerate(answers):
                mine = scores[b][ids[b] == word] if word else []
                expected = np.log(np.exp(mine).sum()) if len(mine) else -5.0
                np.testing.assert_allclose(found[b, k], expected, atol=1e-5)


def test_padding_points_at_nothing():
    ids, scores = np.zeros((1, 2, 2), "int32"), np.full((1, 2, 2), 50.0, "float32")
    np.testing.assert_array_equal(PointedWords([0, 4])([ids, scores]), [[-12, -12]])


def test_half_precision_scores_are_added_up_whole():
    ids = np.full((1, 30, 100), 4, "int32")
    scores = np.zeros(ids.shape, "float16")
    found = PointedWords([4, 5], dtype="float32")([ids, scores])
    np.testing.assert_allclose(found[0, 0], np.log(3000), atol=1e-5)


def test_places_are_counted_on_for_the_question():
    for layer in (Places(3), twin(Places(3))):
        found = layer(np.zeros((2, 3, 5), "int32"))
        np.testing.assert_array_equal(found, [[[0, 1, 2, 2, 2]] * 2 + [[3, 4, 5, 5, 5]]])
        assert found.shape == layer.compute_output_shape((2, 3, 5))


def test_layers_of_whole_numbers_are_as_every_layer_has_to_be():
    story = RANDOM.integers(1, 9, (2, 3, 4)).astype("int32")
    question = RANDOM.integers(1, 9, (2, 6)).astype("int32")

    def last(inputs, _):
        wide = np.pad(inputs[0], [(0, 0), (0, 0), (0, 2)])
        return np.concatenate([wide, inputs[1][:, None]], axis=1)

    check_layer(WithQuestion, {}, [story, question], last)
    order = np.tile(np.arange(2), (2, 1))
    slots = {"first": 7, "slots": 2, "seed": 5}
    check_layer(RandomSlots, slots, [story, question], lambda inputs, _: [*inputs, order])
    # with a rate the length is free, which only training uses
    empty = {"rate": 0.0, "seed": 5}
    check_layer(RandomEmptySentences, empty, story, lambda x, _: [x, (x != 0).any(axis=-1)])


def test_logits_in_order_are_as_every_layer_has_to_be():
    logits = RANDOM.normal(size=(2, 6)).astype("float32")
    check_layer(OrderedLogits, {"slots": 2}, logits, lambda x, _: x)
