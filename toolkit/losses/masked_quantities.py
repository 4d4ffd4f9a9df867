"""What several quantities cost together: numbers, and yes or no, many of them missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("deepfield")
class MaskedQuantities(keras.losses.Loss):
    r"""Squared error of numbers and binary cross-entropy of yes-or-no, over what is known.

    `loss_i = Σ_t m_it l_t(y_it, z_it) / T` with `m = 0` where y is NaN, `l = (y - z)²` for
    numbers and `softplus(z) - y z` for logits of yes. So every label counts alike, however many
    others its sample has. Of an ensemble the mean over the members: each learns as if alone.

    Args:
        binary: which of the T quantities are yes-or-no; by default none.

    Shapes: targets (batch, T); predictions (batch, T) or (batch, T, members); the loss of each
    sample is (batch,).

    Raises:
        ValueError: as many flags as there are quantities are needed.

    Example:
        >>> import numpy as np
        >>> y = np.array([[2.0, 1.0], [np.nan, 0.0]], "float32")
        >>> z = np.array([[1.0, 0.0], [7.0, 0.0]], "float32")
        >>> round(float(MaskedQuantities([False, True])(y, z)), 4)  # (1 + log 2 + log 2) / 2 / 2
        0.5966
    """

    def __init__(
        self, binary: Sequence[bool] | None = None, name: str = "masked_quantities", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.binary = None if binary is None else tuple(map(bool, binary))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        ops = keras.ops
        if len(y_pred.shape) == 3:
            y_true = ops.expand_dims(y_true, -1)
        count = y_pred.shape[1]
        if self.binary is not None and len(self.binary) != count:
            raise ValueError(f"MaskedQuantities: {len(self.binary)} flags for {count} quantities")
        known = ops.logical_not(ops.isnan(y_true))
        y = ops.where(known, ops.cast(y_true, y_pred.dtype), 0.0)
        loss = ops.square(y - y_pred)
        if self.binary is not None and any(self.binary):
            flags = ops.reshape(
                ops.convert_to_tensor(self.binary), (1, count, *[1] * (len(y_pred.shape) - 2))
            )
            loss = ops.where(flags, ops.softplus(y_pred) - y * y_pred, loss)
        loss = ops.where(known, loss, 0.0)
        if len(y_pred.shape) == 3:
            loss = ops.mean(loss, axis=-1)
        return ops.sum(loss, axis=-1) / count

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        binary = None if self.binary is None else list(self.binary)
        return {**super().get_config(), "binary": binary}
