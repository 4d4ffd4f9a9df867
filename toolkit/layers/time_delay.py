"""Units that see their inputs now and at some earlier and later steps."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number, share


@keras.saving.register_keras_serializable("deepfield")
class TimeDelay(keras.layers.Layer):
    r"""A time-delay layer: the same units at every step, on a window of steps.

    $y_t = \sigma(N(\sum_{k=-b}^{a} W_k x_{st + dk}))$ with b steps before and a after, d steps
    apart, a stride s and batch normalisation N. Steps outside the input, or excluded by the mask,
    count as zero.

    Args:
        units: channels of the result.
        before: steps before the present one that a unit sees.
        after: steps after it; 0 looks at the past alone.
        spacing: steps from each to the next.
        strides: steps of the input for one of the result.
        activation: name or function.
        dropout: share of the outputs that training hides.
        momentum: of the moving statistics.

    Call arguments:
        inputs: (batch, steps, channels).
        training: whether dropout hides, and statistics are those of the batch.
        mask: (batch, steps), true at valid steps, which come first.

    Returns:
        (batch, ceil(steps / strides), units); its mask is the input's at every s-th step.

    Raises:
        ValueError: arguments that are no whole numbers, a dropout outside 0 to 1.

    Example:
        >>> import numpy as np
        >>> tuple(TimeDelay(6, before=1, after=1, strides=2)(np.zeros((1, 7, 4), "float32")).shape)
        (1, 4, 6)

    Source: Waibel et al. 1989, "Phoneme recognition using time-delay neural networks", section
    II.A; the spacing is that of Peddinti et al. 2015. Deviation: batch normalisation instead of a
    bias.
    """

    def __init__(
        self,
        units: int,
        before: int = 2,
        after: int = 2,
        spacing: int = 1,
        strides: int = 1,
        activation: Any = "relu",
        dropout: float = 0.0,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "TimeDelay"
        self.units = integer(me, "units", units)
        self.before = integer(me, "before", before, 0)
        self.after = integer(me, "after", after, 0)
        self.spacing = integer(me, "spacing", spacing)
        self.strides = integer(me, "strides", strides)
        self.dropout = share(me, "dropout", dropout, below_one=True)
        if strides > 1 and spacing > 1:
            raise ValueError(f"{me}: strides and spacing cannot both be above 1")
        self.activation = keras.activations.get(activation)
        self.momentum = number(me, "momentum", momentum, high=1.0)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates and builds the weights of all delays, and the normalisation."""
        self.delays = keras.layers.Conv1D(
            self.units, self.before + 1 + self.after, self.strides, dilation_rate=self.spacing,
            use_bias=False, dtype=self.dtype_policy, name="delays",
        )  # fmt: skip
        self.delays.build((None, None, input_shape[-1]))
        self.norm = keras.layers.BatchNormalization(
            momentum=self.momentum, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build((None, None, self.units))
        self.hide = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="hide")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The outputs of the units."""
        x, later = inputs, self.compute_mask(inputs, mask)
        if mask is not None:
            x = x * ops.expand_dims(ops.cast(mask, x.dtype), -1)
        ends = (self.before * self.spacing, self.after * self.spacing)
        x = self.delays(ops.pad(x, ((0, 0), ends, (0, 0))))
        x = self.hide(
            self.activation(self.norm(x, training=training, mask=later)), training=training
        )
        return x if later is None else x * ops.expand_dims(ops.cast(later, x.dtype), -1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask at every s-th step."""
        return None if previous_mask is None else previous_mask[:, :: self.strides]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, ceil(steps / strides), units); a free size stays free."""
        batch, steps, _ = input_shape
        return (batch, None if steps is None else -(-steps // self.strides), self.units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "units": self.units,
            "before": self.before,
            "after": self.after,
            "spacing": self.spacing,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "momentum": self.momentum,
        }
