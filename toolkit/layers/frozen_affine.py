"""A scale and an offset for each channel, which no training moves."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("deepfield")
class FrozenAffine(keras.layers.Layer):
    r"""Scale and shift every channel by constants that are set from outside.

    $$ y_c = s_c\, x_c + b_c $$

    What batch normalisation has become once training is over, where its statistics are not known
    any more, or the division of features by what was measured on a data set. Both vectors are
    weights (they are saved and loaded) that count as no parameters and get no gradient.

    Args:
        scale_initializer: for s, (channels,).
        offset_initializer: for b, (channels,).
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, ..., channels), floating point.

    Returns:
        The input's shape, the compute dtype.

    Raises:
        ValueError: the input has fewer than two axes, or not as many channels as when it was built.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import FrozenAffine
        >>> layer = FrozenAffine()
        >>> layer.build((None, 2))
        >>> layer.set_weights([np.array([2.0, 0.5]), np.array([1.0, 0.0])])
        >>> layer(np.array([[1.0, 4.0]])).numpy().tolist()
        [[3.0, 2.0]]

    Source:
        Ioffe, Szegedy, "Batch normalization", ICML 2015, algorithm 2, step 11, with
        s = gamma / sqrt(Var + epsilon) and b = beta - E s. No deviation.
    """

    def __init__(
        self, scale_initializer: Any = "ones", offset_initializer: Any = "zeros", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale_initializer = keras.initializers.get(scale_initializer)
        self.offset_initializer = keras.initializers.get(offset_initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape) -> None:
        """Create scale and offset."""
        channels = input_shape[-1]
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: channels})
        self.scale = self.add_weight(
            name="scale", shape=(channels,), initializer=self.scale_initializer, trainable=False
        )
        self.offset = self.add_weight(
            name="offset", shape=(channels,), initializer=self.offset_initializer, trainable=False
        )

    def call(self, inputs):
        """Multiply and add."""
        return ops.cast(inputs, self.compute_dtype) * self.scale + self.offset

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "scale_initializer": keras.initializers.serialize(self.scale_initializer),
            "offset_initializer": keras.initializers.serialize(self.offset_initializer),
        }
