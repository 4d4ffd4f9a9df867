"""How many variants a second `score` does, against the program `spliceai` on the same file.

Whole processes in turn, start included, with the same five networks: substitutions at least 20,000
letters apart, which share nothing, and as many close together, which share their reference.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import deepfield, report, row, run
from peers import program
from spliceai_files import letters_of, substitution, write_genome, write_vcf

APART, CLOSE = 20_500, 12
Rows = list[tuple[int, str, str]]


def inside(genes: Path) -> list[tuple[int, int]]:
    """Where the genes are."""
    cells = [line.split("\t") for line in genes.read_text().splitlines()[1:]]
    return [(int(own[3]), int(own[4])) for own in cells]


def apart(text: str, genes: list[tuple[int, int]], count: int) -> Rows:
    """Substitutions inside genes, far from one another."""
    rng, found, at = np.random.default_rng(0), [], 6_000
    for start, stop in genes:
        at = max(at, start)
        while at < min(stop, len(text) - 6_000) and len(found) < count:
            found.append(substitution(text, at, rng))
            at += APART
    return found


def close(text: str, genes: list[tuple[int, int]], count: int) -> Rows:
    """Substitutions side by side in the first gene that holds them all."""
    rng = np.random.default_rng(0)
    start = next(a for a, b in genes if b - a > CLOSE * count and a > 6_000)
    return [substitution(text, start + CLOSE * k, rng) for k in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=200)
    parser.add_argument("--turns", type=int, default=1)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        length = max(200_000, given.variants * (APART + 3_000) + 100_000)
        fasta, table, _ = write_genome(folder, length)
        text, genes = letters_of(fasta), inside(table)
        for what, make in (("apart", apart), ("close", close)):
            made = make(text, genes, given.variants)
            vcf = write_vcf(folder / f"{what}.vcf", text, made)
            spent: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(given.turns):
                done = deepfield(
                    "genomics", "score", vcf, "--genome", fasta, "--annotation", table,
                    "-o", folder / "ours.vcf", "--model", "spliceai",
                )  # fmt: skip
                spent["ours"].append(done.seconds)
                theirs = run([program("spliceai"), "-I", vcf, "-O", folder / "theirs.vcf",
                              "-R", fasta, "-A", table])  # fmt: skip
                spent["theirs"].append(theirs.seconds)
            ours, others = median(spent["ours"]), median(spent["theirs"])
            kind = "far apart" if what == "apart" else "close together"
            rows += [
                row(f"{len(made)} variants {kind}", len(made) / ours, "1/s"),
                row(f"spliceai, variants {kind}", len(made) / others, "1/s"),
                row(f"{kind}, times as quick as spliceai", others / ours, "x", ">= 5"),
            ]
            details[what] = spent | {"variants": len(made), "peak_mb": done.peak_mb,
                                     "their_peak_mb": theirs.peak_mb}  # fmt: skip
    return report("spliceai_speed", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
