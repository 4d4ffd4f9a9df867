"""A memory with a slot for each entity, updated at every step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer


@keras.saving.register_keras_serializable("deepfield")
class RecurrentEntityCell(keras.layers.Layer):
    r"""Update the slots of a memory, each as far as the step concerns it.

    For a step s and slots h_j with learned keys w_j:

    $$ g_j = \sigma(s^\top h_j + s^\top w_j), \qquad
       \tilde h_j = \phi(U h_j + V w_j + W s), \qquad
       h_j \leftarrow \frac{h_j + g_j \tilde h_j}{\lVert h_j + g_j \tilde h_j \rVert} $$

    The division makes a slot forget: what is added turns it away from what it held. Slots start at
    their keys. It is a cell: `keras.layers.RNN(RecurrentEntityCell(20, 100))` runs it over
    (batch, steps, units), where a masked step leaves the memory as it is.

    Args:
        entities: how many slots.
        units: features of a slot, and of a step.
        activation: phi; `None` is the identity. `"prelu"` has a learned slope for each feature.
        keys_initializer: of the keys; with the default a key has a length of about 1, as the
            slots have.
        kernel_initializer: of U, V and W.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, units), one step.
        states: (batch, entities x units), or a list of it; the start (the keys) by default.

    Returns:
        The new slots twice, as output and as state: (batch, entities x units), the slots one
        after the other, the compute dtype.

    Raises:
        ValueError: `entities` or `units` is no positive integer, or the input is not
            (batch, units).

    Example:
        >>> import keras, numpy as np
        >>> from deepfield.toolkit.layers import RecurrentEntityCell
        >>> story = np.random.default_rng(0).normal(size=(2, 7, 8)).astype("float32")
        >>> slots = keras.layers.RNN(RecurrentEntityCell(5, 8))(story).numpy().reshape(2, 5, 8)
        >>> bool(np.allclose((slots**2).sum(-1), 1, atol=1e-5))
        True

    Source:
        Henaff, Weston, Szlam, Bordes, LeCun, "Tracking the world state with recurrent entity
        networks", ICLR 2017, eq. (2) gate, (3) candidate, (4) update, (5) normalisation. Slots
        start at their keys as in the authors' program; the paper's equations leave it open. No
        other deviation.
    """

    def __init__(
        self,
        entities: int,
        units: int,
        activation: Any = "prelu",
        keys_initializer: Any = "glorot_normal",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entities = integer("RecurrentEntityCell", "entities", entities)
        self.units = integer("RecurrentEntityCell", "units", units)
        self.state_size = self.output_size = self.entities * self.units
        self.activation = activation if activation == "prelu" else keras.activations.get(activation)
        self.keys_initializer = keras.initializers.get(keys_initializer)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: self.units})

    def build(self, input_shape) -> None:
        """Create the keys, the three kernels and the slopes."""
        self.keys = self.add_weight(
            name="keys", shape=(self.entities, self.units), initializer=self.keys_initializer
        )
        square = (self.units, self.units)
        self.slot_kernel, self.key_kernel, self.step_kernel = (
            # clones, or the three would start with the same weights
            self.add_weight(name=name, shape=square, initializer=self.kernel_initializer.clone())
            for name in ("slot_kernel", "key_kernel", "step_kernel")
        )
        self.slope = None
        if self.activation == "prelu":
            self.slope = self.add_weight(name="slope", shape=(self.units,), initializer="ones")

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return the keys, once a sample."""
        flat = ops.reshape(self.keys, (1, self.state_size))
        return [ops.cast(ops.tile(flat, (batch_size, 1)), self.compute_dtype)]

    def call(self, inputs, states=None):
        """Gate, candidate, update, normalise."""
        if states is None:
            states = self.get_initial_state(ops.shape(inputs)[0])
        state = states[0] if isinstance(states, list | tuple) else states
        slots = ops.reshape(state, (-1, self.entities, self.units))
        keys = ops.cast(self.keys, inputs.dtype)
        match = ops.sum(inputs[:, None] * (slots + keys), axis=-1, keepdims=True)
        candidate = (
            ops.matmul(slots, self.slot_kernel)
            + ops.matmul(keys, self.key_kernel)
            + ops.matmul(inputs, self.step_kernel)[:, None]
        )
        slots = slots + ops.sigmoid(match) * self._squash(candidate)
        # squares of small numbers vanish in half precision
        whole = ops.cast(slots, "float32")
        norm = ops.sqrt(ops.maximum(ops.sum(whole * whole, axis=-1, keepdims=True), 1e-12))
        flat = ops.reshape(ops.cast(whole / norm, inputs.dtype), (-1, self.state_size))
        return flat, flat

    def _squash(self, x: Any) -> Any:
        if self.slope is None:
            return self.activation(x)
        return ops.maximum(x, 0.0) + ops.cast(self.slope, x.dtype) * ops.minimum(x, 0.0)

    def compute_output_shape(self, input_shape):
        """Return the shape of the slots, twice."""
        flat = (input_shape[0], self.state_size)
        return flat, flat

    def connections(self, input_shape: tuple) -> int:
        """Count, for one step of one sample, the inputs of gates and candidates."""
        return self.entities * (2 * self.units + 2 * self.units**2) + self.units**2

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        named = self.activation == "prelu"
        return {
            **super().get_config(),
            "entities": self.entities,
            "units": self.units,
            "activation": "prelu" if named else keras.activations.serialize(self.activation),
            "keys_initializer": keras.initializers.serialize(self.keys_initializer),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
