"""SpliceAI's five networks as one bundle of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.console import Console, silence_tensorflow
from deepfield.toolkit.data import Arrays


def adopt_spliceai(folder: Path) -> None:
    """Convert the published weights once, into `folder`, in single precision.

    Raises:
        NotFound: the package that carries the weights is not installed.
        UnusableModel: the weights are not the published ones.
    """
    from deepfield.domains.genomics.adopt import (
        CONTEXT,
        LABELS,
        NOTICE,
        find_files,
        spliceai_networks,
    )
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

    find_files()
    silence_tensorflow()
    console = Console()
    console.say("spliceai: converting the published weights, once")
    console.say(NOTICE)
    networks = spliceai_networks(console.say)

    from deepfield.toolkit.packing import save

    pipeline = GenomicsPipeline("splice_resnet")
    pipeline.hyper = {"context": CONTEXT}
    pipeline.state = {
        "kind": "site", "length_bp": CONTEXT + 1, "site": {}, "members": len(networks),
    }  # fmt: skip
    pipeline.task.state = {"labels": list(LABELS)}
    pipeline._models = networks
    facts: dict[str, Any] = {
        "command": "deepfield models check genomics/spliceai",
        "metrics": {},
        "data_name": "human transcripts of GENCODE V24lift37 (Jaganathan et al. 2019)",
        "data_licence": f"weights: {NOTICE}",
        "weights_from": "spliceai on PyPI",
    }
    console.say("  converting to ONNX and checking")
    save(pipeline, folder, facts, golden_sequences(), name="spliceai")


def golden_sequences() -> list[Arrays]:
    """Random letters, with N at the ends as beyond a gene."""
    rng = np.random.default_rng(0)
    found: list[Arrays] = []
    for ends in (0, 3_000):
        bases = rng.integers(1, 5, 10_001).astype(np.int32)
        bases[:ends] = bases[len(bases) - ends :] = 0
        found.append({"bases": bases})
    return found
