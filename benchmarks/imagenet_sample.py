"""EfficientNet-Lite0 on photos named by their WordNet id: top-1 and top-5.

A regression test, not the network's accuracy (75.1 % as published): the photos most likely were
training pictures.
"""

from __future__ import annotations

import argparse
import sys

from measuring import deepfield, last_json, report, row

MODEL = "efficientnet_lite0_imagenet"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/image/imagenet-sample")
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
    kept = {k: result[k] for k in ("n", "rejected", "seconds", "intervals")}
    return report("imagenet_sample", rows, **kept)


if __name__ == "__main__":
    sys.exit(main())
