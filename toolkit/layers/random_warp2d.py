"""Random shift, rotation, scale, shear and elastic distortion of pictures in one interpolation."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("deepfield")
class RandomWarp2D(keras.layers.Layer):
    r"""Moves, turns, scales, shears and bends pictures at random while training.

    Every picture gets its own map from output to source coordinates, measured in pixels from the
    middle of the picture, and is read once along that map with bilinear interpolation:

    $$\begin{pmatrix} y_s \\ x_s \end{pmatrix} = \frac{1}{s}
      \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta \end{pmatrix}
      \begin{pmatrix} 1 & 0 \\ \tan\phi & 1 \end{pmatrix}
      \begin{pmatrix} y \\ x \end{pmatrix} + \begin{pmatrix} t_y \\ t_x \end{pmatrix}
      + \begin{pmatrix} u_y(y, x) \\ u_x(y, x) \end{pmatrix}$$

    with, for each picture on its own, $t_y \sim U(\pm\text{shift} \cdot \text{height})$,
    $t_x \sim U(\pm\text{shift} \cdot \text{width})$, $\theta \sim U(\pm\text{rotate\_deg})$,
    $\phi \sim U(\pm\text{shear\_deg})$, $\log s \sim U(\pm\log(1 + \text{scale}))$, and $u$ two
    independent smooth Gaussian fields: white noise $g$ on a coarse grid, spread by Gaussian bumps,

    $$u(y, x) = a \sum_{i,j} k_i(y)\, k_j(x)\, g_{ij}, \qquad
      k_i(y) \propto \exp\!\Big(-\frac{(y - y_i)^2}{2\sigma^2}\Big), \qquad \sum_i k_i(y)^2 = 1,$$

    so that every displacement has standard deviation $a$ = `elastic` times the side, and
    displacements a few `elastic_sigma` apart are nearly independent. Places outside the source
    read `fill_value`. Nothing happens when `training` is false.

    Keras has `RandomTranslation`, `RandomRotation`, `RandomZoom`, `RandomShear` and
    `ElasticTransform`; one after the other they interpolate four or five times, which blurs small
    pictures and takes several times as long. That is why this layer exists.

    Args:
        shift: Largest shift, as a fraction of the height (vertically) and width (horizontally),
            from 0 up to 1.
        rotate_deg: Largest rotation in degrees, either way.
        scale: Largest change of size: the factor lies between `1 / (1 + scale)` and `1 + scale`.
        shear_deg: Largest horizontal slant in degrees, either way, below 90.
        elastic: Standard deviation of the elastic displacement as a fraction of the height
            (vertically) and width (horizontally); 0 leaves it out.
        elastic_sigma: Width of the Gaussian bumps as the same kind of fraction: small values
            crumple, large values bend.
        fill_value: What lies outside the picture, in the units of the pixels.
        seed: Integer, or None for a random one.
        **kwargs: What every Keras layer takes (`name`, `dtype`, ...).

    Call arguments:
        inputs: `(batch, height, width, channels)`, any integer or floating dtype, any number of
            channels; height and width must be known when the network is built.
        training: Whether to warp; None means no.

    Returns:
        `(batch, height, width, channels)` in the layer's compute dtype. Coordinates and
        interpolation are always computed in single precision.

    Raises:
        ValueError: For a range that is negative or too large, or for inputs that have not four
            axes or whose height, width or channels are unknown.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import RandomWarp2D
        >>> warp = RandomWarp2D(shift=0.1, rotate_deg=10, scale=0.1, elastic=0.03, seed=0)
        >>> pictures = np.ones((2, 28, 28, 1), "float32")
        >>> tuple(warp(pictures, training=True).shape)
        (2, 28, 28, 1)
        >>> bool(np.array_equal(warp(pictures, training=False), pictures))
        True

    Source:
        P. Simard, D. Steinkraus & J. Platt, "Best practices for convolutional neural networks
        applied to visual document analysis", ICDAR 2003, section 2. Deviations: their fields are
        uniform noise on every pixel, smoothed by a Gaussian of sigma = 4 pixels and multiplied by
        alpha = 34 on 29 x 29 pictures; ours are Gaussian noise on a coarse grid, smoothed by the
        same kernel and scaled by the resulting standard deviation, alpha / sqrt(12 pi) / sigma
        (their values: 1.4 pixels, thus `elastic=0.048, elastic_sigma=0.14`). Theirs comes without
        rotation, ours together with the affine map, which the paper applies by itself.
    """

    def __init__(
        self,
        shift: float = 0.0,
        rotate_deg: float = 0.0,
        scale: float = 0.0,
        shear_deg: float = 0.0,
        elastic: float = 0.0,
        elastic_sigma: float = 0.14,
        fill_value: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        limits = {
            "shift": (shift, 1.0),
            "rotate_deg": (rotate_deg, 180.0),
            "scale": (scale, math.inf),
            "shear_deg": (shear_deg, 89.0),
            "elastic": (elastic, 1.0),
        }
        for name, (value, largest) in limits.items():
            if not 0 <= value <= largest or math.isinf(value):
                raise ValueError(
                    f"RandomWarp2D: {name} must lie between 0 and {largest}, got {value!r}"
                )
        if not 0 < elastic_sigma < math.inf:
            raise ValueError(f"RandomWarp2D: elastic_sigma must be positive, got {elastic_sigma!r}")
        self.shift = float(shift)
        self.rotate_deg = float(rotate_deg)
        self.scale = float(scale)
        self.shear_deg = float(shear_deg)
        self.elastic = float(elastic)
        self.elastic_sigma = float(elastic_sigma)
        self.fill_value = float(fill_value)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the shape: four axes, all but the first known."""
        if len(input_shape) != 4 or any(size is None for size in input_shape[1:]):
            raise ValueError(
                "RandomWarp2D needs (batch, height, width, channels) with known height, width and "
                f"channels, got {tuple(input_shape)}"
            )
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Warps every picture by a map of its own; the identity unless `training`."""
        if not training:
            return ops.cast(inputs, self.compute_dtype)
        _, height, width, channels = inputs.shape
        batch = ops.shape(inputs)[0]
        rows, columns = self._source(batch, height, width)

        # One ring of fill around the picture: whatever lies outside reads the ring.
        rows = ops.clip(rows + 1.0, 0.0, height + 0.999)
        columns = ops.clip(columns + 1.0, 0.0, width + 0.999)
        top, left = ops.floor(rows), ops.floor(columns)
        down, right = rows - top, columns - left
        padded = ops.pad(
            ops.cast(inputs, "float32"),
            ((0, 0), (1, 1), (1, 1), (0, 0)),
            constant_values=self.fill_value,
        )
        # The four neighbours of a place lie side by side, so that one gather reads them all.
        corners = ops.concatenate(
            [padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]], -1
        )
        stride = width + 1
        places = (height + 1) * stride
        index = ops.cast(top, "int32") * stride + ops.cast(left, "int32")
        index = index + places * ops.expand_dims(ops.arange(batch, dtype="int32"), 1)
        corners = ops.reshape(corners, (-1, 4 * channels))
        found = ops.take(corners, ops.reshape(index, (-1,)), axis=0)
        found = ops.reshape(found, (-1, height * width, 4, channels))
        weights = ops.stack(
            [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], -1
        )
        warped = ops.sum(found * ops.expand_dims(weights, -1), axis=2)
        warped = ops.reshape(warped, (-1, height, width, channels))
        return ops.cast(warped, self.compute_dtype)

    def _source(self, batch: Any, height: int, width: int) -> tuple[Any, Any]:
        """Source rows and columns of every output pixel, two `(batch, height * width)`."""
        y = (np.arange(height) - (height - 1) / 2).astype("float32")
        x = (np.arange(width) - (width - 1) / 2).astype("float32")
        y, x = (axis.reshape(1, -1) for axis in np.meshgrid(y, x, indexing="ij"))
        draw = keras.random.uniform(
            (batch, 5), -1.0, 1.0, dtype="float32", seed=self.seed_generator
        )
        t_y, t_x, turn, slant, size = (draw[:, i : i + 1] for i in range(5))
        turn = turn * math.radians(self.rotate_deg)
        slant = ops.tan(slant * math.radians(self.shear_deg))
        zoom = ops.exp(-size * math.log1p(self.scale))
        cosine, sine = zoom * ops.cos(turn), zoom * ops.sin(turn)
        rows = (cosine - sine * slant) * y - sine * x
        columns = (sine + cosine * slant) * y + cosine * x
        rows = rows + (t_y * self.shift * height + (height - 1) / 2)
        columns = columns + (t_x * self.shift * width + (width - 1) / 2)
        if self.elastic:
            k_y, k_x = self._bumps(height), self._bumps(width)
            noise = keras.random.normal(
                (batch, 2 * k_y.shape[1], k_x.shape[1]), dtype="float32", seed=self.seed_generator
            )
            # (batch, 2 i, j) -> (batch, 2 i, width) -> (batch, 2, height, width)
            field = ops.matmul(noise, ops.convert_to_tensor(k_x.T))
            field = ops.reshape(field, (-1, 2, k_y.shape[1], width))
            field = ops.matmul(ops.convert_to_tensor(k_y), field)
            field = ops.reshape(field, (-1, 2, height * width))
            rows = rows + self.elastic * height * field[:, 0]
            columns = columns + self.elastic * width * field[:, 1]
        return rows, columns

    def _bumps(self, side: int) -> np.ndarray:
        """Gaussian bumps along one axis, `(side, grid points)`, every row of unit length."""
        sigma = self.elastic_sigma * side
        # Bumps one sigma apart, and two sigma beyond either edge: the field's law is then the same
        # at every pixel to within a thousandth.
        count = max(2, math.ceil((side - 1) / sigma) + 5)
        reach = (side - 1) / 2 + 2 * sigma
        grid = np.linspace(-reach, reach, count)
        place = np.arange(side) - (side - 1) / 2
        bumps = np.exp(-0.5 * ((place[:, None] - grid) / sigma) ** 2)
        return (bumps / np.linalg.norm(bumps, axis=1, keepdims=True)).astype("float32")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "shift": self.shift,
            "rotate_deg": self.rotate_deg,
            "scale": self.scale,
            "shear_deg": self.shear_deg,
            "elastic": self.elastic,
            "elastic_sigma": self.elastic_sigma,
            "fill_value": self.fill_value,
            "seed": self.seed,
        }
