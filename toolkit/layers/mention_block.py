"""Messages between the mentions of a word, inside a sentence, and from sentence to sentence."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from deepfield.toolkit.layers._arguments import integer, share
from deepfield.toolkit.layers._recurrence import heard, steps_first


@keras.saving.register_keras_serializable("deepfield")
class MentionBlock(layers.Layer):
    r"""One exchange of messages in a text whose words are vectors.

    With n = LN(h), three things happen to every word i of sentence t:

    1. It hears from the mentions of the same word before and after it, over a gated recurrence
       along them: \( \overrightarrow m_i = (1 - z_j) \overrightarrow m_j + z_j \tanh(W n_j) \),
       j the mention before i, z_j = sigmoid(V n_j); the same backwards; h_i += U [m_i].
    2. Its sentence becomes s_t, the sum of its words, each weighted, feature by feature, by its
       position in it; sentences hear from those before and after them by the same recurrence, and
       the last one, the question, also looks at all others: p = softmax over t < T of
       (Q s_T) . (K s_t) / sqrt(features), and adds the sum of p_t s_t.
    3. h_i += M relu(N n_i + what its sentence knows).

    What a word is does not matter here, only which words are the same. So whatever a network of
    such blocks does with one name it does with any other.

    Args:
        positions: words of a sentence with a weight of their own; later ones share the last.
        messages: features of what a mention or a sentence says to the next one; half of the words'
            by default.
        dropout: fraction of each exchange left out in training.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: a list of the words (batch, sentences, words, features), floating point, and
            `order`, `back` and `first` of `MentionOrder`.
        mask: (batch, sentences, words), true where there is a word. The last sentence is the
            question.

    Returns:
        The words anew, same shape, and p, (batch, sentences - 1), which adds up to 1.

    Raises:
        ValueError: an argument is none of its choices, or the input is no list of four.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import MentionBlock, MentionOrder
        >>> ids = np.array([[[7, 5], [5, 0], [9, 7]]])
        >>> words = np.zeros((1, 3, 2, 8), "float32")
        >>> h, p = MentionBlock()([words, *MentionOrder()(ids)], mask=ids > 0)
        >>> h.shape, p.shape
        (TensorShape([1, 3, 2, 8]), TensorShape([1, 2]))

    Source:
        Ours. The recurrence along a permuted order is close to that along coreference chains of
        Dhingra et al., "Neural models for reasoning over multiple mentions using coreference",
        NAACL 2018, which runs one step after the other (deviation: gates that do not see the
        state); weights of positions as in Henaff et al., ICLR 2017, eq. (1); the look as in
        Sukhbaatar et al., NIPS 2015.
    """

    def __init__(
        self,
        positions: int = 16,
        messages: int | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.positions = integer("MentionBlock", "positions", positions)
        self.messages = None if messages is None else integer("MentionBlock", "messages", messages)
        self.dropout = share("MentionBlock", "dropout", dropout, below_one=True)
        self.supports_masking = True

    def build(self, input_shape) -> None:
        """Create the weights of the three exchanges."""
        if len(input_shape) != 4 or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                "MentionBlock: inputs must be a list of words, order, back and first, got shape "
                f"{input_shape}"
            )
        features = input_shape[0][-1]
        self.position = self.add_weight(
            name="position",
            shape=(self.positions, features),
            initializer=keras.initializers.RandomNormal(1.0, 0.3),
        )

        policy = self.dtype_policy

        def dense(units: int, inputs: int, name: str, use_bias: bool = True) -> Any:
            layer = layers.Dense(units, use_bias=use_bias, name=name, dtype=policy)
            layer.build((None, inputs))
            return layer

        self.normalize = [
            layers.LayerNormalization(name=f"normalize_{i}", dtype=policy) for i in (1, 2)
        ]
        for layer in self.normalize:
            layer.build((None, features))
        messages = self.messages or max(1, features // 2)
        self.mention = dense(4 * messages, features, "mention")
        self.heard = dense(features, 2 * messages, "heard")
        self.word = dense(features, features, "word")
        self.reading = dense(4 * messages, features, "reading")
        self.look = dense(2 * features, features, "look", use_bias=False)
        self.seen = dense(2 * features, features, "seen", use_bias=False)
        self.known = dense(2 * features, features + 2 * messages, "known")
        self.own = dense(2 * features, features, "own", use_bias=False)
        self.answer = dense(features, 2 * features, "answer")
        self.drop = layers.Dropout(self.dropout, name="drop", dtype=policy)

    def call(self, inputs, mask=None, training=None):
        """Exchange along mentions, along sentences, then inside each word."""
        tokens, order, back, first = inputs
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        mask = ops.ones(ops.shape(tokens)[:3], "bool") if mask is None else mask
        there = ops.expand_dims(ops.cast(mask, tokens.dtype), -1)
        shape, features = ops.shape(tokens), tokens.shape[-1]

        def of_sentences(rows: Any) -> Any:
            return ops.reshape(rows, (*shape[:3], rows.shape[-1]))

        # Words are rows of one long table wherever they can be: matrices are multiplied fastest so.
        # Padding talks to padding alone, as mentions of a word that is none.
        rows = ops.reshape(tokens, (-1, features))
        # Sorted rows stand step by step, first those of all texts at step 0: to or from there a
        # row moves but once.
        batch, steps = shape[0], shape[1] * shape[2]
        text = ops.arange(batch, dtype="int32")
        there_from = ops.transpose(order) + steps * text
        back_from = batch * back + ops.expand_dims(text, 1)
        along = ops.take(self.normalize[0](rows), ops.reshape(there_from, (-1,)), axis=0)
        messages = self.mention(along)
        messages = ops.reshape(messages, (steps, batch, messages.shape[-1]))
        begins = ops.expand_dims(ops.cast(ops.transpose(first), tokens.dtype), -1)
        messages = _both_ways(messages, begins)
        messages = ops.reshape(messages, (-1, messages.shape[-1]))
        news = self.heard(ops.take(messages, ops.reshape(back_from, (-1,)), axis=0))
        rows = rows + self.drop(news, training=training)

        own = self.normalize[1](rows)
        place = ops.minimum(ops.arange(shape[2]), self.positions - 1)
        weight = ops.take(self.position, place, axis=0)
        sentences = ops.sum(of_sentences(self.word(own)) * there * weight, axis=2)
        told = ops.cast(ops.any(mask, axis=-1), tokens.dtype)
        told_steps = ops.expand_dims(ops.transpose(told), -1)
        # the text begins with its first sentence
        begins = ops.concatenate(
            [ops.ones_like(told_steps[:1]), ops.zeros_like(told_steps[1:])], axis=0
        )
        read = steps_first(_both_ways(steps_first(self.reading(sentences)), begins, told_steps))
        query, key = ops.split(self.look(sentences), 2, axis=-1)
        score = ops.sum(query[:, -1:] * key[:, :-1], axis=-1) * features**-0.5
        score = ops.where(ops.cast(told[:, :-1], "bool"), ops.cast(score, "float32"), -1e9)
        p = ops.cast(ops.softmax(score, axis=-1), tokens.dtype)
        weighted = ops.expand_dims(p, -1) * sentences[:, :-1]
        seen = self.seen(ops.sum(weighted, axis=1, keepdims=True))
        seen = ops.pad(seen, [[0, 0], [shape[1] - 1, 0], [0, 0]])
        known = ops.relu(self.known(ops.concatenate([sentences, read], axis=-1)) + seen)
        both = ops.relu(of_sentences(self.own(own)) + ops.expand_dims(known, 2))
        answer = self.answer(ops.reshape(both, (-1, both.shape[-1])))
        return of_sentences(rows + self.drop(answer, training=training)), p

    def compute_mask(self, inputs, mask=None):
        """Return the mask of the words, and none."""
        return (mask[0] if isinstance(mask, list | tuple) else mask), None

    def compute_output_spec(self, inputs, mask=None, training=None):
        """Return the words' shape, and (batch, sentences - 1), of the compute dtype."""
        shapes = self.compute_output_shape([x.shape for x in inputs])
        return tuple(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes)

    def compute_output_shape(self, input_shape):
        """Return the words' shape, and (batch, sentences - 1)."""
        batch, sentences = input_shape[0][:2]
        return tuple(input_shape[0]), (batch, None if sentences is None else sentences - 1)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "positions": self.positions,
            "messages": self.messages,
            "dropout": self.dropout,
        }


def _both_ways(scores: Any, begins: Any, valid: Any = None) -> Any:
    """What every step hears from those before it and from those after it: (steps, batch, 2 m).

    `scores` (steps, batch, 4 m) are candidates and gates of both ways; steps that are not `valid`
    say nothing; no message passes from before a step that `begins` to it.
    """
    dtype = scores.dtype
    begins = ops.cast(begins, "float32")
    candidate, gate = ops.split(ops.cast(scores, "float32"), 2, axis=-1)
    gate = ops.sigmoid(gate)
    gate = gate if valid is None else gate * ops.cast(valid, "float32")
    fresh, keep = (
        ops.split(gate * ops.tanh(candidate), 2, axis=-1),
        ops.split(1.0 - gate, 2, axis=-1),
    )
    begun = 1.0 - begins
    ended = ops.concatenate([begun[1:], ops.zeros_like(begun[:1])], axis=0)
    before = heard(keep[0], fresh[0], begun)
    after = heard(keep[1], fresh[1], ended, reverse=True)
    return ops.cast(ops.concatenate([before, after], axis=-1), dtype)
