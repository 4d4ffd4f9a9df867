"""The two networks of dlib that are adopted: one tells faces apart, the other finds them.

Both take raw pixels (0 to 255, RGB) and normalise them inside. Scales and offsets that dlib keeps
in layers of their own are multiplied into the convolutions before them, and convolutions are
numbered in the order of dlib's files: so weights are found by their paths.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from deepfield.toolkit.errors import UsageError

#: The mean colour of dlib's training pictures (R, G, B), and what pixels are divided by.
MEAN_RGB, SPREAD = (122.782, 117.001, 104.298), 256.0
#: (filters, whether the size is halved) of every residual block of `dlib_resnet`, in order.
BLOCKS = (
    *((32, False),) * 3,
    (64, True), *((64, False),) * 3,
    (128, True), *((128, False),) * 2,
    (256, True), *((256, False),) * 2,
    (256, True),
)  # fmt: skip
#: Pixels around a picture in which faces are looked for. dlib has 11: with 16 more the grid stays
#: the same, and far fewer pictures that are hardly larger than their face are missed.
BORDER = 27
_SMALLEST = 103  # pixels; of less, nothing is left for the last convolutions


def _normalized(pixels: Any) -> Any:
    offset = [-mean / SPREAD for mean in MEAN_RGB]
    return layers.Rescaling(1 / SPREAD, offset=offset, name="normalize")(pixels)


def metric_of(features: Any) -> Any:
    """A layer that fine-tuning can change instead of the whole network: a linear map of the
    features (batch, units), which leaves them as they are until it is trained.
    """
    return layers.Dense(
        features.shape[-1], use_bias=False, kernel_initializer="identity", dtype="float32",
        name="metric",
    )(features)  # fmt: skip


def dlib_resnet(
    input_shape: tuple[int, int, int] = (150, 150, 3), units: int = 128, metric: bool = False
) -> keras.Model:
    """Build dlib's residual network of 29 layers: a face to a vector that tells people apart.

    After a 7x7 convolution and a maximum pool, 14 blocks y = relu(F(x) + shortcut(x)), where F is
    two 3x3 convolutions with a relu between them. A block that halves the size has as its shortcut
    the mean of 2x2 pixels. Then the mean over all places, and a dense layer without bias. Faces
    whose vectors are less than 0.6 apart (Euclidean) are taken for the same person; the vectors
    are not of unit length.

    Convolutions with stride 2 are not padded. The sum of two maps of different sizes has the
    larger size along every axis; the smaller one is continued with zeros at the bottom, at the
    right and in the last channels.

    Args:
        input_shape: (height, width, 3); adopted weights want faces of 150 x 150 pixels, aligned
            as `alignment.chip_of` does.
        units: length of the vector.
        metric: whether a layer for fine-tuning alone stands behind it (see `metric_of`).

    Returns:
        A model with the input `pixels` (batch, height, width, 3), 0 to 255, RGB, and the output
        `{"embedding": (batch, units)}` float32. It has 5,607,488 parameters without `metric`.

    Raises:
        UsageError: the pictures are not RGB, or smaller than 103 x 103 pixels.

    Example:
        >>> dlib_resnet().get_layer("embedding").output.shape
        (None, 128)

    Source:
        King, "High quality face recognition with deep metric learning", 2017, and the file
        `dlib_face_recognition_resnet_model_v1.dat` (public domain); after He et al. 2016.
        Deviations: every `affine` layer is folded into the convolution before it, and the second
        convolution of a block starts near zero, so that the network can also be trained from
        scratch without normalisations (Zhang, Dauphin, Ma, "Fixup initialization", ICLR 2019).
    """
    if len(input_shape) != 3 or input_shape[2] != 3 or min(input_shape[:2]) < _SMALLEST:
        raise UsageError(
            f"dlib_resnet: input_shape must be (height, width, 3) of {_SMALLEST} pixels and more, "
            f"got {tuple(input_shape)}"
        )
    number = iter(range(1, 2 * len(BLOCKS) + 2))

    def convolution(x: Any, filters: int, size: int, strides: int, scale: float = 2.0) -> Any:
        return layers.Conv2D(
            filters,
            size,
            strides,
            "valid" if strides > 1 else "same",
            kernel_initializer=keras.initializers.VarianceScaling(scale),
            name=f"conv_{next(number)}",
        )(x)

    pixels = keras.Input(tuple(input_shape), name="pixels")
    x = ops.relu(convolution(_normalized(pixels), 32, 7, 2))
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    for index, (filters, halved) in enumerate(BLOCKS, 1):
        inner = ops.relu(convolution(x, filters, 3, 2 if halved else 1))
        inner = convolution(inner, filters, 3, 1, scale=0.02)
        shortcut = layers.AveragePooling2D(2, 2, name=f"shortcut_{index}")(x) if halved else x
        x = ops.relu(_sum(inner, shortcut))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    embedding = layers.Dense(units, use_bias=False, dtype="float32", name="embedding")(x)
    if metric:
        embedding = metric_of(embedding)
    network = keras.Model(pixels, {"embedding": embedding}, name="dlib_resnet")
    network.output_names = ["embedding"]  # not "metric", by its last layer
    return network


def _sum(one: Any, two: Any) -> Any:
    """Add maps of different sizes; the smaller ends in zeros."""
    shape = [max(sizes) for sizes in zip(one.shape[1:], two.shape[1:], strict=True)]

    def continued(x: Any) -> Any:
        missing = [(0, full - own) for full, own in zip(shape, x.shape[1:], strict=True)]
        return ops.pad(x, [(0, 0), *missing]) if any(more for _, more in missing) else x

    return continued(one) + continued(two)


def mmod() -> keras.Model:
    """Build dlib's detector of faces: how sure it is of a face at every place of a picture.

    A border of 27 pixels in the mean colour, three 5x5 convolutions with stride 2, three with
    stride 1 and a 9x9 one; all but the last are followed by a relu. Cell (column, row) of the
    answer speaks of the window of 80 x 80 pixels around (8 column - 13, 8 row - 13); above 0 there
    is a face.

    Returns:
        A model with the input `picture` (batch, height, width, 3), 0 to 255, RGB, of any size, and
        the output `{"faces": (batch, rows, columns, 1)}` float32. It has 180,711 parameters.

    Example:
        >>> mmod().count_params()
        180711

    Source:
        King, "Max-margin object detection", arXiv:1502.00046, and the file
        `mmod_human_face_detector.dat` (public domain). Deviations: every normalisation is folded
        into the convolution before it; the border is wider than dlib's 11 pixels.
    """
    picture = keras.Input((None, None, 3), name="picture")
    x = layers.ZeroPadding2D(BORDER, name="border")(_normalized(picture))
    for number, filters in enumerate((16, 32, 32, 45, 45, 45), 1):
        strides, padding = (2, "valid") if number <= 3 else (1, "same")
        x = layers.Conv2D(
            filters, 5, strides, padding, activation="relu", kernel_initializer="he_normal",
            name=f"conv_{number}",
        )(x)  # fmt: skip
    x = layers.Conv2D(1, 9, padding="same", dtype="float32", name="conv_7")(x)
    faces = layers.Identity(dtype="float32", name="faces")(x)  # ONNX calls outputs by their layers
    return keras.Model(picture, {"faces": faces}, name="mmod")
