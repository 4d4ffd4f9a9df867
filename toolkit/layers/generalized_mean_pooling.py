"""A mean over places that learns how much of a maximum it is."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import number


@keras.saving.register_keras_serializable("deepfield")
class GeneralizedMeanPooling(keras.layers.Layer):
    r"""Pool every channel over all places by a power mean whose power is learned.

    $$ y_c = \Big(\frac{1}{N} \sum_{i=1}^{N} \max(x_{ic}, \epsilon)^{p_c}\Big)^{1 / p_c} $$

    p = 1 is the mean, and the larger p, the nearer to the maximum.

    Args:
        power: p at the start.
        per_channel: whether every channel learns a power of its own, or all of them one.
        epsilon: what smaller inputs count as: a power needs something positive.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, ..., channels), floating point, one axis of places at least.

    Returns:
        (batch, channels), the compute dtype. Powers are computed in single precision, relative to
        the largest place, so that none overflows. A power that training takes below 0.1 counts as
        0.1.

    Raises:
        ValueError: `power` or `epsilon` is not positive, or the input has fewer than three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import GeneralizedMeanPooling
        >>> maps = np.array([[[1.0], [3.0]]], "float32")  # one channel at two places
        >>> [round(float(GeneralizedMeanPooling(p)(maps)[0, 0]), 2) for p in (1.0, 3.0, 50.0)]
        [2.0, 2.41, 2.96]

    Source:
        Radenović, Tolias, Chum, "Fine-tuning CNN image retrieval with no human annotation", IEEE
        TPAMI 41(7), 2019, eq. (3). Deviation: the lower limits of input and power.
    """

    def __init__(
        self, power: float = 3.0, per_channel: bool = False, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.power = number("GeneralizedMeanPooling", "power", power)
        self.per_channel = bool(per_channel)
        self.epsilon = number("GeneralizedMeanPooling", "epsilon", epsilon)
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape) -> None:
        """Create the power."""
        self.exponent = self.add_weight(
            name="power",
            shape=(input_shape[-1] if self.per_channel else 1,),
            initializer=keras.initializers.Constant(self.power),
        )

    def call(self, inputs):
        """Raise, average, take the root."""
        places = tuple(range(1, len(inputs.shape) - 1))
        x = ops.maximum(ops.cast(inputs, "float32"), self.epsilon)
        power = ops.maximum(ops.cast(self.exponent, "float32"), 0.1)
        # a factor that is taken out and put back changes neither the mean nor its gradient
        largest = ops.stop_gradient(ops.max(x, axis=places, keepdims=True))
        mean = ops.mean(ops.power(x / largest, power), axis=places)
        pooled = ops.power(mean, 1.0 / power) * ops.squeeze(largest, places)
        return ops.cast(pooled, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, channels)."""
        return (input_shape[0], input_shape[-1])

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, the inputs of every mean."""
        return math.prod(input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "power": self.power,
            "per_channel": self.per_channel,
            "epsilon": self.epsilon,
        }
