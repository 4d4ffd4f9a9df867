"""dlib's detector, landmarks and face network, as a bundle of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.cache import unwritable
from deepfield.toolkit.calibration import from_config
from deepfield.toolkit.console import Console, silence_tensorflow
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError

#: Thresholds and figures of the converted network, made by `benchmarks/lfw.py --record`.
FACTS = Path(__file__).parent / "presets" / "dlib_resnet" / "measured.json"
#: What a distance means where nothing was measured: its author takes faces for the same that are
#: less than this apart.
CURVE = {"distance": 0.6}


def adopt_dlib(folder: Path) -> None:
    """Convert the published weights once, into `folder`.

    Raises:
        NotFound: the package that carries the weights is not installed.
        UnusableModel: the weights are not the published ones.
        DeepfieldError: nothing can be written there.
    """
    from deepfield.domains.face.adopt import dlib_networks, find_files
    from deepfield.domains.face.pipeline import FacePipeline

    find_files()
    if why := unwritable(folder.parent):  # told before half a minute of work, not after it
        raise DeepfieldError(
            f"the published weights are converted into {str(folder)!r}: {why}",
            "export DEEPFIELD_CACHE=$(mktemp -d), or any folder that lasts",
        )
    silence_tensorflow()
    console = Console()
    console.say("dlib_resnet: converting the published weights, once")
    embedder, detector, landmarks = dlib_networks(console.say)

    from deepfield.toolkit.packing import save

    measured = json.loads(FACTS.read_text()) if FACTS.is_file() else {}
    pipeline = FacePipeline("dlib_resnet")
    pipeline.tables = landmarks.arrays()
    pipeline.state["views"] = measured.get("views", ["plain"])
    pipeline.task.state = measured.get("task", {"curve": CURVE})
    if measured.get("calibration"):
        pipeline.calibrator = from_config(measured["calibration"])
    pipeline._models = {"model": embedder, "detector": detector}
    facts: dict[str, Any] = {
        "command": "deepfield models check face/dlib_resnet",
        "metrics": measured.get("metrics", {}),
        "data_name": "about 3 million faces of 7,485 people, without those of LFW (King 2017)",
        "data_licence": "weights: CC0 1.0",
        "weights_from": "face_recognition_models on PyPI",
    }
    console.say("  converting to ONNX and checking")
    save(pipeline, folder, facts, golden_pictures(), name="dlib_resnet")


def golden_pictures() -> list[Arrays]:
    """A ramp and noise for both networks: pictures that need no file and no licence."""
    rows, columns = np.mgrid[:150, :150]
    ramp = np.stack([rows, columns, (rows + columns) / 2], -1) * (255 / 150)
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3))
    chips: list[Arrays] = [{"pixels": p.astype(np.uint8)} for p in (ramp, noise)]
    return [*chips, {"picture": np.repeat(noise[:120], 2, axis=1).astype(np.uint8)}]
