"""Cross-entropy of class indices and logits, with label smoothing."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("deepfield")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy between class indices and logits, with label smoothing.

    `loss = - Σ_k q_k log softmax(z)_k`, with `q = (1 - ε) onehot(y) + ε / K`. Keras' own sparse
    loss has no smoothing, its dense one wants one-hot targets.

    A target below 0 is unknown: its loss is 0.

    Args:
        label_smoothing: ε in [0, 1).
        reduction: as in Keras.
        name: as in Keras.

    Shapes: targets (batch,) or (batch, ..., 1) integers, logits (batch, ..., classes); the loss
    of each sample is (batch, ...).

    Raises:
        ValueError: ε outside [0, 1).

    Example:
        >>> import numpy as np
        >>> loss = SparseCrossentropy(label_smoothing=0.1)
        >>> round(float(loss(np.array([0]), np.array([[0.0, 0.0]], "float32"))), 4)
        0.6931

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "sparse_crossentropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **kwargs)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing}: expected 0 ≤ ε < 1")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        ops = keras.ops
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        log_p = ops.log_softmax(y_pred, axis=-1)
        index = ops.cast(y_true, "int32")
        if y_pred.shape[-1] is None:  # as many classes as the batch has steps
            hit = -ops.squeeze(ops.take_along_axis(log_p, ops.expand_dims(index, -1), -1), -1)
        else:
            chosen = ops.one_hot(index, y_pred.shape[-1], dtype=log_p.dtype)
            hit = -ops.sum(chosen * log_p, axis=-1)
        if self.label_smoothing:
            even = -ops.mean(log_p, axis=-1)
            hit = (1 - self.label_smoothing) * hit + self.label_smoothing * even
        return ops.where(index >= 0, hit, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"label_smoothing": self.label_smoothing}
