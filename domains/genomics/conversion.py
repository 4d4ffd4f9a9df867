"""SpliceAI's five networks as one bundle of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.presets import begin_conversion, keep


def adopt_spliceai(folder: Path) -> None:
    """Convert the published weights once, into `folder`, in single precision.

    Raises:
        NotFound: the package that carries the weights is not installed.
        UnusableModel: the weights are not the published ones.
        DeepfieldError: nothing can be written there.
    """
    from deepfield.domains.genomics import adopt
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

    adopt.find_files()
    say = begin_conversion("spliceai", folder)
    say(adopt.NOTICE)
    networks = adopt.spliceai_networks(say)
    pipeline = GenomicsPipeline("splice_resnet")
    pipeline.hyper = {"context": adopt.CONTEXT}
    pipeline.state = {
        "kind": "site", "length_bp": adopt.CONTEXT + 1, "site": {}, "members": len(networks),
    }  # fmt: skip
    pipeline.task.state = {"labels": list(adopt.LABELS)}
    pipeline._models = networks
    keep(pipeline, folder, golden_sequences(), "spliceai", say)


def golden_sequences() -> list[Arrays]:
    """What the bundle is checked by: one window, and one with a gene that ends within it."""
    from deepfield.domains.genomics.adopt import CONTEXT

    return random_sequences(CONTEXT + 1, 3_000)


def random_sequences(length: int, unknown: int) -> list[Arrays]:
    """Random letters, and such with as many unknown ones at each end."""
    rng = np.random.default_rng(0)
    found: list[Arrays] = []
    for ends in (0, unknown):
        bases = rng.integers(1, 5, length).astype(np.int32)
        bases[:ends] = bases[length - ends :] = 0
        found.append({"bases": bases})
    return found
