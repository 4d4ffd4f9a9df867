"""The architectures: functions that return a plain functional `keras.Model`.

Every builder has the signature `name(input_shape, classes, **hyper)`. Its one input, `pixels`,
takes raw pixels (0..255, uint8 or float, shape (batch, height, width, channels)); its one output,
`logits`, gives (batch, classes) numbers whose softmax are probabilities. Preprocessing and
augmentation are layers inside, so that an exported network needs none of our code.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.layers import (
    EuclideanRBF,
    InvertedResidual2D,
    MappedConv2D,
    RandomLight2D,
    RandomWarp2D,
    ResidualBlock2D,
    ScaledTanh,
    SubSampling2D,
)
from deepfield.toolkit.registry import Registry

#: Every builder of the domain, by name.
ARCHITECTURES = Registry("architecture")

Shape = tuple[int, int, int]


def _pixels(input_shape: Shape, classes: int, smallest: int, name: str) -> Any:
    """Return the input `pixels`, once shape and classes were found possible."""
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise UsageError(
            f"{name}: input_shape must be (height, width, channels), got {tuple(input_shape)}"
        )
    height, width, _ = input_shape
    if min(height, width) < smallest:
        raise UsageError(
            f"{name} needs pictures of at least {smallest} x {smallest} pixels, "
            f"got {height} x {width}",
            "choose another architecture (small_cnn takes 8 x 8 and more) or a larger size",
        )
    if classes < 2:
        raise UsageError(f"{name} needs at least 2 classes, got {classes}")
    return keras.Input(tuple(input_shape), name="pixels")


def _augmented(x: Any, strength: float) -> Any:
    """Move, turn, scale, shear and bend the picture while training; strength 1 suits digits."""
    if not strength:
        return x
    return RandomWarp2D(
        shift=0.08 * strength,
        rotate_deg=12.0 * strength,
        scale=0.12 * strength,
        shear_deg=8.0 * strength,
        elastic=0.035 * strength,
        name="augment",
    )(x)


def _logits(x: Any, classes: int) -> Any:
    """Finish with a dense layer, in single precision whatever the policy."""
    return layers.Dense(classes, dtype="float32", name="logits")(x)


# -- LeNet-5 ---------------------------------------------------------------------------------------

#: Table I of LeCun 1998: rows are the six maps of S2, columns the sixteen maps of C3.
C3_TABLE = [
    [int(mark == "x") for mark in row]
    for row in (
        "x...xxx..xxxx.xx",
        "xx...xxx..xxxx.x",
        "xxx...xxx..x.xxx",
        ".xxx..xxxx..x.xx",
        "..xxx..xxxx.xx.x",
        "...xxx..xxxx.xxx",
    )
]

#: The ten digits, 12 rows of 7 each; `#` is ink.
DIGITS = """
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## ...###. ##..... .##.... ##...## ##...## ##...##
##...## .####.. ##...## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. .....## .....## ##..##. ######. ##..... ....##. .##.##. ##...##
##...## ...##.. ....##. ..####. ##..##. .....## ######. ...##.. ..###.. .######
##...## ...##.. ...##.. .....## ####### .....## ##...## ...##.. .##.##. .....##
##...## ...##.. ..##... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## ....##. ##...## ##...## .##.... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## ##...## .##.... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .####..
"""


def output_codes(classes: int) -> np.ndarray:
    """Return the target pattern of each class for LeNet-5's 84 units in F6.

    Args:
        classes: 10 gives the digits' bitmaps; any other number gives random codes, always the
            same for the same number (NumPy's generator seeded with 1998).

    Returns:
        (classes, 84) float32 of +1 (ink) and -1: a 7 x 12 bitmap, row by row.

    Example:
        >>> codes = output_codes(10).reshape(10, 12, 7)
        >>> "".join("#" if ink > 0 else "." for ink in codes[1, 6])  # the stroke of the 1
        '...##..'
    """
    if classes != 10:
        return np.random.default_rng(1998).choice([-1.0, 1.0], (classes, 84)).astype("float32")
    lines = [line.split() for line in DIGITS.split("\n") if line]  # 12 lines, 10 strings of 7
    bitmaps = ("".join(rows) for rows in zip(*lines, strict=True))
    return np.array([[1 if mark == "#" else -1 for mark in ink] for ink in bitmaps], "float32")


@keras.saving.register_keras_serializable("deepfield")
class UniformByFanIn(keras.initializers.Initializer):
    """Draw weights uniformly from +-2.4 / F, where F is the number of inputs of the unit.

    Args:
        fan_in: F, one number or one for each unit (the last axis); `None` takes it from the shape,
            all axes but the last.
        seed: an integer; `None` draws one, repeatable after `keras.utils.set_random_seed`.

    Example:
        >>> draw = UniformByFanIn(seed=1)
        >>> float(ops.max(ops.abs(draw((24, 8))))) <= 2.4 / 24
        True

    Source:
        LeCun et al. 1998, section III.A (the text after figure 4). No deviation.
    """

    def __init__(self, fan_in: Any = None, seed: int | None = None) -> None:
        self.fan_in = fan_in
        self.seed = seed
        self._draw = keras.initializers.RandomUniform(-2.4, 2.4, seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return a tensor of the shape."""
        fan_in = np.prod(shape[:-1]) if self.fan_in is None else self.fan_in
        return self._draw(shape, dtype) / ops.cast(np.asarray(fan_in, "float32"), dtype)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {"fan_in": self.fan_in, "seed": self.seed}


@ARCHITECTURES.register()
def lenet5(input_shape: Shape, classes: int, augment: float = 0.0) -> keras.Model:
    """LeNet-5: sub-sampling and partial connections, squared distances to bitmaps at the end.

    The layers are C1, S2, C3, S4, C5, F6 and `output`; with 28 x 28 grey pictures of 10 classes
    they hold 60,000 free parameters in 340,908 connections.

    Args:
        input_shape: (height, width, channels). 28 to 32 pixels a side are padded to 32 with 0, any
            other size is resized to 28 first.
        classes: how many; 10 are coded by bitmaps of the digits, see `output_codes`.
        augment: strength of random warping in training; 0 is none, as in the paper's main result.

    Returns:
        A model from `pixels` (0 background, 255 ink) to `logits`, a tenth of the negative
        penalties of eq. (7). Softmax and cross-entropy on them are the paper's criterion, eq. (9),
        at a temperature of 10 instead of with its constant j.

    Raises:
        UsageError: fewer than 8 pixels a side or fewer than 2 classes.

    Example:
        >>> from deepfield.domains.image.models import lenet5
        >>> lenet5((28, 28, 1), 10).count_params()  # 840 of them are the fixed bitmaps
        60840

    Source:
        LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
        Proc. IEEE 86(11), 1998, section II.B, table I, section III. Deviations: the bitmaps are our
        own drawings; biases start at 0; colour pictures connect all their channels to C1. Codes
        lie 52 to 236 apart, where a softmax of the bare penalties has no gradient left as soon as
        the right one is the smallest: on MNIST that doubles the error. The paper's j (a class
        "none of them" with the penalty j) and a temperature mend it equally well; a temperature
        needs no criterion of its own.
    """
    pixels = x = _pixels(input_shape, classes, 8, "lenet5")
    height, width, _ = input_shape
    if not (28 <= height <= 32 and 28 <= width <= 32):
        height = width = 28
        # not `layers.Resizing`: its default of training=True would pass to all layers behind it
        # whenever the model is called without saying `training`
        x = ops.image.resize(x, (28, 28))
    margins = [((32 - size) // 2, (33 - size) // 2) for size in (height, width)]
    x = layers.ZeroPadding2D(margins, name="padding")(x)
    x = _augmented(x, augment)
    # the background becomes -0.1 and ink 1.175: about mean 0 and variance 1 over a digit
    x = layers.Rescaling(1.275 / 255, offset=-0.1, name="normalize")(x)

    table = np.array(C3_TABLE)
    x = layers.Conv2D(
        6, 5, activation=ScaledTanh(), kernel_initializer=UniformByFanIn(), name="C1"
    )(x)
    x = SubSampling2D(
        2, activation=ScaledTanh(), coefficient_initializer=UniformByFanIn(4), name="S2"
    )(x)
    x = MappedConv2D(
        table,
        5,
        activation=ScaledTanh(),
        kernel_initializer=UniformByFanIn((25 * table.sum(axis=0)).tolist()),
        name="C3",
    )(x)
    x = SubSampling2D(
        2, activation=ScaledTanh(), coefficient_initializer=UniformByFanIn(4), name="S4"
    )(x)
    x = layers.Conv2D(
        120, 5, activation=ScaledTanh(), kernel_initializer=UniformByFanIn(), name="C5"
    )(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation=ScaledTanh(), kernel_initializer=UniformByFanIn(), name="F6")(x)
    x = EuclideanRBF(classes, centers=output_codes(classes), dtype="float32", name="output")(x)
    logits = layers.Rescaling(-0.1, dtype="float32", name="logits")(x)
    return keras.Model(pixels, logits, name="lenet5")


# -- a small residual network ----------------------------------------------------------------------


@ARCHITECTURES.register()
def small_cnn(
    input_shape: Shape,
    classes: int,
    filters: int = 32,
    dropout: float = 0.3,
    augment: float = 0.6,
) -> keras.Model:
    """A residual network for small pictures, from 8 x 8 to about 64 x 64 pixels.

    A convolution (5x5 at half the size for 24 pixels and more, else 3x3), then residual blocks
    with 1, 2 and 4 times `filters` channels, each after the first at half the size; maximum and
    mean over places side by side; dropout; a dense layer. With the defaults it has about 310,000
    parameters and 10 million multiplications for 28 x 28 pixels: 10,000 such pictures take less
    than a second on two cores.

    Args:
        input_shape: (height, width, channels).
        classes: how many.
        filters: channels of the first stage; parameters grow with its square.
        dropout: the fraction of features left out in training, before the last layer.
        augment: strength of random warping in training; 0 is none, 1 is much.

    Returns:
        A model from `pixels` to `logits`.

    Raises:
        UsageError: fewer than 8 pixels a side or fewer than 2 classes.

    Example:
        >>> from deepfield.domains.image.models import small_cnn
        >>> small_cnn((8, 8, 1), 10).output_shape
        (None, 10)

    Source:
        The block is that of He et al. 2016 (see `ResidualBlock2D`); the arrangement is ours.
    """
    pixels = x = _pixels(input_shape, classes, 8, "small_cnn")
    x = _augmented(x, augment)
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalize")(x)
    kernel, strides = (5, 2) if min(input_shape[:2]) >= 24 else (3, 1)
    x = layers.Conv2D(
        filters, kernel, strides, padding="same", use_bias=False, name="stem",
        kernel_initializer="he_normal",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.9, name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = ResidualBlock2D(filters, momentum=0.9, name="block1")(x)
    x = ResidualBlock2D(2 * filters, strides=2, momentum=0.9, name="block2")(x)
    x = ResidualBlock2D(4 * filters, strides=2, momentum=0.9, name="block3")(x)
    strongest = layers.GlobalMaxPooling2D(name="strongest")(x)
    mean = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Concatenate(name="features")([strongest, mean])
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(pixels, _logits(x, classes), name="small_cnn")


# -- AlexNet ---------------------------------------------------------------------------------------


def _normalize_responses(x: Any) -> Any:
    """Divide by (2 + 1e-4 * the sum of squares of the five nearest maps) ** 0.75."""
    maps = x.shape[-1]
    # scaled before it is squared, or half precision would overflow
    squares = ops.pad(ops.square(0.01 * x), ((0, 0), (0, 0), (0, 0), (2, 2)))
    energy = sum(squares[..., start : start + maps] for start in range(5))
    return x / (2.0 + energy) ** 0.75


def _two_groups(x: Any, filters: int, kernel_size: int, name: str) -> Any:
    """Convolve each half of the maps by itself, as on the paper's two graphics cards.

    Keras compiles `Conv2D(groups=2)` with XLA on a CPU, which ONNX cannot express; two
    convolutions are the same thing.
    """
    return layers.Concatenate(name=name)(
        [
            _alexnet_conv(half, filters // 2, kernel_size, f"{name}_{number}", bias=1.0)
            for number, half in enumerate(ops.split(x, 2, axis=-1), start=1)
        ]
    )


def _alexnet_conv(
    x: Any, filters: int, kernel_size: int, name: str, bias: float, **more: Any
) -> Any:
    return layers.Conv2D(
        filters,
        kernel_size,
        **{"padding": "same", **more},
        activation="relu",
        kernel_initializer=keras.initializers.RandomNormal(0.0, 0.01),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
    )(x)


@ARCHITECTURES.register()
def alexnet(input_shape: Shape, classes: int, dropout: float = 0.5) -> keras.Model:
    """AlexNet as published: five convolutions, three of them in two groups, three dense layers.

    With 227 x 227 colour pictures and 1000 classes it has 60,965,224 parameters.

    Args:
        input_shape: (height, width, channels); published with (227, 227, 3).
        classes: how many; published with 1000.
        dropout: the fraction left out in training, before each of the two hidden dense layers.

    Returns:
        A model from `pixels` (RGB) to `logits`.

    Raises:
        UsageError: fewer than 67 pixels a side (nothing would be left) or fewer than 2 classes.

    Example:
        >>> from deepfield.domains.image.models import alexnet
        >>> alexnet((67, 67, 3), 2).get_layer("conv5").output.shape
        (None, 3, 3, 256)

    Source:
        Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
        networks", NIPS 2012, sections 3 and 5. Deviations: the input has 227 pixels a side, which
        gives the published 55 x 55 maps (the paper's 224 do not); the mean colour of ImageNet is
        subtracted instead of the mean picture; responses of conv1 are normalised across both
        groups; the first dropout stands before the first dense layer, where its units' inputs are.
    """
    pixels = x = _pixels(input_shape, classes, 67, "alexnet")
    mean = [123.68, 116.779, 103.939] if input_shape[-1] == 3 else [118.0] * input_shape[-1]
    x = layers.Rescaling(1.0, offset=[-value for value in mean], name="normalize")(x)
    x = _alexnet_conv(x, 96, 11, "conv1", bias=0.0, strides=4, padding="valid")
    x = layers.MaxPooling2D(3, 2, name="pool1")(_normalize_responses(x))
    x = _two_groups(x, 256, 5, "conv2")
    x = layers.MaxPooling2D(3, 2, name="pool2")(_normalize_responses(x))
    x = _alexnet_conv(x, 384, 3, "conv3", bias=0.0)
    x = _two_groups(x, 384, 3, "conv4")
    x = _two_groups(x, 256, 3, "conv5")
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    normal = keras.initializers.RandomNormal
    for name in ("fc6", "fc7"):
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        x = layers.Dense(
            4096,
            activation="relu",
            kernel_initializer=normal(0.0, 0.01),
            bias_initializer="ones",
            name=name,
        )(x)
    logits = layers.Dense(
        classes, kernel_initializer=normal(0.0, 0.01), dtype="float32", name="logits"
    )(x)
    return keras.Model(pixels, logits, name="alexnet")


# -- EfficientNet-Lite0 ----------------------------------------------------------------------------

#: Stages of EfficientNet-Lite0: blocks, kernel size, stride of the first, expansion, channels.
LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@ARCHITECTURES.register()
def efficientnet_lite0(
    input_shape: Shape,
    classes: int,
    dropout: float = 0.2,
    augment: float = 0.0,
    light: float = 0.0,
) -> keras.Model:
    """EfficientNet-Lite0: sixteen inverted residual blocks, for phones and plain processors.

    With colour pictures and 1000 classes it has 4,694,024 parameters, of which 4,652,008 train.
    Variables are named like the entries of the published .pth file: take the path, put dots for
    slashes and an underscore before each module (`blocks.3/bn1/gamma` is `_blocks.3._bn1.weight`);
    only `logits` is called `_fc` there.

    Args:
        input_shape: (height, width, channels); published with (224, 224, 3).
        classes: how many; published with 1000.
        dropout: the fraction of features left out in training, before the last layer.
        augment: strength of random warping in training; 0 is none.
        light: strength of random contrast, brightness, saturation and exposure in training; 0 is
            none, 1 is much: a picture may lose 6 stops.

    Returns:
        A model from `pixels` (RGB) to `logits`; it computes (pixels - 127) / 128 itself.

    Raises:
        UsageError: fewer than 32 pixels a side or fewer than 2 classes.

    Example:
        >>> from deepfield.domains.image.models import efficientnet_lite0
        >>> efficientnet_lite0((224, 224, 3), 1000).count_params()
        4694024

    Source:
        Tan, Le, "EfficientNet", ICML 2019, table 1, in the Lite variant of TensorFlow's TPU models
        (no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled). Deviation: no
        stochastic depth in training.
    """
    pixels = x = _pixels(input_shape, classes, 32, "efficientnet_lite0")
    x = _augmented(x, augment)
    if light:
        x = RandomLight2D(0.2 * light, light, light, exposure=6.0 * light, name="light")(x)
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="normalize")(x)

    def convolve(x: Any, filters: int, kernel_size: int, strides: int, names: tuple) -> Any:
        conv, norm, relu = names
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=conv,
        )(x)
        x = layers.BatchNormalization(epsilon=1e-3, name=norm)(x)
        return layers.ReLU(max_value=6.0, name=relu)(x)

    x = convolve(x, 32, 3, 2, ("conv_stem", "bn0", "relu0"))
    number = 0
    for blocks, kernel_size, strides, expansion, filters in LITE0_STAGES:
        for block in range(blocks):
            x = InvertedResidual2D(
                filters,
                kernel_size,
                strides if block == 0 else 1,
                expansion,
                name=f"blocks.{number}",
            )(x)
            number += 1
    x = convolve(x, 1280, 1, 1, ("conv_head", "bn1", "relu1"))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(pixels, _logits(x, classes), name="efficientnet_lite0")
