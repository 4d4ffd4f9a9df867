"""Reading what dlib writes: networks, and ensembles of regression trees that find landmarks.

The form has no magic number, no alignment and no end mark: a file was read rightly if and only if
the last object ends on the last byte. Everything is checked before it is believed; sizes are
compared with the bytes that are left before anything is allocated.

| object | bytes |
|---|---|
| integer | a header (bit 7: negative, bits 0 to 3: n), then n bytes, little endian |
| float | two integers, m and e: m 2^e |
| bool | `"0"` or `"1"` |
| string, vector | an integer (how many), then the characters or elements |
| matrix | two integers, minus rows and minus columns, then the elements, row by row |
| tensor | the integer 2, four integers (samples, channels, rows, columns), then raw float32 |
| alias | the integer 1, four integers: the shape of a part of the parameters |
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import NotFound, UnusableModel

#: Larger files are not read.
MOST_BYTES = 1 << 25
_LONGEST_NAME = 64
_SPECIAL = 32_000  # exponents from here on stand for infinities and not-a-number
_HINT = "install the package that carries it again"

# What follows the name of a layer: i an integer, f a float, t a tensor, a an alias.
_LOSSES = {
    "loss_metric_2": "f:margin f:threshold",
    "loss_mmod_": "i:version i:width i:height f:false_alarm f:miss f:match_iou"
    " f:nms_iou f:nms_covered f:ignore_iou f:ignore_covered",
}
_INPUTS = {
    "input_rgb_image_sized": "f:red f:green f:blue i:rows i:columns",
    "input_rgb_image_pyramid": "f:red f:green f:blue",
}
_RATES = "f:rate f:decay f:bias_rate f:bias_decay"
_WINDOW = "i:rows i:columns i:stride_y i:stride_x i:pad_y i:pad_x"
_LAYERS = {
    "con_4": f"t:params i:filters {_WINDOW} a:kernel a:bias {_RATES}",
    "fc_2": f"i:outputs i:inputs t:params a:kernel a:bias i:bias_mode {_RATES}",
    "affine_": "t:params a:gamma a:beta i:mode",
    "bn_con2": "t:params a:gamma a:beta t:means t:invstds t:running_means t:running_variances"
    f" i:updates i:window {_RATES} f:epsilon",
    "max_pool_2": _WINDOW,
    "avg_pool_2": _WINDOW,
    "relu_": "",
    "add_prev_": "",
}
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, or the loss or the input of a network, as its file describes it.

    Args:
        kind: dlib's name and version of it, such as `con_4`.
        numbers: sizes, strides, rates by name.
        arrays: float32 by name, such as `kernel` (filters, channels, rows, columns).
    """

    kind: str
    numbers: dict[str, float] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DlibNetwork:
    """A network as its file describes it.

    Args:
        loss: what it was trained for.
        input: how pixels are normalised.
        layers: from the input to the output.
        marks: before each layer, how many tags and skips there are: where branches begin and end.
    """

    loss: Layer
    input: Layer
    layers: tuple[Layer, ...]
    marks: tuple[int, ...]


class _Broken(Exception):
    """The bytes are not what they should be."""


def read_network(path: str | Path) -> DlibNetwork:
    """Read a network: of the layers only those that the face networks of dlib are made of.

    Wrappers are listed from the output inwards, a number each, and their layers follow in the
    opposite order.

    Args:
        path: the file.

    Raises:
        NotFound: there is no such file.
        UnusableModel: it is cut, altered, or not a network of these layers.

    Example:
        >>> read_network("mmod_human_face_detector.dat").loss.kind  # doctest: +SKIP
        'loss_mmod_'
    """
    return _read(path, _network)


def read_shape_predictor(path: str | Path) -> Arrays:
    """Read an ensemble of regression trees that moves landmarks; all its trees are of one size.

    Args:
        path: the file.

    Returns:
        `mean_shape` (points, 2) float32, x and y in the unit of the face's box; for every cascade
        `anchors` (cascades, pixels) uint16, the landmark that a pixel belongs to, `deltas`
        (cascades, pixels, 2) float32, its distance from it, `splits` (cascades, trees, inner
        nodes, 2) uint16, the two pixels that a node compares, `thresholds` (cascades, trees, inner
        nodes) float32, and `leaves` (cascades, trees, leaves, 2 points) float32.

    Raises:
        NotFound: there is no such file.
        UnusableModel: it is cut, altered, or not such an ensemble.
    """
    return _read(path, _shape_predictor)


def _read(path: str | Path, parse: Callable[[bytes], _Read]) -> _Read:
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise _Broken(f"more than {MOST_BYTES:,} bytes")
        return parse(Path(path).read_bytes())
    except FileNotFoundError:
        raise NotFound(f"there is no file {str(path)!r}", _HINT) from None
    except (_Broken, OSError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UnusableModel(f"cannot read dlib's file {str(path)!r}: {said}", _HINT) from None


# -------------------------------------------------------------------------------- networks


class _Stream:
    """Objects one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.at:
            raise _Broken(f"it ends within an object at byte {self.at:,}")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self) -> int:
        header = self.take(1)[0]
        if header & 0x70 or header & 15 > 8:
            raise _Broken(f"no number at byte {self.at - 1:,}")
        value = int.from_bytes(self.take(header & 15), "little")
        return -value if header & 0x80 else value

    def number(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        try:
            if exponent >= _SPECIAL:
                raise OverflowError
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            raise _Broken(f"a number that is not finite before byte {self.at:,}") from None

    def boolean(self) -> bool:
        value = self.take(1)
        if value not in (b"0", b"1"):
            raise _Broken(f"neither true nor false at byte {self.at - 1:,}")
        return value == b"1"

    def name(self) -> str:
        length = self.integer()
        if not 0 < length <= _LONGEST_NAME:
            raise _Broken(f"no name before byte {self.at:,}")
        return self.take(length).decode("latin-1")

    def shape(self, version: int) -> tuple[int, ...]:
        if self.integer() != version:
            raise _Broken(f"an array of unknown form before byte {self.at:,}")
        shape = tuple(self.integer() for _ in range(4))
        # Compared while they are numbers: nothing of the file's own size is allocated.
        if min(shape) < 0 or max(*shape, 4 * prod(shape)) > len(self.data):
            raise _Broken(f"an array of {' x '.join(map(str, shape))} at byte {self.at:,}")
        return shape

    def tensor(self) -> np.ndarray:
        shape = self.shape(version=2)
        values = np.frombuffer(self.take(4 * prod(shape)), "<f4").reshape(shape)
        if not np.isfinite(values).all():
            raise _Broken(f"a number that is not finite before byte {self.at:,}")
        return values

    def layer(self, forms: dict[str, str]) -> Layer:
        kind = self.name()
        if kind not in forms:
            raise _Broken(f"it has a part {kind!r}, which is not known here")
        layer, parts = Layer(kind), {}
        for entry in forms[kind].split():
            form, name = entry.split(":")
            if form == "t":
                layer.arrays[name] = self.tensor()
            elif form == "a":
                parts[name] = self.shape(version=1)
            else:
                layer.numbers[name] = self.integer() if form == "i" else self.number()
        if parts:
            params, at = layer.arrays.pop("params").ravel(), 0
            if sum(map(prod, parts.values())) != params.size:
                raise _Broken(f"a layer {kind!r} whose parts do not make up its parameters")
            for name, shape in parts.items():
                layer.arrays[name] = params[at : at + prod(shape)].reshape(shape)
                at += prod(shape)
        return layer


def _network(data: bytes) -> DlibNetwork:
    file = _Stream(data)
    if file.integer() != 1:
        raise _Broken("it is not a network with a loss")
    loss = file.layer(_LOSSES)
    wrappers = []
    while file.data[file.at + 2 : file.at + 7] != b"input":  # behind the two bytes of its length
        wrappers.append(file.integer())
        if wrappers[-1] not in (1, 2, 3):
            raise _Broken(f"a layer of unknown form before byte {file.at:,}")
    if wrappers[-1:] not in ([2], [3]) or 3 in wrappers[:-1]:
        raise _Broken("it has no first layer")
    first_has_factor = wrappers[-1] == 3
    source = file.layer(_INPUTS)
    layers, marks, marked = [], [], 0
    for wrapper in reversed(wrappers):
        if wrapper == 1:
            marked += 1
            continue
        layers.append(file.layer(_LAYERS))
        marks.append(marked)
        marked = 0
        for _ in range(3):
            file.boolean()
        for _ in range(3):  # what training needs; nothing in a finished network
            file.tensor()
        if len(layers) == 1 and first_has_factor and file.integer() != 1:
            raise _Broken("its input makes several samples of one")
    if file.at != len(data):
        raise _Broken(f"{len(data) - file.at:,} bytes follow its end")
    return DlibNetwork(loss, source, tuple(layers), tuple(marks))


# ------------------------------------------------------------------------ regression trees


class _Integers:
    """A file that holds nothing but integers, since also its floats are two each."""

    def __init__(self, data: bytes) -> None:
        # One after the other only to find where they begin; their values all at once.
        starts, at, end = array("q"), 0, len(data)
        append = starts.append
        while at < end:
            append(at)
            at += 1 + (data[at] & 15)
        if at != end:
            raise _Broken("it ends within a number")
        octets = np.frombuffer(data + bytes(8), np.uint8)
        places = np.frombuffer(starts, np.int64)
        headers = octets[places]
        sizes = headers & 15
        if (headers & 0x70).any() or (sizes > 8).any():
            raise _Broken("it holds something that is no number")
        values = np.zeros(len(places), np.uint64)
        for place in range(int(sizes.max(initial=0))):
            longer = sizes > place
            part = octets[places[longer] + 1 + place].astype(np.uint64)
            values[longer] |= part << np.uint64(8 * place)
        if (values >> np.uint64(62)).any():
            raise _Broken("it holds a number beyond any that is meant")
        self.values = np.where(headers & 0x80, -values.astype(np.int64), values.astype(np.int64))
        self.at = 0

    def take(self, count: int) -> np.ndarray:
        if not 0 <= count <= len(self.values) - self.at:
            raise _Broken("it holds fewer numbers than it says")
        self.at += count
        return self.values[self.at - count : self.at]

    def size(self, most: int = 1 << 16) -> int:
        value = int(self.take(1)[0])
        if not 0 < value <= most:
            raise _Broken(f"a size of {value}")
        return value

    def table(self, rows: int, width: int) -> np.ndarray:
        """Rows of one width, each behind the number of its elements, which is the same for all."""
        elements = self.size()
        self.at -= 1
        table = self.take(rows * (1 + elements * width)).reshape(rows, -1)
        if (table[:, 0] != elements).any():
            raise _Broken("its parts are of different sizes")
        return table[:, 1:].reshape(rows, elements, width)


def _floats(pairs: np.ndarray) -> np.ndarray:
    """Mantissas and exponents, alternating along the last axis, as float32."""
    mantissas, exponents = pairs[..., ::2], pairs[..., 1::2]
    if (np.abs(exponents) > 2000).any():
        raise _Broken("it holds a number that is not finite")
    with np.errstate(over="ignore"):
        wide = np.ldexp(mantissas.astype(np.float64), exponents.astype(np.int32))
        values = wide.astype(np.float32)
    if not np.isfinite(values).all():
        raise _Broken("it holds a number that is not finite")
    return values


def _places(values: np.ndarray, count: int) -> np.ndarray:
    if values.min() < 0 or values.max() >= count:
        raise _Broken("it names something that it has not")
    return values.astype(np.uint16)


def _same(values: np.ndarray, wanted: int) -> None:
    if (values != wanted).any():
        raise _Broken("its parts are of different sizes")


def _shape_predictor(data: bytes) -> Arrays:
    file = _Integers(data)
    version, rows, columns = (int(n) for n in file.take(3))
    if version != 1 or rows >= 0 or columns != -1 or rows % 2:
        raise _Broken("it is not a finder of landmarks")
    numbers = -rows
    mean = _floats(file.take(2 * numbers))
    cascades = file.size()
    # The first tree tells the size of all of them.
    begin = file.at
    file.size()
    inner = file.size()
    file.take(4 * inner)
    leaves = file.size()
    if leaves != inner + 1 or leaves & inner:
        raise _Broken("a tree whose branches are not of one length")
    file.at = begin
    trees = file.table(cascades, 1 + 4 * inner + 1 + leaves * (2 + 2 * numbers))
    _same(trees[..., 0], inner)
    _same(trees[..., 1 + 4 * inner], leaves)
    nodes = trees[..., 1 : 1 + 4 * inner].reshape(*trees.shape[:2], inner, 4)
    ends = trees[..., 2 + 4 * inner :].reshape(*trees.shape[:2], leaves, -1)
    _same(ends[..., 0], rows)
    _same(ends[..., 1], -1)
    _same(file.take(1), cascades)
    anchors = file.table(cascades, 1)[..., 0]
    _same(file.take(1), cascades)
    deltas = file.table(cascades, 4)
    _same(np.array(deltas.shape[1]), anchors.shape[1])
    if file.at != len(file.values):
        raise _Broken("numbers follow its end")
    return {
        "mean_shape": mean.reshape(-1, 2),
        "anchors": _places(anchors, numbers // 2),
        "deltas": _floats(deltas),
        "splits": _places(nodes[..., :2], anchors.shape[1]),
        "thresholds": _floats(nodes[..., 2:])[..., 0],
        "leaves": _floats(ends[..., 2:]),
    }
