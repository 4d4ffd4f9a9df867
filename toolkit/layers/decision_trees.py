"""Decision trees whose answers add up."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import integer
from deepfield.toolkit.layers._tables import at

#: The largest half-precision number: nothing that is asked for is larger.
_ENDLESS = 65_504.0


@keras.saving.register_keras_serializable("deepfield")
class DecisionTrees(keras.layers.Layer):
    r"""The sum of what many decision trees of any shape say: a forest, or boosted trees.

    At every node a tree goes right where a feature is larger than a threshold, else left, until it
    stands on a leaf. All trees and all samples go down together, `depth` steps.

    Trees are grown elsewhere and set with `set_trees`; no training moves them.

    Args:
        trees: how many, for each output.
        nodes: most nodes of a tree, leaves among them.
        depth: most steps from a root to a leaf.
        outputs: how many sums, each of trees of its own.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, features), floating point, at most 65,504; NaN goes left.

    Returns:
        Sums (batch, outputs), the compute dtype; added in single precision.

    Raises:
        ValueError: an argument is no positive integer, or the input has not two axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import DecisionTrees
        >>> layer = DecisionTrees(trees=1, nodes=3, depth=1)
        >>> layer.build((None, 2))
        >>> layer.set_trees([([1, 0, 0], [0.5, 0, 0], [1, -1, -1], [0, -1.0, 1.0])], start=10.0)
        >>> layer(np.array([[0.0, 0.2], [0.0, 0.7]], "float32")).numpy().ravel().tolist()
        [9.0, 11.0]

    Source:
        Breiman, "Random forests", Machine Learning 2001; Friedman, "Greedy function approximation:
        a gradient boosting machine", Annals of Statistics 2001, eq. (2). No deviation.
    """

    def __init__(self, trees: int, nodes: int, depth: int, outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trees = integer("DecisionTrees", "trees", trees)
        self.nodes = integer("DecisionTrees", "nodes", nodes)
        self.depth = integer("DecisionTrees", "depth", depth)
        self.outputs = integer("DecisionTrees", "outputs", outputs)
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape) -> None:
        """Create trees that say nothing."""

        def fixed(name: str, shape: tuple[int, ...], dtype: str = "float32") -> Any:
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False, dtype=dtype,
                autocast=False,
            )  # fmt: skip

        size = (self.outputs * self.trees, self.nodes)
        self.features = fixed("features", size, "int32")
        self.thresholds = fixed("thresholds", size)
        self.lefts = fixed("lefts", size, "int32")
        self.values = fixed("values", size)
        self.start = fixed("start", (self.outputs,))

    def set_trees(self, trees: Any, start: float = 0.0, output: int = 0) -> None:
        """Say this from now on, as one of the outputs.

        Args:
            trees: for each tree four sequences over its nodes, the root first: which feature is
                asked, its threshold, the place of the left child (the right one is next to it; -1
                for a leaf), and what a leaf says.
            start: added to the sum.
            output: which one.

        Raises:
            ValueError: more trees or nodes than there is room for, or no such output.
        """
        if not 0 <= output < self.outputs:
            raise ValueError(f"DecisionTrees: output {output} of {self.outputs}")
        size = (self.trees, self.nodes)
        features, lefts = np.zeros(size, np.int32), np.zeros(size, np.int32)
        thresholds, values = np.full(size, _ENDLESS), np.zeros(size)
        most = max((len(own[0]) for own in trees), default=0)
        if len(trees) > self.trees or most > self.nodes:
            raise ValueError(
                f"DecisionTrees: {len(trees)} trees of up to {most} "
                f"nodes, there is room for {self.trees} of {self.nodes}"
            )
        for place, (feature, threshold, left, value) in enumerate(trees):
            count = len(feature)
            inner = np.asarray(left) >= 0
            features[place, :count] = np.where(inner, feature, 0)
            thresholds[place, :count] = np.where(inner, threshold, _ENDLESS)
            lefts[place, :count] = np.where(inner, left, np.arange(count))  # a leaf stays
            values[place, :count] = np.where(inner, 0, value)
        own = slice(output * self.trees, (output + 1) * self.trees)
        told: tuple[tuple[Any, Any, Any], ...] = (
            (self.features, own, features), (self.thresholds, own, thresholds),
            (self.lefts, own, lefts), (self.values, own, values), (self.start, output, start),
        )  # fmt: skip
        for variable, rows, value in told:
            every = np.array(ops.convert_to_numpy(variable))
            every[rows] = value
            variable.assign(every)

    def call(self, inputs):
        """Go down all trees at once."""
        x = ops.cast(inputs, "float32")
        asked, limits, lefts, values = (
            ops.reshape(weight, (-1,))
            for weight in (self.features, self.thresholds, self.lefts, self.values)
        )
        count, width = ops.shape(x)
        x, first = ops.reshape(x, (-1,)), width * ops.expand_dims(ops.arange(count), -1)
        every = self.outputs * self.trees
        roots = self.nodes * ops.arange(every, dtype="int32")
        place = ops.broadcast_to(roots, (count, every))
        for _ in range(self.depth):
            value = at(x, first + at(asked, place))
            right = ops.cast(value > at(limits, place), "int32")
            place = roots + at(lefts, place) + right
        said = ops.reshape(at(values, place), (count, self.outputs, self.trees))
        return ops.cast(self.start + ops.sum(said, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, outputs)."""
        return (input_shape[0], self.outputs)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        sizes = {
            "trees": self.trees, "nodes": self.nodes, "depth": self.depth, "outputs": self.outputs
        }  # fmt: skip
        return {**super().get_config(), **sizes}
