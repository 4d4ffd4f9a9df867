"""How long ago a step was, learned."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer


@keras.saving.register_keras_serializable("deepfield")
class TemporalEncoding(keras.layers.Layer):
    r"""Add to every step a learned vector for how long ago it was.

    $$ y_i = x_i + T_A(I - i), \qquad i = 1..I $$

    Rows of T are counted backwards from the end: row 0 belongs to the last valid step of each
    sequence (the sentence told just before the question), row 1 to the one before it. So a
    sequence may have any length. Steps that are older than the last row share it: they are "long
    ago", in no order among themselves. Padding gets no vector.

    Args:
        steps: how many rows to learn.
        embeddings_initializer: of T. Memory networks draw it like their word embeddings.
        embeddings_regularizer: of T.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, features), floating point.
        mask: (batch, steps), true at valid steps, which come first; all of them by default.

    Returns:
        The shape of `inputs`, the compute dtype.

    Raises:
        ValueError: `steps` is no positive integer, or the input has no three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import TemporalEncoding
        >>> layer = TemporalEncoding(2)
        >>> layer.build((None, None, 1))
        >>> layer.set_weights([np.array([[0.1], [0.5]])])
        >>> mask = np.array([[True, True, True, False]])
        >>> layer(np.ones((1, 4, 1), "float32"), mask=mask).numpy().ravel().tolist()
        [1.5, 1.5, 1.100000023841858, 1.0]

    Source:
        Sukhbaatar et al., "End-to-end memory networks", NIPS 2015, section 4.1 ("Temporal
        Encoding"; sentences are indexed in reverse order there too). Deviation: the paper keeps
        no more memories than T has rows; older ones are kept here and share the last row.
    """

    def __init__(
        self,
        steps: int,
        embeddings_initializer: Any = "random_normal",
        embeddings_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.steps = integer("TemporalEncoding", "steps", steps)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape) -> None:
        """Create T, (steps, features)."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.steps, input_shape[-1]),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
        )

    def call(self, inputs, mask=None):
        """Look the rows up, counted from the end of each sequence, and add them."""
        steps = ops.shape(inputs)[1]
        position = ops.arange(steps, dtype="int32")[None]
        if mask is None:
            length = steps
        else:
            length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        ago = ops.clip(length - 1 - position, 0, self.steps - 1)
        when = ops.cast(ops.take(self.embeddings, ago, axis=0), inputs.dtype)
        if mask is not None:
            when = when * ops.cast(mask, when.dtype)[..., None]
        return inputs + when

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def connections(self, input_shape: tuple) -> int | None:
        """Count one a feature, for one sample; `None` where the number of steps is free."""
        sizes = input_shape[1:]
        return None if None in sizes else math.prod(sizes)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "steps": self.steps,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
        }
