"""Merck's METAB: `fusion` and `descriptor_dnn` beside a random forest, on descriptors alone.

The file's last fifth is asked (its rows are in the order of time), the rest is learnt from, a
tenth of it set aside by the networks, drawn by seed. Squared Pearson correlation, as in Ma et al.
2015; the mean of the seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import report, row

from deepfield.domains.drug import DrugPipeline
from deepfield.toolkit.data import Sample

Told = tuple[np.ndarray, float]


def forest(train: list[Sample], asked: list[Sample], seed: int) -> np.ndarray:
    """A random forest of 500 trees, a third of the descriptors a node, as QSAR has them."""
    from sklearn.ensemble import RandomForestRegressor

    names = sorted({name for s in train for name in s.data.values})

    def table(samples: list[Sample]) -> np.ndarray:
        return np.array([[s.data.values.get(n, 0.0) for n in names] for s in samples], np.float32)

    model = RandomForestRegressor(500, max_features=1 / 3, n_jobs=-1, random_state=seed)
    return model.fit(table(train), values(train)).predict(table(asked))


def network(architecture: str, train: list[Sample], asked: list[Sample], seed: int) -> np.ndarray:
    """One of ours at its defaults."""
    drawn = np.random.default_rng(seed).permutation(len(train))[: len(train) // 10]
    own = [replace(s, part="valid" if i in set(drawn) else "train") for i, s in enumerate(train)]
    pipeline = DrugPipeline(architecture)
    pipeline.baseline = ""
    pipeline.fit(own, seed=seed)
    told = [item.prediction for item, _ in pipeline.answers(asked, targets=True)]
    return np.array([p[0, 0] for p in told])


def values(samples: list[Sample]) -> np.ndarray:
    return np.array([float(next(iter(s.target.values()))) for s in samples])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", default="../shared/data/drug/merck/METAB_training.csv.gz", type=Path
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["fusion", "descriptor_dnn"])
    given = parser.parse_args()
    samples = list(DrugPipeline("fusion").read(str(given.data)))
    cut = len(samples) * 4 // 5
    train, asked = samples[:cut], samples[cut:]
    truth = values(asked)
    figures: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        for name in ("forest", *given.networks):
            began = time.monotonic()
            own = [replace(s) for s in train]
            told = forest(own, asked, seed) if name == "forest" else network(name, own, asked, seed)
            figures.setdefault(name, []).append(float(np.corrcoef(truth, told)[0, 1] ** 2))
            seconds.setdefault(name, []).append(round(time.monotonic() - began, 1))
            print(name, seed, figures[name][-1], seconds[name][-1], file=sys.stderr, flush=True)
    means = {name: float(np.mean(own)) for name, own in figures.items()}
    rows = [row(f"METAB, {name}, squared correlation", mean, "") for name, mean in means.items()]
    best = max(means[name] for name in given.networks)
    rows.append(row("METAB, above the random forest", best - means["forest"], "", ">= 0.02"))
    return report("merck", rows, learnt=cut, asked=len(asked), by_seed=figures, seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
