"""Sub-sampling with a trainable coefficient and bias for each map."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import choice, pair


@keras.saving.register_keras_serializable("deepfield")
class SubSampling2D(keras.layers.Layer):
    r"""Shrink each map by a trainable multiple of its windows' sums.

    $$ y_{ijc} = f\Big(\beta_c \sum_{(u,v) \in W_{ij}} x_{uvc} + b_c\Big) $$

    One coefficient and one bias a map, so a small coefficient leaves the unit nearly linear (it
    blurs) and a large one makes it a noisy OR or AND of its window. Rows and columns that do not
    fill a window are dropped (padding "valid").

    Args:
        pool_size: the window, one integer or (height, width).
        strides: steps between windows; `None` takes `pool_size`, so windows do not overlap.
        reduction: `"sum"` as in the paper, or `"average"` (the same with the coefficient divided
            by the window's area, which starts nearer to what pooling does today).
        activation: the squashing function f; `None` is the identity.
        coefficient_initializer: for the coefficients, shape (channels,).
        bias_initializer: for the biases, shape (channels,).
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, height, width, channels), floating point.

    Returns:
        (batch, (height - pool) // stride + 1, the same for width, channels), the compute dtype.

    Raises:
        ValueError: an argument is out of range, or the input has no four axes or is smaller than
            the window.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import SubSampling2D
        >>> layer = SubSampling2D(2)
        >>> tuple(layer(np.ones((1, 4, 4, 6), "float32")).shape[1:]), layer.count_params()
        ((2, 2, 6), 12)

    Source:
        LeCun et al. 1998, section II.B (layer S2): "the four inputs to a unit in S2 are added,
        then multiplied by a trainable coefficient, and added to a trainable bias. The result is
        passed through a sigmoidal function." Deviations: coefficients start at 1 / area unless
        told otherwise (the paper draws them like any weight), so the untrained layer averages.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        reduction: str = "sum",
        activation: Any = None,
        coefficient_initializer: Any = None,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = pair("SubSampling2D", "pool_size", pool_size)
        self.strides = pair(
            "SubSampling2D", "strides", self.pool_size if strides is None else strides
        )
        self.reduction = choice("SubSampling2D", "reduction", reduction, ("sum", "average"))
        self.activation = keras.activations.get(activation)
        if coefficient_initializer is None:
            coefficient_initializer = keras.initializers.Constant(1 / self._scale)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    @property
    def _scale(self) -> int:
        """What turns the windows' means into the reduction."""
        return math.prod(self.pool_size) if self.reduction == "sum" else 1

    def build(self, input_shape) -> None:
        """Create one coefficient and one bias a map."""
        channels = (input_shape[-1],)
        self.coefficient = self.add_weight(
            name="coefficient", shape=channels, initializer=self.coefficient_initializer
        )
        self.bias = self.add_weight(name="bias", shape=channels, initializer=self.bias_initializer)

    def call(self, inputs):
        """Reduce, scale, shift, squash."""
        means = ops.average_pool(inputs, self.pool_size, self.strides, "valid", "channels_last")
        return self.activation(means * (self._scale * self.coefficient) + self.bias)

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, channels); a free size stays free."""
        batch, *sizes, channels = input_shape
        for size, pool in zip(sizes, self.pool_size, strict=True):
            if size is not None and size < pool:
                raise ValueError(
                    f"SubSampling2D: the input must be at least {self.pool_size} in height and "
                    f"width, got {tuple(sizes)}"
                )
        windows = (
            None if size is None else (size - pool) // stride + 1
            for size, pool, stride in zip(sizes, self.pool_size, self.strides, strict=True)
        )
        return (batch, *windows, channels)

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, a window and a bias for every output unit."""
        return math.prod(self.compute_output_shape(input_shape)[1:]) * (
            math.prod(self.pool_size) + 1
        )

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "reduction": self.reduction,
            "activation": keras.activations.serialize(self.activation),
            "coefficient_initializer": keras.initializers.serialize(self.coefficient_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
