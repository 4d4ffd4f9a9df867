"""Texts as people write them, and as the network spells them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from deepfield.toolkit.errors import BadInput

_MARKS = re.compile(r"[.,;:!?()\[\]{}\"“”„«»…–—-]+")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})


def plain(text: str) -> str:
    """A text in small letters, without punctuation, words divided by single blanks.

    Example:
        >>> plain(" It's  five—Rubout! ")
        "it's five rubout"
    """
    text = unicodedata.normalize("NFC", text).lower().translate(_APOSTROPHES)
    return " ".join(_MARKS.sub(" ", text).split())


class Alphabet:
    """The characters that a network spells with; symbol 0 is none of them, it is CTC's blank.

    Args:
        letters: in the order of their symbols, from 1.

    Example:
        >>> Alphabet(" ab").symbols("a b").tolist()
        [2, 1, 3]
    """

    def __init__(self, letters: Iterable[str]) -> None:
        self.letters = tuple(letters)
        if len(set(self.letters)) != len(self.letters) or any(len(c) != 1 for c in self.letters):
            raise ValueError(f"an alphabet of {self.letters!r}")
        self._places = {c: i for i, c in enumerate(self.letters, start=1)}

    def __len__(self) -> int:
        """Letters, without the blank."""
        return len(self.letters)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Alphabet:
        """The characters of texts; the space always is one."""
        return cls(sorted({" "}.union(*(set(t) for t in texts))))

    def and_of(self, texts: Iterable[str]) -> Alphabet:
        """This one, with further characters of texts behind it."""
        more = sorted(set().union(*(set(t) for t in texts)) - set(self.letters))
        return Alphabet((*self.letters, *more))

    def symbols(self, text: str) -> np.ndarray:
        """A text as symbols (letters,) int32.

        Raises:
            BadInput: it holds characters that the network cannot write.
        """
        strange = sorted(set(text) - self._places.keys())
        if strange:
            known = "".join(c for c in self.letters if c != " ")
            raise BadInput(
                f"the text has {', '.join(map(repr, strange[:5]))}; the network writes {known!r}"
            )
        return np.array([self._places[c] for c in text], np.int32)

    def text(self, symbols: Sequence[int] | np.ndarray) -> str:
        """Symbols as a text; 0 is passed over."""
        return "".join(self.letters[int(s) - 1] for s in symbols if s > 0)
