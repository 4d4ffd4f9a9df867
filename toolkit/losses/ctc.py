"""Connectionist temporal classification: a text from frames, without being told when."""

from __future__ import annotations

from typing import Any

import keras

#: A log-probability below this was put there by a network for frames that are padding.
IMPOSSIBLE = -1e3


@keras.saving.register_keras_serializable("deepfield")
class Ctc(keras.losses.Loss):
    r"""Minus the log-probability of a text, summed over all its alignments with the frames.

    $-\log\sum_{\pi\in B^{-1}(y)}\prod_t p_t(\pi_t)$, where $B$ merges repeated symbols and then
    drops blanks. Symbol 0 is the blank, and pads the targets.

    A frame in which the blank is certain (all other symbols below `IMPOSSIBLE`) changes no text's
    probability, so networks of ours mark the padding of a batch with such frames, and no lengths
    need to be told. A text that has no alignment (more symbols than frames, counting a blank
    between equal neighbours) has the loss 0: it teaches nothing.

    Args:
        reduction: as in Keras.
        name: as in Keras.

    Shapes: targets (batch, symbols) integers, 0 at the end where shorter; scores (batch, frames,
    kinds of symbols) log-probabilities or logits; the loss is (batch,). An empty text is all
    zeros: its only alignment is silence.

    Example:
        >>> import numpy as np
        >>> even = np.log(np.full((1, 2, 2), 0.5, "float32"))  # two frames: "-a", "a-", "aa"
        >>> round(float(Ctc()(np.array([[1]]), even)), 4)  # three of four ways spell "a"
        0.2877

    Source: Graves et al. 2006, "Connectionist Temporal Classification", eq. 3 and 8. The
    recursion is Keras' own.
    """

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "ctc", **kwargs: Any
    ) -> None:
        super().__init__(reduction=reduction, name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each text, (batch,)."""
        ops = keras.ops
        targets = ops.cast(y_true, "int32")
        scores = ops.cast(y_pred, "float32")
        there = targets > 0
        symbols = ops.sum(ops.cast(there, "int32"), axis=1)
        twice = (targets[:, 1:] == targets[:, :-1]) & there[:, 1:]
        needed = symbols + ops.sum(ops.cast(twice, "int32"), axis=1)
        heard = ops.cast(ops.max(scores[..., 1:], axis=-1) > IMPOSSIBLE, "int32")
        frames = ops.zeros_like(symbols) + ops.shape(scores)[1]
        possible = needed <= ops.sum(heard, axis=1)
        # PyTorch's gradient of an infinite loss is no number, whatever is made of the loss
        symbols = ops.where(possible, symbols, 0)
        loss = ops.ctc_loss(targets, scores, symbols, frames, mask_index=0)
        return ops.where(possible, loss, 0.0)
