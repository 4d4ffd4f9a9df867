"""A stretch of DNA as a reader hands it on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DNA:
    """Letters, and where in a genome they stand if that is known; equal letters are equal.

    Args:
        letters: one byte a base, as the file has them: any case, IUPAC's codes, RNA's U.
        contig: of the genome; "" where the letters come from none.
        start: place of the first letter in the contig, from 0, on the + strand.
        strand: `"+"`, or `"-"` where the letters were read from the other strand already.
        shuffled: whether these are the letters of another sequence in an order of chance.
    """

    letters: bytes
    contig: str = field(default="", compare=False)
    start: int = field(default=0, compare=False)
    strand: str = field(default="+", compare=False)
    shuffled: bool = field(default=False, compare=False)

    def __len__(self) -> int:
        return len(self.letters)
