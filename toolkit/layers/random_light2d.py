"""Random exposure, brightness and contrast of pictures in one step."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("deepfield")
class RandomLight2D(keras.layers.Layer):
    r"""Changes exposure, brightness and contrast of pictures at random while training.

    Every picture gets its own numbers: $y = m + c\,(x - m) + b$, cut to `value_range`, with its
    mean $m$, $\log c \sim U(\pm\log(1 + \text{contrast}))$ and
    $b \sim U(\pm\text{brightness} \cdot (\text{high} - \text{low}))$. Then it is taken in less
    light: $\text{low} + 2^{-e v^2} (y - \text{low})$ with $v \sim U(\pm 1)$, so that most pictures
    keep nearly all of it and some are down by all of the $e$ stops of `exposure`. Nothing happens
    when `training` is false.

    Keras has `RandomBrightness` and `RandomContrast`. Called without `training` they take it to be
    true and hand that on to every layer behind them (batch normalisation, dropout); this layer
    does not, and costs one pass instead of two.

    Args:
        brightness: Largest shift, as a fraction of the value range, from 0 to 1.
        contrast: Largest change of contrast: the factor lies between `1 / (1 + contrast)` and
            `1 + contrast`.
        exposure: Most light taken away, in stops: each halves what there is above the lowest value.
        value_range: Lowest and highest value of a pixel.
        seed: Integer, or None for a random one.
        **kwargs: What every Keras layer takes (`name`, `dtype`, ...).

    Call arguments:
        inputs: `(batch, height, width, channels)`, any dtype.
        training: Whether to change anything; None means no.

    Returns:
        `(batch, height, width, channels)` in the layer's compute dtype.

    Raises:
        ValueError: For a range that is negative, or a brightness above 1.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import RandomLight2D
        >>> light = RandomLight2D(brightness=0.2, contrast=0.5, seed=0)
        >>> pictures = np.full((2, 4, 4, 1), 100.0, "float32")
        >>> bool(np.array_equal(light(pictures, training=False), pictures))
        True
        >>> lit = light(pictures, training=True)
        >>> bool(lit[0, 0, 0, 0] != lit[1, 0, 0, 0])
        True

    Source:
        A. Krizhevsky, I. Sutskever & G. Hinton, "ImageNet classification with deep convolutional
        neural networks", NIPS 2012, section 4.1. Deviations: they shift colours along the
        principal components of the training pictures; ours are the photographer's three.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        exposure: float = 0.0,
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= brightness <= 1:
            raise ValueError(f"brightness must lie between 0 and 1, got {brightness!r}")
        for name, value in (("contrast", contrast), ("exposure", exposure)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more, got {value!r}")
        low, high = value_range
        if not low < high:
            raise ValueError(f"value_range must rise, got {value_range!r}")
        self.brightness, self.contrast = float(brightness), float(contrast)
        self.exposure = float(exposure)
        self.value_range = (float(low), float(high))
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the shape: four axes."""
        if len(input_shape) != 4:
            raise ValueError(
                f"RandomLight2D needs (batch, height, width, channels), got {tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Lights every picture anew; the identity unless `training`."""
        if not training:
            return ops.cast(inputs, self.compute_dtype)
        x = ops.cast(inputs, "float32")
        shape = (ops.shape(x)[0], 1, 1, 1)
        low, high = self.value_range
        factor, shift, light = (
            keras.random.uniform(shape, -1.0, 1.0, seed=self.seed_generator) for _ in range(3)
        )
        factor = ops.power(1.0 + self.contrast, factor)
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        y = mean + factor * (x - mean) + shift * self.brightness * (high - low)
        # Last, for a picture that is dark already would be lost by a shift downwards.
        gain = ops.power(2.0, -self.exposure * ops.square(light))
        return ops.cast(low + gain * (ops.clip(y, low, high) - low), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "brightness": self.brightness,
            "contrast": self.contrast,
            "exposure": self.exposure,
            "value_range": self.value_range,
            "seed": self.seed,
        }
