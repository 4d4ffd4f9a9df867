"""Nodes that choose to which of their neighbours they listen."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer
from deepfield.toolkit.layers._links import both_ways, check_graph, incidence, to_nodes

_NEVER = -1e9


@keras.saving.register_keras_serializable("deepfield")
class GraphAttention(keras.layers.Layer):
    r"""States of nodes as weighted sums over their neighbours and themselves.

    $$ s_{vw} = a^\top \mathrm{LeakyReLU}(W_s x_v + W_t x_w + W_e e_{vw}), \qquad
       \alpha_{vw} = \mathrm{softmax}_{v \in N(w) \cup w}(s_{vw}), \qquad
       h_w = \sum_v \alpha_{vw} (W_s x_v + W_e e_{vw}) $$

    for each of several heads, side by side. The link of a node with itself has no features
    (e = 0). Every head has its own a and its own rows of W.

    Args:
        units: features of a node's new state, all heads together.
        heads: how many; they share the units equally.
        slope: of the leaky ReLU below zero.
        kernel_initializer: of all kernels.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: a list of nodes (batch, nodes, features), links (batch, links, features), each of
            them once, and ends (batch, links, 2), integers: the two nodes that a link joins. A link
            with ends -1 is padding.
        mask: (batch, nodes), true at valid nodes; others get zeros. By default all.

    Returns:
        New states (batch, nodes, units), before any activation, the compute dtype. The softmax is
        computed in single precision.

    Raises:
        ValueError: `units` or `heads` is no positive number, the heads do not divide the units, or
            the input is no such list.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import GraphAttention
        >>> nodes, links = np.ones((1, 3, 4), "float32"), np.ones((1, 2, 5), "float32")
        >>> GraphAttention(8, heads=2)([nodes, links, np.array([[[0, 1], [1, 2]]])]).shape
        TensorShape([1, 3, 8])

    Source:
        Brody, Alon, Yahav, "How attentive are graph attention networks?", ICLR 2022, eq. (7), with
        W = [W_s | W_t] and a bias; features of links enter as in PyTorch Geometric's GATv2Conv.
        Deviation: what a neighbour says holds the features of the link too.
    """

    def __init__(
        self,
        units: int,
        heads: int = 4,
        slope: float = 0.2,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = integer("GraphAttention", "units", units)
        self.heads = integer("GraphAttention", "heads", heads)
        if self.units % self.heads:
            raise ValueError(f"GraphAttention: {units} units cannot be shared by {heads} heads")
        self.slope = float(slope)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

        def dense(name: str, use_bias: bool) -> keras.layers.Dense:
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

        self.saying = dense("saying", True)
        self.asking = dense("asking", False)
        self.linked = dense("linked", False)

    def build(self, input_shape) -> None:
        """Create W_s, W_t, W_e and a."""
        check_graph("GraphAttention", input_shape)
        nodes, links, _ = input_shape
        self.saying.build(nodes)
        self.asking.build(nodes)
        self.linked.build(links)
        self.scoring = self.add_weight(
            name="scoring",
            shape=(self.heads, self.units // self.heads),
            initializer=self.kernel_initializer.clone()
            if isinstance(self.kernel_initializer, keras.Initializer)
            else self.kernel_initializer,
        )

    def call(self, inputs, mask=None):
        """Score every link and every node itself, weigh, add up."""
        nodes, links, ends = inputs
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        count = ops.shape(nodes)[1]
        source, target = incidence(ends, count, self.compute_dtype)
        said, asked = self.saying(nodes), self.asking(nodes)
        along = ops.matmul(source, said) + both_ways(self.linked(links))
        scores = self._scores(along + ops.matmul(target, asked))
        own = self._scores(said + asked)
        # (batch, links, nodes, heads): the score of a link where it ends, elsewhere never
        ending = ops.expand_dims(ops.cast(target, "float32"), -1)
        highest = ops.max(ops.where(ending > 0, ops.expand_dims(scores, 2), _NEVER), axis=1)
        highest = ops.maximum(highest, own)
        to_links = ops.matmul(ops.cast(target, "float32"), highest)
        # padding ends nowhere: its weight is summed up by no node
        weights = ops.exp(ops.minimum(scores - to_links, 0.0))
        own = ops.exp(own - highest)
        total = own + to_nodes(ops.cast(target, "float32"), weights)
        found = to_nodes(target, self._weighted(weights, along)) + self._weighted(own, said)
        answer = self._weighted(1.0 / total, found)
        if mask is not None:
            answer = answer * ops.cast(ops.expand_dims(mask, -1), answer.dtype)
        return answer

    def _scores(self, pairs: Any) -> Any:
        """(batch, pairs, heads), in single precision."""
        bent = ops.leaky_relu(self._by_head(pairs), self.slope)
        return ops.cast(ops.sum(bent * ops.cast(self.scoring, bent.dtype), axis=-1), "float32")

    def _weighted(self, weights: Any, values: Any) -> Any:
        """Each head's values times its weight, heads side by side again."""
        split = self._by_head(values) * ops.cast(ops.expand_dims(weights, -1), values.dtype)
        return ops.reshape(split, ops.shape(values))

    def _by_head(self, values: Any) -> Any:
        shape = ops.shape(values)
        return ops.reshape(values, (shape[0], shape[1], self.heads, self.units // self.heads))

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
            "heads": self.heads,
            "slope": self.slope,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
