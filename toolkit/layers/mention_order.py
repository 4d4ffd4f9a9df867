"""All mentions of a word beside each other."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("deepfield")
class MentionOrder(keras.layers.Layer):
    """Sort the words of a text so that all mentions of a word stand together, in reading order.

    Only whether two ids are equal matters, and 0, which is padding.

    Args:
        **kwargs: what every Keras layer takes.

    Call arguments:
        ids: (batch, sentences, words) integers, 0 where there is no word.

    Returns:
        `order`, (batch, sentences x words) int32: the place in the text of what stands at each
        place of the sorted text. `back`: the place in the sorted text of each word of the text.
        `first`: (batch, sentences x words) bool, true in the sorted text where the mentions of
        another word begin.

    Raises:
        ValueError: the input has not three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import MentionOrder
        >>> order, back, first = MentionOrder()(np.array([[[7, 5], [5, 0], [9, 7]]]))
        >>> np.array(order), np.array(first).astype(int)
        (array([[3, 1, 2, 0, 5, 4]], dtype=int32), array([[1, 1, 0, 1, 0, 1]]))

    Source:
        Ours. No deviation.
    """

    def build(self, input_shape) -> None:
        """Check the axes; there are no weights."""
        if len(input_shape) != 3:
            raise ValueError(
                f"MentionOrder: ids must be (batch, sentences, words), got shape {input_shape}"
            )

    def call(self, ids):
        """Sort by id; what is equal stays in the order of the text."""
        flat = ops.reshape(ids, (ops.shape(ids)[0], -1))
        # the sorts of all backends and of ONNX break ties by place
        order = ops.cast(ops.argsort(flat, axis=1), "int32")
        back = ops.cast(ops.argsort(order, axis=1), "int32")
        found = ops.take_along_axis(flat, order, axis=1)
        before = ops.concatenate([found[:, :1] - 1, found[:, :-1]], axis=1)
        return order, back, ops.not_equal(found, before)

    def compute_output_spec(self, ids):
        """Return three arrays of a row for each text."""
        kinds = ("int32", "int32", "bool")
        shapes = self.compute_output_shape(ids.shape)
        return tuple(keras.KerasTensor(s, kind) for s, kind in zip(shapes, kinds, strict=True))

    def compute_output_shape(self, input_shape):
        """Return (batch, sentences x words), three times."""
        batch, sentences, words = input_shape
        words = None if None in (sentences, words) else sentences * words
        return ((batch, words),) * 3
