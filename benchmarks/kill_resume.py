"""SIGKILL at random moments: training and prediction resumed must end in the very same bytes."""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import PROGRAM, deepfield, report, row


def killed(arguments: list[str | Path], cwd: Path, after: float) -> bool:
    """Start the program and kill it; whether it was still running then."""
    child = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True
    return False


def digest(path: Path) -> str:
    if not path.is_file():
        return "missing"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def trial(name: str, arguments: list[str | Path], result: str, work: Path, kills: int,
          rng: random.Random) -> tuple[int, int]:  # fmt: skip
    """How many resumed runs ended in the bytes of an undisturbed one, and how many were killed."""
    calm = work / f"{name}-calm"
    calm.mkdir()
    began = time.perf_counter()
    deepfield(*arguments, "--quiet", cwd=calm)
    whole = time.perf_counter() - began
    expected, equal, hit = digest(calm / result), 0, 0
    for number in range(kills):
        folder = work / f"{name}-{number}"
        folder.mkdir()
        after = rng.uniform(0.1, 0.98) * whole
        if killed([*arguments, "--quiet"], folder, after):
            hit += 1
            if (folder / result).exists() and digest(folder / result) != expected:
                print(f"{name}: half written after {after:.1f} s", file=sys.stderr)
                continue
        deepfield(*arguments, "--quiet", "--resume", cwd=folder)
        equal += digest(folder / result) == expected
    return equal, hit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5, help="of each: train, predict")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", default="12", help="of a training run")
    parser.add_argument("--repeat", type=int, default=20, help="how often prediction sees digits")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        train: list[str | Path] = [
            "image", "train", "digits", "-o", "m", "--epochs", given.epochs,
            "--checkpoint-minutes", "0.01",
        ]  # fmt: skip
        trained, hit_train = trial("train", train, "m/model.safetensors", work, given.kills, rng)
        model = work / "train-calm" / "m"
        predict: list[str | Path] = [
            "image", "predict", *["digits"] * given.repeat, "--model", model, "-o", "out.csv",
        ]  # fmt: skip
        told, hit_predict = trial("predict", predict, "out.csv", work, given.kills, rng)
    share = 1 / max(1, given.kills)
    rows = [
        row("train, killed and resumed: same weights bit for bit", trained * share, "", ">= 1"),
        row("predict, killed and resumed: same file", told * share, "", ">= 1"),
    ]
    return report("kill_resume", rows, runs=given.kills, killed_train=hit_train,
                  killed_predict=hit_predict, seed=given.seed)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
