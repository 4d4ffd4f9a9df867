"""The farthest of the same is to be nearer than the nearest of the others."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.losses._pairs import length, pairs, positive

_FAR = 1e9


@keras.saving.register_keras_serializable("deepfield")
class Triplet(keras.losses.Loss):
    r"""Triplet loss of the hardest triplet of every sample of a batch.

    `loss_i = max(0, m + max_j D_ij - min_k D_ik)` with j over the others of the same identity, k
    over those of different ones ("batch hard"), and Euclidean distances `D`. A sample that lacks a
    j or a k has loss 0, so a batch without any triplet has loss 0 and no gradient.

    Args:
        margin: m; `None` puts `softplus` in place of `max(0, m + ...)`, which pulls and pushes
            for ever.
        reduction: as in Keras.
        name: as in Keras.

    Shapes: targets are identities, (batch,) or (batch, 1) whole numbers, below 0 where unknown
    (the sample is in no triplet); predictions are embeddings (batch, units); the loss of each
    sample is (batch,), single precision.

    Raises:
        ValueError: a margin that is not positive.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 0.0], [0.6, 0.0], [0.0, 0.8]], "float32")
        >>> loss = Triplet(margin=0.3, reduction="none")
        >>> [round(float(y), 3) for y in loss(np.array([7, 7, 4]), x)]  # 0.3 + 0.6 - 0.8, ...
        [0.1, 0.0, 0.0]

    Source: Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015, eq. (2), with the triplets of
    Hermans, Beyer, Leibe, "In defense of the triplet loss for person re-identification", 2017, eq.
    (5). Deviations: FaceNet squares the distances and takes negatives that are hard but not
    hardest ("semi-hard"), since with squares the hardest ones can pull everything into one point;
    here, as in the latter paper, distances are not squared and no choice is left open.
    """

    def __init__(
        self,
        margin: float | None = 0.2,
        reduction: str = "sum_over_batch_size",
        name: str = "triplet",
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **kwargs)
        self.margin = None if margin is None else positive("Triplet", margin)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        same, different, squares = pairs(y_true, y_pred)
        apart = length(squares)
        farthest = ops.max(ops.where(same > 0, apart, 0.0), axis=-1)
        nearest = ops.min(ops.where(different > 0, apart, _FAR), axis=-1)
        there = (ops.max(same, axis=-1) > 0) & (ops.max(different, axis=-1) > 0)
        wrong = ops.where(there, farthest - nearest, 0.0)
        wrong = ops.softplus(wrong) if self.margin is None else ops.relu(self.margin + wrong)
        return ops.where(there, wrong, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"margin": self.margin}
