"""A stretch of DNA as a reader hands it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepfield.toolkit.errors import BadInput


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

    @classmethod
    def of(cls, thing: Any) -> DNA:
        """Letters as a text, as bytes, or as an array of these.

        Raises:
            BadInput: it is none of them.

        Example:
            >>> DNA.of("ACGU").letters
            b'ACGU'
        """
        if isinstance(thing, cls):
            return thing
        if isinstance(thing, str):
            return cls(thing.encode("latin-1", "replace"))
        if isinstance(thing, bytes | bytearray | memoryview):
            return cls(bytes(thing))
        if isinstance(thing, np.ndarray) and thing.ndim == 1:
            if thing.dtype.kind == "U":
                return cls.of("".join(thing.tolist()))
            if thing.dtype.kind == "S":
                return cls(b"".join(thing.tolist()))
            if thing.dtype == np.uint8:
                return cls(thing.tobytes())
        shape = f" of {thing.dtype}, {thing.shape}" if isinstance(thing, np.ndarray) else ""
        raise BadInput(f"not a sequence: {type(thing).__name__}{shape}")

    def __len__(self) -> int:
        return len(self.letters)
