"""The architectures: functions that return a plain functional `keras.Model`.

Every builder has the signature `name(input_shape, **hyper)`. Its one input, `pixels`, takes the
chip of a face (see `alignment`) as raw pixels (0..255, uint8 or float, RGB, shape (batch, height,
width, channels)); its one output, `{"embedding": (batch, units)}`, is what two faces are compared
by. Grey, size and augmentation are layers inside, so that an exported network takes a chip and
needs none of our code. What a network is trained by stands behind it only in training: `learner`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deepfield.domains.face.dlib_models import dlib_resnet, metric_of
from deepfield.domains.face.learning import OBJECTIVES
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.layers import (
    ArcMargin,
    FrozenAffine,
    GeneralizedMeanPooling,
    L2Normalize,
    LocallyConnected2D,
    RandomLight2D,
    RandomMirror2D,
    RandomOcclusion2D,
    RandomWarp2D,
    ResidualBlock2D,
)
from deepfield.toolkit.registry import Registry

#: Every builder of the domain, by name.
ARCHITECTURES = Registry("architecture")
ARCHITECTURES.add("dlib_resnet", dlib_resnet)

Shape = tuple[int, int, int]


def _pixels(input_shape: Shape, smallest: int, name: str) -> Any:
    """Return the input `pixels`, once its shape was found possible."""
    if len(input_shape) != 3 or input_shape[2] not in (1, 3) or min(input_shape[:2]) < smallest:
        raise UsageError(
            f"{name}: input_shape must be (height, width, 1 or 3) of {smallest} pixels and more, "
            f"got {tuple(input_shape)}"
        )
    return keras.Input(tuple(input_shape), name="pixels")


def _grey(x: Any) -> Any:
    """One channel of three, as the eye weighs them (ITU-R BT.601)."""
    if x.shape[-1] == 1:
        return x
    # an array, not a tensor, which an export would take for an input
    return ops.matmul(x, np.array([[0.299], [0.587], [0.114]], "float32"))


def _resized(x: Any, height: int, width: int) -> Any:
    """The middle of a picture, in the form of the new one, at the new size.

    Bilinear, which reads two pixels a side: whole multiples are averaged away first.
    """
    rows, columns = x.shape[1:3]
    if (rows, columns) == (height, width):
        return x
    times = min(rows // height, columns // width)
    step = max(1, times)
    scale = min(rows / height, columns / width)
    keep = [min(n, round(scale * m / step) * step) for n, m in ((rows, height), (columns, width))]
    top, left = (rows - keep[0]) // 2, (columns - keep[1]) // 2
    x = x[:, top : top + keep[0], left : left + keep[1]]
    if step > 1:
        x = layers.AveragePooling2D(step, name="shrink")(x)
    # not `layers.Resizing`: its default of training=True would pass to all layers behind it
    return x if x.shape[1:3] == (height, width) else ops.image.resize(x, (height, width))


def _network(pixels: Any, features: Any, name: str, metric: bool) -> keras.Model:
    """From pixels to features of length 1, in single precision whatever the policy."""
    features = metric_of(features) if metric else features
    embedding = L2Normalize(dtype="float32", name="embedding")(features)
    return keras.Model(pixels, {"embedding": embedding}, name=name)


# -- DeepFace --------------------------------------------------------------------------------------


@ARCHITECTURES.register()
def deepface(
    input_shape: Shape = (150, 150, 3),
    units: int = 4096,
    filters: int = 32,
    maps: int = 16,
    dropout: float = 0.5,
    metric: bool = False,
) -> keras.Model:
    """DeepFace: two convolutions, three layers whose weights differ from place to place, two dense.

    The layers are C1, M2, C3, L4, L5, L6 and F7, on 152 x 152 pixels. With the defaults they hold
    102,412,864 parameters; the paper's last layer F8, which told 4,030 people apart, is the head
    of `learner(model, "softmax", 4030)`, with which there are 118,923,774.

    Args:
        input_shape: (height, width, channels); resized to 152 x 152.
        units: of F7.
        filters: maps of C1.
        maps: of C3, L4, L5 and L6.
        dropout: the fraction of F7 left out in training.
        metric: whether a layer for fine-tuning alone stands behind it (see `metric_of`).

    Returns:
        A model from `pixels` to `embedding`, F7 divided by the largest values of its features
        (1 until training is over: see `divide_by_largest`) and brought to length 1.

    Raises:
        UsageError: fewer than 16 pixels a side, or other channels than 1 or 3.

    Example:
        >>> from deepfield.domains.face.models import deepface
        >>> deepface(units=8, filters=4, maps=2).get_layer("L6").output.shape
        (None, 21, 21, 2)

    Source:
        Taigman, Yang, Ranzato, Wolf, "DeepFace: closing the gap to human-level performance in face
        verification", CVPR 2014, section 3: figure 2, the initial weights (section 5.1) and the
        normalisation (section 3.3). Deviations: faces are aligned in the plane by `alignment`, not
        rendered from in front by a model of the head; figure 2's 71 x 71 after M2 wants a padded
        pooling; the largest value of a feature is taken to be 0.05 at least before the division,
        as there. The paper counts "more than 120 million" parameters, from its sizes there are
        118.9 million; the share of local and dense layers that it gives, above 95 %, is 99.96 %.
    """
    pixels = _pixels(input_shape, 16, "deepface")
    x = layers.Rescaling(1 / 255, name="normalize")(_resized(pixels, 152, 152))
    start: dict[str, Any] = {
        "activation": "relu",
        "kernel_initializer": keras.initializers.RandomNormal(0.0, 0.01),
        "bias_initializer": keras.initializers.Constant(0.5),
    }
    x = layers.Conv2D(filters, 11, name="C1", **start)(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="M2")(x)
    x = layers.Conv2D(maps, 9, name="C3", **start)(x)
    x = LocallyConnected2D(maps, 9, name="L4", **start)(x)
    x = LocallyConnected2D(maps, 7, 2, name="L5", **start)(x)
    x = LocallyConnected2D(maps, 5, name="L6", **start)(x)
    x = layers.Dense(units, name="F7", **start)(layers.Flatten(name="flatten")(x))
    x = layers.Dropout(dropout, name="dropout")(x)
    x = FrozenAffine(dtype="float32", name="scale")(x)
    return _network(pixels, x, "deepface", metric)


def divide_by_largest(model: keras.Model, chips: Iterable[np.ndarray]) -> None:
    """Have `deepface` divide every feature of F7 by its largest value over pictures of faces.

    Args:
        model: a trained `deepface`; changed in place.
        chips: batches (batch, height, width, channels) of the training pictures.
    """
    features = keras.Model(model.input, model.get_layer("F7").output)
    largest = np.max([np.max(features.predict_on_batch(own), axis=0) for own in chips], axis=0)
    scale = model.get_layer("scale")
    scale.set_weights([1 / np.maximum(largest, 0.05), np.zeros_like(largest)])


# -- DeepID ----------------------------------------------------------------------------------------


@ARCHITECTURES.register()
def deepid(
    input_shape: Shape = (150, 150, 3), units: int = 160, grey: bool = False, metric: bool = False
) -> keras.Model:
    """DeepID: four convolutions, ever more local, and few features that see the last two.

    The layers are conv1, pool1, conv2, pool2, conv3, pool3, conv4 and `deepid`, on 39 x 31 pixels.
    The third shares weights within regions of 2 x 2 places alone, the fourth shares none. With the
    defaults they hold 260,100 parameters.

    Args:
        input_shape: (height, width, channels); the middle is cut to the form of 39 x 31 and
            resized.
        units: features of the layer `deepid`.
        grey: whether colours are left out.
        metric: whether a layer for fine-tuning alone stands behind it (see `metric_of`).

    Returns:
        A model from `pixels` to `embedding`, the features brought to length 1.

    Raises:
        UsageError: fewer than 31 pixels a side, or other channels than 1 or 3.

    Example:
        >>> from deepfield.domains.face.models import deepid
        >>> deepid().get_layer("conv4").output.shape
        (None, 2, 1, 80)

    Source:
        Sun, Wang, Tang, "Deep learning face representation from predicting 10,000 classes", CVPR
        2014, section 3.1, figure 2, eq. (1) to (4). Deviations: one network for one patch, the
        whole face, where the paper puts 60 side by side; features of length 1 are compared by
        distance, where it learns a joint Bayesian model; initial weights are He's, it gives none.
    """
    pixels = _pixels(input_shape, 31, "deepid")
    x = _resized(pixels, 39, 31)
    x = _grey(x) if grey else x
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="normalize")(x)
    start: dict[str, Any] = {"activation": "relu", "kernel_initializer": "he_normal"}
    x = layers.Conv2D(20, 4, name="conv1", **start)(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(40, 3, name="conv2", **start)(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = LocallyConnected2D(60, 3, shared=2, name="conv3", **start)(x)
    x = third = layers.MaxPooling2D(2, name="pool3")(x)
    fourth = LocallyConnected2D(80, 2, name="conv4", **start)(x)
    flat = [layers.Flatten(name=f"flatten{k}")(y) for k, y in ((3, third), (4, fourth))]
    x = layers.Concatenate(name="scales")(flat)
    x = layers.Dense(units, name="deepid", **start)(x)
    return _network(pixels, x, "deepid", metric)


# -- a small network for few pictures --------------------------------------------------------------


@ARCHITECTURES.register()
def facenet_small(
    input_shape: Shape = (150, 150, 3),
    units: int = 128,
    side: int = 64,
    grey: bool = True,
    filters: Sequence[int] = (20, 40, 80, 128),
    pooling: str = "places",
    dropout: float = 0.2,
    augment: float = 1.0,
    metric: bool = False,
) -> keras.Model:
    """A small residual network, for people of whom there are few pictures.

    Grey, `side` pixels a side, every picture with mean 0 and spread 1; a 5x5 convolution and three
    residual blocks, each at half the size; then one weight for every channel and place (faces are
    aligned: the middle of the chip is another thing than its corner), and a dense layer.

    Args:
        input_shape: (height, width, channels).
        units: length of the embedding.
        side: pixels a side that the network works on.
        grey: whether colours are left out: with few pictures they mislead.
        filters: channels of the first convolution and of the blocks.
        pooling: `"places"`, or `"power"` for a power mean of all places that learns its power.
        dropout: the fraction of features left out in training, before the last layer.
        augment: strength of what is done to pictures in training (mirrored, moved, bent, lit
            otherwise, partly covered); 0 is nothing.
        metric: whether a layer for fine-tuning alone stands behind it (see `metric_of`).

    Returns:
        A model from `pixels` to `embedding`, of length 1.

    Raises:
        UsageError: fewer than `side` pixels a side, other channels than 1 or 3, no filters, or an
            unknown pooling.

    Example:
        >>> from deepfield.domains.face.models import facenet_small
        >>> facenet_small().output_shape
        (None, 128)

    Source:
        The aim (vectors of length 1 whose distances tell people apart) is that of Schroff,
        Kalenichenko, Philbin, "FaceNet", CVPR 2015; the block that of He et al. 2016 (see
        `ResidualBlock2D`); the pooling that of Chen, Liu, Gao, Han, "MobileFaceNets", 2018,
        section 3.1 (global depthwise convolution). The arrangement is ours.
    """
    pixels = _pixels(input_shape, side, "facenet_small")
    if not filters or side % 2 ** len(filters):
        raise UsageError(
            f"facenet_small: {side} pixels cannot be halved {len(filters)} times",
            "choose another side, or another number of filters",
        )
    if pooling not in ("places", "power"):
        raise UsageError(f"pooling={pooling!r}", "choose places or power")
    x = _resized(pixels, side, side)
    x = _grey(x) if grey else x
    x = _varied(x, augment) if augment else x
    x = _standardized(x)
    x = layers.Conv2D(
        filters[0], 5, 2, padding="same", use_bias=False, kernel_initializer="he_normal",
        name="stem",
    )(x)  # fmt: skip
    x = layers.ReLU(name="stem_relu")(_normed(x, "stem_bn"))
    for k, channels in enumerate(filters[1:], start=1):
        x = ResidualBlock2D(channels, strides=2, momentum=0.9, name=f"block{k}")(x)
    if pooling == "places":
        x = layers.DepthwiseConv2D(x.shape[1], use_bias=False, name="places")(x)
        x = layers.Flatten(name="flatten")(_normed(x, "places_bn"))
    else:
        x = GeneralizedMeanPooling(name="power")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(units, use_bias=False, name="features")(x)
    return _network(pixels, _normed(x, "features_bn"), "facenet_small", metric)


def _normed(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, name=name)(x)


def _varied(x: Any, strength: float) -> Any:
    """What another picture of the same face may look like."""
    x = RandomMirror2D(name="mirror")(x)
    x = RandomWarp2D(
        shift=0.05 * strength,
        rotate_deg=8.0 * strength,
        scale=0.08 * strength,
        shear_deg=4.0 * strength,
        elastic=0.012 * strength,
        elastic_sigma=0.2,
        fill_value=127.5,
        name="warp",
    )(x)
    x = RandomLight2D(0.15 * strength, 0.4 * strength, 0.3 * strength, strength, name="light")(x)
    return RandomOcclusion2D(min(1.0, 0.5 * strength), most=0.2, name="occlusion")(x)


def _standardized(x: Any) -> Any:
    """Every picture with mean 0 and spread 1, in single precision; a flat one is 0."""
    x = ops.cast(x, "float32")
    x = x - ops.mean(x, axis=(1, 2, 3), keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(x), axis=(1, 2, 3), keepdims=True) + 1.0)
    return layers.Identity(name="normalize")(x / spread)


# -- training --------------------------------------------------------------------------------------


def learner(
    model: keras.Model, objective: str, people: int, margin: float = 0.4, scale: float = 32.0
) -> keras.Model:
    """The network with what it is trained by behind it: its weights are the network's own.

    Args:
        model: what a builder returns.
        objective: `"arc"` (classes told apart by an angle to spare, see `ArcMargin`), `"softmax"`
            (a dense layer on the features before they are brought to length 1, as the papers of
            DeepFace and DeepID train), `"triplet"` or `"contrastive"` (distances inside a batch).
        people: how many people there are to learn from.
        margin: of `"arc"`, in radians; the losses of distances have their own.
        scale: of `"arc"`.

    Returns:
        A model from `pixels`, and of `"arc"` also `person` (batch,) integers, to `person`: logits
        (batch, people) for the first two objectives, else the embeddings. Learn it with the loss
        that `OBJECTIVES` names, from the index of the person; -1 is somebody unknown.

    Raises:
        UsageError: an unknown objective, or fewer than 2 people.

    Example:
        >>> from deepfield.domains.face.models import deepid, learner
        >>> learner(deepid(), "softmax", 10).output_shape
        (None, 10)
    """
    if objective not in OBJECTIVES:
        raise UsageError(f"objective {objective!r}", f"choose {', '.join(OBJECTIVES)}")
    if people < 2:
        raise UsageError(f"{people} person to learn from", "give pictures of 2 people and more")
    inputs, embedding = list(model.inputs), model.outputs[0]
    # an input and a layer may not share a name: the layer is `people`, what it gives is `person`
    if objective == "arc":
        person = keras.Input((), dtype="int32", name="person")
        inputs.append(person)
        head = ArcMargin(people, margin, scale, dtype="float32", name="people")
        output = head([embedding, person])
    elif objective == "softmax":
        last = embedding._keras_history.operation
        features = last.input if isinstance(last, L2Normalize) else embedding
        output = layers.Dense(people, dtype="float32", name="people")(features)
    else:
        output = layers.Identity(dtype="float32", name="people")(embedding)
    network = keras.Model(
        inputs if len(inputs) > 1 else inputs[0],
        {"person": output},
        name=f"{model.name}_{objective}",
    )
    network.output_names = ["person"]
    return network
