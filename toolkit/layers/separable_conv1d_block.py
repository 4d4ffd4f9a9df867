"""Convolutions over time that look at each channel by itself, and mix channels step by step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number, share


@keras.saving.register_keras_serializable("deepfield")
class SeparableConv1DBlock(keras.layers.Layer):
    r"""A residual block of time-channel separable convolutions.

    `repeats` times: a convolution over time of each channel by itself, one over channels at each
    step, batch normalisation, activation, dropout. Before the last activation the shortcut is
    added: the input, through a convolution of size 1 and a normalisation of its own, unless
    `residual` is false.

    $y = \sigma(N(P(D(h))) + N_0(P_0(x)))$, $h$ being what the repeats before it made of x.

    Steps that the mask excludes are set to zero before every convolution, so that what stands in
    the padding does not matter. With stride s, step t of the result stands for step s t.

    Args:
        filters: channels of the result.
        kernel_size: steps that a convolution looks at.
        repeats: convolutions one after the other.
        strides: of the first convolution.
        dilation: steps between those that a convolution looks at.
        residual: whether there is a shortcut.
        causal: look at the past alone, as a stream wants it; else equally far to both sides (one
            step more to the past where the size is even).
        activation: name or function.
        dropout: share of the outputs of each activation that training hides.
        momentum: of the moving statistics.

    Call arguments:
        inputs: (batch, steps, channels).
        training: whether dropout hides, and statistics are those of the batch.
        mask: (batch, steps), true at valid steps, which come first.

    Returns:
        (batch, ceil(steps / strides), filters); its mask is the input's at every s-th step.

    Raises:
        ValueError: arguments that are no positive integers, a dropout outside 0 to 1.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((1, 7, 4), "float32")
        >>> tuple(SeparableConv1DBlock(filters=6, kernel_size=3, strides=2)(x).shape)
        (1, 4, 6)

    Source: Kriman et al. 2020, "QuartzNet", figure 1 and section 3.1 (MatchboxNet, Majumdar and
    Ginsburg 2020, has the same block). Deviation: the shortcut of a block that changes neither
    channels nor steps is the input itself.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        repeats: int = 1,
        strides: int = 1,
        dilation: int = 1,
        residual: bool = True,
        causal: bool = False,
        activation: Any = "relu",
        dropout: float = 0.0,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "SeparableConv1DBlock"
        self.filters = integer(me, "filters", filters)
        self.kernel_size = integer(me, "kernel_size", kernel_size)
        self.repeats = integer(me, "repeats", repeats)
        self.strides = integer(me, "strides", strides)
        self.dilation = integer(me, "dilation", dilation)
        self.dropout = share(me, "dropout", dropout, below_one=True)
        self.residual, self.causal = bool(residual), bool(causal)
        self.activation = keras.activations.get(activation)
        self.momentum = number(me, "momentum", momentum, high=1.0)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates and builds the convolutions and the normalisations."""
        channels = int(input_shape[-1] or 0)
        self.over_time, self.over_channels, self.norms = [], [], []
        for i in range(1, self.repeats + 1):
            first = i == 1
            own = channels if first else self.filters
            depthwise = keras.layers.DepthwiseConv1D(
                self.kernel_size, self.strides if first else 1, dilation_rate=self.dilation,
                use_bias=False, dtype=self.dtype_policy, name=f"time{i}",
            )  # fmt: skip
            depthwise.build((None, None, own))
            self.over_time.append(depthwise)
            self.over_channels.append(self._mix(own, f"channels{i}"))
            self.norms.append(self._norm(f"norm{i}"))
        self.shortcut = self.shortcut_norm = None
        if self.residual and (channels != self.filters or self.strides != 1):
            self.shortcut = self._mix(channels, "shortcut", self.strides)
            self.shortcut_norm = self._norm("shortcut_norm")
        self.hide = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy, name="hide")
        self.built = True

    def _mix(self, channels: int, name: str, strides: int = 1) -> keras.layers.Conv1D:
        layer = keras.layers.Conv1D(
            self.filters, 1, strides, use_bias=False, dtype=self.dtype_policy, name=name
        )
        layer.build((None, None, channels))
        return layer

    def _norm(self, name: str) -> keras.layers.BatchNormalization:
        layer = keras.layers.BatchNormalization(
            momentum=self.momentum, dtype=self.dtype_policy, name=name
        )
        layer.build((None, None, self.filters))
        return layer

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The convolutions, and the shortcut."""
        x = inputs
        own = mask
        later = self._later(mask)
        for i in range(self.repeats):
            x = self._padded(_valid(x, own))
            own = later
            x = self.over_channels[i](self.over_time[i](x))
            x = self.norms[i](x, training=training, mask=later)
            if i == self.repeats - 1 and self.residual:
                x = x + self._short(inputs, training, later)
            x = self.hide(self.activation(x), training=training)
        return _valid(x, later)

    def _short(self, inputs: Any, training: bool | None, later: Any) -> Any:
        if self.shortcut is None or self.shortcut_norm is None:
            return inputs
        return self.shortcut_norm(self.shortcut(inputs), training=training, mask=later)

    def _padded(self, x: Any) -> Any:
        total = (self.kernel_size - 1) * self.dilation
        after = 0 if self.causal else total // 2
        return ops.pad(x, ((0, 0), (total - after, after), (0, 0))) if total else x

    def _later(self, mask: Any) -> Any:
        return None if mask is None else mask[:, :: self.strides]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask at every s-th step."""
        return self._later(previous_mask)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, ceil(steps / strides), filters); a free size stays free."""
        batch, steps, _ = input_shape
        return (batch, None if steps is None else -(-steps // self.strides), self.filters)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "repeats": self.repeats,
            "strides": self.strides,
            "dilation": self.dilation,
            "residual": self.residual,
            "causal": self.causal,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "momentum": self.momentum,
        }


def _valid(x: Any, mask: Any) -> Any:
    """Zero where the mask excludes a step."""
    return x if mask is None else x * ops.expand_dims(ops.cast(mask, x.dtype), -1)
