"""Squared error over the targets that are known."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("deepfield")
class MaskedMeanSquaredError(keras.losses.Loss):
    """Mean squared error over the targets that are not NaN.

    `loss_i = Σ_t m_it (y_it - p_it)² / max(1, Σ_t m_it)`, with `m = 0` where y is NaN. A sample
    without any target has loss 0.

    Shapes: targets and predictions (batch, tasks); the loss of each sample is (batch,).

    Example:
        >>> import numpy as np
        >>> y, p = np.array([[1.0, np.nan]], "float32"), np.array([[3.0, 7.0]], "float32")
        >>> float(MaskedMeanSquaredError()(y, p))
        4.0
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        ops = keras.ops
        known = ops.logical_not(ops.isnan(y_true))
        mask = ops.cast(known, y_pred.dtype)
        error = ops.where(known, y_pred - ops.cast(y_true, y_pred.dtype), ops.zeros_like(y_pred))
        return ops.sum(mask * error * error, -1) / ops.maximum(ops.sum(mask, -1), 1.0)
