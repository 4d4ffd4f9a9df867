"""dlib's detector, landmarks and face network, as a bundle of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepfield.toolkit.calibration import from_config
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.presets import begin_conversion, keep, measured

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
    say = begin_conversion("dlib_resnet", folder)
    embedder, detector, landmarks = dlib_networks(say)
    pipeline = FacePipeline("dlib_resnet")
    pipeline.tables = landmarks.arrays()
    # Thresholds and figures of the converted network, made by `benchmarks/lfw.py --record`.
    known = measured(FacePipeline, "dlib_resnet")
    pipeline.state["views"] = known.get("views", ["plain"])
    pipeline.task.state = known.get("task", {"curve": CURVE})
    if known.get("calibration"):
        pipeline.calibrator = from_config(known["calibration"])
    pipeline._models = {"model": embedder, "detector": detector}
    keep(pipeline, folder, golden_pictures(), "dlib_resnet", say)


def golden_pictures() -> list[Arrays]:
    """A ramp and noise for both networks: pictures that need no file and no licence."""
    rows, columns = np.mgrid[:150, :150]
    ramp = np.stack([rows, columns, (rows + columns) / 2], -1) * (255 / 150)
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3))
    chips: list[Arrays] = [{"pixels": p.astype(np.uint8)} for p in (ramp, noise)]
    return [*chips, {"picture": np.repeat(noise[:120], 2, axis=1).astype(np.uint8)}]
