"""What layers have in common that add up the steps of a sequence, each with a weight."""

from __future__ import annotations

import math

import keras
from keras import ops


class SummedSteps(keras.layers.Layer):
    """From (batch, ..., steps, features) to (batch, ..., features)."""

    def compute_mask(self, inputs, mask=None):
        """Return which sequences hold any step, where there are several a sample."""
        return None if mask is None or len(mask.shape) < 3 else ops.any(mask, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return (batch, ..., features)."""
        return (*input_shape[:-2], input_shape[-1])

    def connections(self, input_shape: tuple) -> int | None:
        """Count, for one sample, the inputs of the sums; `None` where a size is free."""
        sizes = input_shape[1:]
        return None if None in sizes else math.prod(sizes)
