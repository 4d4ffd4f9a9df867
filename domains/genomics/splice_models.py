"""Networks for DNA as others have published them."""

from __future__ import annotations

import keras
from keras import layers

from deepfield.domains.genomics.layers import BaseChances
from deepfield.domains.genomics.residual import EPSILON, GROUPS, UNITS_OF_A_GROUP, groups_of


def splice_resnet(
    kind: str,
    classes: int,
    length_bp: int,
    context: int = 400,
    filters: int = 32,
) -> keras.Model:
    """A residual network of dilated convolutions that judges every base by the letters about it.

    A convolution of width 1 (the stem), then groups of four residual units, each

        y = x + conv(relu(norm(conv(relu(norm(x))))))

    with (width, dilation) (11, 1), (11, 4), (21, 10) and (41, 25); a convolution of width 1 from
    the stem and from the end of each group, which are summed; and a last one of width 1. How many
    groups there are follows from the context: 80, 400, 2,000 and 10,000 letters are one to four.

    Args:
        kind: must be `"site"`.
        classes: of a base: for splice sites neither, acceptor, donor.
        length_bp: letters of a training sequence, which must be more than the context.
        context: letters that an answer hangs on besides the base itself, half of them on each
            side: one of `GROUPS`.
        filters: of every convolution.

    Returns:
        A model from `bases`, codes (batch, steps) int32 (see `features.codes`), to `logits`
        (batch, steps - context, classes): position j is of base j + context / 2. It takes any
        number of steps above `context`.

    Raises:
        UsageError: another context or kind, or a sequence that is shorter than the context.

    Example:
        >>> splice_resnet("site", 3, 602, context=80).count_params()
        93763

    Source:
        Jaganathan et al. 2019, Cell 176:535, figure S1 (SpliceAI-80nt to SpliceAI-10k). Deviations:
        the softmax is left to the loss; no position is computed that is cropped later: convolutions
        are "valid", and sums crop the longer side, where the paper pads with zeros and crops once
        at the end. The answers are the same. IUPAC's letters are what they may be in equal shares.
    """
    groups = groups_of(context, kind, length_bp)
    bases = keras.Input((None,), name="bases", dtype="int32")
    x = BaseChances(name="chances")(bases)
    x = _conv(x, filters, 1, 1, "stem")
    total, unit = _conv(x, filters, 1, 1, "skip_0"), 0
    for number, (width, dilation) in enumerate(groups, start=1):
        for _ in range(UNITS_OF_A_GROUP):
            unit += 1
            x = _unit(x, filters, width, dilation, f"unit_{unit}")
        lost = UNITS_OF_A_GROUP * (width - 1) * dilation
        skip = _conv(x, filters, 1, 1, f"skip_{number}")
        total = layers.Add(name=f"sum_{number}")([_cropped(total, lost, f"crop_{number}"), skip])
    logits = _conv(total, classes, 1, 1, "logits")
    return keras.Model(bases, {"logits": logits}, name="splice_resnet")


def _unit(x: keras.KerasTensor, filters: int, width: int, dilation: int, name: str):
    y = x
    for half in (1, 2):
        y = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm_{half}")(y)
        y = layers.ReLU(name=f"{name}_relu_{half}")(y)
        y = _conv(y, filters, width, dilation, f"{name}_conv_{half}")
    x = _cropped(x, (width - 1) * dilation, f"{name}_crop")
    return layers.Add(name=f"{name}_sum")([x, y])


def _conv(x: keras.KerasTensor, filters: int, width: int, dilation: int, name: str):
    return layers.Conv1D(filters, width, dilation_rate=dilation, padding="valid", name=name)(x)


def _cropped(x: keras.KerasTensor, each_side: int, name: str):
    return layers.Cropping1D(each_side, name=name)(x)


__all__ = ["GROUPS", "splice_resnet"]
