"""Words of a sentence to one vector by learned weights for their places."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer
from deepfield.toolkit.layers._summed_steps import SummedSteps


@keras.saving.register_keras_serializable("deepfield")
class PositionWeights(SummedSteps):
    r"""Add up the steps of a sequence, each weighted by a learned vector for its position.

    $$ s = \sum_i f_i \circ x_i $$

    With f = 1, as it starts, it is a plain sum.

    Args:
        positions: how many vectors f to learn; steps behind the last one share it.
        weights_initializer: of f.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, ..., steps, features), floating point: embedded words.
        mask: (batch, ..., steps), true at valid steps; all of them by default.

    Returns:
        (batch, ..., features), the compute dtype; zeros where no step is valid.

    Raises:
        ValueError: `positions` is no positive integer, or the input has fewer than three axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import PositionWeights
        >>> PositionWeights(2)(np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")).numpy().tolist()
        [[4.0, 6.0]]

    Source:
        Henaff, Weston, Szlam, Bordes, LeCun, "Tracking the world state with recurrent entity
        networks", ICLR 2017, eq. (1). Deviation: a sequence may be longer than `positions`.
    """

    def __init__(self, positions: int, weights_initializer: Any = "ones", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.positions = integer("PositionWeights", "positions", positions)
        self.weights_initializer = keras.initializers.get(weights_initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape) -> None:
        """Create f, (positions, features)."""
        shape = (self.positions, input_shape[-1])
        self.factors = self.add_weight(
            name="factors", shape=shape, initializer=self.weights_initializer
        )

    def call(self, inputs, mask=None):
        """Weight and add."""
        steps = ops.arange(ops.shape(inputs)[-2], dtype="int32")
        factors = ops.take(self.factors, ops.clip(steps, 0, self.positions - 1), axis=0)
        weighted = inputs * ops.cast(factors, inputs.dtype)
        if mask is not None:
            weighted = weighted * ops.cast(mask, inputs.dtype)[..., None]
        return ops.sum(weighted, axis=-2)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "positions": self.positions,
            "weights_initializer": keras.initializers.serialize(self.weights_initializer),
        }
