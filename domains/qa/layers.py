"""Layers of the domain's own: what is drawn at random in training, over stories and their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deepfield.toolkit.layers._arguments import share


@keras.saving.register_keras_serializable("deepfield")
class RandomSlots(layers.Layer):
    """Give the unknown words of every story other slots, at random, in training alone.

    Args:
        first: id of the first slot.
        slots: how many there are; ids from `first` to `first + slots - 1`.
        seed: an integer; `None` draws one, repeatable after `keras.utils.set_random_seed`.

    Call arguments:
        inputs: a list of story (batch, sentences, words) and question (batch, words), int32.
        training: whether to shuffle.

    Returns:
        Story and question with new ids, and the order, (batch, slots) int32: what was slot i is
        now slot order[i].

    Example:
        >>> story, question = np.array([[[2, 7]]]), np.array([[7, 3]])  # slots are 7 and 8
        >>> renamed, asked, order = RandomSlots(7, 2, seed=1)([story, question], training=True)
        >>> int(renamed[0, 0, 1]) == int(asked[0, 0]) == 7 + int(order[0, 0])
        True

    Source:
        Ours. A word that is told apart from others by its slot alone must do in any of them.
    """

    def __init__(self, first: int, slots: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.slots, self.seed = first, slots, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        """Draw an order for every story and rename its words by it."""
        story, question = inputs
        batch = ops.shape(question)[0]
        if not training:
            order = ops.broadcast_to(ops.arange(self.slots, dtype="int32"), (batch, self.slots))
            return story, question, order
        drawn = keras.random.uniform((batch, self.slots), seed=self.seed_generator)
        order = ops.cast(ops.argsort(drawn, axis=-1), "int32")

        def renamed(ids: Any) -> Any:
            flat = ops.reshape(ids, (batch, -1))
            place = ops.clip(flat - self.first, 0, self.slots - 1)
            new = self.first + ops.take_along_axis(order, place, axis=1)
            return ops.reshape(ops.where(flat >= self.first, new, flat), ops.shape(ids))

        return renamed(story), renamed(question), order

    def compute_output_spec(self, inputs, training=None):
        """Return the inputs' shapes, and (batch, slots)."""
        story, question = inputs
        shapes = (story.shape, question.shape, (question.shape[0], self.slots))
        return tuple(keras.KerasTensor(shape, "int32") for shape in shapes)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "first": self.first,
            "slots": self.slots,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("deepfield")
class OrderedLogits(layers.Layer):
    """Put the logits of shuffled slots back in their order, in training.

    Args:
        slots: how many of the last logits belong to slots.

    Call arguments:
        logits: (batch, classes), floating point.
        order: of `RandomSlots`, (batch, slots) int32.
        training: whether the slots were shuffled.

    Returns:
        (batch, classes) float32.

    Example:
        >>> logits, order = np.array([[0.5, 1.0, 2.0]], "float32"), np.array([[1, 0]])
        >>> OrderedLogits(2)(logits, order, training=True).numpy().tolist()
        [[0.5, 2.0, 1.0]]

    Source:
        Ours: what `RandomSlots` did, undone.
    """

    def __init__(self, slots: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slots = slots

    def call(self, logits, order=None, training=None):
        """Look up what became of each slot."""
        if not training or order is None:
            return logits
        known, shuffled = logits[:, : -self.slots], logits[:, -self.slots :]
        return ops.concatenate([known, ops.take_along_axis(shuffled, order, axis=1)], axis=1)

    def compute_output_shape(self, logits_shape, order_shape=None):
        """Return the shape of the logits."""
        return logits_shape

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "slots": self.slots}


@keras.saving.register_keras_serializable("deepfield")
class RandomEmptySentences(layers.Layer):
    """Put empty sentences between those of a story, in training alone ("random noise").

    They are memories with nothing in them but their time, and move all times before them, so that a
    network cannot rely on an exact time.

    Args:
        rate: empty sentences for each sentence of the story, on average.
        seed: an integer; `None` draws one, repeatable after `keras.utils.set_random_seed`.

    Call arguments:
        story: (batch, sentences, words) int32; sentences of zeros are padding.
        training: whether to put any in.

    Returns:
        The story, in training with ceil(rate x sentences) more rows, and which of its rows are
        sentences, also empty ones: (batch, sentences) bool.

    Raises:
        ValueError: `rate` is not from 0 to 1.

    Example:
        >>> story = np.array([[[2, 3], [4, 5], [0, 0]]])
        >>> longer, told = RandomEmptySentences(1.0, seed=1)(story, training=True)
        >>> longer.shape, int(told.numpy().sum())  # two sentences, and as many empty ones
        (TensorShape([1, 6, 2]), 4)

    Source:
        Sukhbaatar et al., "End-to-end memory networks", NIPS 2015, section 4.1 ("learning time
        invariance by injecting random noise"). No deviation.
    """

    def __init__(self, rate: float = 0.1, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed = share("RandomEmptySentences", "rate", rate), seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, story, training=None):
        """Draw a place for every empty sentence, and sort all by place."""
        told = ops.any(ops.not_equal(story, 0), axis=-1)
        if not training or not self.rate:
            return story, told
        batch, sentences = ops.shape(story)[0], ops.shape(story)[1]
        if isinstance(sentences, int):
            extra = math.ceil(self.rate * sentences)
        else:
            extra = ops.cast(ops.ceil(self.rate * ops.cast(sentences, "float32")), "int32")
        length = ops.sum(ops.cast(told, "float32"), axis=1, keepdims=True)
        # as many as the story's own length asks for, rounded up or down at random
        chance = keras.random.uniform((batch, 1), seed=self.seed_generator)
        number = ops.floor(self.rate * length + chance)
        empty = ops.cast(ops.arange(extra), "float32")[None] < number
        places = keras.random.uniform((batch, extra), seed=self.seed_generator) * length - 0.5
        own = ops.broadcast_to(ops.cast(ops.arange(sentences), "float32")[None], ops.shape(told))
        valid = ops.concatenate([told, empty], axis=1)
        order = ops.argsort(ops.where(valid, ops.concatenate([own, places], axis=1), 1e9), axis=1)
        wide = ops.pad(story, [[0, 0], [0, extra], [0, 0]])
        return (
            ops.take_along_axis(wide, ops.cast(order, "int32")[..., None], axis=1),
            ops.take_along_axis(valid, order, axis=1),
        )

    def compute_output_spec(self, story, training=None):
        """Return (batch, free, words) and (batch, free): training adds rows."""
        batch, sentences, words = story.shape
        free = None if self.rate else sentences
        return (
            keras.KerasTensor((batch, free, words), story.dtype),
            keras.KerasTensor((batch, free), "bool"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("deepfield")
class WithQuestion(layers.Layer):
    """Put the question behind its story, as the last sentence.

    Call arguments:
        inputs: a list of story (batch, sentences, words) and question (batch, words), int32.

    Returns:
        (batch, sentences + 1, words) int32, as many words as the longer of the two has.

    Example:
        >>> story, question = np.array([[[3, 4], [5, 0]]]), np.array([[7, 8, 9]])
        >>> WithQuestion()([story, question]).numpy().tolist()
        [[[3, 4, 0], [5, 0, 0], [7, 8, 9]]]

    Source:
        Ours: a network of words reads both alike.
    """

    def call(self, inputs):
        """Fill the shorter one up with padding."""
        story, question = inputs
        wide, long = ops.shape(story)[2], ops.shape(question)[1]
        more = max if isinstance(long, int) and isinstance(wide, int) else ops.maximum  # JAX: known
        story = ops.pad(story, [[0, 0], [0, 0], [0, more(long - wide, 0)]])
        question = ops.pad(question, [[0, 0], [0, more(wide - long, 0)]])
        return ops.concatenate([story, ops.expand_dims(question, 1)], axis=1)

    def compute_output_spec(self, inputs):
        """Return (batch, sentences + 1, the more words), free where what it hangs on is."""
        (batch, sentences, wide), long = inputs[0].shape, inputs[1].shape[1]
        longer = None if sentences is None else sentences + 1
        words = None if None in (wide, long) else max(wide, long)
        return keras.KerasTensor((batch, longer, words), inputs[0].dtype)


@keras.saving.register_keras_serializable("deepfield")
class PointedWords(layers.Layer):
    """The logit of each class as the words of the text say: log of the sum of exp(score) over all
    mentions of its word.

    Args:
        answers: the word id of each class; 0 where it has none.
        least: logit of a class that the text does not mention.

    Call arguments:
        inputs: a list of ids (batch, sentences, words) int32, and a score of each word, same shape.

    Returns:
        (batch, classes) float32.

    Example:
        >>> ids, scores = np.array([[[3, 4, 3]]]), np.log(np.array([[[1.0, 6.0, 2.0]]], "float32"))
        >>> np.exp(PointedWords([3, 4, 9])([ids, scores])).round(3).tolist()  # 1 + 2, 6, never
        [[3.0, 6.0, 0.0]]

    Source:
        Kadlec et al., "Text understanding with the attention sum reader network", ACL 2016,
        section 3, eq. (2): the chance of a word is the sum over its mentions. Deviation: no
        softmax here.
    """

    def __init__(self, answers: Sequence[int], least: float = -12.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answers, self.least = [int(a) for a in answers], float(least)

    def call(self, inputs):
        """Sum over the mentions of each class."""
        ids, scores = inputs
        batch = ops.shape(ids)[0]
        words = ops.convert_to_tensor(np.array([a or -1 for a in self.answers], "int32"))
        ids = ops.reshape(ids, (batch, -1))
        scores = ops.reshape(ops.cast(scores, "float32"), (batch, -1))
        scores = ops.where(ops.not_equal(ids, 0), scores, -1e9)
        # exp once a word, not once a word and class
        most = ops.stop_gradient(ops.max(scores, axis=1, keepdims=True))
        mine = ops.cast(ops.equal(ops.expand_dims(ids, 2), words), "float32")
        told = ops.squeeze(ops.matmul(ops.expand_dims(ops.exp(scores - most), 1), mine), 1)
        return ops.maximum(most + ops.log(ops.maximum(told, 1e-37)), self.least)

    def compute_output_shape(self, input_shape):
        """Return (batch, classes)."""
        return (input_shape[0][0], len(self.answers))

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "answers": self.answers, "least": self.least}


@keras.saving.register_keras_serializable("deepfield")
class Places(layers.Layer):
    """The place of each word in its sentence, counted on for the question, the last one.

    Args:
        positions: how many places there are; later words share the last.

    Call arguments:
        ids: (batch, sentences, words) int32.

    Returns:
        (1, sentences, words) int32: 0 to `positions` - 1 in the story, `positions` and on in the
        question.

    Example:
        >>> Places(2)(np.zeros((8, 2, 3), "int32")).numpy().tolist()
        [[[0, 1, 1], [2, 3, 3]]]

    Source:
        Ours: it looks up weights of words by their places.
    """

    def __init__(self, positions: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.positions = positions

    def call(self, ids):
        """Count words, and find the last sentence."""
        sentences, words = ops.shape(ids)[1], ops.shape(ids)[2]
        place = ops.minimum(ops.arange(words, dtype="int32"), self.positions - 1)
        last = ops.cast(ops.equal(ops.arange(sentences), sentences - 1), "int32")
        return ops.expand_dims(last * self.positions, 1)[None] + place[None, None]

    def compute_output_shape(self, input_shape):
        """Return (1, sentences, words)."""
        return (1, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "positions": self.positions}
