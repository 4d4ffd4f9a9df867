"""EfficientNet-Lite0 with its published ImageNet weights, as a bundle of ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from deepfield.domains.image.labels import imagenet_labels
from deepfield.domains.image.pipeline import FIXED_FRAMES, ImagePipeline
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.presets import begin_conversion, keep, measured


def adopt_efficientnet(folder: Path) -> None:
    """Convert the published weights once, into `folder`.

    Raises:
        NotFound: the packages that carry weights and names are not installed.
        UnusableModel: the weights are not the published ones.
        DeepfieldError: nothing can be written there.
    """
    from deepfield.domains.image.adopt import (
        find_weights,
        read_legacy_pth,
        set_efficientnet_weights,
    )

    labels = imagenet_labels()
    path = find_weights()
    say = begin_conversion("efficientnet_lite0_imagenet", folder)
    say("building the network")
    from deepfield.toolkit.packing import round_weights

    pipeline = imagenet_pipeline(labels)
    model = pipeline.build(**pipeline.hyper)
    say("setting the published weights")
    set_efficientnet_weights(model, read_legacy_pth(path))
    pipeline._models = {"model": round_weights(model)}
    # Figures of the converted network, made by `benchmarks/imagenet_sample.py --record`.
    if novelty := measured(ImagePipeline, "efficientnet_lite0_imagenet").get("novelty"):
        pipeline.novelty = Novelty(**novelty)
    keep(pipeline, folder, _golden(pipeline), "efficientnet_lite0_imagenet", say)


def imagenet_pipeline(labels: list[tuple[str, str]]) -> ImagePipeline:
    """A pipeline for the thousand classes, without weights."""
    pipeline = ImagePipeline("efficientnet_lite0")
    pipeline.state["framing"] = asdict(FIXED_FRAMES["efficientnet_lite0"])
    names = Counter(name for _, name in labels)
    pipeline.task.state = {
        "labels": [name if names[name] == 1 else f"{name} ({id_})" for id_, name in labels],
        "aliases": [id_ for id_, _ in labels],
    }
    return pipeline


def _golden(pipeline: ImagePipeline) -> list[Arrays]:
    # A ramp, noise and a checkerboard: pictures that need no file and no licence.
    f = pipeline.framing
    rows, columns = np.mgrid[: f.height, : f.width]
    ramp = np.stack([rows, columns, (rows + columns) / 2], -1) * (255 / f.height)
    noise = np.random.default_rng(0).integers(0, 256, (f.height, f.width, 3))
    board = np.repeat((((rows // 28 + columns // 28) % 2) * 255)[..., None], 3, axis=2)
    return [{"pixels": picture.astype(np.uint8)} for picture in (ramp, noise, board)]
