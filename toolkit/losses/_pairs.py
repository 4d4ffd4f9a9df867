"""Which samples of a batch belong together, and how far apart they lie."""

from __future__ import annotations

from typing import Any

from keras import ops


def pairs(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Return of all pairs in a batch: the same (not with itself), different, squared distance.

    Args:
        y_true: identities, (batch,) or (batch, 1) whole numbers; below 0 nobody knows who it is,
            and the sample is in no pair.
        y_pred: embeddings (batch, units).

    Returns:
        Three (batch, batch) tensors of single precision; the first two hold 0 and 1.
    """
    who = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    x = ops.cast(y_pred, "float32")
    known = ops.cast(who >= 0, "float32")
    known = known * ops.transpose(known)
    equal = ops.cast(ops.equal(who, ops.transpose(who)), "float32")
    itself = ops.eye(ops.shape(x)[0], dtype="float32")
    squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
    apart = squares + ops.transpose(squares) - 2.0 * ops.matmul(x, ops.transpose(x))
    return known * equal * (1.0 - itself), known * (1.0 - equal), ops.maximum(apart, 0.0)


def length(squares: Any) -> Any:
    """Return the root of squares, with no gradient where they vanish."""
    return ops.sqrt(ops.maximum(squares, 1e-12))


def positive(loss: str, margin: float) -> float:
    """Return a margin above 0.

    Raises:
        ValueError: it is not.
    """
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not margin > 0:
        raise ValueError(f"{loss}: margin must be a positive number, got {margin!r}")
    return float(margin)
