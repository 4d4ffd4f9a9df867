"""What dlib says: run by the Python of the peer `dlib`, which has dlib and NumPy and nothing else.

`dlib_peer.py parity|speed FOLDER IN.npz OUT.npz`, where FOLDER holds dlib's files and IN.npz
`chips` (chips, 150, 150, 3), `picture/N` (height, width, 3) and, for parity, `boxes/N` (boxes, 4).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import dlib
import numpy as np


def models(folder: Path) -> tuple[Any, Any, Any]:
    """What embeds, what finds faces, what finds their points."""
    return (
        dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
        dlib.cnn_face_detection_model_v1(str(folder / "mmod_human_face_detector.dat")),
        dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat")),
    )


def parity(folder: Path, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    embedder, detector, landmarks = models(folder)
    chips = given["chips"]
    told = {"embeddings": np.array([embedder.compute_face_descriptor(c, 0) for c in chips])}
    for name, picture in given.items():
        kind, _, number = name.partition("/")
        if kind != "picture":
            continue
        told[f"faces/{number}"] = np.array(
            [
                (f.rect.left(), f.rect.top(), f.rect.right(), f.rect.bottom(), f.confidence)
                for f in detector(picture, 0)
            ]
        ).reshape(-1, 5)
        points, cut = [], []
        for box in given[f"boxes/{number}"]:
            found = landmarks(picture, dlib.rectangle(*(int(edge) for edge in box)))
            points.append([(p.x, p.y) for p in found.parts()])
            cut.append(dlib.get_face_chip(picture, found, 150, 0.25))
        told[f"points/{number}"] = np.array(points).reshape(-1, 5, 2)
        told[f"chips/{number}"] = np.array(cut, np.uint8).reshape(-1, 150, 150, 3)
    return told


def speed(folder: Path, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    embedder, detector, _ = models(folder)
    chips = list(given["chips"])
    pictures = [p for name, p in given.items() if name.startswith("picture/")]
    embedder.compute_face_descriptor(chips[0], 0)
    single, batched, found = [], [], []
    for chip in chips:
        began = time.perf_counter()
        embedder.compute_face_descriptor(chip, 0)
        single.append(time.perf_counter() - began)
    for at in range(0, len(chips), 16):
        some = chips[at : at + 16]
        began = time.perf_counter()
        embedder.compute_face_descriptor(some, 0)
        batched.append((time.perf_counter() - began) / len(some))
    for picture in pictures:
        began = time.perf_counter()
        detector(picture, 0)
        found.append(time.perf_counter() - began)
    return {"single": np.array(single), "batched": np.array(batched), "found": np.array(found)}


if __name__ == "__main__":
    what, folder, source, target = sys.argv[1:]
    with np.load(source) as arrays:
        given = dict(arrays)
    np.savez(target, **{"parity": parity, "speed": speed}[what](Path(folder), given))
