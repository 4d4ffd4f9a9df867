"""Attention for what is far apart, convolution for what is near."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, share


@keras.saving.register_keras_serializable("deepfield")
class ConformerBlock(keras.layers.Layer):
    r"""A Conformer block: half a feed-forward module, attention, convolution, the other half.

    $a = x + \frac12 F_1(x)$, $b = a + A(a)$, $c = b + C(b)$, $y = L(c + \frac12 F_2(c))$, where
    each module begins with a layer normalisation and ends with dropout; F is two dense layers with
    swish between them, A attention of each step to the others, and C a gated linear unit, a
    convolution of each channel over time, a batch normalisation, swish and a dense layer.

    Steps that the mask excludes are neither attended to nor convolved. With `left` and `right` a
    step attends to so many steps before and after it only: then the answer at a step depends on a
    bounded stretch of the input, and a stream can be answered piece by piece.

    Args:
        units: channels of input and result.
        heads: of the attention; they divide `units`.
        kernel_size: steps that the convolution looks at.
        expansion: width of the feed-forward modules, in units.
        left: steps before a step that it attends to; None is all.
        right: steps after it; None is all.
        causal: convolve the past alone.
        dropout: share of every module's outputs that training hides.
        momentum: of the moving statistics.

    Call arguments:
        inputs: (batch, steps, units).
        training: whether dropout hides, and statistics are those of the batch.
        mask: (batch, steps), true at valid steps, which come first.

    Returns:
        (batch, steps, units).

    Raises:
        ValueError: arguments that are no positive integers, heads that do not divide the units, an
            input of other channels.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((1, 5, 8), "float32")
        >>> tuple(ConformerBlock(units=8, heads=2, kernel_size=3)(x).shape)
        (1, 5, 8)

    Source: Gulati et al. 2020, "Conformer", eq. 1 and figures 2 to 4. Deviation: no relative
    positional encoding; the convolution tells a step where it is among its neighbours.
    """

    def __init__(
        self,
        units: int,
        heads: int = 4,
        kernel_size: int = 15,
        expansion: int = 4,
        left: int | None = None,
        right: int | None = None,
        causal: bool = False,
        dropout: float = 0.1,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "ConformerBlock"
        self.units = integer(me, "units", units)
        self.heads = integer(me, "heads", heads)
        self.kernel_size = integer(me, "kernel_size", kernel_size)
        self.expansion = integer(me, "expansion", expansion)
        self.left = None if left is None else integer(me, "left", left, 0)
        self.right = None if right is None else integer(me, "right", right, 0)
        if units % heads:
            raise ValueError(f"{me}: heads must divide {units} units, got {heads!r}")
        self.dropout = share(me, "dropout", dropout, below_one=True)
        self.causal, self.momentum = bool(causal), float(momentum)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates and builds every module."""
        if input_shape[-1] != self.units:
            raise ValueError(
                f"ConformerBlock: {self.units} channels expected, got {tuple(input_shape)}"
            )
        shape, kind = (None, None, self.units), self.dtype_policy
        wide = (None, None, self.expansion * self.units)
        for which in ("first", "second"):
            grow = keras.layers.Dense(wide[-1], "swish", dtype=kind, name=f"{which}_grow")
            grow.build(shape)
            shrink = keras.layers.Dense(self.units, dtype=kind, name=f"{which}_shrink")
            shrink.build(wide)
            setattr(self, f"{which}_grow", grow)
            setattr(self, f"{which}_shrink", shrink)
        for which in ("first", "attention", "convolution", "second", "last"):
            norm = keras.layers.LayerNormalization(dtype=kind, name=f"{which}_norm")
            norm.build(shape)
            setattr(self, f"{which}_norm", norm)
        self.attend = keras.layers.MultiHeadAttention(
            self.heads, self.units // self.heads, dtype=kind, name="attend"
        )
        self.attend.build(shape, shape)
        self.gate = keras.layers.Dense(2 * self.units, dtype=kind, name="gate")
        self.gate.build(shape)
        self.convolve = keras.layers.DepthwiseConv1D(
            self.kernel_size, use_bias=False, dtype=kind, name="convolve"
        )
        self.convolve.build(shape)
        self.norm = keras.layers.BatchNormalization(momentum=self.momentum, dtype=kind, name="norm")
        self.norm.build(shape)
        self.mix = keras.layers.Dense(self.units, dtype=kind, name="mix")
        self.mix.build(shape)
        self.hide = keras.layers.Dropout(self.dropout, dtype=kind, name="hide")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The four modules."""
        there = None if mask is None else ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        x = inputs + 0.5 * self._feed("first", inputs, training)
        normed = self.attention_norm(x)
        seen = self.attend(normed, normed, attention_mask=self._seen(x, mask))
        x = x + self.hide(seen, training=training)
        x = x + self._convolved(x, training, mask, there)
        x = self.last_norm(x + 0.5 * self._feed("second", x, training))
        return x if there is None else x * there

    def _feed(self, which: str, x: Any, training: bool | None) -> Any:
        norm, grow, shrink = (
            getattr(self, f"{which}_{part}") for part in ("norm", "grow", "shrink")
        )
        return self.hide(shrink(self.hide(grow(norm(x)), training=training)), training=training)

    def _convolved(self, x: Any, training: bool | None, mask: Any, there: Any) -> Any:
        value, gate = ops.split(self.gate(self.convolution_norm(x)), 2, axis=-1)
        x = value * ops.sigmoid(gate)
        x = x if there is None else x * there
        after = 0 if self.causal else (self.kernel_size - 1) // 2
        before = self.kernel_size - 1 - after
        x = self.convolve(ops.pad(x, ((0, 0), (before, after), (0, 0))))
        x = ops.silu(self.norm(x, training=training, mask=mask))
        return self.hide(self.mix(x), training=training)

    def _seen(self, x: Any, mask: Any) -> Any:
        """Which steps a step may attend to, (batch or 1, steps, steps); itself always."""
        seen = None if mask is None else ops.expand_dims(ops.cast(mask, "bool"), 1)
        if self.left is not None or self.right is not None or seen is not None:
            place = ops.arange(ops.shape(x)[1])
            ahead = ops.expand_dims(place, 0) - ops.expand_dims(place, 1)
            near = ahead == 0 if seen is not None else None
            if seen is not None and near is not None:  # a padded step looks at itself, not at none
                seen = seen | ops.expand_dims(near, 0)
            if self.left is not None:
                seen = _both(seen, ops.expand_dims(ahead >= -self.left, 0))
            if self.right is not None:
                seen = _both(seen, ops.expand_dims(ahead <= self.right, 0))
        return seen

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "units": self.units,
            "heads": self.heads,
            "kernel_size": self.kernel_size,
            "expansion": self.expansion,
            "left": self.left,
            "right": self.right,
            "causal": self.causal,
            "dropout": self.dropout,
            "momentum": self.momentum,
        }


def _both(a: Any, b: Any) -> Any:
    return b if a is None else a & b
