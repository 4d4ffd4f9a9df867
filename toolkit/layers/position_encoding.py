"""Words of a sentence to one vector that knows their order."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._summed_steps import SummedSteps


@keras.saving.register_keras_serializable("deepfield")
class PositionEncoding(SummedSteps):
    r"""Add up the steps of a sequence, each weighted by its position; nothing is learned.

    $$ m = \sum_{j=1}^{J} l_j \circ x_j, \qquad
       l_{kj} = (1 - j/J) - (k/d)(1 - 2j/J) $$

    j is the step, counted from 1, k = 1..d the feature. The weights of the first features fall
    with the position, those of the last ones grow, so that "Mary follows John" and "John follows
    Mary" differ, which they do not in a plain sum.

    J is the sequence's own length, not that of the padded batch: a sentence gets the same vector
    beside longer ones. An empty sequence gives zeros.

    Args:
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, ..., steps, features), floating point: embedded words.
        mask: (batch, ..., steps), true at valid steps, which come first; all of them by default.

    Returns:
        (batch, ..., features), the compute dtype.

    Raises:
        ValueError: the input has fewer than three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import PositionEncoding
        >>> words = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
        >>> there, back = PositionEncoding()(np.concatenate([words, words[:, ::-1]]))
        >>> there.numpy().tolist(), back.numpy().tolist()
        ([0.5, 1.0], [0.5, 0.5])

    Source:
        Sukhbaatar, Szlam, Weston, Fergus, "End-to-end memory networks", NIPS 2015, section 4.1. No
        deviation from the formula. (The authors' program weights by
        1 + 4 (k - (d+1)/2)(j - (J+1)/2) / (d J) instead, with J the longest sentence.)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def call(self, inputs, mask=None):
        """Weight the steps by position and feature, add them up."""
        steps, features = ops.shape(inputs)[-2], inputs.shape[-1]
        # in single precision: 2j/J of a long sequence is rounded to nothing in half
        j = ops.cast(ops.arange(1, steps + 1), "float32")[:, None]
        k = ops.cast(ops.arange(1, features + 1), "float32") / features
        if mask is None:
            length = ops.cast(steps, "float32")
        else:
            mask = ops.cast(mask, "float32")[..., None]  # (batch, ..., steps, 1)
            length = ops.maximum(ops.sum(mask, axis=-2, keepdims=True), 1.0)
        weights = (1.0 - j / length) - k * (1.0 - 2.0 * j / length)
        if mask is not None:
            weights = weights * mask
        return ops.sum(inputs * ops.cast(weights, inputs.dtype), axis=-2)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return super().get_config()
