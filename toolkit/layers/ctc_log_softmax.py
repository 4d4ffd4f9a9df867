"""Log-probabilities of symbols at every step, and certain blanks where there is no step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import number


@keras.saving.register_keras_serializable("deepfield")
class CtcLogSoftmax(keras.layers.Layer):
    r"""Log-softmax over symbols, with the blank certain at steps that the mask excludes.

    $y_{t,k} = z_{t,k} - \log\sum_j e^{z_{t,j}}$ at valid steps; at the others 0 for symbol 0, the
    blank, and `impossible` for the rest. A certain blank changes the probability of no text, so
    neither the loss nor a decoder has to be told how long each item of a padded batch is.

    Args:
        impossible: log-probability of symbols at steps that are not there.

    Call arguments:
        inputs: logits (batch, steps, symbols).
        mask: (batch, steps), true at valid steps.

    Returns:
        Log-probabilities (batch, steps, symbols).

    Raises:
        ValueError: `impossible` is not below -1000.

    Example:
        >>> import numpy as np
        >>> y = CtcLogSoftmax()(np.zeros((1, 2, 2), "float32"), mask=np.array([[True, False]]))
        >>> np.round(np.exp(np.asarray(y)), 2)[0].tolist()
        [[0.5, 0.5], [1.0, 0.0]]

    Source: Graves et al. 2006, section 3. Deviation: the certain blanks.
    """

    def __init__(self, impossible: float = -1e4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.impossible = number("CtcLogSoftmax", "impossible", impossible, -6e4, -1e3)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The log-probabilities."""
        z = ops.cast(inputs, "float32")
        y = ops.log_softmax(z, axis=-1)
        if mask is not None:
            blank = ops.equal(ops.arange(z.shape[-1]), 0)
            absent = ops.where(blank, 0.0, self.impossible)
            y = ops.where(ops.expand_dims(mask, -1), y, absent)
        return ops.cast(y, self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the certain blanks say what the mask said, and a loss needs no other."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"impossible": self.impossible}
