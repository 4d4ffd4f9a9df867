"""Pictures mirrored at random."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import share


@keras.saving.register_keras_serializable("deepfield")
class RandomMirror2D(keras.layers.Layer):
    """Swaps left and right of some of the pictures while training.

    Keras has `RandomFlip`. Called without `training` it takes it to be true and hands that on to
    every layer behind it (batch normalisation, dropout); this layer does not.

    Args:
        probability: Of a picture to be mirrored, from 0 to 1.
        seed: Integer, or None for a random one.
        **kwargs: What every Keras layer takes (`name`, `dtype`, ...).

    Call arguments:
        inputs: `(batch, height, width, channels)`, any dtype.
        training: Whether to mirror; None means no.

    Returns:
        `(batch, height, width, channels)` in the layer's compute dtype.

    Raises:
        ValueError: For a probability outside its range, or inputs that have not four axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import RandomMirror2D
        >>> picture = np.array([[[[1.0], [2.0], [3.0]]]], "float32")
        >>> RandomMirror2D(probability=1.0)(picture, training=True).numpy().ravel().tolist()
        [3.0, 2.0, 1.0]

    Source:
        A. Krizhevsky, I. Sutskever & G. Hinton, "ImageNet classification with deep convolutional
        neural networks", NIPS 2012, section 4.1. No deviation.
    """

    def __init__(self, probability: float = 0.5, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.probability = share("RandomMirror2D", "probability", probability)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Mirrors some; the identity unless `training`."""
        x = ops.cast(inputs, self.compute_dtype)
        if not training:
            return x
        drawn = keras.random.uniform((ops.shape(x)[0], 1, 1, 1), seed=self.seed_generator)
        return ops.where(drawn < self.probability, ops.flip(x, axis=2), x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"probability": self.probability, "seed": self.seed}
