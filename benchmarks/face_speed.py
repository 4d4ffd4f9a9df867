"""How quick faces are found and embedded, against dlib on the same pictures in the same run.

dlib is asked the way it is quickest: by single chips or by batches of them. Pictures are crops of
LFW, and photos of 640 x 480 pixels on which several of them are laid.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from dlib_parity import Arrays, asked, dlib_says, faces_of, our_networks, photo, resized, tinted
from measuring import deepfield, report, row

from deepfield.domains.face.detection import find_faces
from deepfield.domains.face.gallery import Gallery

BATCH, MANY = 16, 100_000
Rows = list[dict[str, Any]]


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def against_dlib(folder: Path, turns: int) -> tuple[Rows, dict[str, Any]]:
    """Embedding and detection, in turns with dlib's."""
    rng = np.random.default_rng(0)
    faces = faces_of(folder, 12 * 6 + 4 * BATCH)
    chips = np.stack([tinted(resized(face, 150), rng) for face in faces[: 4 * BATCH]])
    crops = faces[4 * BATCH :]
    photos = [photo(crops[12 * at :][:12], rng, (110, 150)) for at in range(6)]
    embedder, detector, _ = our_networks()
    embedder({"pixels": chips[:BATCH]}), find_faces(photos[0], asked(detector))
    asks: Arrays = {"chips": chips} | {f"picture/{at}": p for at, p in enumerate(photos)}
    ours: dict[str, list[float]] = {"chip": [], "one chip": [], "photo": []}
    theirs: dict[str, list[float]] = {"chip": [], "photo": []}
    for _ in range(turns):
        told = dlib_says("speed", asks)
        theirs["chip"].append(min(float(np.median(told[n])) for n in ("single", "batched")))
        theirs["photo"].append(float(np.median(told["found"])))
        batches = np.split(chips, len(chips) // BATCH)
        ours["chip"].append(
            median(seconds(lambda b=b: embedder({"pixels": b})) for b in batches) / BATCH
        )
        ours["one chip"].append(
            median(seconds(lambda c=c: embedder({"pixels": c[None]})) for c in chips)
        )
        ours["photo"].append(
            median(seconds(lambda p=p: find_faces(p, asked(detector))) for p in photos)
        )
    chip, photo_ = median(ours["chip"]), median(ours["photo"])
    rows = [
        row("faces embedded", 1 / chip, "1/s"),
        row("one face at a time", 1 / median(ours["one chip"]), "1/s"),
        row("dlib, faces embedded", 1 / median(theirs["chip"]), "1/s"),
        row("embedding, times as quick as dlib", median(theirs["chip"]) / chip, "x", ">= 10"),
        row("faces found in a photo of 640 x 480", photo_, "s"),
        row("dlib, the same", median(theirs["photo"]), "s"),
        row("detection, times as quick as dlib", median(theirs["photo"]) / photo_, "x", ">= 10"),
    ]
    return rows, {"ours": ours, "dlib": theirs}


#: Each measures one thing and returns its rows and what lies behind them.
def cold(folder: Path, turns: int) -> tuple[Rows, dict[str, Any]]:
    """The first answer of a process, once the network has been converted."""
    pair = sorted(folder.glob("A*/*_000[12].jpg"))[:2]
    spent: dict[str, list[float]] = {}
    for turn in range(turns + 1):
        for what, more in (("cold `face verify`", ()), ("cold `face verify --crop`", ("--crop",))):
            done = deepfield("face", "verify", *pair, *more)
            if turn:  # the first may convert
                spent.setdefault(what, []).append(done.seconds)
    bars = {"cold `face verify`": "<= 3", "cold `face verify --crop`": "<= 1.5"}
    return [row(what, median(own), "s", bars[what]) for what, own in spent.items()], {"cold": spent}


def searching(folder: Path, turns: int) -> tuple[Rows, dict[str, Any]]:
    """One face among 100,000, once they are loaded."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(MANY, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = Gallery("none", vectors, [""] * MANY, [str(place) for place in range(MANY)])
    asked = vectors[rng.integers(0, MANY, 20)]
    gallery.nearest(asked[0], 5)
    spent = [1000 * seconds(lambda v=v: gallery.nearest(v, 5)) for v in asked]
    return [row("`find` among 100,000 faces", median(spent), "ms", "<= 50")], {"search": spent}


PARTS = (against_dlib, cold, searching)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/face/lfw", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    rows: Rows = []
    details: dict[str, Any] = {}
    for part in PARTS:
        more, behind = part(given.data, given.turns)
        rows += more
        details |= behind
    return report("face_speed", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
