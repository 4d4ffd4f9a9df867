"""A genome looked through for sites, whole processes; the first answer of `genomics predict`.

E. coli's genome (4.6 million bases) is judged base by base, on one strand and on both, and five
copies of it joined to one contig, for the memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from measuring import deepfield, report, row

from deepfield.domains.genomics.genbank import read_genbank

#: From which probability a place is written: few are, as nobody wants a million rows.
THRESHOLD = "0.99"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/genomics", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--model", default="splice_donor_human", help="preset or bundle")
    given = parser.parse_args()
    model = str(Path(given.model).resolve()) if Path(given.model).is_dir() else given.model
    (record,) = read_genbank(str(given.data / "ecoli" / "NC_000913.gbk.gz"))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        one, five = work / "one.fa", work / "five.fa"
        one.write_bytes(b">ecoli\n" + record.letters + b"\n")
        five.write_bytes(b">ecoli\n" + 5 * record.letters + b"\n")

        def scanned(file: Path, strand: str) -> tuple[float, float]:
            process = deepfield(
                "genomics", "predict", file, "--model", model, "--strand", strand, "--threshold",
                THRESHOLD, "-o", work / "sites.csv", "-q",
            )  # fmt: skip
            return process.seconds, process.peak_mb

        plus = [scanned(one, "+") for _ in range(given.turns)]
        both = scanned(one, "both")
        large = scanned(five, "+")
        few = work / "x.fa"
        few.write_bytes(b">a\n" + record.letters[:602] + b"\n")
        cold = [
            deepfield("genomics", "predict", few, "--model", model, "-q").seconds
            for _ in range(given.turns)
        ]
    bases = len(record.letters)
    rows = [
        row("genome, one strand, bases a second", bases / median(s for s, _ in plus), "/s",
            ">= 100000"),
        row("genome, both strands, bases a second", bases / both[0], "/s"),
        row("peak memory, 4.6 million bases", plus[0][1], "MB"),
        row("peak memory, five times as many in one contig", large[1], "MB"),
        row("cold `genomics predict x.fa`", median(cold), "s", "<= 1.5"),
    ]  # fmt: skip
    return report("genome_speed", rows, bases=bases, model=given.model)


if __name__ == "__main__":
    sys.exit(main())
