"""Splice sites told from decoys: the presets beside SpliceAI's five networks, which learnt from
the whole genome, on the same sequences.

Those are drawn from the parts that the presets were trained without, as many sites as decoys.
SpliceAI sees them with N on both sides up to its 10,000 letters of context; its score is the mean
chance of the site's own place, and its accuracy that at the threshold which is best on these very
sequences. Ours is at one half.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from held_out import held_out
from measuring import report, row
from sklearn.metrics import roc_auc_score

from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.adopt import CONTEXT, LABELS
from deepfield.domains.genomics.features import codes
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.data import Sample
from deepfield.toolkit.matching import best_threshold

#: Place of the exon's end in the 602 letters, from 0: the intron's GT or AG are at 300 and 301.
ENDS = {"donor": 299, "acceptor": 302}
AT_ONCE = 4


def drawn(pipeline: GenomicsPipeline, source: Path, count: int) -> tuple[list[Sample], np.ndarray]:
    """Sequences of the validation part, half of them sites, and which are."""
    held = held_out(pipeline, str(source))
    true = np.array([str(s.target) == pipeline.task.labels[1] for s in held])
    rng = np.random.default_rng(0)
    chosen = np.concatenate([
        rng.choice(np.flatnonzero(true == kind), count // 2, replace=False) for kind in (1, 0)
    ])  # fmt: skip
    return [held[i] for i in chosen], true[chosen]


def spliceai(pipeline: GenomicsPipeline, samples: list[Sample], kind: str) -> np.ndarray:
    """SpliceAI's chance that the place in the middle is an exon's end of this kind."""
    windows = np.zeros((len(samples), CONTEXT + 1), np.int32)
    for window, sample in zip(windows, samples, strict=True):
        letters = codes(sample.data.letters)
        first = CONTEXT // 2 - ENDS[kind]
        window[first : first + len(letters)] = letters
    chances = np.zeros(len(samples))
    for at in range(0, len(samples), AT_ONCE):
        batch = {"bases": windows[at : at + AT_ONCE]}
        for member in pipeline.members:
            shares = softmax(pipeline.run(member, batch)["logits"][:, 0])
            chances[at : at + AT_ONCE] += shares[:, LABELS.index(kind)] / len(pipeline.members)
    return chances


def best_accuracy(scores: np.ndarray, true: np.ndarray) -> float:
    """At whatever threshold is best."""
    return float(((scores >= best_threshold(true, scores)) == true).mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder genomics")
    parser.add_argument("--count", type=int, default=500)
    given = parser.parse_args()
    published = GenomicsPipeline.from_preset("spliceai")
    rows, details = [], {}
    for kind in ENDS:
        ours = GenomicsPipeline.from_preset(f"splice_{kind}_human")
        source = given.data / "splice-human" / f"{kind}.tsv.gz"
        samples, true = drawn(ours, source, given.count)
        own = np.array([answer["score"] for answer in ours.predict(samples)])
        theirs = spliceai(published, samples, kind)
        figures = {
            "accuracy": float(((own > 0.5) == true).mean()),
            "best_accuracy": best_accuracy(own, true), "roc_auc": float(roc_auc_score(true, own)),
            "spliceai_accuracy": best_accuracy(theirs, true),
            "spliceai_roc_auc": float(roc_auc_score(true, theirs)),
        }  # fmt: skip
        details[kind] = {k: round(v, 4) for k, v in figures.items()} | {"n": len(true)}
        rows += [
            row(f"{kind}s, accuracy", figures["accuracy"], ""),
            row(f"{kind}s, SpliceAI's at its best threshold", figures["spliceai_accuracy"], ""),
            row(f"{kind}s, above SpliceAI",
                figures["accuracy"] - figures["spliceai_accuracy"], "", ">= 0.001"),
            row(f"{kind}s, ROC-AUC", figures["roc_auc"], ""),
            row(f"{kind}s, SpliceAI's ROC-AUC", figures["spliceai_roc_auc"], ""),
        ]  # fmt: skip
        print(details, file=sys.stderr, flush=True)
    return report("splice_zero_shot", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
