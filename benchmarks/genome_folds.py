"""DNA sets, cross-validated: a network and a k-mer regression, trained on the same folds.

Sequences that share a quarter of their 16-letter words, on either strand, are in one fold. The
network sets a tenth of the other folds aside, dealt likewise; the regression (see `kmers`) has them
all. Sets of a family share their folds: a first network learns the other folds of all of them, and
is fine-tuned to those of each. What is finished is kept in `build/genome_folds`, fold by fold: an
interrupted run goes on. With `KERAS_BACKEND=jax` (or torch) the networks are trained and kept (of a
family the first ones), here or on another machine; the same command without it measures them. Sets
that are not named this time keep the figures that `benchmarks/results.json` has of them.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT, recorded, report, row

from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.splits import SPLITS
from deepfield.toolkit.data import Sample
from deepfield.toolkit.export import converts
from deepfield.toolkit.splits import Split, folds, kept_together
from deepfield.toolkit.writers import write_whole

KEPT = ROOT / "build" / "genome_folds"


@dataclass(frozen=True)
class Set:
    """One set: its file, how it is read and learnt, by what it is judged, and what is asked."""

    source: str
    metric: str
    bar: float | None
    count: int = 5
    reading: Mapping[str, Any] = field(default_factory=dict)
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    negatives: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""


def promoters(positives: str, negatives: str, bar: float, family: str = "") -> Set:
    return Set(f"promoters/{positives}.fa", "mcc", bar, pipeline={"kind": "window", "members": 3},
               negatives=f"promoters/{negatives}.fa", family=family)  # fmt: skip


def sites(source: str, bar: float) -> Set:
    return Set(source, "accuracy", bar, pipeline={"members": 3})


_PEAK = {"kind": "peak", "members": 3}
_FINELY = {"batch_size": 128, "learning_rate": 3e-3, "epochs": 4, "least_steps": 800}
FACTORS = ("ARID3A", "CTCFL", "ELK1", "FOXA1", "GABPA", "MYC", "REST", "SP1", "USF1", "ZBTB7A")
SETS: dict[str, Set] = {
    "promoter_ecoli": promoters("Ecoli_prom", "Ecoli_non_prom", 0.86, "bacteria"),
    "promoter_bsubtilis": promoters("Bacillus_prom", "Bacillus_non_prom", 0.87, "bacteria"),
    "promoter_mouse_tata": promoters("Mouse_tata", "Mouse_nonprom", 0.92),
    "promoter_arabidopsis_tata": promoters("Arabidopsis_tata", "Arabidopsis_non_prom", 0.945),
    "promoter_arabidopsis_non_tata": promoters(
        "Arabidopsis_non_tata", "Arabidopsis_non_prom", 0.885
    ),
    "splice_uci": Set("uci-splice/splice.data", "accuracy", 0.97, 10,
                      pipeline={"kind": "window", "members": 3}),
    "splice_hs3d_donor": sites("splice-hs3d/donor.tsv.gz", 0.965),
    "splice_hs3d_acceptor": sites("splice-hs3d/acceptor.tsv.gz", 0.955),
    "splice_human_donor": sites("splice-human/donor.tsv.gz", 0.975),
    "splice_human_acceptor": sites("splice-human/acceptor.tsv.gz", 0.965),
} | {
    f"tf_{name.lower()}": Set(f"chipseq/{name}_*_AC.seq.gz", "roc_auc", None,
                              reading={"negatives": "shuffle"}, pipeline=_PEAK, family="factors",
                              settings=_FINELY)
    for name in FACTORS
}  # fmt: skip
#: How the first network of a family learns.
FAMILIES: dict[str, Mapping[str, Any]] = {
    "factors": {"batch_size": 128, "learning_rate": 3e-3, "epochs": 4},
    "bacteria": {},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder genomics")
    parser.add_argument("names", nargs="*", help="sets; all without")
    parser.add_argument(
        "--random", action="store_true", help="similar sequences may straddle folds"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(SETS))
    if unknown:
        parser.error(f"no set {unknown[0]!r}; there are {', '.join(SETS)}")
    GenomicsPipeline.baseline = ""  # the regression is fitted here, to all that is not held out
    kept = {} if arguments.random else recorded("genome_folds")
    found = {
        name: measured(name, arguments.data, arguments.random) for name in arguments.names or SETS
    }
    if not converts():
        return 0
    details = kept | found
    name = "genome_folds_random" if arguments.random else "genome_folds"
    return report(name, rows_of(details), **details)


def measured(name: str, data: Path, at_random: bool) -> dict[str, Any]:
    """The figures of one set, fold by fold."""
    own = SETS[name]
    file = KEPT / f"{name}{'-random' if at_random else ''}.json"
    found: dict[str, Any] = {
        "metric": own.metric, "samples": 0, "folds": own.count,
        "network": [], "kmers": [], "seconds": 0,
    }  # fmt: skip
    if file.is_file():
        found = json.loads(file.read_text())
    done = len(found["network"])
    if done == own.count:
        return found
    relatives = tuple(k for k, other in SETS.items() if other.family == own.family != "")
    every, dealt = read_and_dealt(relatives or (name,), data, own.count, at_random)
    mine = [sample.row["of"] == name for sample in every]
    found["samples"] = sum(mine)
    for number in range(done + 1, own.count + 1):
        began = time.monotonic()
        held = set(dealt[number - 1].tolist())
        rest = [replace(s, part=None) for i, s in enumerate(every) if i not in held]
        asked = [every[i] for i in sorted(held) if mine[i]]
        first = None
        if own.family:
            folder = file.with_name(f"{own.family}{'-random' if at_random else ''}")
            first = first_network(own, rest, folder / f"fold{number}")
            rest = [sample for sample in rest if sample.row["of"] == name]
        figures = one_fold(own, rest, asked, file.with_suffix("") / f"fold{number}", first)
        if figures is None:
            print(f"{name}, fold {number}: trained", file=sys.stderr, flush=True)
            continue
        ours, theirs = figures
        found["network"].append(ours)
        found["kmers"].append(theirs)
        found["seconds"] += round(time.monotonic() - began)
        print(f"{name}, fold {number}: {own.metric} {ours:.4f}, k-mers {theirs:.4f}",
              file=sys.stderr, flush=True)  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found).encode())
    return found


@functools.cache
def read_and_dealt(
    names: tuple[str, ...], data: Path, count: int, at_random: bool
) -> tuple[list[Sample], list[np.ndarray]]:
    """The samples of sets, one behind the other, and which of them are in each fold."""
    samples = [
        replace(s, id=f"{name} {s.id}", row={**s.row, "of": name})
        for name in names
        for s in read(SETS[name], data)
    ]
    if not at_random:
        samples = kept_together(samples, "similarity", SPLITS)
    return samples, folds(samples, count)


def read(own: Set, data: Path) -> list[Sample]:
    """The sound samples of a set, at their classes."""
    (source,) = sorted(data.glob(own.source))
    reading = dict(own.reading)
    if own.negatives:
        reading["negatives"] = str(data / own.negatives)
    samples = GenomicsPipeline().as_samples(str(source), **reading)
    return [s for s in samples if s.fault is None and s.target is not None]


def first_network(own: Set, samples: list[Sample], folder: Path) -> GenomicsPipeline | None:
    """What is fine-tuned to each set of a family; None where Keras cannot finish it."""
    if not (folder / "config.json").is_file():
        pipeline = GenomicsPipeline(**own.pipeline)
        folder.parent.mkdir(parents=True, exist_ok=True)
        pipeline.fit(
            samples, out=folder, resume=True, split=Split("auto", (0.95, 0.05, 0.0)), seed=0,
            settings=dict(FAMILIES[own.family]),
        )  # fmt: skip
    return GenomicsPipeline.load(folder) if converts() else None


def one_fold(
    own: Set, rest: list[Sample], asked: Sequence[Sample], folder: Path,
    first: GenomicsPipeline | None,
) -> tuple[float, float] | None:  # fmt: skip
    """The figure of the network and of the regression on the samples asked; None where Keras runs
    on what cannot finish a network, which then is trained only.
    """
    if own.family and first is None:
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "out": folder, "resume": True, "split": Split("auto", (0.9, 0.1, 0.0)), "seed": 0,
        "settings": dict(own.settings),
    }  # fmt: skip
    if first is not None:
        pipeline, _ = first.finetune(rest, **options)
    else:
        pipeline = GenomicsPipeline(**own.pipeline)
        pipeline.fit(rest, **options)
    if not converts():
        return None
    judged = [item for item, _ in pipeline.answers(asked, targets=True) if item.fault is None]
    truth = np.array([(item.target or {})["logits"] for item in judged])
    said = np.stack([item.prediction for item in judged if item.prediction is not None])
    shallow = pipeline.fit_shallow(encoded(pipeline, rest), 0)
    theirs = shallow.predict(pipeline.shallow_features(encoded(pipeline, asked)))
    score = pipeline.task.score
    return score(own.metric, truth, said), score(own.metric, truth, theirs)


def encoded(pipeline: GenomicsPipeline, samples: Sequence[Sample]) -> list[Any]:
    return [item for item in pipeline.encoded(samples, targets=True) if item.fault is None]


def rows_of(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a set; of the transcription factors also how often the network wins, and the means."""
    rows = []
    for name, found in details.items():
        mean = float(np.mean(found["network"]))
        bar = SETS[name].bar
        rows.append(row(f"{name}, {found['metric']}", mean, "", f">= {bar}" if bar else ""))
    factors = [found for name, found in details.items() if name.startswith("tf_")]
    if factors:
        pairs = [(np.mean(f["network"]), np.mean(f["kmers"])) for f in factors]
        rows.append(row("factors measured", len(pairs), "", f">= {len(FACTORS)}"))
        rows.append(row("factors above the k-mers", sum(bool(a > b) for a, b in pairs), "", ">= 8"))
        rows.append(row("factors, mean roc_auc", float(np.mean([a for a, _ in pairs])), "",
                        ">= 0.97"))  # fmt: skip
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
