"""Messages along the links of a graph that do not turn back at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer
from deepfield.toolkit.layers._links import (
    both_ways,
    check_graph,
    incidence,
    reversed_links,
    to_nodes,
)


@keras.saving.register_keras_serializable("deepfield")
class DirectedMessagePassing(keras.layers.Layer):
    r"""States of directed links, updated from the links that lead to them; then states of nodes.

    $$ h^0_{vw} = \tau(W_i [x_v, e_{vw}]), \qquad
       m^{t+1}_{vw} = \sum_{k \in N(v) \setminus w} h^t_{kv}, \qquad
       h^{t+1}_{vw} = \tau(h^0_{vw} + W_m m^{t+1}_{vw}), $$
    $$ m_v = \sum_{k \in N(v)} h^T_{kv}, \qquad h_v = \tau(W_a [x_v, m_v]) $$

    x are the features of nodes and e those of links. Inside the activation of the second formula
    stands the pre-activation of the first. A message never goes back along the link on which it
    came, so that it is not heard twice.

    Args:
        units: features of a link's and of a node's state.
        steps: T, how many links a message may travel, less one.
        activation: tau.
        dropout: fraction of the states left out in training, after every step.
        seed: of the dropout.
        kernel_initializer: of all kernels.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: a list of nodes (batch, nodes, features), links (batch, links, features), each of
            them once, and ends (batch, links, 2), integers: the two nodes that a link joins. A link
            with ends -1 is padding.
        mask: (batch, nodes), true at valid nodes; others get a state of zeros. By default all.
        training: whether to leave states out.

    Returns:
        States of the nodes, (batch, nodes, units), the compute dtype.

    Raises:
        ValueError: `units` or `steps` is no positive number, or the input is no such list.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import DirectedMessagePassing
        >>> nodes, links = np.ones((1, 3, 4), "float32"), np.ones((1, 2, 5), "float32")
        >>> ends = np.array([[[0, 1], [1, 2]]])
        >>> DirectedMessagePassing(8, steps=2)([nodes, links, ends]).shape
        TensorShape([1, 3, 8])

    Source:
        Yang et al., "Analyzing learned molecular representations for property prediction",
        J. Chem. Inf. Model. 2019, eq. (5) to (8). Deviations: kernels have biases (the program of
        the authors' group has them as an option); dropout as in that program.
    """

    def __init__(
        self,
        units: int,
        steps: int = 3,
        activation: Any = "relu",
        dropout: float = 0.0,
        seed: int | None = None,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = integer("DirectedMessagePassing", "units", units)
        self.steps = integer("DirectedMessagePassing", "steps", steps)
        self.activation = keras.activations.get(activation)
        self.dropout, self.seed = dropout, seed
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

        def dense(name: str, use_bias: bool = True) -> keras.layers.Dense:
            drawn = keras.initializers.get(kernel_initializer)
            if isinstance(drawn, keras.Initializer):
                drawn = drawn.clone()
            return keras.layers.Dense(
                self.units,
                use_bias=use_bias,
                kernel_initializer=drawn,
                dtype=self.dtype_policy,
                name=name,
            )

        self.start = dense("start")
        self.message = dense("message")
        self.gather = dense("gather")
        self.drop = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy, name="drop")

    def build(self, input_shape) -> None:
        """Create the three kernels."""
        check_graph("DirectedMessagePassing", input_shape)
        nodes, links, _ = input_shape
        self.start.build((None, None, nodes[-1] + links[-1]))
        self.message.build((None, None, self.units))
        self.gather.build((None, None, nodes[-1] + self.units))

    def call(self, inputs, mask=None, training=None):
        """Send messages along the links, and gather them in the nodes."""
        nodes, links, ends = inputs
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        source, target = incidence(ends, ops.shape(nodes)[1], self.compute_dtype)
        first = self.start(ops.concatenate([ops.matmul(source, nodes), both_ways(links)], axis=-1))
        state = self.activation(first)
        for _ in range(self.steps - 1):
            heard = ops.matmul(source, to_nodes(target, state)) - reversed_links(state)
            state = self.activation(first + self.message(heard))
            state = self.drop(state, training=training)
        heard = to_nodes(target, state)
        answer = self.activation(self.gather(ops.concatenate([nodes, heard], axis=-1)))
        answer = self.drop(answer, training=training)
        if mask is not None:
            answer = answer * ops.cast(ops.expand_dims(mask, -1), answer.dtype)
        return answer

    def compute_mask(self, inputs, mask=None):
        """Pass on the mask of the nodes."""
        return mask[0] if isinstance(mask, list | tuple) else mask

    def compute_output_shape(self, input_shape):
        """Return (batch, nodes, units)."""
        return (*input_shape[0][:2], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "steps": self.steps,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "seed": self.seed,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
