"""Two convolutions and the way around them."""

from __future__ import annotations

import math
from typing import Any

import keras

from deepfield.toolkit.layers._arguments import integer, number, pair


@keras.saving.register_keras_serializable("deepfield")
class ResidualBlock2D(keras.layers.Layer):
    r"""Add a correction, learned by two convolutions, to the input.

    $$ y = f(\mathcal{F}(x) + W_s x), \qquad
       \mathcal{F}(x) = \mathrm{BN}(W_2 * f(\mathrm{BN}(W_1 * x))) $$

    The shortcut W_s is the identity where input and output have one shape, else a 1x1 convolution
    with batch normalisation. Convolutions are padded ("same") and have no bias, since the
    normalisation behind them brings one.

    Args:
        filters: channels of the output.
        kernel_size: of both convolutions, one integer or (height, width).
        strides: of the first convolution and the shortcut.
        activation: f.
        momentum: of the moving statistics, between 0 and 1.
        epsilon: added to variances.
        kernel_initializer: for all convolutions.
        kernel_regularizer: for all convolutions.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, height, width, channels), floating point.
        training: whether to normalise by the batch's statistics (and update the moving ones).

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), filters), the compute dtype.

    Raises:
        ValueError: an argument is out of range, or the input has no four axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import ResidualBlock2D
        >>> tuple(ResidualBlock2D(16, strides=2)(np.ones((1, 7, 7, 8), "float32")).shape[1:])
        (4, 4, 16)

    Source:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, eq. (2),
        figure 2, projection shortcuts by option B. Deviation: at stride 2 Keras' padding "same"
        puts the odd pixel at the end, where the paper pads both sides.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int] = 3,
        strides: int | tuple[int, int] = 1,
        activation: Any = "relu",
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        kernel_initializer: Any = "he_normal",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = integer("ResidualBlock2D", "filters", filters)
        self.kernel_size = pair("ResidualBlock2D", "kernel_size", kernel_size)
        self.strides = pair("ResidualBlock2D", "strides", strides)
        self.activation = keras.activations.get(activation)
        self.momentum = number("ResidualBlock2D", "momentum", momentum, high=1.0)
        self.epsilon = number("ResidualBlock2D", "epsilon", epsilon)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _projects(self, channels: int) -> bool:
        """Whether the shortcut has to change the shape."""
        return channels != self.filters or self.strides != (1, 1)

    def _conv(self, name: str, kernel_size: Any, strides: Any) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            self.filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            # a clone, or two convolutions of one shape would start with the same weights
            kernel_initializer=self.kernel_initializer.clone(),
            kernel_regularizer=self.kernel_regularizer,
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name: str) -> keras.layers.BatchNormalization:
        return keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name=name
        )

    def build(self, input_shape) -> None:
        """Create and build the convolutions, the normalisations and, if needed, the shortcut."""
        self.conv1 = self._conv("conv1", self.kernel_size, self.strides)
        self.bn1 = self._norm("bn1")
        self.conv2 = self._conv("conv2", self.kernel_size, 1)
        self.bn2 = self._norm("bn2")
        output_shape = self.compute_output_shape(input_shape)
        self.conv1.build(input_shape)
        for layer in (self.bn1, self.conv2, self.bn2):
            layer.build(output_shape)
        self.shortcut_conv = self.shortcut_bn = None
        if self._projects(input_shape[-1]):
            self.shortcut_conv = self._conv("shortcut_conv", 1, self.strides)
            self.shortcut_bn = self._norm("shortcut_bn")
            self.shortcut_conv.build(input_shape)
            self.shortcut_bn.build(output_shape)

    def call(self, inputs, training=None):
        """Correct the input and squash."""
        x = self.activation(self.bn1(self.conv1(inputs), training=training))
        x = self.bn2(self.conv2(x), training=training)
        if self.shortcut_conv is not None and self.shortcut_bn is not None:
            inputs = self.shortcut_bn(self.shortcut_conv(inputs), training=training)
        return self.activation(x + inputs)

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, filters); a free size stays free."""
        batch, *sizes, _ = input_shape
        new = (
            None if n is None else math.ceil(n / s)
            for n, s in zip(sizes, self.strides, strict=True)
        )
        return (batch, *new, self.filters)

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, the inputs of every convolution's units.

        Padded inputs count; normalisations (they can be folded into the convolutions) and the
        addition do not.
        """
        channels = input_shape[-1]
        inputs = math.prod(self.kernel_size) * (channels + self.filters)
        inputs += channels * self._projects(channels)
        return math.prod(self.compute_output_shape(input_shape)[1:]) * inputs

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
