"""A convolution in which each output map sees only some of the input maps."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import choice, pair


@keras.saving.register_keras_serializable("deepfield")
class MappedConv2D(keras.layers.Layer):
    r"""Convolve by a connection table between input and output maps.

    $$ y_{ijk} = f\Big(b_k + \sum_{c : T_{ck} = 1} \sum_{u,v} w_{cuvk}\, x_{i+u,\,j+v,\,c}\Big) $$

    Incomplete connection breaks the symmetry between output maps, which then have to learn
    different features, and saves weights. Only existing connections have parameters: the `kernel`
    holds one (height, width) patch for each 1 of the table, in row-major order, and is scattered
    into a dense kernel for one ordinary convolution. The gradient of the scatter is a gather, so
    absent connections cost nothing in training and stay exactly zero.

    Args:
        table: T, shape (input maps, output maps), 1 where a connection exists and 0 elsewhere;
            every output map needs at least one.
        kernel_size: one integer or (height, width).
        strides: one integer or (height, width).
        padding: `"valid"` or `"same"`.
        activation: f; `None` is the identity.
        use_bias: whether there is a bias b for each output map.
        kernel_initializer: is asked for the *dense* kernel (height, width, input maps, output
            maps), of which the existing connections are kept.
        bias_initializer: for the biases, shape (output maps,).
        kernel_regularizer: on the existing weights.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, height, width, input maps), floating point.

    Returns:
        (batch, new height, new width, output maps), the compute dtype.

    Raises:
        ValueError: the table is not a matrix of 0 and 1 or leaves an output map without input,
            another argument is out of range, or the input's channels are not the table's rows.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import MappedConv2D
        >>> layer = MappedConv2D([[1, 0, 1], [0, 1, 1]], kernel_size=5)
        >>> tuple(layer(np.ones((1, 14, 14, 2), "float32")).shape[1:]), layer.count_params()
        ((10, 10, 3), 103)

    Source:
        LeCun et al. 1998, section II.B (layer C3) and table I. No deviation but one: as everywhere
        today the "convolution" is a cross-correlation.
    """

    def __init__(
        self,
        table: Any,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = np.asarray(table)
        if self.table.ndim != 2 or not np.isin(self.table, (0, 1)).all():
            raise ValueError(
                "MappedConv2D: table must be a matrix (input maps, output maps) of 0 and 1, "
                f"got shape {self.table.shape} with values {np.unique(self.table)[:5].tolist()}"
            )
        if not self.table.any(axis=0).all():
            lonely = np.flatnonzero(~self.table.any(axis=0)).tolist()
            raise ValueError(f"MappedConv2D: output maps {lonely} of table have no input map")
        self.table = self.table.astype(int)
        self.kernel_size = pair("MappedConv2D", "kernel_size", kernel_size)
        self.strides = pair("MappedConv2D", "strides", strides)
        self.padding = choice("MappedConv2D", "padding", padding, ("valid", "same"))
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: self.table.shape[0]})

    def build(self, input_shape) -> None:
        """Create the patches of the existing connections, and the biases."""
        maps_in, maps_out = self.table.shape
        positions = np.flatnonzero(self.table)  # of the connections in the flattened table
        self._positions = positions[:, None].astype("int32")

        def existing(shape, dtype=None):
            dense = self.kernel_initializer((*self.kernel_size, maps_in, maps_out), dtype=dtype)
            dense = ops.convert_to_tensor(dense, dtype)
            return ops.reshape(
                ops.take(
                    ops.reshape(ops.transpose(dense, (2, 3, 0, 1)), (-1, *self.kernel_size)),
                    positions,
                    axis=0,
                ),
                shape,
            )

        self.kernel = self.add_weight(
            name="kernel",
            shape=(len(positions), *self.kernel_size),
            initializer=existing,
            regularizer=self.kernel_regularizer,
        )
        self.bias = (
            self.add_weight(name="bias", shape=(maps_out,), initializer=self.bias_initializer)
            if self.use_bias
            else None
        )

    def dense_kernel(self):
        """Return the kernel (height, width, input maps, output maps), zero where T is zero."""
        maps = self.table.shape
        patches = ops.scatter(self._positions, self.kernel, (math.prod(maps), *self.kernel_size))
        return ops.transpose(ops.reshape(patches, (*maps, *self.kernel_size)), (2, 3, 0, 1))

    def call(self, inputs):
        """Convolve, shift, squash."""
        outputs = ops.conv(inputs, self.dense_kernel(), self.strides, self.padding, "channels_last")
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        """Return (batch, rows, columns, output maps); a free size stays free."""
        batch, *sizes, _ = input_shape
        lost = [k - 1 if self.padding == "valid" else 0 for k in self.kernel_size]
        new = (
            None if size is None else -((less - size) // stride)  # rounded up
            for size, less, stride in zip(sizes, lost, self.strides, strict=True)
        )
        return (batch, *new, self.table.shape[1])

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, every output unit's existing inputs and its bias.

        Padded inputs are counted like others.
        """
        _, rows, columns, maps_out = self.compute_output_shape(input_shape)
        weights = int(self.table.sum()) * math.prod(self.kernel_size)
        return rows * columns * (weights + maps_out * self.use_bias)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "table": self.table.tolist(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
