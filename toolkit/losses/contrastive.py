"""What is the same lies close, what differs lies apart by a margin."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.losses._pairs import length, pairs, positive


@keras.saving.register_keras_serializable("deepfield")
class Contrastive(keras.losses.Loss):
    r"""Contrastive loss over all pairs inside a batch.

    `loss_i = ½ mean_j D_ij²` over the others of the same identity `+ ½ mean_j max(0, m - D_ij)²`
    over those of different ones, with the Euclidean distances `D`. A sample without a pair of one
    kind has 0 in its place, so a batch without any pair has loss 0 and no gradient.

    Args:
        margin: m, how far apart different ones are to be; vectors of length one are 2 at most.
        reduction: as in Keras.
        name: as in Keras.

    Shapes: targets are identities, (batch,) or (batch, 1) whole numbers, below 0 where unknown
    (the sample is in no pair); predictions are embeddings (batch, units); the loss of each sample
    is (batch,), single precision.

    Raises:
        ValueError: a margin that is not positive.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 0.0], [0.6, 0.0], [0.0, 0.8]], "float32")
        >>> loss = Contrastive(margin=1.0, reduction="none")
        >>> [round(float(y), 3) for y in loss(np.array([7, 7, 4]), x)]  # ½ 0.6² + ½ 0.2², ...
        [0.2, 0.18, 0.01]

    Source: Hadsell, Chopra, LeCun, "Dimensionality reduction by learning an invariant mapping",
    CVPR 2006, eq. (4). Deviations: pairs are all those of a batch, not a given list, and means are
    taken of both kinds by themselves, or the many different ones would drown the few same ones.
    """

    def __init__(
        self,
        margin: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str = "contrastive",
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **kwargs)
        self.margin = positive("Contrastive", margin)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample."""
        same, different, squares = pairs(y_true, y_pred)
        missing = ops.square(ops.maximum(self.margin - length(squares), 0.0))
        return 0.5 * (_mean(squares, same) + _mean(missing, different))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"margin": self.margin}


def _mean(values: Any, chosen: Any) -> Any:
    """The mean of the chosen values of each row, 0 where there are none."""
    return ops.sum(values * chosen, axis=-1) / ops.maximum(ops.sum(chosen, axis=-1), 1.0)
