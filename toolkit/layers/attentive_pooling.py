"""One vector of a set of steps, by several weighted means."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer


@keras.saving.register_keras_serializable("deepfield")
class AttentivePooling(keras.layers.Layer):
    r"""Weighted means of the steps, whose weights are learned from the steps themselves.

    $$ \alpha_{ik} = \mathrm{softmax}_i(v_k^\top \tanh(W x_i)), \qquad
       y_k = \sum_i \alpha_{ik} x_i, \qquad y = [y_1, ..., y_K] $$

    Args:
        heads: K, how many weighted means.
        units: rows of W.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, features), floating point.
        mask: (batch, steps), true at valid steps; others have no weight. A sample without any
            valid step gives zeros. By default all are valid.

    Returns:
        The means side by side, (batch, heads x features), and the weights (batch, steps, heads),
        the compute dtype. The softmax is computed in single precision.

    Raises:
        ValueError: `heads` or `units` is no positive integer, or the input has no three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import AttentivePooling
        >>> pooled, weights = AttentivePooling(heads=2, units=4)(np.ones((1, 5, 3), "float32"))
        >>> pooled.numpy().round(3).tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]

    Source:
        Lin et al., "A structured self-attentive sentence embedding", ICLR 2017, eq. (5) and (6).
        No deviation.
    """

    def __init__(self, heads: int = 1, units: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = integer("AttentivePooling", "heads", heads)
        self.units = integer("AttentivePooling", "units", units)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.look = keras.layers.Dense(
            self.units, "tanh", use_bias=False, dtype=self.dtype_policy, name="look"
        )
        self.weigh = keras.layers.Dense(
            self.heads, use_bias=False, dtype=self.dtype_policy, name="weigh"
        )

    def build(self, input_shape) -> None:
        """Create W and the v of every head."""
        self.look.build(input_shape)
        self.weigh.build((*input_shape[:-1], self.units))

    def call(self, inputs, mask=None):
        """Weigh the steps and add them up."""
        scores = ops.cast(self.weigh(self.look(inputs)), "float32")
        if mask is None:
            weights = ops.softmax(scores, axis=1)
        else:
            valid = ops.expand_dims(mask, -1)
            scores = ops.where(valid, scores, -1e9)
            weights = ops.where(valid, ops.softmax(scores, axis=1), 0.0)
        weights = ops.cast(weights, self.compute_dtype)
        pooled = ops.matmul(ops.transpose(weights, (0, 2, 1)), inputs)
        pooled = ops.reshape(pooled, (-1, self.heads * inputs.shape[-1]))
        return pooled, weights

    def compute_mask(self, inputs, mask=None):
        """Nothing is masked any more, but the weights."""
        return None, mask

    def compute_output_shape(self, input_shape):
        """Return (batch, heads x features) and (batch, steps, heads)."""
        batch, steps, features = input_shape
        return (batch, self.heads * features), (batch, steps, self.heads)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "heads": self.heads, "units": self.units}
