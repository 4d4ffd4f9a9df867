"""Screening from SMILES to answers in a file, whole processes; the first answer of `drug predict`.

`dmpnn` and chemprop are trained for a few epochs at their defaults first (how long an answer takes
does not depend on how good it is) and answer the same molecules; `fusion` is the shipped preset.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from measuring import deepfield, report, row, run
from peers import program
from rdkit import Chem, rdBase

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def structures(file: Path, column: str) -> list[str]:
    """The SMILES of a table that RDKit can read: chemprop stops at the others."""
    with rdBase.BlockLogs(), file.open(newline="") as stream:
        return [r[column] for r in csv.DictReader(stream) if Chem.MolFromSmiles(r[column])]


def write(file: Path, smiles: list[str], count: int) -> Path:
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["smiles"])
        table.writerows([s] for s in islice(cycle(smiles), count))
    return file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/drug/moleculenet", type=Path)
    parser.add_argument("--molecules", type=int, default=30_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--model", default="fusion_tox21", help="the preset or bundle of `fusion`")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    model = str(Path(given.model).resolve()) if Path(given.model).is_dir() else given.model
    smiles = structures(given.data / "hiv.csv", "smiles")
    learnt = given.data / "esol.csv"
    target = "measured log solubility in mols per litre"
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        many = write(work / "many.csv", smiles, given.molecules)
        some = write(work / "some.csv", smiles, given.molecules // 10)
        deepfield("drug", "train", learnt, "--targets", target, "--architecture", "dmpnn",
                  "--epochs", "1", "-q", "-o", work / "dmpnn")  # fmt: skip
        commands = {
            "dmpnn": (many, work / "dmpnn", "--no-neighbours"),
            "dmpnn with neighbours": (many, work / "dmpnn"),
            "fusion": (some, model),
        }
        if given.peer:
            run([program("chemprop"), "train", "-i", learnt, "-s", "smiles", "--target-columns",
                 target, "--epochs", "3", "-o", work / "chemprop"])  # fmt: skip
            (trained,) = (work / "chemprop").glob("**/best.pt")
        for _ in range(given.turns):
            for what, (file, bundle, *more) in commands.items():
                done = deepfield("drug", "predict", file, "--model", bundle, *more, "-q",
                                 "-o", work / "out.csv")  # fmt: skip
                seconds.setdefault(what, []).append(done.seconds)
                peaks[what] = max(peaks.get(what, 0), done.peak_mb)
            if given.peer:
                done = run([program("chemprop"), "predict", "-i", many, "-s", "smiles",
                            "--model-paths", trained, "-o", work / "theirs.csv"])  # fmt: skip
                seconds.setdefault("chemprop", []).append(done.seconds)
            done = deepfield("drug", "predict", ASPIRIN, "--model", model, cwd=work)
            seconds.setdefault("cold", []).append(done.seconds)
    rates = {
        what: (given.molecules // 10 if what == "fusion" else given.molecules) / median(own)
        for what, own in seconds.items()
        if what != "cold"
    }
    rows = [
        row("dmpnn, molecules from SMILES to answers", rates["dmpnn"], "1/s", ">= 3000"),
        row("with the nearest training molecule", rates["dmpnn with neighbours"], "1/s"),
        row("fusion, molecules from SMILES to answers", rates["fusion"], "1/s", ">= 150"),
        row("cold `drug predict`", median(seconds["cold"]), "s", "<= 1.5"),
    ]
    if given.peer:
        rows.append(row("chemprop, molecules from SMILES to answers", rates["chemprop"], "1/s"))
        rows.append(row("dmpnn, times as quick as chemprop", rates["dmpnn"] / rates["chemprop"],
                        "x", ">= 5"))  # fmt: skip
    return report("drug_speed", rows, seconds=seconds, peaks=peaks, model=given.model,
                  molecules=given.molecules)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
