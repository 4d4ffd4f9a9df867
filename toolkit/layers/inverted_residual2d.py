"""The block of MobileNetV2 and EfficientNet-Lite: expand, filter, project."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number, pair


@keras.saving.register_keras_serializable("deepfield")
class InvertedResidual2D(keras.layers.Layer):
    r"""Expand to more channels, filter each by itself, project to few.

    $$ y = \mathrm{BN}(W_p\, g(\mathrm{BN}(W_d \circledast g(\mathrm{BN}(W_e x)))))\;[+\, x],
       \qquad g(a) = \min(\max(a, 0), 6) $$

    W_e and W_p are 1x1 convolutions, W_d a depthwise one (a kernel for each channel). The input is
    added where it has the output's shape (stride 1, as many channels). There is no activation
    behind the projection: among few channels it would destroy information. All are padded "same"
    and without bias. With `expansion=1` there is no W_e and no first normalisation.

    Args:
        filters: channels of the output.
        kernel_size: of the depthwise convolution, one odd or even integer or (height, width).
        strides: of the depthwise convolution; one number, since Keras' has one.
        expansion: how many times more channels there are inside.
        momentum: of the moving statistics, between 0 and 1.
        epsilon: added to variances.
        kernel_initializer: for all convolutions.
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
        >>> from deepfield.toolkit.layers import InvertedResidual2D
        >>> layer = InvertedResidual2D(24, strides=2, expansion=6, name="block")
        >>> tuple(layer(np.ones((1, 7, 7, 16), "float32")).shape[1:])
        (4, 4, 24)
        >>> [weight.path for weight in layer.trainable_weights][:2]
        ['block/expand_conv/kernel', 'block/bn0/gamma']

    Source:
        Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear
        bottlenecks", CVPR 2018, table 1 and figure 4(d); epsilon and padding as in TensorFlow's
        EfficientNet-Lite. No deviation in the forward pass; stochastic depth is left out.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int] = 3,
        strides: int = 1,
        expansion: int = 6,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = integer("InvertedResidual2D", "filters", filters)
        self.kernel_size = pair("InvertedResidual2D", "kernel_size", kernel_size)
        self.strides = integer("InvertedResidual2D", "strides", strides)
        self.expansion = integer("InvertedResidual2D", "expansion", expansion)
        self.momentum = number("InvertedResidual2D", "momentum", momentum, high=1.0)
        self.epsilon = number("InvertedResidual2D", "epsilon", epsilon)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _pointwise(self, filters: int, name: str) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            filters,
            1,
            use_bias=False,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name: str) -> keras.layers.BatchNormalization:
        return keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name=name
        )

    def build(self, input_shape) -> None:
        """Create and build the convolutions and normalisations."""
        hidden = self.expansion * input_shape[-1]
        expanded_shape = (*input_shape[:-1], hidden)
        output_shape = self.compute_output_shape(input_shape)
        filtered_shape = (*output_shape[:-1], hidden)
        self.expand_conv = self.bn0 = None
        if self.expansion > 1:
            self.expand_conv = self._pointwise(hidden, "expand_conv")
            self.expand_conv.build(input_shape)
            self.bn0 = self._norm("bn0")
            self.bn0.build(expanded_shape)
        self.depthwise_conv = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            self.strides,
            padding="same",
            use_bias=False,
            depthwise_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="depthwise_conv",
        )
        self.depthwise_conv.build(expanded_shape)
        self.bn1 = self._norm("bn1")
        self.bn1.build(filtered_shape)
        self.project_conv = self._pointwise(self.filters, "project_conv")
        self.project_conv.build(filtered_shape)
        self.bn2 = self._norm("bn2")
        self.bn2.build(output_shape)
        self._adds = self.strides == 1 and input_shape[-1] == self.filters

    def call(self, inputs, training=None):
        """Expand, filter, project, and add the input where it fits."""
        x = inputs
        if self.expand_conv is not None and self.bn0 is not None:
            x = ops.relu6(self.bn0(self.expand_conv(x), training=training))
        x = ops.relu6(self.bn1(self.depthwise_conv(x), training=training))
        x = self.bn2(self.project_conv(x), training=training)
        return x + inputs if self._adds else x

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, filters); a free size stays free."""
        batch, *sizes, _ = input_shape
        new = (None if size is None else math.ceil(size / self.strides) for size in sizes)
        return (batch, *new, self.filters)

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, the inputs of every convolution's units.

        Padded inputs count; normalisations (they can be folded into the convolutions) and the
        addition do not.
        """
        _, rows, columns, channels = input_shape
        _, new_rows, new_columns, _ = self.compute_output_shape(input_shape)
        hidden = self.expansion * channels
        expand = rows * columns * hidden * channels if self.expansion > 1 else 0
        return expand + new_rows * new_columns * hidden * (
            math.prod(self.kernel_size) + self.filters
        )

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expansion": self.expansion,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
