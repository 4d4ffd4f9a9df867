"""Tables of the peaks of all factors, with parts that they share, in `build/chipseq`.

`all.tsv` is what a first network learns, `MYC.tsv` and so on what it is fine-tuned to. Similar
sequences are in one part whatever factor they are of, so that no network is validated on what its
first network has learnt. A peak of two factors is in `all.tsv` twice, with the same part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from genome_folds import FACTORS, SETS, read
from measuring import ROOT

from deepfield.domains.genomics.splits import SPLITS
from deepfield.toolkit.data import Sample
from deepfield.toolkit.splits import Split


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "chipseq")
    given = parser.parse_args()
    found = {
        factor: [
            sample
            for sample in read(SETS[f"tf_{factor.lower()}"], given.data / "genomics")
            if not sample.data.shuffled
        ]
        for factor in FACTORS
    }
    write(found, given.out)
    return 0


def write(found: Mapping[str, Sequence[Sample]], out: Path) -> None:
    """A table of each set, and `all.tsv` of all of them, with parts that they share."""
    every = [sample for samples in found.values() for sample in samples]
    dealt = Split("similarity", (0.85, 0.15, 0.0)).deal(every, SPLITS)
    for part, indices in dealt.items():
        for index in indices.tolist():
            every[index].part = part
    out.mkdir(parents=True, exist_ok=True)
    for name, samples in {"all": every, **found}.items():
        lines = [f"{s.data.letters.decode()}\t{s.target}\t{s.part}\n" for s in samples]
        (out / f"{name}.tsv").write_text("sequence\tlabel\tpart\n" + "".join(lines))
        print(f"{name}: {len(lines):,} sequences", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
