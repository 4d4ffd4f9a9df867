"""A convolution whose weights differ from place to place."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, pair


@keras.saving.register_keras_serializable("deepfield")
class LocallyConnected2D(keras.layers.Layer):
    r"""Filter every place of a picture by weights of its own.

    $$ y_{ijk} = f\Big(b_{rk} + \sum_{u,v,c} w_{ruvck}\, x_{s i + u,\, s j + v,\, c}\Big), \qquad
       r = r(i, j) $$

    As a convolution (valid padding, stride s), but for the region r that the place (i, j) belongs
    to: with `shared=1` each place is one, so that no weight is shared; larger regions share weights
    within, not with one another. On aligned pictures, where the same thing stands at the same
    place, filters can specialise; the price is one set of weights a region. All patches of a
    picture are laid side by side in memory: places x patch numbers a sample.

    Args:
        filters: output maps.
        kernel_size: one integer or (height, width).
        strides: one integer or (height, width).
        shared: size of a region in places, one integer or (rows, columns); regions at the lower
            and right end may be cut off.
        activation: f; `None` is the identity.
        use_bias: whether there is a bias b for each region and map.
        kernel_initializer: is asked once, for (height, width, channels, regions x filters): the
            inputs of a unit are what `fan_in` takes them for, `fan_out` is not.
        bias_initializer: for the biases, (region rows, region columns, filters).
        kernel_regularizer: on the weights.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, height, width, channels), floating point; height and width must be known
            when the layer is built.

    Returns:
        (batch, new height, new width, filters), the compute dtype. The weight `kernel` is (region
        rows, region columns, height x width x channels of a patch, filters).

    Raises:
        ValueError: an argument is out of range, the input's size is unknown, or it is smaller than
            the kernel.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import LocallyConnected2D
        >>> layer = LocallyConnected2D(16, 5)
        >>> tuple(layer(np.ones((1, 25, 25, 16), "float32")).shape[1:]), layer.count_params()
        ((21, 21, 16), 2829456)

    Source:
        Taigman, Yang, Ranzato, Wolf, "DeepFace", CVPR 2014, section 3 (L4, L5, L6); regions that
        share weights: Sun, Wang, Tang, "Deep learning face representation from predicting 10,000
        classes", CVPR 2014, eq. (1). Deviations: the papers do not say that biases go with the
        weights of a place, the latter's eq. (1) does by its index; as everywhere today the
        "convolution" is a cross-correlation.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        shared: int | tuple[int, int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "he_normal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = integer("LocallyConnected2D", "filters", filters)
        self.kernel_size = pair("LocallyConnected2D", "kernel_size", kernel_size)
        self.strides = pair("LocallyConnected2D", "strides", strides)
        self.shared = pair("LocallyConnected2D", "shared", shared)
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _sizes(self, input_shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (rows, columns) of the places, and of the regions."""
        given = input_shape[1:3]
        if None in given or any(n < k for n, k in zip(given, self.kernel_size, strict=True)):
            raise ValueError(
                "LocallyConnected2D: height and width must be known and at least "
                f"{self.kernel_size}, got {tuple(given)}"
            )
        steps = zip(given, self.kernel_size, self.strides, strict=True)
        rows, columns = ((size - kernel) // stride + 1 for size, kernel, stride in steps)
        return (rows, columns), (-(-rows // self.shared[0]), -(-columns // self.shared[1]))

    def build(self, input_shape) -> None:
        """Create the weights and biases of every region."""
        _, regions = self._sizes(input_shape)
        self.input_spec = keras.layers.InputSpec(
            ndim=4, axes=dict(zip((1, 2, 3), input_shape[1:], strict=True))
        )
        inputs = math.prod(self.kernel_size) * input_shape[-1]

        def drawn(shape, dtype=None):
            flat = (*self.kernel_size, input_shape[-1], math.prod(regions) * self.filters)
            values = ops.convert_to_tensor(self.kernel_initializer(flat, dtype=dtype), dtype)
            values = ops.reshape(values, (inputs, *regions, self.filters))
            return ops.transpose(values, (1, 2, 0, 3))

        self.kernel = self.add_weight(
            name="kernel",
            shape=(*regions, inputs, self.filters),
            initializer=drawn,
            regularizer=self.kernel_regularizer,
        )
        self.bias = (
            self.add_weight(
                name="bias", shape=(*regions, self.filters), initializer=self.bias_initializer
            )
            if self.use_bias
            else None
        )

    def call(self, inputs):
        """Lay the patches side by side, multiply region by region, squash."""
        (rows, columns), (down, across) = self._sizes(inputs.shape)
        (tall, wide), (step, stride) = self.shared, self.strides
        # rows as one axis first: tf2onnx miscounts slices of maps that come from a convolution
        _, height, width, channels = inputs.shape
        lines = ops.reshape(inputs, (-1, height, width * channels))
        bands = [
            ops.reshape(lines[:, u : u + step * rows : step], (-1, rows, width, channels))
            for u in range(self.kernel_size[0])
        ]
        patches = ops.concatenate(
            [
                band[:, :, v : v + stride * columns : stride]
                for band in bands
                for v in range(self.kernel_size[1])
            ],
            axis=-1,
        )
        size = patches.shape[-1]
        lacking = (down * tall - rows, across * wide - columns)  # of the last regions
        if any(lacking):
            patches = ops.pad(patches, ((0, 0), (0, lacking[0]), (0, lacking[1]), (0, 0)))
        # (regions, batch and places of a region, patch) x (regions, patch, filters)
        patches = ops.reshape(patches, (-1, down, tall, across, wide, size))
        patches = ops.transpose(patches, (1, 3, 0, 2, 4, 5))
        patches = ops.reshape(patches, (down * across, -1, size))
        kernel = ops.reshape(self.kernel, (down * across, size, self.filters))
        outputs = ops.matmul(patches, kernel)
        if self.bias is not None:
            outputs = outputs + ops.reshape(self.bias, (down * across, 1, self.filters))
        outputs = ops.reshape(outputs, (down, across, -1, tall, wide, self.filters))
        outputs = ops.transpose(outputs, (2, 0, 3, 1, 4, 5))
        outputs = ops.reshape(outputs, (-1, down * tall, across * wide, self.filters))
        return self.activation(outputs[:, :rows, :columns] if any(lacking) else outputs)

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, filters)."""
        return (input_shape[0], *self._sizes(input_shape)[0], self.filters)

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, every output unit's inputs and its bias."""
        inputs = math.prod(self.kernel_size) * input_shape[-1] + self.use_bias
        return math.prod(self.compute_output_shape(input_shape)[1:]) * inputs

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "shared": self.shared,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
