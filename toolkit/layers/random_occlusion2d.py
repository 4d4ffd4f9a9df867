"""Rectangles of pictures covered at random."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import share


@keras.saving.register_keras_serializable("deepfield")
class RandomOcclusion2D(keras.layers.Layer):
    r"""Covers a rectangle of some of the pictures while training.

    Every picture is covered with `probability`, by one rectangle of one value. Its area is
    $a \sim U(\text{least}, \text{most})$ of the picture's, its height over its width, both as
    fractions of the picture's, $r$ with $\log r \sim U(\pm\log\text{aspect})$; so it is
    $\sqrt{ar}$ high and $\sqrt{a/r}$ wide, at most the whole side, wherever it fits. Its value is
    drawn from the value range, the same for all channels. Nothing happens when `training` is false.

    Args:
        probability: Of a picture to be covered, from 0 to 1.
        least: Smallest area, as a fraction of the picture's, from 0 to 1.
        most: Largest area, not below `least`.
        aspect: Largest ratio of the sides, 1 or more.
        value_range: Lowest and highest value of the rectangle.
        seed: Integer, or None for a random one.
        **kwargs: What every Keras layer takes (`name`, `dtype`, ...).

    Call arguments:
        inputs: `(batch, height, width, channels)`, any dtype; height and width must be known.
        training: Whether to cover anything; None means no.

    Returns:
        `(batch, height, width, channels)` in the layer's compute dtype.

    Raises:
        ValueError: For an argument outside its range, or inputs that have not four axes or whose
            height or width is unknown.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import RandomOcclusion2D
        >>> cover = RandomOcclusion2D(probability=1.0, least=0.25, most=0.25, aspect=1.0)
        >>> covered = cover(np.full((1, 8, 8, 1), -1.0, "float32"), training=True)
        >>> int((covered.numpy() >= 0).sum())
        16

    Source:
        Zhong, Zheng, Kang, Li, Yang, "Random erasing data augmentation", AAAI 2020, algorithm 1.
        Deviations: a rectangle that does not fit is cut to the side instead of drawn anew, and
        filled with one value instead of noise.
    """

    def __init__(
        self,
        probability: float = 0.5,
        least: float = 0.02,
        most: float = 0.2,
        aspect: float = 3.0,
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "RandomOcclusion2D"
        self.probability = share(me, "probability", probability)
        if not 0 <= least <= most <= 1:
            raise ValueError(f"{me}: 0 <= least <= most <= 1 must hold, got {least!r} and {most!r}")
        if not 1 <= aspect < math.inf:
            raise ValueError(f"{me}: aspect must be 1 or more, got {aspect!r}")
        low, high = value_range
        if not low <= high:
            raise ValueError(f"{me}: value_range must not fall, got {value_range!r}")
        self.least, self.most = float(least), float(most)
        self.aspect = float(aspect)
        self.value_range = (float(low), float(high))
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the shape: four axes, height and width known."""
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise ValueError(
                "RandomOcclusion2D needs (batch, height, width, channels) with known height and "
                f"width, got {tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Covers some; the identity unless `training`."""
        x = ops.cast(inputs, self.compute_dtype)
        if not training:
            return x
        drawn = keras.random.uniform((ops.shape(x)[0], 6), seed=self.seed_generator)
        chance, area, shape, down, across, value = (drawn[:, k : k + 1] for k in range(6))
        area = self.least + (self.most - self.least) * area
        ratio = ops.exp((2.0 * shape - 1.0) * math.log(self.aspect))
        rows = self._covered(x.shape[1], ops.sqrt(area * ratio), down)
        columns = self._covered(x.shape[2], ops.sqrt(area / ratio), across)
        hidden = ops.expand_dims(rows, 2) & ops.expand_dims(columns, 1)
        hidden = ops.expand_dims(hidden, 3) & ops.reshape(chance < self.probability, (-1, 1, 1, 1))
        low, high = self.value_range
        value = ops.cast(ops.reshape(low + (high - low) * value, (-1, 1, 1, 1)), x.dtype)
        return ops.where(hidden, value, x)

    @staticmethod
    def _covered(side: int, share: Any, place: Any) -> Any:
        """Which pixels of a side are covered, (batch, side)."""
        length = ops.round(ops.minimum(share, 1.0) * side)
        first = ops.floor(place * (side - length + 1))
        pixel = ops.expand_dims(ops.arange(side, dtype="float32"), 0)
        return (pixel >= first) & (pixel < first + length)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "probability": self.probability,
            "least": self.least,
            "most": self.most,
            "aspect": self.aspect,
            "value_range": self.value_range,
            "seed": self.seed,
        }
