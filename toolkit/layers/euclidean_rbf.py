"""Squared distances to centres: the output layer of LeNet-5."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import integer


@keras.saving.register_keras_serializable("deepfield")
class EuclideanRBF(keras.layers.Layer):
    r"""Measure the squared Euclidean distance to each of the centres.

    $$ y_i = \sum_j (x_j - w_{ij})^2 $$

    The output is a penalty (small is near): negate it for logits. It is the negative logarithm of
    an unnormalised Gaussian around each centre, so it can also say that nothing fits.

    Args:
        units: how many centres.
        centers: fixed start values (units, features); `None` draws them by the initializer.
        trainable_centers: whether training moves the centres. As in the paper they stay by
            default, and then count as no parameters.
        centers_initializer: used where `centers` is `None`, shape (units, features).
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (..., features), floating point.

    Returns:
        (..., units), the compute dtype, never negative: differences are formed before squaring,
        since the expanded form cancels badly in half precision. It needs memory for
        units x features numbers a sample.

    Raises:
        ValueError: `units` is no positive integer, or `centers` has another shape than
            (units, features).

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import EuclideanRBF
        >>> layer = EuclideanRBF(2, centers=[[1.0, 1.0], [-1.0, 1.0]])
        >>> [float(y) for y in layer(np.array([[1.0, 1.0]]))[0]]
        [0.0, 4.0]

    Source:
        LeCun et al. 1998, eq. (7). No deviation.
    """

    def __init__(
        self,
        units: int,
        centers: Any = None,
        trainable_centers: bool = False,
        centers_initializer: Any = "random_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = integer("EuclideanRBF", "units", units)
        self.centers = None if centers is None else np.asarray(centers, "float32")
        if self.centers is not None and (
            self.centers.ndim != 2 or self.centers.shape[0] != self.units
        ):
            raise ValueError(
                f"EuclideanRBF: centers must have the shape ({self.units}, features), "
                f"got {self.centers.shape}"
            )
        self.trainable_centers = bool(trainable_centers)
        self.centers_initializer = keras.initializers.get(centers_initializer)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape) -> None:
        """Create the centres."""
        shape = (self.units, input_shape[-1])
        if self.centers is not None and self.centers.shape != shape:
            raise ValueError(
                f"EuclideanRBF: the input has {shape[1]} features, the given centers "
                f"{self.centers.shape[1]}"
            )
        given = self.centers
        self.kernel = self.add_weight(
            name="centers",
            shape=shape,
            trainable=self.trainable_centers,
            initializer=self.centers_initializer
            if given is None
            else lambda shape, dtype=None: ops.convert_to_tensor(given, dtype),
        )

    def call(self, inputs):
        """Subtract each centre, square, add up."""
        return ops.sum(ops.square(ops.expand_dims(inputs, -2) - self.kernel), axis=-1)

    def compute_output_shape(self, input_shape):
        """Return (..., units)."""
        return (*input_shape[:-1], self.units)

    def connections(self, input_shape: tuple) -> int:
        """Count, for one sample, the inputs of every unit; there are no biases."""
        return math.prod(input_shape[1:]) * self.units

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "centers": None if self.centers is None else self.centers.tolist(),
            "trainable_centers": self.trainable_centers,
            "centers_initializer": keras.initializers.serialize(self.centers_initializer),
        }
