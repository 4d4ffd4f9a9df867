"""SIGKILL and SIGINT at random moments: what is resumed must end as an undisturbed run does, and
nothing that is half written may be taken for whole.

Three jobs: a training, which must end in the same weights bit for bit, a prediction, and a
conversion of published weights into the cache, which must give the same file. Every second one is
interrupted as by Ctrl-C, and must then say so in two lines and end with 130; the others are killed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import PROGRAM, report, row

from deepfield.toolkit.bundle import open_bundle
from deepfield.toolkit.weights import weights_of

#: Seconds in which Python imports the program: an interruption then is Python's own to tell.
_IMPORTED = 0.5


def digest(path: Path) -> str:
    """Of a file its bytes; of a bundle its weights (where they lie in the network is no part of the
    result) and its answers.
    """
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    bundle = open_bundle(path)
    found = hashlib.sha256(bundle.read("golden.safetensors"))
    for name, array in sorted(weights_of(bundle, *bundle.members).items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def started(arguments: list[str | Path], cwd: Path, **settings: Any) -> subprocess.Popen[bytes]:
    """The program, silent but for standard error, which is as the settings say."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, **settings,
    )  # fmt: skip


def stopped(child: subprocess.Popen[bytes], after: float, how: signal.Signals) -> bytes | None:
    """What a process says when it is stopped; None where it has ended before."""
    try:
        child.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        child.send_signal(how)
        return child.communicate()[1] or b""
    return None


def killed(arguments: list[str | Path], cwd: Path, after: float) -> bool:
    """Start the program and kill it; whether it was still running then."""
    child = started(arguments, cwd, stderr=subprocess.DEVNULL)
    return stopped(child, after, signal.SIGKILL) is not None


@dataclass
class Job:
    """A command, and what it leaves.

    Args:
        arguments: of the program, in a folder of its own.
        result: the file or the bundle that it makes.
        resume: what is added to go on.
    """

    arguments: list[str | Path]
    result: str
    resume: tuple[str, ...]
    seconds: float = 0.0
    expected: str = ""
    runs: int = 0
    stopped: int = 0
    equal: int = 0
    told: int = 0
    interrupted: int = 0
    wrong: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def start(self, folder: Path, *more: str) -> subprocess.Popen[bytes]:
        """Start it in a folder, which holds its cache too."""
        return started(
            [*self.arguments, "--quiet", *more], folder, stderr=subprocess.PIPE,
            env={**os.environ, "DEEPFIELD_CACHE": str(folder / "cache")},
        )  # fmt: skip

    def calm(self, folder: Path) -> None:
        """Run it undisturbed: what must come out, and how long it takes."""
        folder.mkdir()
        began = time.perf_counter()
        child = self.start(folder)
        _, said = child.communicate()
        if child.returncode:
            raise SystemExit(f"{self.arguments} ended with {child.returncode}: {said.decode()}")
        self.seconds = time.perf_counter() - began
        self.expected = digest(folder / self.result)

    def stop(self, folder: Path, after: float, how: signal.Signals) -> None:
        """Stop it, look at what it leaves, and go on with it."""
        self.runs += 1
        folder.mkdir()
        began = time.perf_counter()
        child = self.start(folder)
        said = stopped(child, after, how)
        if said is None:  # the machine is faster than it was
            self.seconds = min(self.seconds, time.perf_counter() - began)
        else:
            self.stopped += 1
            if how == signal.SIGINT:
                self.interrupted += 1
                last = b"\n".join(said.splitlines()[-2:])
                two_lines = last.startswith(b"error: interrupted\nhint: ")
                done = child.returncode == 0 and not said
                if done or (child.returncode == 130 and two_lines):
                    self.told += 1
                else:
                    ending = said.decode(errors="replace")[-500:]
                    self.untold.append(f"after {after:.2f} s: {child.returncode}, {ending}")
        result = folder / self.result
        if result.exists() and digest(result) != self.expected:
            self.wrong.append(f"half written after {after:.2f} s of {self.seconds:.2f} s")
            return
        again = self.start(folder, *self.resume)
        _, said = again.communicate()
        if again.returncode == 0 and digest(result) == self.expected:
            self.equal += 1
        else:
            self.wrong.append(f"after {after:.2f} s: {again.returncode}, {said.decode()[-300:]}")


def jobs(work: Path) -> dict[str, Job]:
    """The three, each run once undisturbed; the second asks what the first has made."""
    train = Job(
        ["image", "train", "digits", "-o", "m", "--epochs", "4", "--set", "filters=8",
         "--checkpoint-minutes", "0.01"], "m", ("--resume",),
    )  # fmt: skip
    train.calm(work / "train-calm")
    model = work / "train-calm" / "m"
    predict = Job(
        ["image", "predict", *["digits"] * 10, "--model", model, "-o", "out.csv"],
        "out.csv", ("--resume",),
    )  # fmt: skip
    predict.calm(work / "predict-calm")
    convert = Job(
        ["image", "predict", "sample:china", "-m", "efficientnet_lite0_imagenet", "-o", "out.csv"],
        "out.csv", (),
    )  # fmt: skip
    convert.calm(work / "convert-calm")
    return {"train": train, "predict": predict, "convert": convert}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=20, help="how many trainings are stopped")
    parser.add_argument("--predict", type=int, default=160, help="how many predictions")
    parser.add_argument("--convert", type=int, default=20, help="how many conversions")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    # a shell lets what it runs in the background ignore SIGINT, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        every = jobs(work)
        for kind, job in every.items():
            while job.stopped < getattr(given, kind):
                how = signal.SIGINT if job.runs % 2 else signal.SIGKILL
                after = rng.uniform(_IMPORTED, 0.9 * job.seconds)
                folder = work / f"{kind}-{job.runs}"
                job.stop(folder, after, how)
                shutil.rmtree(folder)
                print(f"{kind} {job.runs}: {job.stopped} stopped, {job.equal} equal",
                      *job.wrong[-1:], file=sys.stderr, flush=True)  # fmt: skip
    return report("kill_resume", rows(every), seed=given.seed, **details(every))


def rows(every: dict[str, Job]) -> list[dict]:
    made = []
    share: Callable[[int, int], float] = lambda part, whole: part / max(1, whole)  # noqa: E731
    for kind, job in every.items():
        made.append(row(f"{kind}, stopped and resumed: the same in the end",
                        share(job.equal, job.runs), "", ">= 1"))  # fmt: skip
    made.append(row("stopped in all", sum(job.stopped for job in every.values()), "", ">= 200"))
    told, of = sum(j.told for j in every.values()), sum(j.interrupted for j in every.values())
    made.append(row("interrupted and told in two lines", share(told, of), "", ">= 1"))
    return made


def details(every: dict[str, Job]) -> dict[str, dict]:
    return {
        kind: {"runs": job.runs, "stopped": job.stopped, "equal": job.equal,
               "interrupted": job.interrupted, "told": job.told,
               "seconds": round(job.seconds, 2), "wrong": job.wrong, "untold": job.untold}
        for kind, job in every.items()
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
