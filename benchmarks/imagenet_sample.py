"""EfficientNet-Lite0 on photos named by their WordNet id: top-1 and top-5.

A regression test, not the network's accuracy (75.1 % as published): the photos most likely were
training pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from measuring import deepfield, last_json, report, row

MODEL = "efficientnet_lite0_imagenet"


def record(data: str, result: dict[str, Any]) -> None:
    """Figures, and the energy that 99 % of the photos stay below, for `domains.image.conversion`.

    The temperature stays 1: on training pictures it would be fitted to too much confidence.
    """
    import numpy as np

    from deepfield.domains import load
    from deepfield.toolkit.data import collate
    from deepfield.toolkit.novelty import Novelty
    from deepfield.toolkit.presets import shipped_folder

    pipeline = load(f"image/{MODEL}")
    items = list(pipeline.encoded(pipeline.read(data)))
    batches = [items[i : i + 50] for i in range(0, len(items), 50)]
    logits = [pipeline.forward(collate([e.arrays or {} for e in b], {}))["logits"] for b in batches]
    novelty = Novelty.fit(np.concatenate(logits)).config()
    novelty.pop("kind")
    part = "photos that most likely were training pictures"
    facts = {
        "novelty": novelty, "metrics": {part: {**result["metrics"], "n": result["n"]}},
        "intervals": {part: result["intervals"]},
    }  # fmt: skip
    file = shipped_folder(type(pipeline), MODEL) / "measured.json"
    file.write_text(json.dumps(facts, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/image/imagenet-sample")
    parser.add_argument(
        "--record", action="store_true", help="keep the figures for the converted network's card"
    )
    given = parser.parse_args()
    result = last_json(
        deepfield("image", "evaluate", given.data, "--model", MODEL, "--json", ok=(0, 3)).stdout
    )
    figures = result["metrics"]
    rows = [
        row("EfficientNet-Lite0, photos of the ImageNet sample, top-1", figures["accuracy"],
            "", ">= 0.86"),
        row("EfficientNet-Lite0, photos of the ImageNet sample, top-5",
            figures["top5_accuracy"], ""),
        row("EfficientNet-Lite0, photos of the ImageNet sample, ECE", figures["ece"], ""),
    ]  # fmt: skip
    if given.record:
        record(given.data, result)
    kept = {k: result[k] for k in ("n", "rejected", "seconds", "intervals")}
    return report("imagenet_sample", rows, **kept)


if __name__ == "__main__":
    sys.exit(main())
