"""Whether `score` says of variants what the program `spliceai` says, from the same networks.

A simulated genome with planted splice sites on both strands, and variants at and beside them:
substitutions, insertions, deletions, several alternatives in a row, several letters for several,
alleles without letters, a wrong REF, and rows near the ends of the contig; with and without
masking.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import deepfield, report, row, run
from peers import program
from spliceai_files import letters_of, substitution, write_genome, write_vcf

LENGTH, DISTANCE = 160_000, 50
#: A score from which its place says something: that of nothing is anywhere.
TOLD = 0.01


def variants(text: str, sites: list[int], count: int, seed: int = 1) -> list[tuple[int, str, str]]:
    """Rows of every kind, most of them within 15 letters of a splice site."""
    rng = np.random.default_rng(seed)
    rows = []
    for kind in range(count):
        at = int(rng.choice(sites)) + int(rng.integers(-15, 16))
        at = min(max(at, 6_000), len(text) - 6_000)
        size = int(rng.integers(2, 9))
        more = "".join(rng.choice(list("ACGT"), size))
        one = substitution(text, at, rng)
        made = [
            one, one, one,
            (at, text[at], text[at] + more),
            (at, text[at : at + size], text[at]),
            (at, text[at], f"{one[2]},{text[at] + more[:2]}"),
            (at, text[at : at + 2], more[:2]),
            (at, text[at : at + 60], text[at]),
        ]  # fmt: skip
        rows.append(made[kind % len(made)])
    wrong = str(rng.choice([base for base in "ACGT" if base != text[30_000]]))
    rows += [
        (30_000, wrong, text[30_000]),
        (41_000, text[41_000], "*"), (42_000, text[42_000], "."),
        (50_000, text[50_000 : 50_150], text[50_000]),
        substitution(text, 300, rng), substitution(text, len(text) - 300, rng),
    ]  # fmt: skip
    return sorted(rows, key=lambda own: own[0])


def scores(path: Path) -> list[list[list[str]]]:
    """Of each row the values of `SpliceAI`, each in its parts."""
    found = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            info = dict(part.partition("=")[::2] for part in line.split("\t")[7].split(";"))
            told = info.get("SpliceAI", "")
            found.append([value.split("|") for value in told.split(",") if value])
    return found


def compared(theirs: list[list[list[str]]], ours: list[list[list[str]]]) -> dict[str, Any]:
    """How far the values differ."""
    worst, places, told, same = 0.0, 0, 0, len(theirs) == len(ours)
    largest = 0.0
    for one, other in zip(theirs, ours, strict=False):
        same &= [v[:2] for v in one] == [v[:2] for v in other]
        for a, b in zip(one, other, strict=False):
            if "." in (a[2], b[2]):
                same &= a == b
                continue
            for k in range(2, 6):
                worst = max(worst, abs(float(a[k]) - float(b[k])))
                largest = max(largest, float(a[k]))
                if float(a[k]) >= TOLD:
                    told += 1
                    places += a[k + 4] != b[k + 4]
    return {"worst": worst, "places": places, "told": told, "same": same, "largest": largest,
            "values": sum(map(len, theirs))}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=48)
    given = parser.parse_args()
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fasta, genes, sites = write_genome(folder, LENGTH)
        text = letters_of(fasta)
        vcf = write_vcf(folder / "in.vcf", text, variants(text, sites, given.variants))
        for mask in (0, 1):
            theirs, ours = folder / f"theirs{mask}.vcf", folder / f"ours{mask}.vcf"
            run([program("spliceai"), "-I", vcf, "-O", theirs, "-R", fasta, "-A", genes,
                 "-D", str(DISTANCE), "-M", str(mask)])  # fmt: skip
            deepfield(
                "genomics", "score", vcf, "--genome", fasta, "--annotation", genes, "-o", ours,
                "--model", "spliceai", "--distance", str(DISTANCE), *(["--mask"] * mask),
                ok=(0, 3),
            )  # fmt: skip
            found = compared(scores(theirs), scores(ours))
            details[f"mask {mask}"] = found
            what = "masked" if mask else "raw"
            rows += [
                row(f"{what}: scored in the same genes", float(found["same"]), "", ">= 1"),
                row(f"{what}: largest difference of a score", found["worst"], "", "<= 0.01"),
                row(f"{what}: scores at another place", found["places"], "", "<= 0"),
                row(f"{what}: scores of {TOLD} and more", found["told"], ""),
            ]
    return report("spliceai_equal", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
