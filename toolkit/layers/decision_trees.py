"""Decision trees whose answers add up."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import integer

#: The largest half-precision number: nothing that is asked for is larger.
_ENDLESS = 65_504.0


@keras.saving.register_keras_serializable("deepfield")
class DecisionTrees(keras.layers.Layer):
    r"""The sum of what many decision trees of any shape say: a forest, or boosted trees.

    At every node a tree goes right where a feature is larger than a threshold, else left, until it
    stands on a leaf. All trees and all samples go down together, `depth` steps.

    Trees are grown elsewhere and set with `set_trees`; no training moves them.

    Args:
        trees: how many.
        nodes: most nodes of a tree, leaves among them.
        depth: most steps from a root to a leaf.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, features), floating point, at most 65,504; NaN goes left.

    Returns:
        Sums (batch, 1), the compute dtype; added in single precision.

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

    def __init__(self, trees: int, nodes: int, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trees = integer("DecisionTrees", "trees", trees)
        self.nodes = integer("DecisionTrees", "nodes", nodes)
        self.depth = integer("DecisionTrees", "depth", depth)
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape) -> None:
        """Create trees that say nothing."""

        def fixed(name: str, shape: tuple[int, ...], dtype: str = "float32") -> Any:
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False, dtype=dtype,
                autocast=False,
            )  # fmt: skip

        size = (self.trees, self.nodes)
        self.features = fixed("features", size, "int32")
        self.thresholds = fixed("thresholds", size)
        self.lefts = fixed("lefts", size, "int32")
        self.values = fixed("values", size)
        self.start = fixed("start", ())

    def set_trees(self, trees: Any, start: float = 0.0) -> None:
        """Say this from now on.

        Args:
            trees: for each tree four sequences over its nodes, the root first: which feature is
                asked, its threshold, the place of the left child (the right one is next to it; -1
                for a leaf), and what a leaf says.
            start: added to the sum.

        Raises:
            ValueError: more trees or nodes than there is room for.
        """
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
        self.features.assign(features)
        self.thresholds.assign(thresholds)
        self.lefts.assign(lefts)
        self.values.assign(values)
        self.start.assign(start)

    def call(self, inputs):
        """Go down all trees at once."""
        x = ops.cast(inputs, "float32")
        asked, limits, lefts, values = (
            ops.reshape(weight, (-1,))
            for weight in (self.features, self.thresholds, self.lefts, self.values)
        )
        roots = self.nodes * ops.arange(self.trees, dtype="int32")
        place = ops.broadcast_to(roots, (ops.shape(x)[0], self.trees))
        for _ in range(self.depth):
            value = ops.take_along_axis(x, ops.take(asked, place, axis=0), axis=1)
            right = ops.cast(value > ops.take(limits, place, axis=0), "int32")
            place = roots + ops.take(lefts, place, axis=0) + right
        said = ops.sum(ops.take(values, place, axis=0), axis=1, keepdims=True)
        return ops.cast(self.start + said, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, 1)."""
        return (input_shape[0], 1)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        sizes = {"trees": self.trees, "nodes": self.nodes, "depth": self.depth}
        return {**super().get_config(), **sizes}
