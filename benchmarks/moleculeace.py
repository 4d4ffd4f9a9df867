"""MoleculeACE: `fusion` at its defaults beside a Tanimoto-kernel SVR, on 30 targets.

Threefold inside the training rows of every target (`split` = train), the same folds for both. The
SVR (C = 10, epsilon = 0.1, on standardised values) sees unfolded counts of ECFP4. `fusion` sets a
twentieth of its rows aside to calibrate on. RMSE over all rows out of fold, and over those of
activity cliffs; the mean over the targets is what counts. Finished targets are kept in
`build/moleculeace.jsonl`: an interrupted run goes on. Targets that are not named this time keep the
figures that `benchmarks/results.json` has of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, recorded, report, row

from deepfield.domains.drug import DrugPipeline
from deepfield.toolkit.data import Sample

VALUE = "y [pEC50/pKi]"
FOLDS = 3


def tanimoto(rows: Sequence[dict[int, int]], columns: Sequence[dict[int, int]]) -> np.ndarray:
    """MinMax similarity of sparse counts."""
    import scipy.sparse

    def unary(counts: Sequence[dict[int, int]], place: dict[tuple[int, int], int]) -> Any:
        where = [
            (i, place.setdefault((key, level), len(place)))
            for i, own in enumerate(counts)
            for key, count in own.items()
            for level in range(count)
        ]
        return np.array(where)

    place: dict[tuple[int, int], int] = {}
    found = [unary(counts, place) for counts in (rows, columns)]
    a, b = (
        scipy.sparse.csr_matrix((np.ones(len(w)), (w[:, 0], w[:, 1])), (n, len(place)))
        for w, n in zip(found, (len(rows), len(columns)), strict=True)
    )
    common = np.asarray((a @ b.T).todense())
    sizes = [np.asarray(m.sum(axis=1)).ravel() for m in (a, b)]
    return common / (sizes[0][:, None] + sizes[1][None] - common)


def svr(train: Sequence[Sample], test: Sequence[Sample]) -> np.ndarray:
    """What the SVR says of the test part."""
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator
    from sklearn.svm import SVR

    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, includeChirality=True)

    def counted(samples: Sequence[Sample]) -> list[dict[int, int]]:
        mols = (Chem.MolFromSmiles(s.data) for s in samples)
        return [morgan.GetSparseCountFingerprint(mol).GetNonzeroElements() for mol in mols]

    own, asked = counted(train), counted(test)
    y = values(train)
    machine = SVR(kernel="precomputed", C=10, epsilon=0.1)
    machine.fit(tanimoto(own, own), (y - y.mean()) / y.std())
    return y.mean() + y.std() * machine.predict(tanimoto(asked, own))


def values(samples: Sequence[Sample]) -> np.ndarray:
    return np.array([float(s.target[VALUE]) for s in samples])


def fusion(train: list[Sample], test: list[Sample], seed: int, settings: dict[str, Any]) -> Any:
    """What `fusion` says of the test part: its members, and all together."""
    order = np.random.default_rng(seed).permutation(len(train))
    for at, index in enumerate(order):
        train[index].part = "valid" if at < len(train) // 20 else "train"
    pipeline = DrugPipeline("fusion")
    pipeline.baseline = ""
    pipeline.fit(train, seed=seed, settings=settings)
    told = [item.prediction for item, _ in pipeline.answers(test, targets=True)]
    state = pipeline.task.state
    return state["mean"][0] + state["scale"][0] * np.array([p[0, 0] for p in told])


def measured(file: Path, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """RMSE of both on one target, over all rows and over cliffs."""
    began = time.monotonic()
    read = [s for s in DrugPipeline("fusion").read(str(file), targets=[VALUE]) if s.part == "train"]
    samples = [Sample(s.id, s.data, s.target, row=s.row) for s in read]
    truth = values(samples)
    cliff = np.array([str(s.row["cliff_mol"]) == "1" for s in samples])
    folds = np.array_split(np.random.default_rng(seed).permutation(len(samples)), FOLDS)
    told = {name: np.zeros(len(samples)) for name in ("svr", "fusion")}
    for fold in folds:
        held = set(fold.tolist())
        train = [s for i, s in enumerate(samples) if i not in held]
        test = [samples[i] for i in fold]
        told["svr"][fold] = svr(train, test)
        told["fusion"][fold] = fusion(train, test, seed, settings)
    figures = {
        name: {
            "rmse": float(np.sqrt(np.mean((said - truth) ** 2))),
            "rmse_cliffs": float(np.sqrt(np.mean((said - truth)[cliff] ** 2))),
        }
        for name, said in told.items()
    }
    seconds = round(time.monotonic() - began, 1)
    return {"target": file.stem, "n": len(samples), "seconds": seconds, **figures}


def measured_before(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is on record of the targets that are not among the names."""
    told = recorded("moleculeace")
    return {own["target"]: own for own in told.get("targets", ()) if own["target"] not in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/drug/moleculeace", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("names", nargs="*", help="targets; all, the smallest first, without one")
    given = parser.parse_args()
    settings = {k: json.loads(v) for k, _, v in (pair.partition("=") for pair in given.set)}
    kept = ROOT / "build" / "moleculeace.jsonl"
    kept.parent.mkdir(exist_ok=True)
    identity = {"seed": given.seed, "settings": settings}
    files = sorted(given.data.glob("*.csv"), key=lambda file: file.stat().st_size)
    names = given.names or [file.stem for file in files]
    done = {} if given.set else measured_before(names)
    for line in kept.read_text().splitlines() if kept.is_file() else ():
        old = json.loads(line)
        if {k: old[k] for k in identity} == identity:
            done[old["target"]] = old
    for file in (given.data / f"{name}.csv" for name in names):
        if file.stem not in done:
            done[file.stem] = measured(file, given.seed, settings) | identity
            with kept.open("a") as stream:
                stream.write(json.dumps(done[file.stem]) + "\n")
        own = done[file.stem]
        print(
            f"{file.stem} ({own['n']}): SVR {own['svr']['rmse']:.3f}, fusion "
            f"{own['fusion']['rmse']:.3f}; cliffs {own['svr']['rmse_cliffs']:.3f}, "
            f"{own['fusion']['rmse_cliffs']:.3f}",
            file=sys.stderr,
        )
    rows = [row("MoleculeACE, targets measured", len(done), "", f">= {len(files)}")]
    for metric, what in (("rmse", "RMSE"), ("rmse_cliffs", "RMSE on cliffs")):
        means = {
            k: float(np.mean([own[k][metric] for own in done.values()])) for k in ("svr", "fusion")
        }
        rows.append(row(f"MoleculeACE, Tanimoto SVR, {what}", means["svr"], ""))
        rows.append(row(f"MoleculeACE, fusion, {what}", means["fusion"], ""))
        rows.append(
            row(
                f"MoleculeACE, {what}, below the SVR", means["svr"] - means["fusion"], "", ">= 0.02"
            )
        )
    return report("moleculeace", rows, targets=list(done.values()))


if __name__ == "__main__":
    sys.exit(main())
