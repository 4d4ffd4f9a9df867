"""Features of a recording, freed of its loudness and of the colour of its microphone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number
from deepfield.toolkit.layers._running import running_sum


@keras.saving.register_keras_serializable("deepfield")
class SpectrogramNormalization(keras.layers.Layer):
    r"""Each feature minus its mean over time, divided by its deviation.

    $y_t = (x_t - \mu_t) / \sqrt{\sigma_t^2 + \epsilon}$, where mean and variance are taken over all
    steps, or over the steps from `t - left` to `t + right`. In a logarithmic spectrogram the mean
    holds loudness and microphone, but of a single word also what it is made of: features may be
    taken together, which leaves loudness out alone. Steps that the mask excludes count for nothing
    and become 0.

    A bounded window makes a network's answer at a step depend on a bounded stretch of its input, so
    that a stream can be answered piece by piece; `right=0` looks at the past alone.

    Args:
        left: steps before the present one; None is all, and then `right` is all too.
        right: steps after it.
        epsilon: added to the variance.
        each: a mean and a deviation of each feature, or those of all together.

    Call arguments:
        inputs: (batch, steps, features).
        mask: (batch, steps), true at valid steps.

    Returns:
        (batch, steps, features).

    Raises:
        ValueError: steps that are no whole numbers.

    Example:
        >>> import numpy as np
        >>> y = SpectrogramNormalization()(np.array([[[1.0], [3.0]]], "float32"))
        >>> np.round(np.asarray(y), 2).ravel().tolist()
        [-1.0, 1.0]

    Source: Viikki and Laurila 1998, "Cepstral domain segmental feature vector normalization", eq. 1
    to 3. Deviation: a window at the edge is shorter, not padded.
    """

    def __init__(
        self, left: int | None = None, right: int = 0, epsilon: float = 1e-3, each: bool = True,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        me = "SpectrogramNormalization"
        self.left = None if left is None else integer(me, "left", left, 0)
        self.right = integer(me, "right", right, 0)
        self.epsilon = number(me, "epsilon", epsilon)
        self.each = bool(each)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The normalised features."""
        x = ops.cast(inputs, "float32")
        there = ops.ones_like(x[..., :1])
        if mask is not None:
            there = there * ops.expand_dims(ops.cast(mask, "float32"), -1)
        # around the mean of everything, so that sums of large numbers do not cancel
        middle = self._of_features(ops.sum(x * there, axis=1, keepdims=True))
        x = (x - middle / ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)) * there
        count = ops.maximum(self._sums(there), 1.0)
        mean = self._of_features(self._sums(x) / count)
        square = self._of_features(self._sums(ops.square(x)) / count)
        variance = ops.maximum(square - ops.square(mean), 0.0)
        y = (x - mean) / ops.sqrt(variance + self.epsilon) * there
        return ops.cast(y, self.compute_dtype)

    def _of_features(self, x: Any) -> Any:
        return x if self.each else ops.mean(x, axis=-1, keepdims=True)

    def _sums(self, x: Any) -> Any:
        """Sums over all steps, or over the window of each."""
        if self.left is None:
            return ops.sum(x, axis=1, keepdims=True)
        width = self.left + 1 + self.right
        padded = ops.pad(x, ((0, 0), (self.left, self.right), (0, 0)))
        return running_sum(padded, width)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "left": self.left,
            "right": self.right,
            "epsilon": self.epsilon,
            "each": self.each,
        }
