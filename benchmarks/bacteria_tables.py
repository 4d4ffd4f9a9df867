"""Tables of the promoters of both bacteria, with parts that they share, in `build/promoters`.

`all.tsv` is what a first network learns, `ecoli.tsv` and `bsubtilis.tsv` what it is fine-tuned to.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from factor_tables import write
from genome_folds import SETS, read
from measuring import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "promoters")
    given = parser.parse_args()
    names = [name for name, own in SETS.items() if own.family == "bacteria"]
    found = {
        name.removeprefix("promoter_"): read(SETS[name], given.data / "genomics") for name in names
    }
    write(found, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
