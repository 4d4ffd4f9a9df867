"""A gated recurrence over many steps at once, which several layers are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers, ops

#: Steps that are doubled up in one piece.
CHUNK = 16

#: Name of the operations that stand for a recurrence while a network is exported, for
#: `onnx_graph.recurrences` to replace.
MARK = "gated_recurrence"
#: And of the one before it, where `heard` asks for what each step hears.
OPEN = f"{MARK}_open"
_exporting = False


def recurrence(keep: Any, fresh: Any, reverse: bool = False, chunk: int = CHUNK) -> Any:
    """h_t = keep_t h_(t-1) + fresh_t for all steps t, the first axis, from h_0 = 0.

    Two steps are one of the same form, h_t = (keep_t keep_(t-1)) h_(t-2) + (keep_t fresh_(t-1) +
    fresh_t), and so are two of those: chunks of 16 steps take 4 doublings, side by side. The ends
    of the chunks are read one after the other. Memory grows with the steps, not with their square.

    The gradient is the same recurrence backwards, d fresh_t = d h_t + keep_(t+1) d fresh_(t+1), and
    d keep_t = d fresh_t h_(t-1).

    Args:
        keep: (steps, batch, features or 1), from 0 to 1.
        fresh: (steps, batch, features), single precision.
        reverse: from the last step to the first.
        chunk: steps to double up, at least 2.

    Returns:
        h, (steps, batch, features).

    Source:
        Blelloch, "Prefix sums and their applications", 1990, section 1.4 (the operator); Hillis,
        Steele, "Data parallel algorithms", 1986 (doubling).
    """
    if _exporting:
        return _marked(keep, fresh, reverse)
    if reverse:
        keep, fresh = ops.flip(keep, axis=0), ops.flip(fresh, axis=0)
        return ops.flip(recurrence(keep, fresh, chunk=chunk), axis=0)

    @ops.custom_gradient
    def read(keep: Any, fresh: Any) -> tuple[Any, Any]:
        h = _read(keep, fresh, chunk)

        def gradient(*upstream: Any, **named: Any) -> tuple[Any, Any]:
            change = upstream[0] if upstream else named["upstream"]
            later = ops.concatenate([keep[1:], ops.zeros_like(keep[:1])], axis=0)
            turned = _read(ops.flip(later, axis=0), ops.flip(change, axis=0), chunk)
            fresh_change = ops.flip(turned, axis=0)
            keep_change = fresh_change * _later(h, 1, 0.0, axis=0)
            if keep.shape[-1] == 1:
                keep_change = ops.sum(keep_change, axis=-1, keepdims=True)
            return keep_change, fresh_change

        return h, gradient

    return read(keep, fresh)


def heard(keep: Any, fresh: Any, opened: Any, reverse: bool = False) -> Any:
    """m_t = opened_t h_(t-1), what each step hears, where h_t = keep_t m_t + fresh_t, from h_0 = 0.

    Args:
        keep: (steps, batch, features), from 0 to 1.
        fresh: (steps, batch, features), single precision.
        opened: (steps, batch, 1), 0 where a step hears nothing of those before it, else 1.
        reverse: from the last step to the first.

    Returns:
        m, (steps, batch, features).
    """
    if _exporting:
        import tensorflow as tf

        return _marked(tf.pow(keep, opened, name=OPEN), fresh, reverse)
    h = recurrence(keep * opened, fresh, reverse=reverse)
    none = ops.zeros_like(h[:1])
    return ops.concatenate([h[1:], none] if reverse else [none, h[:-1]], axis=0) * opened


def steps_first(x: Any) -> Any:
    """(batch, steps, features) as (steps, batch, features), and back."""
    return ops.transpose(x, (1, 0, 2))


def _read(keep: Any, fresh: Any, chunk: int) -> Any:
    steps, gates = ops.shape(fresh)[0], keep.shape[-1]
    if isinstance(steps, int) and steps <= chunk:
        return _doubled(keep, fresh, steps, axis=0)[1]
    chunks = (steps + chunk - 1) // chunk
    # appended steps leave h as it is
    keep, fresh = _in_chunks(keep, chunks, chunk, 1.0), _in_chunks(fresh, chunks, chunk, 0.0)
    kept, h = _doubled(keep, fresh, chunk, axis=1)
    last = ops.concatenate([kept[:, -1], h[:, -1]], axis=-1)
    # whatever the policy: layers would cast to its dtype
    dtype = keras.backend.standardize_dtype(last.dtype)
    cell = _Step(gates, fresh.shape[-1], dtype)
    ends = layers.RNN(cell, return_sequences=True, dtype=dtype)(steps_first(last))
    h = h + kept * ops.expand_dims(_later(steps_first(ends), 1, 0.0, axis=0), 1)
    return ops.reshape(h, (chunks * chunk, -1, fresh.shape[-1]))[:steps]


class _Step(layers.Layer):
    """One step of the recurrence, as a cell of Keras' `RNN`; x is keep and fresh."""

    def __init__(self, gates: int, features: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.gates, self.state_size, self.output_size = gates, features, features

    def call(self, x: Any, states: Any) -> tuple[Any, Any]:
        """The next state, which is also the output."""
        h = x[:, : self.gates] * states[0] + x[:, self.gates :]
        return h, [h]


def _in_chunks(x: Any, chunks: Any, chunk: int, filling: float) -> Any:
    """(chunks, chunk, batch, features), filled up at the end."""
    missing = [[0, chunks * chunk - ops.shape(x)[0]], [0, 0], [0, 0]]
    x = ops.pad(x, missing, constant_values=filling)
    return ops.reshape(x, (chunks, chunk, -1, x.shape[-1]))


def _doubled(keep: Any, fresh: Any, steps: int, axis: int) -> tuple[Any, Any]:
    """The recurrence over an axis, and the products of `keep` up to every step."""
    reach = 1
    while reach < steps:
        fresh = fresh + keep * _later(fresh, reach, 0.0, axis)
        keep = keep * _later(keep, reach, 1.0, axis)
        reach *= 2
    return keep, fresh


def _later(x: Any, steps: int, first: float, axis: int) -> Any:
    """Each step as it was so many steps before, beginning with `first`."""
    missing = [[steps, 0] if place == axis else [0, 0] for place in range(len(x.shape))]
    kept = [slice(None)] * axis + [slice(None, -steps)]
    return ops.pad(x, missing, constant_values=first)[tuple(kept)]


# ------------------------------------------------------------------------------- in ONNX


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """While a network is exported, a recurrence is one operation."""
    global _exporting
    _exporting = True
    try:
        yield
    finally:
        _exporting = False


def _marked(keep: Any, fresh: Any, reverse: bool) -> Any:
    # any operation does that takes two arrays and that no other layer uses
    import tensorflow as tf

    way = "reverse" if reverse else "forward"
    # the other way round, or the two directions of one sequence are taken for one operation
    inputs = (fresh, keep) if reverse else (keep, fresh)
    return tf.pow(*inputs, name=f"{MARK}_{way}_{keep.shape[-1]}_{fresh.shape[-1]}_")
