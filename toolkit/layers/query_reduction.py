"""A question carried through a story, changed by every sentence that concerns it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import choice, integer
from deepfield.toolkit.layers._recurrence import CHUNK, recurrence, steps_first


@keras.saving.register_keras_serializable("deepfield")
class QueryReduction(keras.layers.Layer):
    r"""Reduce a query step by step: each step replaces it as far as its gate is open.

    $$ z_t = \sigma(W_z (x_t \circ q_t) + b_z), \qquad
       \tilde h_t = \tanh(W_h [x_t; q_t] + b_h), \qquad
       h_t = z_t r_t \tilde h_t + (1 - z_t) h_{t-1} $$

    with h_0 = 0, and the reset gate r_t = sigmoid(W_r (x_t o q_t) + b_r), or 1 without it. Gates
    and candidates depend on the inputs alone, so that all steps are computed at once:

    $$ h_t = \sum_{i \le t} \Bigl(\prod_{j=i+1}^{t} (1 - z_j)\Bigr) z_i r_i \tilde h_i $$

    That is done by doubling within chunks of steps, and over the ends of the chunks again, so
    memory grows with the steps and not with their square.

    Layers are stacked by taking the h of one as the q of the next.

    Args:
        direction: `"forward"` reads first to last, `"backward"` last to first, `"both"` adds the
            two, which share gates, candidates and weights.
        reset: whether there is a reset gate.
        gate: `"scalar"`, one number a step, or `"vector"`, one for each feature (which costs as
            many times the memory).
        chunk: steps that are doubled up in one piece, at least 2.
        kernel_initializer: of all kernels.
        gate_bias_initializer: of b_z; b_r starts at zero.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: a list of the steps x (batch, steps, features) and the query q, one a step, of the
            same shape, or one for all steps, (batch, features); floating point.
        mask: (batch, steps), true at valid steps, which come first; all of them by default.
            Others leave h as it is, so the last step of the padded sequence holds the result.
        closing: read forward alone and without reset, as the last of several layers that share
            their weights does.

    Returns:
        h, (batch, steps, features), and the update gate z, (batch, steps, 1 or features), zero at
        padding, the compute dtype; the recurrence is computed in single precision. What a step
        still contributes to the end is z_t times the product of (1 - z_j) over all later j.

    Raises:
        ValueError: an argument is none of its choices, or the input is no list of two.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import QueryReduction
        >>> story = np.zeros((2, 7, 8), "float32")
        >>> h, z = QueryReduction()([story, np.ones((2, 8), "float32")])
        >>> h.shape, z.shape
        (TensorShape([2, 7, 8]), TensorShape([2, 7, 1]))

    Source:
        Seo, Min, Farhadi, Hajishirzi, "Query-reduction networks for question answering", ICLR 2017,
        eq. (1) update gate, (2) candidate, (3) recurrence, (4) both directions, (5) and (6) reset
        gate, (7) closed form; vector gates in section 2.2. The paper's "forget bias of 2.5" is
        `gate_bias_initializer=keras.initializers.Constant(-2.5)`. Deviations: the paper computes
        the closed form as a matrix over the whole story; doubling gives the same numbers. Both
        directions share the reset gate, too; the paper says so of the other weights alone, and
        its authors' program has a reset gate for each.
    """

    def __init__(
        self,
        direction: str = "forward",
        reset: bool = False,
        gate: str = "scalar",
        chunk: int = CHUNK,
        kernel_initializer: Any = "glorot_uniform",
        gate_bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer = "QueryReduction"
        self.direction = choice(layer, "direction", direction, ("forward", "backward", "both"))
        self.reset = bool(reset)
        self.gate = choice(layer, "gate", gate, ("scalar", "vector"))
        self.chunk = integer(layer, "chunk", chunk, least=2)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.gate_bias_initializer = keras.initializers.get(gate_bias_initializer)
        self.supports_masking = True

    def build(self, input_shape) -> None:
        """Create kernels and biases of the candidate and the gates."""
        if len(input_shape) != 2 or not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                f"QueryReduction: inputs must be a list of steps and query, got shape {input_shape}"
            )
        features = input_shape[0][-1]

        def weights(name: str, inputs: int, outputs: int, bias: Any) -> tuple[Any, Any]:
            kernel = self.add_weight(
                name=f"{name}_kernel",
                shape=(inputs, outputs),
                # a clone, or kernels of one shape would start with the same weights
                initializer=self.kernel_initializer.clone(),
            )
            return kernel, self.add_weight(name=f"{name}_bias", shape=(outputs,), initializer=bias)

        gates = features if self.gate == "vector" else 1
        self.candidate = weights("candidate", 2 * features, features, "zeros")
        self.update = weights("update", features, gates, self.gate_bias_initializer)
        self.resets = None
        if self.reset:
            self.resets = weights("reset", features, gates, "zeros")

    def call(self, inputs, mask=None, closing=False):
        """Gates and candidates of all steps at once, then the recurrence in closed form."""
        steps, query = inputs
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if len(query.shape) == 2:
            query = ops.broadcast_to(query[:, None], ops.shape(steps))
        both = ops.concatenate([steps, query], axis=-1)
        match = steps * query
        candidate = ops.cast(ops.tanh(_dense(both, self.candidate)), "float32")
        update = ops.sigmoid(ops.cast(_dense(match, self.update), "float32"))
        if mask is not None:
            update = update * ops.cast(mask, "float32")[..., None]
        fresh = update * candidate
        if self.resets is not None and not closing:
            fresh = fresh * ops.cast(ops.sigmoid(_dense(match, self.resets)), "float32")
        keep, fresh = steps_first(1.0 - update), steps_first(fresh)
        found = []
        direction = "forward" if closing else self.direction
        if direction != "backward":
            found.append(recurrence(keep, fresh, chunk=self.chunk))
        if direction != "forward":
            found.append(recurrence(keep, fresh, reverse=True, chunk=self.chunk))
        h = steps_first(found[0] if len(found) == 1 else found[0] + found[1])
        return ops.cast(h, self.compute_dtype), ops.cast(update, self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Return the mask of the steps, twice."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        return mask, mask

    def compute_output_shape(self, input_shape):
        """Return the shapes of h and z."""
        batch, steps, features = input_shape[0]
        return (batch, steps, features), (batch, steps, features if self.gate == "vector" else 1)

    def connections(self, input_shape: tuple) -> int | None:
        """Count kernels and biases for one sample; `None` where the number of steps is free."""
        _, steps, features = input_shape[0]
        if steps is None:
            return None
        gates = (features if self.gate == "vector" else 1) * (1 + self.reset)
        return steps * ((2 * features + 1) * features + (features + 1) * gates)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "direction": self.direction,
            "reset": self.reset,
            "gate": self.gate,
            "chunk": self.chunk,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "gate_bias_initializer": keras.initializers.serialize(self.gate_bias_initializer),
        }


def _dense(x: Any, weights: tuple[Any, Any]) -> Any:
    kernel, bias = weights
    return ops.matmul(x, kernel) + ops.cast(bias, x.dtype)
