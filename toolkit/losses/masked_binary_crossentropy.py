"""Binary cross-entropy over the targets that are known."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("deepfield")
class MaskedBinaryCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of logits over the targets that are not NaN.

    `loss_i = Σ_t m_it (softplus(z_it) - y_it z_it) / max(1, Σ_t m_it)`, with `m = 0` where y is
    NaN. A sample without any target has loss 0.

    Shapes: targets (0, 1 or NaN) and logits (batch, tasks); the loss of each sample is (batch,).

    Example:
        >>> import numpy as np
        >>> y, z = np.array([[1.0, np.nan]], "float32"), np.array([[0.0, 9.0]], "float32")
        >>> round(float(MaskedBinaryCrossentropy()(y, z)), 4)
        0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        ops = keras.ops
        known = ops.logical_not(ops.isnan(y_true))
        mask = ops.cast(known, y_pred.dtype)
        y = ops.where(known, ops.cast(y_true, y_pred.dtype), ops.zeros_like(y_pred))
        loss = mask * (ops.softplus(y_pred) - y * y_pred)
        return ops.sum(loss, -1) / ops.maximum(ops.sum(mask, -1), 1.0)
