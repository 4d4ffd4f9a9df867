"""Vectors of length one."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import number


@keras.saving.register_keras_serializable("deepfield")
class L2Normalize(keras.layers.Layer):
    r"""Divide by the Euclidean length.

    $$ y = \frac{x}{\max(\lVert x \rVert_2, \epsilon)} $$

    Keras' `UnitNormalization` does it in the compute dtype, where half precision loses the squares
    of small numbers and overflows on those of large ones; here the length is always found in
    single precision.

    Args:
        axis: along which the length is measured, one integer or several.
        epsilon: the least that is divided by: a vector of zeros stays one, with the gradient
            1 / epsilon.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: floating point, any shape that has the axes.

    Returns:
        The input's shape, the compute dtype.

    Raises:
        ValueError: `epsilon` is not positive, or an axis is no integer.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import L2Normalize
        >>> [round(float(y), 2) for y in L2Normalize()(np.array([[3.0, 4.0]]))[0]]
        [0.6, 0.8]

    Source:
        Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015, figure 2 ("L2"). Deviation: epsilon.
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
        if not axes or any(isinstance(a, bool) or not isinstance(a, int) for a in axes):
            raise ValueError(f"L2Normalize: axis must be an integer or several, got {axis!r}")
        self.axis = list(axes) if isinstance(axis, list | tuple) else axis
        self.epsilon = number("L2Normalize", "epsilon", epsilon)
        self.supports_masking = True

    def call(self, inputs):
        """Measure in single precision, divide."""
        x = ops.cast(inputs, "float32")
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        squares = ops.sum(ops.square(x), axis=axes, keepdims=True)
        # of the square, since the root of 0 has no gradient
        length = ops.sqrt(ops.maximum(squares, self.epsilon**2))
        return ops.cast(x / length, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
