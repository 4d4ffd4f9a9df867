"""Networks for DNA: functions that return a plain Keras model.

All take `bases`, codes (batch, steps) int32 (see `features.codes`), and give `logits`: (batch,
classes) of a window or a peak; of sites (batch, steps - field + 1, classes), where position j is of
the base j + field // 2, so that a contig of any length is judged base by base, each exactly as in
the window around it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers, ops

from deepfield.domains.genomics.layers import (
    BaseChances,
    CodonWeights,
    MotifConv1D,
    ReadingFrames,
    ReverseComplement,
    StrandPooling,
)
from deepfield.domains.genomics.splice_models import splice_resnet
from deepfield.domains.genomics.windows import KINDS, middle
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.layers import DilatedResidual1D
from deepfield.toolkit.registry import Registry

ARCHITECTURES = Registry("architecture")
ARCHITECTURES.add("splice_resnet", splice_resnet)

_MOMENTUM = 0.9


def _bases(kind: str, length_bp: int, least: int, name: str, free: bool = False) -> Any:
    """The input, of a fixed length unless it is free.

    Raises:
        UsageError: an unknown kind, or fewer letters than the network needs.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}", f"choose {', '.join(KINDS)}")
    if length_bp < least:
        raise UsageError(
            f"{name} reads {least} letters or more, and the sequences have {length_bp}",
            "choose another --architecture, or smaller ones of its settings",
        )
    return keras.Input((None if free else length_bp,), name="bases", dtype="int32")


def _model(bases: Any, logits: Any, name: str) -> keras.Model:
    model = keras.Model(bases, {"logits": logits}, name=name)
    model.output_names = ["logits"]
    return model


def _normed(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


# -- the published ones and the baseline ---------------------------------------------------------


@ARCHITECTURES.register()
def motif_cnn(
    kind: str,
    classes: int,
    length_bp: int,
    motifs: int = 32,
    motif_bp: int = 16,
    hidden: int = 32,
    dropout: float = 0.3,
    forget: float = 0.0,
) -> keras.Model:
    """DeepBind: motifs are matched everywhere, their best matches tell what the sequence is.

    Args:
        kind: of a peak a motif counts on either strand, else on the one that is given.
        classes: how many there are.
        length_bp: letters of a sequence.
        motifs: how many are learnt.
        motif_bp: letters of each.
        hidden: units of the dense layer, 0 for none.
        dropout: share of its inputs that are left out in training.
        forget: share of the letters that are taken for N in training.

    Returns:
        A model from `bases` to `logits` (batch, classes).

    Raises:
        UsageError: an unknown kind, single bases, or sequences shorter than a motif.

    Example:
        >>> motif_cnn("peak", 2, 101).count_params()
        4226

    Source:
        Alipanahi et al., Nature Biotechnology 2015, supplementary section 2. Deviations: maximum
        and mean of every motif's matches always, where it tries both ways; dense layer of 32 with
        dropout; no padding, so a motif at the very end is not seen in part.
    """
    if kind == "site":
        raise UsageError("motif_cnn judges whole sequences, not a base", "add --kind window")
    bases = _bases(kind, length_bp, motif_bp, "motif_cnn")
    x = BaseChances(forget, name="chances")(bases)
    x = MotifConv1D(motifs, motif_bp, strands=kind == "peak", name="motifs")(x)
    x = layers.ReLU(name="matches")(x)
    best = layers.GlobalMaxPooling1D(name="best")(x)
    mean = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Concatenate(name="found")([best, mean])
    x = layers.Dropout(dropout, name="dropout")(x)
    if hidden:
        x = layers.Dense(hidden, activation="relu", name="hidden")(x)
    return _model(bases, layers.Dense(classes, name="logits")(x), "motif_cnn")


@ARCHITECTURES.register()
def kmer_linear(
    kind: str, classes: int, length_bp: int, word_bp: int = 6, places: bool = True
) -> keras.Model:
    """Logistic regression on words of the sequence: what a deep network must beat.

    Args:
        kind: of a peak a word counts as its reverse complement does.
        classes: how many there are.
        length_bp: letters of a sequence.
        word_bp: letters of a word, at most 8.
        places: whether the base at each place counts too; never of peaks.

    Returns:
        A model from `bases` to `logits` (batch, classes).

    Raises:
        UsageError: an unknown kind, single bases, or words of no or more than 8 letters.

    Example:
        >>> kmer_linear("window", 2, 81, word_bp=3).count_params()
        782
    """
    if kind == "site":
        raise UsageError("kmer_linear judges whole sequences, not a base", "add --kind window")
    if not 1 <= word_bp <= 8:
        raise UsageError(f"word_bp={word_bp}", "1 to 8 letters")
    bases = _bases(kind, length_bp, word_bp, "kmer_linear")
    logits = layers.Dense(classes, name="logits")
    features = [_word_counts(bases, word_bp, length_bp, kind == "peak", classes)]
    if places and kind == "window":
        flat = layers.Flatten(name="places")(BaseChances(name="chances")(bases))
        features.append(flat)
    x = layers.Concatenate(name="features")(features) if len(features) > 1 else features[0]
    return _model(bases, logits(x), "kmer_linear")


def _word_counts(bases: Any, size: int, length: int, symmetric: bool, units: int) -> Any:
    """What the words of a sequence add up to, (batch, units): each word has weights of its own."""
    digits = ops.maximum(bases - 1, 0)
    count = length - size + 1
    known = ops.ones_like(bases[:, :count], dtype="bool")
    number = ops.zeros_like(bases[:, :count])
    for place in range(size):
        letter = bases[:, place : place + count]
        number = 4 * number + ops.minimum(digits[:, place : place + count], 3)
        known = ops.logical_and(known, ops.logical_and(letter >= 1, letter <= 4))
    if symmetric:
        other = ops.zeros_like(number)
        for place in reversed(range(size)):
            letter = 3 - ops.minimum(digits[:, place : place + count], 3)
            other = 4 * other + letter
        number = ops.minimum(number, other)
    table = layers.Embedding(4**size, units, embeddings_initializer="zeros", name="words")
    weights = table(number) * ops.cast(ops.expand_dims(known, -1), "float32")
    return ops.sum(weights, axis=1)


# -- the default ---------------------------------------------------------------------------------


@ARCHITECTURES.register()
def dilated_cnn(
    kind: str,
    classes: int,
    length_bp: int,
    filters: int = 32,
    stem_bp: int = 9,
    kernel_size: int = 5,
    grids: Sequence[int] = (1, 3, 9, 27),
    dilations: Sequence[int] = (1, 2, 4),
    motif_bp: int = 15,
    near_bp: int = 41,
    near_units: int = 40,
    far_bp: int = 25,
    far_units: int = 48,
    frames: int = 24,
    frame_codons: int = 15,
    places: int = 8,
    hidden: int = 48,
    dropout: float = 0.1,
    head_dropout: float = 0.35,
    forget: float = 0.12,
) -> keras.Model:
    """Gated convolutions with holes, and beside them what is known to matter of the kind.

    Of a site: convolutions that see ever further (`grids`); the letters next to it in one piece
    (`near_bp`); how the letters are mixed further away, in stretches of `far_bp` letters up to the
    ends of the training sequences; and how stretches would read as codons, in each of the three
    frames: exons do, introns do not. Of a window: convolutions (`dilations`), what they find at
    each place and anywhere, every letter by its place, and the reading frames of both strands. Of a
    peak: motifs on both strands, and how they stand to each other.

    Args:
        kind: what is judged.
        classes: how many there are.
        length_bp: letters of a training sequence.
        filters: features of the convolutions.
        stem_bp: of a site or a window, letters that the first convolution sees.
        kernel_size: taps of the others, odd.
        grids: of a site, dilation of each block, each a multiple of the one before; the last ones
            are left out where sequences are too short for them.
        dilations: of a window, dilation of each block.
        motif_bp: of a peak, letters that the first convolution sees.
        near_bp: of a site, letters that are seen in one piece; 0 for none.
        near_units: features of these.
        far_bp: of a site, letters of the stretches whose mixture is told; 0 for none.
        far_units: features of these.
        frames: of a site or a window, ways to weigh codons; 0 for no reading frames.
        frame_codons: of a site, codons of the stretches that are read.
        places: of a window, features told of every place; 0 for none.
        hidden: units of the dense layer in front of the answer.
        dropout: share of features left out inside blocks, in training.
        head_dropout: the same in front of the dense layers.
        forget: of a site or a window, share of the letters taken for N, in training.

    Returns:
        A model from `bases` to `logits` (see the module).

    Raises:
        UsageError: an unknown kind, grids that are no multiples of each other, or sequences that
            are too short for them.

    Example:
        >>> dilated_cnn("site", 2, 602).output["logits"].shape
        (None, None, 2)

    Source:
        The arrangement is ours; for the block see `DilatedResidual1D`, for both strands
        `ReverseComplement`.
    """
    settings = dict(locals())
    if kind == "site":
        return _site_model(settings, strided=False)
    if kind == "peak":
        return _peak_model(settings)
    bases = _bases(kind, length_bp, stem_bp, "dilated_cnn")
    chances = BaseChances(forget, name="chances")(bases)
    x = layers.Conv1D(filters, stem_bp, padding="same", name="stem")(chances)
    for number, dilation in enumerate(dilations, start=1):
        x = DilatedResidual1D(kernel_size, dilation, dropout=dropout, name=f"block_{number}")(x)
    x = _normed(x, "blocks")
    parts = _anywhere(x)
    if places:
        told = layers.SpatialDropout1D(dropout, name="places_dropout")(x)
        told = layers.Conv1D(places, 1, name="places")(told)
        parts.append(layers.Flatten(name="placed")(told))
    if frames:
        read = ReadingFrames(frames, name="frames")
        parts += [read(chances), read(ReverseComplement(name="other_strand")(chances))]
    x = _hidden(layers.Concatenate(name="found")(parts), hidden, head_dropout)
    letters = layers.Flatten(name="letters")(chances)
    letters = layers.Dropout(head_dropout, name="letters_dropout")(letters)
    x = layers.Concatenate(name="deep_and_wide")([x, letters])
    return _model(bases, layers.Dense(classes, name="logits")(x), "dilated_cnn")


def _anywhere(x: Any) -> list[Any]:
    """The largest and the mean of every feature, wherever they are."""
    return [
        layers.GlobalMaxPooling1D(name="best")(x),
        layers.GlobalAveragePooling1D(name="mean")(x),
    ]


def _hidden(x: Any, units: int, dropout: float) -> Any:
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="found_norm")(x)
    x = layers.Dropout(dropout, name="found_dropout")(x)
    x = layers.Dense(units, activation="relu", name="hidden")(x)
    return layers.Dropout(dropout, name="hidden_dropout")(x)


def _peak_model(s: Mapping[str, Any]) -> keras.Model:
    """Motifs on both strands, how they stand to each other, and what is found anywhere.

    A match counts exponentially, so that the first convolution learns motifs and not parts of them
    (Koo & Ploenzke, "Improving representations of genomic sequence motifs in convolutional networks
    with exponential activations", Nature Machine Intelligence 2021).
    """
    bases = _bases("peak", s["length_bp"], s["motif_bp"], "dilated_cnn")
    x = BaseChances(name="chances")(bases)
    x = ReverseComplement(both=True, name="strands")(x)
    x = layers.Conv1D(s["filters"], s["motif_bp"], padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="stem_norm")(x)
    x = ops.exp(ops.minimum(x, 4.0))
    motifs = layers.GlobalMaxPooling1D(name="motifs")(x)
    x = layers.MaxPooling1D(4, padding="same", name="matches")(x)
    x = layers.Dropout(s["dropout"], name="matches_dropout")(x)
    x = DilatedResidual1D(s["kernel_size"], dropout=s["dropout"], name="block_1")(x)
    parts = [motifs, *_anywhere(_normed(x, "blocks"))]
    x = StrandPooling(name="either_strand")(layers.Concatenate(name="found")(parts))
    x = _hidden(x, s["hidden"], s["head_dropout"])
    return _model(bases, layers.Dense(s["classes"], name="logits")(x), "dilated_cnn")


def _site_model(settings: Mapping[str, Any], strided: bool) -> keras.Model:
    """The network of sites; or, `strided`, the one of a window's middle that has its weights.

    The second computes on a thinner and thinner grid what the first computes at every base.
    """
    s = settings
    grids = tuple(s["grids"])
    pairs = list(itertools.pairwise(grids))
    steps = [b // a for a, b in pairs]
    if not grids or grids[0] != 1 or any(b % a for a, b in pairs):
        raise UsageError(f"grids={list(grids)}", "1 first, then each a multiple of the one before")
    most = s["length_bp"] - 1 + s["length_bp"] % 2  # an odd number has a middle
    while len(grids) > 1 and _reach(grids, s) > most:
        grids = grids[:-1]
    far = s["far_bp"] * ((most - s["stem_bp"] + 1) // s["far_bp"]) if s["far_bp"] else 0
    if s["frame_codons"] < 1:
        raise UsageError(f"frame_codons={s['frame_codons']}", "1 or more; frames=0 reads none")
    per = 3 * s["frame_codons"]
    stretches = (most - 2) // per if s["frames"] else 0
    fields = {
        "read": stretches * per + 2 if stretches else 0,
        "blocks": _reach(grids, s),
        "near": min(s["near_bp"], most),
        "far": far + s["stem_bp"] - 1 if far else 0,
    }
    field = max(fields.values()) | 1
    bases = _bases("site", s["length_bp"], field, "dilated_cnn", free=not strided)
    x = BaseChances(s["forget"], name="chances")(bases)
    if strided:
        start = middle(s["length_bp"]) - field // 2
        x = x[:, start : start + field]
    steps = steps[: len(grids) - 1]
    parts = [_blocks(_centred(x, field, fields["blocks"]), s, grids, steps, strided)]
    if s["near_bp"]:
        near = layers.Conv1D(s["near_units"], fields["near"], use_bias=False, name="near")
        parts.append(_normed(near(_centred(x, field, fields["near"])), "near"))
    if far:
        parts.append(_far(_centred(x, field, fields["far"]), s, far, strided))
    if stretches:
        parts += _read(_centred(x, field, fields["read"]), s, stretches, strided)
    x = layers.Concatenate(name="found")(parts)
    x = layers.Dropout(s["head_dropout"], name="found_dropout")(x)
    x = layers.Conv1D(s["hidden"], 1, activation="relu", name="hidden")(x)
    x = layers.Dropout(s["head_dropout"], name="hidden_dropout")(x)
    if strided:
        x = layers.Flatten(name="middle")(x)
    return _model(bases, layers.Dense(s["classes"], name="logits")(x), "dilated_cnn")


def _reach(grids: Sequence[int], s: Mapping[str, Any]) -> int:
    """Letters that the blocks see: of the last grid there are as many places as a kernel has."""
    return s["stem_bp"] + (s["kernel_size"] - 1) * (sum(grids) + grids[-1])


def _centred(x: Any, field: int, own: int) -> Any:
    """The steps about whose middle a window of `own` letters stands as one of `field` does."""
    left = field // 2 - (own - 1) // 2
    right = field - own - left
    return x[:, left : -right or None] if left or right else x


def _blocks(
    x: Any, s: Mapping[str, Any], grids: Sequence[int], steps: Sequence[int], strided: bool
) -> Any:
    k = s["kernel_size"]
    x = layers.Conv1D(s["filters"], s["stem_bp"], name="stem")(x)
    for number, grid in enumerate(grids, start=1):
        stride = steps[number - 1] if strided and number <= len(steps) else 1
        x = DilatedResidual1D(
            k, 1 if strided else grid, stride, "valid", s["dropout"], _MOMENTUM,
            name=f"block_{number}",
        )(x)  # fmt: skip
    x = _normed(x, "blocks")
    gather = layers.Conv1D(
        s["near_units"], k, dilation_rate=1 if strided else grids[-1], use_bias=False, name="gather"
    )
    return _normed(gather(x), "gather")


def _far(x: Any, s: Mapping[str, Any], far: int, strided: bool) -> Any:
    """How the words of the letters are mixed, stretch by stretch."""
    words = layers.Conv1D(s["far_units"], s["stem_bp"], use_bias=False, name="far_words")(x)
    words = _normed(words, "far_words")
    mixed = layers.AveragePooling1D(s["far_bp"], s["far_bp"] if strided else 1, name="far_mean")(
        words
    )
    mixed = layers.Dropout(s["head_dropout"], name="far_dropout")(mixed)
    gather = layers.Conv1D(
        s["near_units"], far // s["far_bp"], dilation_rate=1 if strided else s["far_bp"],
        use_bias=False, name="far",
    )  # fmt: skip
    return _normed(gather(mixed), "far")


def _read(x: Any, s: Mapping[str, Any], stretches: int, strided: bool) -> list[Any]:
    """How stretches about the site would read as codons: in the best of the frames, and on average.

    A frame is one of three places to begin with; the same weights judge each.
    """
    units, count = s["frames"], s["frame_codons"]
    codons = CodonWeights(units, name="codons")(x)
    gather = layers.Conv1D(
        s["near_units"], stretches, dilation_rate=1 if strided else 3 * count, use_bias=False,
        name="read",
    )  # fmt: skip
    drop = layers.Dropout(s["head_dropout"], name="read_dropout")
    if strided:  # stretches follow upon each other: each frame as a sample of its own
        apart = ops.reshape(codons, (-1, stretches, count, 3, units))
        usage = ops.transpose(3.0 * ops.mean(apart, axis=2), (0, 2, 1, 3))
        told = gather(ops.reshape(drop(usage), (-1, stretches, units)))
        told = ops.reshape(told, (-1, 3, s["near_units"]))
    else:
        last = 3 * (count - 1)
        shifted = [codons[:, at : at - last or None] for at in range(0, last + 1, 3)]
        told = gather(drop(sum(shifted[1:], shifted[0]) * (3.0 / count)))
    told = _normed(told, "read")
    return [
        layers.MaxPooling1D(3, 1, name="best_frame")(told),
        layers.AveragePooling1D(3, 1, name="mean_frame")(told),
    ]


def learner(
    model: keras.Model, architecture: str, arguments: Mapping[str, Any], hyper: Mapping[str, Any]
) -> keras.Model:
    """What learns the weights of a network of sites from windows: it judges their middle alone.

    Of `dilated_cnn` it is a network of its own, that computes what the middle hangs on and nothing
    else, a few times quicker; `take_over` hands its weights back. Of others it is the network
    itself, with the middle of its answer.

    Args:
        model: the network.
        architecture: its builder's name.
        arguments: of the builder, as the data have them.
        hyper: its other arguments.

    Returns:
        A model from `bases` (batch, length_bp) to `logits` (batch, classes).
    """
    length = int(arguments["length_bp"])
    if architecture == "dilated_cnn":
        given = inspect.signature(dilated_cnn).bind(**arguments, **hyper)
        given.apply_defaults()
        twin = _site_model(given.arguments, strided=True)
        take_over(twin, model)
        return twin
    last = next(layer for layer in model.layers if layer.name == "logits")
    x = keras.Model(model.inputs, last.input)
    bases = keras.Input((length,), name="bases", dtype="int32")
    features = x(bases)
    field = length - features.shape[1] + 1
    return _model(bases, last(features)[:, middle(length) - middle(field)], model.name)


def take_over(model: keras.Model, other: keras.Model) -> None:
    """Give a network the weights of another one by their paths; nothing where they share them."""
    weights = {variable.path: variable for variable in other.weights}
    for variable in model.weights:
        if (own := weights.get(variable.path)) is not None and own is not variable:
            variable.assign(own)
