"""One look of a question into a memory."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer


@keras.saving.register_keras_serializable("deepfield")
class MemoryHop(keras.layers.Layer):
    r"""Attend to memories by their match with a query, and add what was found to it.

    $$ p_i = \mathrm{softmax}_i(u^\top m_i), \qquad o = \sum_i p_i c_i, \qquad
       u' = u + o \quad \text{or} \quad u' = H u + o $$

    m are the memories as they are addressed, c as they are read. A network of several hops calls it
    once a hop with new memories (adjacent tying: the c of one hop are the m of the next), or calls
    one layer with `transform=True` several times on the same memories (layer-wise tying, as a
    recurrent network).

    A memory may have more places than there are memories: the empty ones match every query with
    u m = 0 and hold nothing. What matches worse than nothing is then not read at all, so that a
    hop can also answer that nothing was found.

    Args:
        transform: whether the query passes through a learned H.
        linear: leave the softmax out: p = u m. Networks that start so and get their softmax later
            ("linear start") get stuck less often. The weights are the same with and without.
        places: of the memory. Where there are fewer memories, the rest are empty places.
        kernel_initializer: of H.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: a list of the query u (batch, features), the memories m and c, each
            (batch, steps, features), floating point.
        mask: (batch, steps), true at valid memories; all of them by default. Others get
            exactly zero attention, all of them where none is valid, so that nothing is added.
            (A list of masks as Keras passes it on is understood: that of m counts.)

    Returns:
        The new query u' (batch, features) and the attention p (batch, steps), the compute dtype.
        The softmax is computed in single precision. p adds up to 1, or to less where places are
        empty.

    Raises:
        ValueError: `places` is no number of places, or the input is no list of three.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import MemoryHop
        >>> query = np.array([[9.0, 0.0]], "float32")
        >>> addresses = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
        >>> contents = np.array([[[0.0, 5.0], [7.0, 7.0]]], "float32")
        >>> found, attention = MemoryHop()([query, addresses, contents])
        >>> attention.numpy().round(3).tolist()
        [[1.0, 0.0]]

    Source:
        Sukhbaatar et al., "End-to-end memory networks", NIPS 2015: eq. (1) attention, eq. (2)
        output, eq. (4) the next query; H and linear start in sections 2.2 and 4.1. Eq. (3), the
        answer, is a dense layer behind the last hop. `places` is not in the paper but in its
        authors' program, whose softmax goes over a memory of fixed size. No deviation.
    """

    def __init__(
        self,
        transform: bool = False,
        linear: bool = False,
        places: int = 0,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.transform = bool(transform)
        self.linear = bool(linear)
        self.places = integer("MemoryHop", "places", places, least=0)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, input_shape) -> None:
        """Create H, where asked for."""
        if len(input_shape) != 3 or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                "MemoryHop: inputs must be a list of query, memories and contents, "
                f"got the shape {input_shape}"
            )
        self.kernel = None
        if self.transform:
            features = input_shape[0][-1]
            self.kernel = self.add_weight(
                name="kernel", shape=(features, features), initializer=self.kernel_initializer
            )

    def call(self, inputs, mask=None):
        """Match, weigh, read, add."""
        query, memories, contents = inputs
        mask = mask[1] if isinstance(mask, list | tuple) else mask
        scores = ops.sum(query[:, None] * memories, axis=-1)
        if not self.linear:
            scores = ops.cast(scores, "float32")
            if mask is not None:
                scores = ops.where(mask, scores, -1e9)
            if self.places:
                scores = self._with_empty_places(scores, mask)
            scores = ops.softmax(scores, axis=-1)[:, : ops.shape(memories)[1]]
        attention = ops.cast(scores, contents.dtype)
        if mask is not None:
            # also after the softmax: where no memory is valid it spreads over all of them
            attention = attention * ops.cast(mask, attention.dtype)
        found = ops.sum(attention[..., None] * contents, axis=1)
        if self.kernel is not None:
            query = ops.matmul(query, self.kernel)
        return query + found, attention

    def _with_empty_places(self, scores, mask):
        """One score more, for all empty places: exp(score) is how many there are."""
        valid = ops.ones_like(scores) if mask is None else ops.cast(mask, "float32")
        empty = self.places - ops.sum(valid, axis=1, keepdims=True)
        together = ops.where(empty > 0, ops.log(ops.maximum(empty, 1.0)), -1e9)
        return ops.concatenate([scores, together], axis=1)

    def compute_mask(self, inputs, mask=None):
        """Return no mask: the new query has no steps."""
        return None, None

    def compute_output_shape(self, input_shape):
        """Return the shapes of the new query and of the attention."""
        query, memories, _ = input_shape
        return tuple(query), tuple(memories[:2])

    def connections(self, input_shape: tuple) -> int | None:
        """Count matches, reads and H for one sample; `None` where the number of steps is free."""
        _, steps, features = input_shape[1]
        if steps is None:
            return None
        return 2 * steps * features + features**2 * self.transform

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "transform": self.transform,
            "linear": self.linear,
            "places": self.places,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
