"""Golden outputs: what a bundle's network answered when it was made, and whether it still does."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline

#: |a - b| ≤ TOLERANCE · max(1, |b|) for two forms of one network.
TOLERANCE = 1e-4


def disagreement(ours: Arrays, theirs: Arrays) -> float:
    """The largest |a - b| / max(1, |b|) over all outputs, which are paired by their names, or by
    their order where a file has names of its own.

    Example:
        >>> round(disagreement({"y": np.array([10.0])}, {"y": np.array([10.1])}), 4)
        0.0099
    """
    worst = 0.0
    if set(ours) == set(theirs):
        ours = {name: ours[name] for name in theirs}
    for a, b in zip(ours.values(), theirs.values(), strict=True):
        if a.shape != b.shape:
            return float("inf")
        if a.size:
            with np.errstate(invalid="ignore"):
                gap = np.abs(a.astype(np.float64) - b) / np.maximum(1.0, np.abs(b))
            gap = np.where(a == b, 0.0, gap)
            worst = max(worst, float(np.max(np.where(np.isnan(gap), np.inf, gap))))
    return worst


def golden_pairs(pipeline: Pipeline) -> list[tuple[Arrays, Arrays]]:
    """The stored inputs and outputs of a bundle, without a batch axis.

    Raises:
        DeepfieldError: the pipeline came from no bundle.
    """
    if pipeline.bundle is None:
        raise DeepfieldError("there is no bundle to check", "save the pipeline first")
    golden = pipeline.bundle.arrays("golden.safetensors")

    def part(kind: str, index: int) -> Arrays:
        start = f"{kind}/{index}/"
        return {k.removeprefix(start): _single(v) for k, v in golden.items() if k.startswith(start)}

    numbers = itertools.takewhile(lambda i: part("input", i), itertools.count())
    return [(part("input", i), part("output", i)) for i in numbers]


def _single(array: np.ndarray) -> np.ndarray:
    """As a network takes it: what half precision holds exactly is stored in it."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def check(pipeline: Pipeline) -> dict[str, Any]:
    """See `Pipeline.check`."""
    worst, pairs = 0.0, golden_pairs(pipeline)
    for inputs, stored in pairs:
        outputs = pipeline.forward({k: v[None] for k, v in inputs.items()})
        worst = max(worst, disagreement({k: outputs[k][0] for k in stored}, stored))
    return {"ok": worst <= TOLERANCE, "largest_difference": worst, "items": len(pairs)}
