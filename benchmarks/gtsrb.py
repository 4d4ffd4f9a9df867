"""Traffic signs: inspect, set a fifth of the tracks aside, fine-tune on the rest, evaluate.

File names are `track_frame.jpg`. A track is one sign seen again and again by a passing car, so its
frames go to one side as a whole (within a class: numbers are used again in the next one). The
figure is that of the pictures set aside, which training and calibration never saw.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import deepfield, last_json, report, row


def set_aside(data: Path, rest: Path, held: Path, share: float, seed: int) -> None:
    """Copy every class, track by track, to one of two folders."""
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        tracks: dict[str, list[Path]] = {}
        for picture in sorted(folder.iterdir()):
            tracks.setdefault(picture.stem.rpartition("_")[0], []).append(picture)
        names = list(np.random.default_rng(seed).permutation(sorted(tracks)))
        chosen = set(names[: max(1, round(share * len(names)))])
        for track, pictures in tracks.items():
            target = (held if track in chosen else rest) / folder.name
            target.mkdir(parents=True, exist_ok=True)
            for picture in pictures:
                shutil.copyfile(picture, target / picture.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default="../shared/data/image/gtsrb")
    parser.add_argument("--share", type=float, default=0.2, help="of the tracks, set aside")
    parser.add_argument("--epochs", default="")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    more = ["--epochs", given.epochs] if given.epochs else []

    with tempfile.TemporaryDirectory() as folder:
        rest, held = Path(folder, "rest"), Path(folder, "held")
        set_aside(given.data, rest, held, given.share, given.seed)
        seen = deepfield("image", "inspect", rest, "--group", "prefix", "--no-timing", "--json",
                         ok=(0, 3))  # fmt: skip
        tuned = deepfield(
            "image", "finetune", rest, "--from", "efficientnet_lite0_imagenet",
            "-o", Path(folder, "signs"), "--group", "prefix", "--split", "group:90/10/0",
            "--seed", str(given.seed), "--json", *more, ok=(0, 3),
        )  # fmt: skip
        result = last_json(
            deepfield("image", "evaluate", held, "--model", Path(folder, "signs"), "--json",
                      "--group", "prefix", ok=(0, 3)).stdout
        )  # fmt: skip
        command = json.loads(Path(folder, "signs", "config.json").read_text())["recipe"]
    rows = [
        row("GTSRB, tracks set aside, accuracy", result["metrics"]["accuracy"], "", ">= 0.97"),
        row("GTSRB, tracks set aside, ECE", result["metrics"]["ece"], ""),
        row("GTSRB, fine-tuning", tuned.seconds / 60, "min"),
    ]
    inspected = {k: last_json(seen.stdout)[k] for k in ("n", "rejected", "leakage")}
    kept = {k: result[k] for k in ("n", "rejected", "intervals", "baseline")}
    return report("gtsrb", rows, recipe=command, inspected=str(inspected)[:500], **kept)


if __name__ == "__main__":
    sys.exit(main())
