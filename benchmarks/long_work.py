"""A million molecules, a million questions, 20,000 pictures: speed, memory, and what a kill leaves.

Whole processes of the command line. Each kind of work is done undisturbed, then for a tenth of the
rows, whose peak of memory (of the largest process) it is compared with, then once more, killed with
SIGKILL at random moments and gone on with by `--resume`: the file must be the same, bit for bit.
Kinds that are not named this time keep the figures that `benchmarks/results.json` has of them.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kill_resume import digest, killed
from measuring import deepfield, machine, recorded, report, row

_MANY = 25  # random SMILES of a molecule


def write_molecules(source: Path, file: Path, count: int, seed: int) -> None:
    """A table of molecules, most of them again and again, each time in another SMILES."""
    from rdkit import Chem, rdBase

    rng = random.Random(seed)
    with rdBase.BlockLogs(), source.open(newline="") as stream:
        known = [Chem.MolFromSmiles(r["smiles"]) for r in csv.DictReader(stream)]
    smiles = [
        s
        for molecule in known
        if molecule is not None
        for s in Chem.MolToRandomSmilesVect(molecule, _MANY, rng.randrange(1, 1 << 31))
    ]
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["smiles"])
        table.writerows([s] for s in islice(shuffled(smiles, rng), count))


def write_stories(source: Path, file: Path, count: int, seed: int) -> None:
    """Stories with `count` questions as a file of bAbI's form, all of them in turns, mixed."""
    from qa_speed import numbered

    from deepfield.domains.qa.pipeline import QAPipeline

    stories: dict[str, list] = {}
    for sample in QAPipeline().read(str(source), edition="en"):
        stories.setdefault(str(sample.group), []).append(sample)
    with file.open("w") as stream:
        for story in shuffled(list(stories.values()), random.Random(seed)):
            stream.writelines(numbered(story[:count]))
            count -= len(story)
            if count <= 0:
                return


def write_pictures(source: Path, folder: Path, count: int, seed: int) -> None:
    """A folder of PNG files."""
    from predict_mnist import write_pictures

    write_pictures(str(source), folder, count)


def shuffled(things: list, rng: random.Random) -> Iterator[Any]:
    """Without an end: all of them, and all of them anew in another order."""
    while True:
        rng.shuffle(things)
        yield from things


@dataclass(frozen=True)
class Kind:
    """One kind of work: how its rows are made of what, and the command that answers them."""

    rows: int
    source: str
    write: Callable[[Path, Path, int, int], None]
    command: tuple[str, ...]
    suffix: str = ""


KINDS = {
    "molecules": Kind(1_000_000, "drug/moleculenet/hiv.csv", write_molecules,
                      ("drug", "predict", "--model", "dmpnn", "--no-neighbours"), ".csv"),
    "questions": Kind(1_000_000, "qa/babi/tasks_1-20_v1-2-train.tar.gz", write_stories,
                      ("qa", "predict", "--model", "babi_10k"), ".txt"),
    "pictures": Kind(20_000, "image/mnist", write_pictures,
                     ("image", "predict", "--model", "small_cnn_mnist")),
}  # fmt: skip


def train_dmpnn(data: Path, bundle: Path) -> None:
    """How long an answer takes does not depend on how good it is."""
    deepfield("drug", "train", data / "drug/moleculenet/esol.csv", "--targets",
              "measured log solubility in mols per litre", "--architecture", "dmpnn",
              "--epochs", "1", "-q", "-o", bundle)  # fmt: skip


def measured(kind: Kind, data: Path, rows: int, kills: int, rng: random.Random) -> dict[str, Any]:
    """The figures of one kind of work."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if "dmpnn" in kind.command:
            train_dmpnn(data, work / "dmpnn")
        for part, count in (("all", rows), ("tenth", rows // 10)):
            apart(kind.write, data / kind.source, work / f"{part}{kind.suffix}", count,
                  rng.randrange(1 << 31))  # fmt: skip

        def command(part: str, output: str) -> list[str | Path]:
            return [*kind.command, f"{part}{kind.suffix}", "-q", "-o", output]

        # Some SMILES of odd molecules are not read again: rows are rejected, which is no fault.
        tenth = deepfield(*command("tenth", "tenth.csv"), cwd=work, ok=(0, 3))
        whole = deepfield(*command("all", "whole.csv"), cwd=work, ok=(0, 3))
        again, hit = [*command("all", "again.csv"), "--resume"], 0
        for _ in range(kills):
            hit += killed(again, work, rng.uniform(0.1, 0.9) / kills * whole.seconds)
        rest = deepfield(*again, cwd=work, ok=(0, 3))
        return {
            "rows": rows, "seconds": whole.seconds, "peak_mb": whole.peak_mb,
            "tenth_peak_mb": tenth.peak_mb, "kills": hit, "rest_seconds": rest.seconds,
            "same": digest(work / "again.csv") == digest(work / "whole.csv"),
            "megabytes": (work / "whole.csv").stat().st_size / 1e6, "machine": machine(),
        }  # fmt: skip


def apart(function: Callable[..., None], *arguments: Any) -> None:
    """Call it in a process of its own: what this one holds would count as its children's peak."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{function.__name__} ended with {child.exitcode}")


def rows_of(details: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, own in details.items():
        rows += [
            row(f"{name} answered in one run", own["rows"], "", f">= {KINDS[name].rows}"),
            row(f"{name} answered", own["rows"] / own["seconds"], "1/s"),
            row(f"{name}, peak of memory", own["peak_mb"], "MB"),
            row(f"{name}, peak of memory over a tenth's", own["peak_mb"] / own["tenth_peak_mb"],
                "x", "<= 1.1"),
            row(f"{name}, killed and resumed: same file", float(own["same"]), "", ">= 1"),
        ]  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default="../shared/data", help="above image, qa, drug")
    parser.add_argument("--rows", type=int, help="1,000,000 without, and 20,000 pictures")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", help=f"{', '.join(KINDS)}; all without")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(KINDS)):
        parser.error(f"no work {unknown[0]!r}; there are {', '.join(KINDS)}")
    rng, details, code = random.Random(given.seed), recorded("long_work"), 0
    for name in given.names or KINDS:
        kind = KINDS[name]
        details[name] = measured(
            kind, given.data.resolve(), given.rows or kind.rows, given.kills, rng
        )
        # Told after each: the last line is what counts, and an interrupted run has told something.
        code = report("long_work", rows_of(details), **details)
        sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
