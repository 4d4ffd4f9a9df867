"""Training on Tox21 to the end: `fusion`, one network of its ensemble alone, and chemprop.

Whole processes on the set's own split, at defaults (chemprop: 50 epochs), from SMILES and with an
empty cache. `fusion` is `deepfield drug train` with all it does (features, training, calibration,
baseline, conversion); its one network is trained by a script, without a baseline beside it, as
chemprop has none.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

from measuring import PROGRAM, report, row, run
from peers import program
from rdkit import Chem, rdBase

TARGETS = "?R-*"
ALONE = """
import sys
from deepfield.domains.drug import DrugPipeline

pipeline = DrugPipeline("fusion")
pipeline.baseline = ""
alone = {"members": 1, "trees": 0, "boosted": 0, "references": 0}
pipeline.fit(sys.argv[1], out=sys.argv[2], split="source", settings=alone,
             reader_options={"targets": ("?R-*",)})
"""


def for_chemprop(source: Path, file: Path) -> list[str]:
    """The molecules that RDKit can read, as chemprop wants them; the names of the targets."""
    with rdBase.BlockLogs(), source.open(newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if Chem.MolFromSmiles(r["smiles"])]
    names = [name for name in rows[0] if name[1:3] == "R-"]
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["smiles", *names, "part"])
        for at, r in enumerate(rows):  # it wants both a validation and a test part
            part = "train" if r["split"] == "train" else ("val", "test")[at % 2]
            table.writerow([r["smiles"], *(r[n] for n in names), part])
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/drug/moleculenet", type=Path)
    given = parser.parse_args()
    source = (given.data / "tox21.csv").resolve()
    seconds: dict[str, float] = {}
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        commands = {
            "fusion": [*PROGRAM, "drug", "train", source, "--targets", TARGETS, "--split", "source",
                       "-q", "-o", work / "whole"],
            "one network": [sys.executable, "-c", ALONE, source, work / "alone"],
        }  # fmt: skip
        for who, command in commands.items():
            os.environ["DEEPFIELD_CACHE"] = str(work / f"cache of {who}")
            done = run(command)
            seconds[who], peaks[who] = done.seconds, done.peak_mb
            print(who, done.seconds, done.peak_mb, file=sys.stderr, flush=True)
        names = for_chemprop(source, work / "data.csv")
        done = run([
            program("chemprop"), "train", "-i", work / "data.csv", "-s", "smiles",
            "--target-columns", *names, "-t", "classification", "--splits-column", "part",
            "-o", work / "chemprop",
        ])  # fmt: skip
        seconds["chemprop"] = done.seconds
    rows = [
        row("tox21, training `fusion`", seconds["fusion"] / 60, "min", "<= 30"),
        row("tox21, training one network of it", seconds["one network"] / 60, "min"),
        row("tox21, training chemprop", seconds["chemprop"] / 60, "min"),
        row("one network, times as quick as chemprop", seconds["chemprop"] / seconds["one network"],
            "x", ">= 3"),
    ]  # fmt: skip
    return report("drug_training", rows, seconds=seconds, peaks=peaks)


if __name__ == "__main__":
    sys.exit(main())
