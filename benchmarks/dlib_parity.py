"""dlib's networks as adopted, through ONNX Runtime, against dlib itself on the same pixels.

Faces are crops of LFW: as they are, enlarged, tinted, and several laid on one photo.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import ROOT, report, row
from peers import python

from deepfield.toolkit.console import silence_tensorflow

silence_tensorflow()

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from deepfield.domains.face.adopt import dlib_networks, find_files  # noqa: E402
from deepfield.domains.face.alignment import chip_of  # noqa: E402
from deepfield.domains.face.detection import WINDOW, Box, find_faces  # noqa: E402
from deepfield.domains.face.landmarks import Landmarks  # noqa: E402
from deepfield.toolkit.runtime import Network  # noqa: E402

Arrays = dict[str, np.ndarray]
#: A cell of the detector sees this far from its centre: 10 cells of 8 pixels, and 14 more.
SEES = 94


def our_networks() -> tuple[Network, Network, Landmarks]:
    """The embedder and the detector in ONNX Runtime, and the landmarks."""
    from deepfield.toolkit.export import to_onnx

    embedder, detector, landmarks = dlib_networks()
    return Network(to_onnx(embedder)), Network(to_onnx(detector)), landmarks


def asked(detector: Network) -> Callable[[np.ndarray], np.ndarray]:
    """The detector as `find_faces` asks it."""
    return lambda picture: detector({"picture": picture})["faces"]


def dlib_says(what: str, arrays: Arrays) -> Arrays:
    """What `dlib_peer.py` answers in dlib's own environment."""
    folder = next(iter(find_files().values())).parent
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.npz", Path(name) / "out.npz"
        np.savez(source, **arrays)  # type: ignore[arg-type]
        script = ROOT / "benchmarks" / "dlib_peer.py"
        subprocess.run([python("dlib"), script, what, folder, source, target], check=True)
        with np.load(target) as told:
            return dict(told)


def faces_of(folder: Path, count: int) -> list[np.ndarray]:
    """Crops of LFW, one a person, spread over the alphabet; uint8 (height, width)."""
    people = sorted(p for p in folder.iterdir() if p.is_dir())
    chosen = people[:: max(1, len(people) // count)][:count]
    return [np.asarray(Image.open(sorted(p.iterdir())[0]).convert("L")) for p in chosen]


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def tinted(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A grey picture in colour: every channel darkened by a factor of its own."""
    return (grey[..., None] * rng.uniform(0.6, 1.0, 3)).astype(np.uint8)


def photo(
    faces: list[np.ndarray], rng: np.random.Generator, sides: tuple[int, int], margin: int = 0
) -> np.ndarray:
    """640 x 480 pixels of soft noise with up to twelve crops on it, of sides in a range."""
    coarse = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    canvas = np.array(Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC))
    free = np.array([480, 640]) - 2 * margin
    counts = np.maximum(1, free // sides[1])
    cell = free // counts
    for face, place in zip(faces, np.ndindex(*counts), strict=False):
        side = int(rng.integers(sides[0], sides[1] + 1))
        y, x = margin + cell * place + rng.integers(0, cell - side + 1)
        canvas[y : y + side, x : x + side] = tinted(resized(face, side), rng)
    return canvas


def pictures_for(folder: Path, photos: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Photos with faces of the smallest size and with larger ones, and single enlarged crops."""
    faces = faces_of(folder, 12 * photos + 15)
    kinds = (((98, 108), 60), ((110, 150), 0), ((150, 230), 0))  # sides and margin
    made = [photo(faces[12 * at :][:12], rng, *kinds[at % 3]) for at in range(photos)]
    for at, side in enumerate((250, 320, 500, 640, 900) * 3):
        made.append(tinted(resized(faces[12 * photos + at], side), rng))
    return made


def edges(boxes: list[Box]) -> np.ndarray:
    return np.array([(b.left, b.top, b.right, b.bottom, b.confidence) for b in boxes]).reshape(
        -1, 5
    )


def overlap(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others."""
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:4], many[:, 2:4])
    shared = np.prod(np.maximum(high - low + 1, 0), axis=1)
    area = np.prod(many[:, 2:4] - many[:, :2] + 1, axis=1) + np.prod(one[2:4] - one[:2] + 1)
    return shared / (area - shared)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/face/lfw", type=Path)
    parser.add_argument("--photos", type=int, default=9)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    embedder, detector, landmarks = our_networks()
    pictures = pictures_for(given.data, given.photos, rng)
    found = [edges(find_faces(p, asked(detector))) for p in pictures]
    # The boxes that both are asked about: those found, moved and stretched a little.
    boxes = []
    for own in found:
        moved = own[:, :4] + rng.uniform(-0.1, 0.1, (len(own), 4)) * (own[:, 2:3] - own[:, :1])
        boxes.append(np.rint(np.concatenate([own[:, :4], moved])))
    synthetic = [
        np.zeros((150, 150, 3), np.uint8), np.full((150, 150, 3), 255, np.uint8),
        *rng.integers(0, 256, (4, 150, 150, 3)).astype(np.uint8),
    ]  # fmt: skip
    real = [
        chip_of(p, landmarks(p, Box(*map(float, b), 1.0)))
        for p, own in zip(pictures, boxes, strict=True)
        for b in own
    ]
    chips = np.stack(real + synthetic)
    asks: Arrays = {"chips": chips}
    for at, (picture, own) in enumerate(zip(pictures, boxes, strict=True)):
        asks |= {f"picture/{at}": picture, f"boxes/{at}": own}
    theirs = dlib_says("parity", asks)

    ours = np.concatenate([embedder({"pixels": chip[None]})["embedding"] for chip in chips])
    apart = np.abs(ours - theirs["embeddings"]).max(axis=1)
    together = embedder({"pixels": chips[:16]})["embedding"]
    inner, outer, matched, missed, extra = [], [], 0, 0, 0
    same, off, cut, ends = [], [], [], []
    for at, (picture, own) in enumerate(zip(pictures, boxes, strict=True)):
        height, width = picture.shape[:2]
        for face in theirs[f"faces/{at}"]:
            near = overlap(face, found[at])
            matched, missed = matched + int((near > 0.5).any()), missed + int((near <= 0.5).all())
            if face[2] - face[0] == WINDOW - 1:  # found at the given size: the same cell of ours
                x, y = (int(edge) + WINDOW // 2 - 1 for edge in face[:2])
                cell = asked(detector)(picture[None])[0, (y + 13) // 8, (x + 13) // 8, 0]
                seen = SEES <= x < width - SEES and SEES <= y < height - SEES
                (inner if seen else outer).append(abs(float(cell) - float(face[4])))
        extra += sum(bool((overlap(f, theirs[f"faces/{at}"]) <= 0.5).all()) for f in found[at])
        for box, points, chip in zip(
            own, theirs[f"points/{at}"], theirs[f"chips/{at}"], strict=True
        ):
            mine = landmarks(picture, Box(*map(float, box), 1.0))
            same.append(bool((mine == points).all()))
            off.append(float(np.abs(mine - points).max()))
            difference = np.abs(chip_of(picture, points).astype(int) - chip)
            cut.append(float(difference.mean()))
            ends.append(int(difference.max()))
    rows = [
        row("embeddings, largest difference", float(apart.max()), "", "<= 1e-5"),
        row("of real faces only", float(apart[: len(real)].max()), ""),
        row("in a batch against one by one", float(np.abs(together - ours[:16]).max()), "",
            "<= 1e-5"),
        row("confidences at the given size, largest difference", max(inner), "", "<= 1e-4"),
        row("faces that were compared so", len(inner), ""),
        row("dlib's faces that are found", matched / (matched + missed), "", ">= 0.95"),
        row("faces found that dlib does not find", extra, ""),
        row("landmarks the same pixels", float(np.mean(same)), "", ">= 0.95"),
        row("landmarks, largest difference", max(off), "px", "<= 1"),
        row("chips of the same landmarks, mean difference", float(np.mean(cut)), "grey levels",
            "<= 0.5"),
        row("chips of the same landmarks, largest difference", max(ends), "grey levels"),
    ]  # fmt: skip
    counts: dict[str, Any] = {
        "chips": len(chips), "pictures": len(pictures), "faces": len(same),
        "dlib_faces": matched + missed, "confidences_nearer_to_an_edge": outer,
        "chips_identical": float(np.mean(np.array(ends) == 0)),
    }  # fmt: skip
    return report("dlib_parity", rows, **counts)


if __name__ == "__main__":
    sys.exit(main())
