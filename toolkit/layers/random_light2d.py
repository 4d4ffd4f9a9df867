"""Random light and colour of pictures in one step."""

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import share


@keras.saving.register_keras_serializable("deepfield")
class RandomLight2D(keras.layers.Layer):
    r"""Changes contrast, brightness, saturation and exposure of pictures at random while training.

    Every picture gets its own numbers. With the value range as [0, 1]: $y = m + c\,(x - m) + b$
    with the picture's mean $m$, cut to the range; then, of a colour picture, $g + s\,(y - g)$ with
    the mean $g$ of the channels at every place, cut again; then less light, $2^{-e v^2}$ times what
    is there with $v \sim U(\pm 1)$, so that most pictures keep nearly all and some are down by
    all the $e$ stops of `exposure`. $\log c \sim U(\pm\log(1 + \text{contrast}))$,
    $b \sim U(\pm\text{brightness})$, $s \sim U(1 \pm \text{saturation})$. Nothing happens when
    `training` is false.

    Keras has `RandomBrightness` and `RandomContrast`. Called without `training` they take it to be
    true and hand that on to every layer behind them (batch normalisation, dropout); this layer
    does not, and costs one pass instead of two.

    Args:
        brightness: Largest shift, as a fraction of the value range, from 0 to 1.
        contrast: Largest change of contrast: the factor lies between `1 / (1 + contrast)` and
            `1 + contrast`.
        saturation: Largest change of the distance from grey, as a fraction, from 0 to 1.
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
        ValueError: For a change that is negative, a brightness or saturation above 1, or a value
            range that does not rise.

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
        principal components of the training pictures; ours are what a camera and its
        settings change.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        exposure: float = 0.0,
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "RandomLight2D"
        self.brightness = share(me, "brightness", brightness)
        self.saturation = share(me, "saturation", saturation)
        for name, value in (("contrast", contrast), ("exposure", exposure)):
            if value < 0:
                raise ValueError(f"{me}: {name} must be 0 or more, got {value!r}")
        low, high = value_range
        if not low < high:
            raise ValueError(f"{me}: value_range must rise, got {value_range!r}")
        self.contrast, self.exposure = float(contrast), float(exposure)
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
        low, high = self.value_range
        x = ops.clip((ops.cast(inputs, "float32") - low) / (high - low), 0.0, 1.0)
        shape = (ops.shape(x)[0], 1, 1, 1)
        contrast, brightness, saturation, light = (
            keras.random.uniform(shape, -1.0, 1.0, seed=self.seed_generator) for _ in range(4)
        )
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        x = mean + ops.power(1.0 + self.contrast, contrast) * (x - mean)
        x = ops.clip(x + self.brightness * brightness, 0.0, 1.0)
        if self.saturation and x.shape[-1] > 1:
            grey = ops.mean(x, axis=3, keepdims=True)
            x = ops.clip(grey + (1.0 + self.saturation * saturation) * (x - grey), 0.0, 1.0)
        # Last: what is dark already would be lost by a shift downwards.
        x = x * ops.power(2.0, -self.exposure * ops.square(light))
        return ops.cast(low + (high - low) * x, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "exposure": self.exposure,
            "value_range": self.value_range,
            "seed": self.seed,
        }
