"""A dense layer that sums in double precision."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("deepfield")
class PreciseDense(keras.layers.Dense):
    r"""`keras.layers.Dense` whose products are summed in double precision: $y = xW + b$.

    For weights that are large and cancel, as those of a kernel machine: in single precision the
    last digits of such a sum depend on the order in which a machine adds. Weights, input and output
    have the types they have in `Dense`.

    Args:
        units: features of the output.
        **kwargs: as of `keras.layers.Dense`.

    Call arguments:
        inputs: (batch, ..., features), floating point.

    Returns:
        (batch, ..., units), the compute dtype.

    Raises:
        ValueError: `units` is no positive integer.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import PreciseDense
        >>> layer = PreciseDense(1, use_bias=False)
        >>> layer.build((None, 3))
        >>> _ = layer.kernel.assign([[1e8], [1.0], [-1e8]])
        >>> layer(np.ones((1, 3), "float32")).numpy().tolist()
        [[1.0]]

    Source:
        Keras' `Dense`. Deviation: the type in which products are added.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)

    def call(self, inputs, training=None):
        """Multiply and add as doubles."""
        x = ops.matmul(ops.cast(inputs, "float64"), ops.cast(self.kernel, "float64"))
        x = ops.cast(x, self.compute_dtype)
        if self.bias is not None:
            x = x + ops.cast(self.bias, self.compute_dtype)
        return x if self.activation is None else self.activation(x)
