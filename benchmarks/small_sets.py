"""Small sets: `dmpnn` fine-tuned from the preset `encoder` beside `dmpnn` from scratch.

Of each set of MoleculeNet 300 train rows are drawn by seed, a tenth of them set aside; the set's
valid rows (new scaffolds) are asked. Both have the same molecules, recipe and seeds. RMSE or
ROC-AUC, the mean of the seeds; a gain is told with the interval of bootstrap samples of the
molecules.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import report, row
from moleculenet import SETS, Case, dealt, gain, score

from deepfield.domains.drug import DrugPipeline
from deepfield.toolkit.data import Sample

NAMES = ("esol", "freesolv", "lipo", "bace", "bbbp")


def told(pipeline: DrugPipeline, case: Case) -> np.ndarray:
    """Answers for the test part, in the case's units and order."""
    found = [item.prediction for item, _ in pipeline.answers(case.of("test"), targets=True)]
    state = pipeline.task.state
    values = np.stack([p[:, 0] for p in found]) * state["scale"] + state["mean"]
    return values[:, [pipeline.task.names.index(name) for name in case.names]]


def few(case: Case, count: int) -> list[Sample]:
    """Some of what there is to learn from."""
    own = case.of("train", "valid")
    drawn = np.random.default_rng(case.seed).permutation(len(own))[:count]
    aside = set(drawn[: count // 10].tolist())
    return [replace(own[i], part="valid" if i in aside else "train") for i in drawn]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/drug/moleculenet", type=Path)
    parser.add_argument("--encoder", default="encoder", help="the preset, or a bundle")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--molecules", type=int, default=300)
    parser.add_argument("names", nargs="*", default=list(NAMES))
    given = parser.parse_args()
    folder = Path(given.encoder)
    base = DrugPipeline.load(folder) if folder.is_dir() else DrugPipeline.from_preset(given.encoder)
    details, better = {}, 0
    for name in given.names:
        yes_or_no = SETS[name][1]
        answers: dict[str, list[np.ndarray]] = {"scratch": [], "encoder": []}
        for seed in range(given.seeds):
            case = dealt(given.data, name, seed)
            scratch = DrugPipeline("dmpnn")
            scratch.baseline = ""
            scratch.hyper = dict(base.hyper)
            settings = {**base.hyper, "batch_size": base.finetune_recipe.batch_size}
            scratch.fit(few(case, given.molecules), seed=seed, settings=settings)
            answers["scratch"].append(told(scratch, case))
            tuned, _ = base.finetune(few(case, given.molecules), seed=seed)
            answers["encoder"].append(told(tuned, case))
        own = {who: _mean(case, said, yes_or_no) for who, said in answers.items()}
        own["gain"] = gain(case.truth, answers["encoder"], answers["scratch"], yes_or_no)
        details[name] = own
        better += own["gain"][0] > 0
        print(name, json.dumps(own), file=sys.stderr, flush=True)
    rows = [row(f"small sets of {len(given.names)} on which `encoder` helps", better, "",
                f">= {len(given.names)}")]  # fmt: skip
    return report("small_sets", rows, sets=details, molecules=given.molecules)


def _mean(case: Case, answers: Sequence[np.ndarray], yes_or_no: bool) -> float:
    return float(np.mean([score(case.truth, own, yes_or_no) for own in answers]))


if __name__ == "__main__":
    sys.exit(main())
