"""Convolutions over time and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number


@keras.saving.register_keras_serializable("deepfield")
class SpectrogramConvolutions(keras.layers.Layer):
    r"""What a spectrogram shows wherever it shows it: a voice may be higher than another.

    $X_0$ has one channel, $X_{i} = \max(0, N(W_i * X_{i-1}))$ with batch normalisation N, and the
    result has bands and channels of the last one side by side. Every convolution leaves half of the
    bands, the first one some of the steps. Steps outside the input, or excluded by the mask, and
    bands outside it, count as zero.

    Args:
        filters: channels of each convolution.
        kernel_size: odd; steps and bands that a convolution sees.
        strides: steps of the input for one of the result.
        momentum: of the moving statistics.

    Call arguments:
        inputs: (batch, steps, bands).
        training: whether statistics are those of the batch.
        mask: (batch, steps), true at valid steps, which come first.

    Returns:
        (batch, ceil(steps / strides), ceil(bands / 2^n) · channels); its mask is the input's at
        every s-th step.

    Raises:
        ValueError: no filters, numbers that are not whole, an even kernel.

    Example:
        >>> import numpy as np
        >>> layer = SpectrogramConvolutions((4, 6), strides=2)
        >>> tuple(layer(np.zeros((1, 7, 40), "float32")).shape)
        (1, 4, 60)

    Source: Sainath et al. 2013, "Deep convolutional neural networks for LVCSR", section 2;
    strides and batch normalisation as in Amodei et al. 2016, "Deep Speech 2", sections 3.2 and
    3.5. Deviation: strides instead of pooling.
    """

    def __init__(
        self, filters: Sequence[int], kernel_size: int = 3, strides: int = 1,
        momentum: float = 0.99, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        me = "SpectrogramConvolutions"
        self.filters = tuple(integer(me, "filters", f) for f in filters)
        self.kernel_size = integer(me, "kernel_size", kernel_size)
        self.strides = integer(me, "strides", strides)
        self.momentum = number(me, "momentum", momentum, high=1.0)
        if not self.filters or self.kernel_size % 2 == 0:
            raise ValueError(
                f"{me}: at least one filter and an odd kernel_size, got {filters!r}, {kernel_size}"
            )
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates and builds the convolutions and their normalisations."""
        self.convolutions, self.norms = [], []
        channels = 1
        for i, count in enumerate(self.filters, start=1):
            convolution = keras.layers.Conv2D(
                count, self.kernel_size, (self.strides if i == 1 else 1, 2), use_bias=False,
                dtype=self.dtype_policy, name=f"convolution{i}",
            )  # fmt: skip
            convolution.build((None, None, None, channels))
            norm = keras.layers.BatchNormalization(
                momentum=self.momentum, dtype=self.dtype_policy, name=f"norm{i}"
            )
            norm.build((None, None, None, count))
            self.convolutions.append(convolution)
            self.norms.append(norm)
            channels = count
        self.built = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The channels of the last convolution."""
        half = self.kernel_size // 2
        x, valid = ops.expand_dims(inputs, -1), None
        if mask is not None:
            valid = ops.expand_dims(mask, -1)
            x = x * ops.expand_dims(ops.cast(valid, x.dtype), -1)
            valid = valid[:, :: self.strides]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            # alike at both ends whatever the length, so that padding changes no step
            x = convolution(ops.pad(x, ((0, 0), (half, half), (half, half), (0, 0))))
            x = ops.relu(norm(x, training=training, mask=valid))
            if valid is not None:
                x = x * ops.expand_dims(ops.cast(valid, x.dtype), -1)
        _, _, bands, channels = x.shape
        return ops.reshape(x, (-1, ops.shape(x)[1], bands * channels))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask at every s-th step."""
        return None if previous_mask is None else previous_mask[:, :: self.strides]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, ceil(steps / strides), bands · channels); a free size stays free."""
        batch, steps, bands = input_shape
        assert bands is not None
        for _ in self.filters:
            bands = -(-bands // 2)
        steps = None if steps is None else -(-steps // self.strides)
        return (batch, steps, bands * self.filters[-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "momentum": self.momentum,
        }
