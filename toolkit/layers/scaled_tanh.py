"""The squashing function of LeCun's networks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import number


@keras.saving.register_keras_serializable("deepfield")
class ScaledTanh(keras.layers.Layer):
    r"""Hyperbolic tangent with an amplitude and a slope.

    $$ f(a) = A \tanh(S a) $$

    With A = 1.7159 and S = 2/3, f(1) = 1 and f(-1) = -1: targets of +-1 lie where the curvature is
    largest instead of at the asymptotes, so the weights need not grow without end to reach them.

    Works by itself and as the `activation` of another layer. A mask passes through unchanged.

    Args:
        amplitude: A, positive.
        slope: S at the origin before scaling, positive.
        **kwargs: what every Keras layer takes (`name`, `dtype`, ...).

    Call arguments:
        inputs: any shape, floating point.

    Returns:
        A tensor of the shape and dtype of `inputs`, within (-amplitude, amplitude).

    Raises:
        ValueError: an argument is not a positive number.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import ScaledTanh
        >>> [round(float(y), 4) for y in ScaledTanh()(np.array([-1.0, 0.0, 1.0]))]
        [-1.0, 0.0, 1.0]

    Source:
        LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
        Proc. IEEE 86(11), 1998, eq. (6) and appendix A. No deviation.
    """

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.amplitude = number("ScaledTanh", "amplitude", amplitude)
        self.slope = number("ScaledTanh", "slope", slope)
        self.supports_masking = True

    def call(self, inputs):
        """Squash every element."""
        return self.amplitude * ops.tanh(self.slope * inputs)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def connections(self, input_shape: tuple) -> int:
        """Return 0: a squashing function belongs to the unit that it squashes."""
        return 0

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "amplitude": self.amplitude, "slope": self.slope}
