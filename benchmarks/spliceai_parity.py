"""The adopted networks against the published ones, on random windows: every probability.

The published files are read by Keras as they are; ours are the bundle's ONNX, and the way by which
`score` computes them, also of a changed window.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from measuring import report, row
from spliceai_files import plant

from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.adopt import CONTEXT, find_files
from deepfield.domains.genomics.comparing import after_change
from deepfield.domains.genomics.features import CHANCES
from deepfield.domains.genomics.features import codes as codes_of
from deepfield.domains.genomics.residual import Change, ResidualNetwork
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.console import silence_tensorflow
from deepfield.toolkit.weights import weights_of

PLACES = 21


def windows(count: int) -> list[np.ndarray]:
    """Random letters, with the start or the end of an exon in the middle of every second window;
    of a third the ends are unknown, as outside a gene.
    """
    rng = np.random.default_rng(0)
    found = []
    for index in range(count):
        letters = list(rng.choice(list("ACGT"), CONTEXT + PLACES))
        middle = len(letters) // 2
        if index % 2:
            for first in (middle - 1_500, middle - 150 * (index % 4 == 3), middle + 1_700):
                plant(letters, first, first + 150)
        codes = codes_of("".join(letters)).copy()
        if index % 3 == 0:
            codes[: int(rng.integers(0, CONTEXT // 3))] = 0
            codes[len(codes) - int(rng.integers(0, CONTEXT // 3)) :] = 0
        found.append(codes)
    return found


def changes(count: int) -> list[Change]:
    """Substitutions, insertions and deletions in the middle."""
    rng = np.random.default_rng(1)
    at = (CONTEXT + PLACES) // 2
    sizes = ((1, 1), (0, 3), (4, 0), (2, 5))
    found = []
    for index in range(count):
        removed, inserted = sizes[index % len(sizes)]
        found.append(Change(at, removed, rng.integers(1, 5, inserted).astype(np.uint8)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=100)
    given = parser.parse_args()
    silence_tensorflow()
    import keras

    pipeline = GenomicsPipeline.from_preset("spliceai")
    worst = dict.fromkeys(("onnx", "score", "changed", "mean"), 0.0)
    samples, altered = windows(given.windows), changes(given.windows)
    means = np.zeros((2, len(samples), PLACES, 3))
    for member, path in zip(pipeline.members, find_files(), strict=True):
        published = keras.models.load_model(path, compile=False)
        network = ResidualNetwork(weights_of(pipeline.bundle, member), CONTEXT)
        for place, (codes, change) in enumerate(zip(samples, altered, strict=True)):
            theirs = np.asarray(published(CHANCES[codes][None]))[0]
            logits = pipeline.run(member, {"bases": codes[None].astype(np.int32)})["logits"][0]
            reference = network.reference(codes)
            ours = network.chances(reference, CONTEXT // 2, CONTEXT // 2 + PLACES)
            worst["onnx"] = max(worst["onnx"], float(np.abs(softmax(logits) - theirs).max()))
            worst["score"] = max(worst["score"], float(np.abs(ours - theirs).max()))
            means[0, place] += theirs / len(pipeline.members)
            means[1, place] += ours / len(pipeline.members)
            new = np.asarray(published(CHANCES[after_change(codes, change)][None]))[0]
            last = CONTEXT // 2 + PLACES + change.shift
            said = network.changed_chances(reference, change, CONTEXT // 2, last)
            worst["changed"] = max(worst["changed"], float(np.abs(said - new).max()))
    worst["mean"] = float(np.abs(means[0] - means[1]).max())
    told = {
        "onnx": "the bundle's networks", "score": "the networks as `score` computes them",
        "changed": "the same on changed windows", "mean": "the mean of the five",
    }  # fmt: skip
    rows = [row(f"{what}, largest difference", worst[k], "", "<= 1e-4") for k, what in told.items()]
    return report(
        "spliceai_parity", rows, windows=given.windows, largest=float(means[0][..., 1:].max())
    )


if __name__ == "__main__":
    sys.exit(main())
