"""A residual network on a sequence, and on the same sequence with a few letters changed.

The network is `splice_resnet`, computed from its stored weights by ONNX Runtime without Keras.
Every unit's output on the reference is kept. On an alternative a unit is computed only where
its output can differ, and only where a wanted answer hangs on it; what it reads around that is the
reference's. Nothing is left out that would change an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepfield.domains.genomics.features import CHANCES
from deepfield.domains.genomics.fourier import ROOM, FourierConvolution
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.runtime import Network

#: Context in letters to the (width, dilation) of the groups of residual units.
GROUPS: dict[int, tuple[tuple[int, int], ...]] = {
    80: ((11, 1),),
    400: ((11, 1), (11, 4)),
    2_000: ((11, 1), (11, 4), (21, 10)),
    10_000: ((11, 1), (11, 4), (21, 10), (41, 25)),
}
UNITS_OF_A_GROUP = 4
#: What batch normalisation adds to a variance.
EPSILON = 1e-3


def groups_of(
    context: int, kind: str = "site", length_bp: int | None = None
) -> tuple[tuple[int, int], ...]:
    """The groups of residual units that see as far as a context.

    Raises:
        UsageError: there are none, or a sequence of `length_bp` letters is too short for them.
    """
    if context not in GROUPS:
        raise UsageError(f"context={context}", f"one of {', '.join(map(str, GROUPS))}")
    if kind != "site":
        raise UsageError(f"splice_resnet judges single bases, not a {kind}", "--kind site")
    if length_bp is not None and length_bp <= context:
        raise UsageError(
            f"context={context}, and the sequences have {length_bp} letters",
            f"--set context={max((c for c in GROUPS if c < length_bp), default=80)}",
        )
    return GROUPS[context]


@dataclass(frozen=True, slots=True)
class Change:
    """Letters in the place of others.

    Args:
        at: place of the first changed letter in the reference.
        removed: how many letters of the reference go.
        inserted: codes (steps,) that come.
    """

    at: int
    removed: int
    inserted: np.ndarray

    @property
    def shift(self) -> int:
        """How much longer the alternative is."""
        return len(self.inserted) - self.removed


@dataclass(frozen=True, slots=True)
class Reference:
    """A sequence and what every unit of a network says of it.

    Args:
        codes: of the letters, (steps,).
        levels: `levels[k]` (filters, steps - 2 m) is the output of unit k, the stem being unit 0,
            of the places from m on, where m is how far unit k sees (`ResidualNetwork.margins`).
    """

    codes: np.ndarray
    levels: Sequence[np.ndarray]


class ResidualNetwork:
    """A `splice_resnet` from its weights, one thread each call.

    Args:
        weights: by variable path, as a bundle stores them.
        context: of the network.

    Raises:
        KeyError: a weight is missing.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], context: int) -> None:
        self.context = context
        weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        groups = groups_of(context)
        kinds = [group for group in groups for _ in range(UNITS_OF_A_GROUP)]
        self.units = [
            ResidualUnit(weights, f"unit_{number}", width, dilation)
            for number, (width, dilation) in enumerate(kinds, start=1)
        ]
        #: Letters on each side that the output of unit k sees.
        self.margins = [0, *np.cumsum([unit.reach for unit in self.units]).tolist()]
        self.stem = CHANCES @ weights["stem/kernel"][0] + weights["stem/bias"]
        last = weights["logits/kernel"][0]
        # a skip's convolution and the last one are both linear: one matrix
        self.skips = {
            UNITS_OF_A_GROUP * number: (weights[f"skip_{number}/kernel"][0] @ last).T
            for number in range(len(groups) + 1)
        }
        biases = sum(weights[f"skip_{number}/bias"] for number in range(len(groups) + 1))
        self.bias = (biases @ last + weights["logits/bias"])[:, None]

    def reference(self, codes: np.ndarray) -> Reference:
        """Compute every unit on a sequence (steps,) of more letters than the context."""
        levels = [self.stem[codes].T]
        for unit in self.units:
            levels.append(unit(levels[-1]))
        return Reference(codes, levels)

    def chances(self, reference: Reference, first: int, last: int) -> np.ndarray:
        """The probabilities (last - first, classes) of the places from `first` to before `last`."""
        total = self.bias
        for level, matrix in self.skips.items():
            start = first - self.margins[level]
            total = total + matrix @ reference.levels[level][:, start : start + last - first]
        return softmax(total.T)

    def changed_chances(
        self, reference: Reference, change: Change, first: int, last: int
    ) -> np.ndarray:
        """What becomes of the probabilities when letters change.

        Args:
            reference: as `reference` gave it.
            change: of its letters.
            first: first wanted place of the alternative.
            last: the place after the last one; places and `context` / 2 letters around must exist.

        Returns:
            Probabilities (last - first, classes).
        """
        new = self.stem[change.inserted].T
        known = _Patched(reference.levels[0], 0, change, change.at, new)
        total = self.bias + self.skips[0] @ known.between(first, last)
        for number, unit in enumerate(self.units, start=1):
            margin = self.margins[number]
            beyond = self.margins[-1] - margin
            start = max(change.at - margin, first - beyond)
            stop = min(change.at + len(change.inserted) + margin, last + beyond)
            new = new[:, :0]
            if stop > start:
                new = unit(known.between(start - unit.reach, stop + unit.reach))
            known = _Patched(reference.levels[number], margin, change, start, new)
            if number in self.skips:
                total = total + self.skips[number] @ known.between(first, last)
        return softmax(total.T)


@dataclass(frozen=True, slots=True)
class _Patched:
    """A unit's output on an alternative: the reference's with a new piece in it.

    Args:
        level: the reference's (filters, places).
        margin: the place of its first column.
        change: tells how far the places right of it have moved.
        start: the place of the first new column.
        new: (filters, places).
    """

    level: np.ndarray
    margin: int
    change: Change
    start: int
    new: np.ndarray

    def between(self, first: int, last: int) -> np.ndarray:
        """The columns of the alternative's places from `first` to before `last`."""
        stop, moved = self.start + self.new.shape[1], self.margin + self.change.shift
        left = self.level[:, first - self.margin : max(first, min(last, self.start)) - self.margin]
        middle = self.new[:, max(0, first - self.start) : max(0, last - self.start)]
        right = self.level[:, max(first, stop) - moved : max(last, stop) - moved]
        return np.concatenate([left, middle, right], axis=1)


class ResidualUnit:
    """y = x + conv(relu(norm(conv(relu(norm(x)))))), by whichever way is quicker for the length.

    The second normalisation is folded into the convolution before it, in double precision.

    Args:
        weights: by variable path.
        name: of the unit.
        width: of its convolutions.
        dilation: of its convolutions.
    """

    def __init__(
        self, weights: Mapping[str, np.ndarray], name: str, width: int, dilation: int
    ) -> None:
        scale, shift = _affine(weights, f"{name}_norm_1")
        gain, lift = _affine(weights, f"{name}_norm_2")
        kernels = weights[f"{name}_conv_1/kernel"] * gain, weights[f"{name}_conv_2/kernel"]
        biases = weights[f"{name}_conv_1/bias"] * gain + lift, weights[f"{name}_conv_2/bias"]
        self.reach = (width - 1) * dilation
        self.scale = scale.astype(np.float32)[:, None]
        self.shift = shift.astype(np.float32)[:, None]
        self.first, self.second = (
            FourierConvolution(kernel, bias, dilation)
            for kernel, bias in zip(kernels, biases, strict=True)
        )
        graph = _graph(scale, shift, kernels, biases, dilation)
        self.plain = Network(graph, name, threads=1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """From (filters, steps) to (filters, steps - 2 reach)."""
        filters, steps = x.shape
        if not self.first.pays(steps - 2 * self.reach):
            return self.plain({"x": x[None, :, None]})["y"][0, :, 0]
        active = ROOM.take("active", (filters, steps), np.float32)
        np.multiply(x, self.scale, out=active)
        np.add(active, self.shift, out=active)
        np.maximum(active, 0, out=active)
        inner = ROOM.take("inner", (filters, steps - self.reach), np.float32)
        self.first(active, inner)
        np.maximum(inner, 0, out=inner)
        y = np.empty((filters, steps - 2 * self.reach), np.float32)
        self.second(inner, y)
        return np.add(y, x[:, self.reach : -self.reach], out=y)


def _graph(
    scale: np.ndarray,
    shift: np.ndarray,
    kernels: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    dilation: int,
) -> bytes:
    """A residual unit in ONNX: (1, filters, 1, steps) to as many less what it sees."""
    from onnx import TensorProto, helper, numpy_helper

    filters, width = len(scale), len(kernels[0])
    reach = (width - 1) * dilation
    arrays = {"scale": scale, "shift": shift, "zeros": 0 * scale, "ones": 0 * scale + 1}
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True), start=1):
        # from (width, in, out) to ONNX's (out, in, 1, width)
        arrays[f"kernel_{number}"] = kernel.transpose(2, 1, 0)[:, :, None]
        arrays[f"bias_{number}"] = bias
    ends = {"from": [reach], "to": [-reach], "axis": [3]}
    stored = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    stored += [numpy_helper.from_array(np.array(a), n) for n, a in ends.items()]
    window: dict[str, Any] = {"kernel_shape": [1, width], "dilations": [1, dilation]}
    node = helper.make_node
    nodes = [
        node("BatchNormalization", ["x", "scale", "shift", "zeros", "ones"], ["a"], epsilon=0.0),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "kernel_1", "bias_1"], ["c"], **window),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "kernel_2", "bias_2"], ["e"], **window),
        node("Slice", ["x", "from", "to", "axis"], ["short"]),
        node("Add", ["e", "short"], ["y"]),
    ]
    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, filters, 1, None]) for n in "xy"
    )
    graph = helper.make_graph(nodes, "unit", [x], [y], stored)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return bytes(model.SerializeToString())


def _affine(weights: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The factor and the summand of a batch normalisation, in double precision."""
    told = {
        part: weights[f"{name}/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    gain = told["gamma"] / np.sqrt(told["moving_variance"] + EPSILON)
    return gain, told["beta"] - gain * told["moving_mean"]
