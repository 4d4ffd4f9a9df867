"""MoleculeNet: `fusion` at its defaults beside a random forest and chemprop at its defaults.

Nine sets, their `split` column: all train on its train rows and are asked its valid rows; the test
rows are nobody's. Networks set a tenth of the train rows aside, drawn by seed, the same for both;
the forest (500 trees on counts of ECFP4 and RDKit's 2D descriptors) has them all. Three seeds.
A difference is told with the interval of 1,000 bootstrap samples of the molecules, over the mean of
the seeds. What is finished is kept in `build/moleculenet`: an interrupted run goes on. Sets that
are not named this time keep the figures that `benchmarks/results.json` has of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, recorded, report, row, run
from peers import program

from deepfield.domains.drug import DrugPipeline
from deepfield.toolkit.data import Sample
from deepfield.toolkit.intervals import paired_bootstrap

#: Each set's targets, and whether they are yes-or-no.
SETS: dict[str, tuple[str, bool]] = {
    "bbbp": ("p_np", True), "bace": ("Class", True), "esol": ("measured log*", False),
    "freesolv": ("expt", False), "lipo": ("exp", False), "clintox": ("*", True),
    "sider": ("*", True), "tox21": ("?R-*", True), "hiv": ("HIV_active", True),
}  # fmt: skip
KEPT = ROOT / "build" / "moleculenet"
BOOTSTRAP = 1000


@dataclass
class Case:
    """A set, dealt by a seed: `part` of a sample is train, valid (inside the train rows) or test
    (the set's valid rows).
    """

    name: str
    yes_or_no: bool
    samples: list[Sample]
    seed: int

    @property
    def names(self) -> list[str]:
        return list(self.samples[0].target)

    def of(self, *parts: str) -> list[Sample]:
        return [s for s in self.samples if s.part in parts]

    @property
    def truth(self) -> np.ndarray:
        return table_of(self.of("test"))


def table_of(samples: Sequence[Sample]) -> np.ndarray:
    """Targets (samples, quantities), NaN where missing."""
    cells = [[s.target[n] for n in s.target] for s in samples]
    return np.array([[np.nan if c in ("", None) else float(c) for c in own] for own in cells])


def dealt(data: Path, name: str, seed: int) -> Case:
    """Rows that RDKit reads and that have a label, their train rows dealt by the seed."""
    from deepfield.domains.drug.molecules import molecule
    from deepfield.toolkit.errors import BadInput

    pattern, yes_or_no = SETS[name]
    pipeline, samples = DrugPipeline("fusion"), []
    for sample in pipeline.read(str(data / f"{name}.csv"), targets=[pattern]):
        try:
            molecule(sample.data)
        except BadInput:
            continue
        if sample.target is not None and sample.part in ("train", "valid"):
            part = "test" if sample.part == "valid" else "train"
            samples.append(replace(sample, part=part))
    train = [s for s in samples if s.part == "train"]
    for at in np.random.default_rng(seed).permutation(len(train))[: len(train) // 10]:
        train[at].part = "valid"
    return Case(name, yes_or_no, samples, seed)


# ------------------------------------------------------------------------------------ who answers


def forest(case: Case) -> np.ndarray:
    """A random forest a quantity."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    from deepfield.domains.drug.features import features
    from deepfield.domains.drug.molecules import molecule

    def seen(samples: Sequence[Sample]) -> np.ndarray:
        rows = [features(molecule(s.data), ("fingerprint", "descriptors")) for s in samples]
        return np.stack([
            np.nan_to_num(np.concatenate([r["fingerprint"], r["descriptors"]])) for r in rows
        ])  # fmt: skip

    train, test = case.of("train", "valid"), case.of("test")
    x, asked, targets = seen(train), seen(test), table_of(train)
    kind = RandomForestClassifier if case.yes_or_no else RandomForestRegressor
    told = []
    for y in targets.T:
        known = np.isfinite(y)
        model = kind(500, n_jobs=-1, random_state=case.seed).fit(x[known], y[known])
        told.append(model.predict_proba(asked)[:, 1] if case.yes_or_no else model.predict(asked))
    return np.stack(told, axis=1)


def ours(case: Case, architecture: str = "fusion") -> np.ndarray:
    """One of our networks at its defaults."""
    pipeline = DrugPipeline(architecture)
    pipeline.baseline = ""
    pipeline.fit([replace(s) for s in case.of("train", "valid")], seed=case.seed)
    told = [item.prediction for item, _ in pipeline.answers(case.of("test"), targets=True)]
    state = pipeline.task.state
    order = [pipeline.task.names.index(name) for name in case.names]
    values = np.stack([p[:, 0] for p in told]) * state["scale"] + state["mean"]
    return values[:, order]


def chemprop(case: Case) -> np.ndarray:
    """Chemprop at its defaults, from its own command."""
    parts = {"train": "train", "valid": "val", "test": "test"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "data.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["smiles", *case.names, "part"])
            for s in case.samples:
                table.writerow([s.data, *s.target.values(), parts[s.part or ""]])
        kind = "classification" if case.yes_or_no else "regression"
        run([
            program("chemprop"), "train", "-i", folder / "data.csv", "-s", "smiles",
            "--target-columns", *case.names, "-t", kind, "--splits-column", "part",
            "-o", folder / "out", "--pytorch-seed", str(case.seed), "--data-seed", str(case.seed),
        ])  # fmt: skip
        (answers,) = folder.glob("out/**/test_predictions.csv")
        with answers.open() as stream:
            rows = list(csv.DictReader(stream))
    return np.array([[float(r[n]) for n in case.names] for r in rows])


ANSWERING: dict[str, Callable[[Case], np.ndarray]] = {
    "forest": forest, "fusion": ours, "chemprop": chemprop,
}  # fmt: skip


# ------------------------------------------------------------------------------------- comparing


def score(truth: np.ndarray, told: np.ndarray, yes_or_no: bool) -> float:
    """ROC-AUC or RMSE, the mean over the quantities that have one."""
    from sklearn.metrics import roc_auc_score

    found = []
    for y, p in zip(truth.T, told.T, strict=True):
        known = np.isfinite(y)
        if not yes_or_no:
            found.append(np.sqrt(np.mean((y - p)[known] ** 2)))
        elif len(set(y[known])) == 2:
            found.append(roc_auc_score(y[known], p[known]))
    return float(np.mean(found))


def gain(truth: np.ndarray, mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray],
         yes_or_no: bool) -> tuple[float, float, float]:  # fmt: skip
    """How much better, the mean over the seeds, with the 95 % interval of bootstrap samples."""
    sign = 1 if yes_or_no else -1

    def mean(y: np.ndarray, told: np.ndarray) -> float:
        return sign * float(np.mean([score(y, own, yes_or_no) for own in told.swapaxes(0, 1)]))

    first, second = np.stack(mine, axis=1), np.stack(theirs, axis=1)
    return paired_bootstrap(mean, truth, first, second, repeats=BOOTSTRAP)


def answered(case: Case, who: str) -> tuple[np.ndarray, float]:
    """What somebody says of the test part, from the shelf if it was asked before; and seconds."""
    file = KEPT / f"{case.name}-{case.seed}-{who}.npz"
    if not file.is_file():
        began = time.monotonic()
        told = ANSWERING[who](case)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, told=told, seconds=time.monotonic() - began)
    stored = np.load(file)
    return stored["told"], float(stored["seconds"])


def measured_before(names: Sequence[str]) -> dict[str, Any]:
    """What is on record of the sets that are not among the names."""
    sets = recorded("moleculenet").get("sets", {})
    return {name: own for name, own in sets.items() if name not in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/drug/moleculenet", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", default=["forest", "chemprop"])
    parser.add_argument("names", nargs="*", help="sets; all without one")
    given = parser.parse_args()
    names = given.names or list(SETS)
    details = measured_before(names)
    for name in names:
        told: dict[str, list[np.ndarray]] = {who: [] for who in ("fusion", *given.peers)}
        seconds: dict[str, list[float]] = {who: [] for who in told}
        for seed in range(given.seeds):
            case = dealt(given.data, name, seed)
            for who in told:
                answer, took = answered(case, who)
                told[who].append(answer)
                seconds[who].append(took)
        own = {"n": len(case.truth), "quantities": len(case.names), "seeds": given.seeds}
        for who, answers in told.items():
            figures = [score(case.truth, answer, case.yes_or_no) for answer in answers]
            own[who] = {
                "mean": float(np.mean(figures)),
                "by_seed": figures,
                "seconds": seconds[who],
            }
        for who in given.peers:
            difference = gain(case.truth, told["fusion"], told[who], case.yes_or_no)
            own[who]["gain"] = difference
        details[name] = own
        print(name, json.dumps(own), file=sys.stderr)
    seeds = min(own["seeds"] for own in details.values())
    rows = [
        row("MoleculeNet, sets measured", len(details), "", f">= {len(SETS)}"),
        row("MoleculeNet, seeds of each at least", seeds, "", ">= 3"),
    ]
    for who in given.peers:
        gains = [own[who]["gain"] for own in details.values() if who in own]
        better, worse = sum(g[0] > 0 for g in gains), sum(g[2] < 0 for g in gains)
        rows.append(row(f"MoleculeNet, sets on which fusion beats {who}", better, "", ">= 7"))
        rows.append(row(f"MoleculeNet, significantly worse than {who}", worse, "", "<= 0"))
    return report("moleculenet", rows, sets=details)


if __name__ == "__main__":
    sys.exit(main())
