"""Sequences as numbers: one a base, in the codes of IUPAC. NumPy only."""

from __future__ import annotations

import numpy as np

from deepfield.toolkit.errors import BadInput

#: The letters in the order of their codes: nothing known, the four bases, and what may be several.
LETTERS = "NACGTRYSWKMBDHV"
#: What each letter may be.
_MEANS = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG",
}  # fmt: skip
_INVALID = 255


def _code_table() -> np.ndarray:
    table = np.full(256, _INVALID, np.uint8)
    for code, letter in enumerate(LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = code
    for letter in "Uu":
        table[ord(letter)] = LETTERS.index("T")
    for letter in "Xx.-":
        table[ord(letter)] = 0
    return table


def _chances() -> np.ndarray:
    rows = np.zeros((len(LETTERS), 4), np.float32)
    for letter, bases in _MEANS.items():
        for base in bases:
            rows[LETTERS.index(letter), "ACGT".index(base)] = 1 / len(bases)
    return rows


def _complements() -> np.ndarray:
    pairs = {"A": "T", "C": "G", "G": "C", "T": "A"}
    found = np.zeros(len(LETTERS), np.uint8)
    for letter, bases in _MEANS.items():
        other = {pairs[base] for base in bases}
        found[LETTERS.index(letter)] = next(
            LETTERS.index(name) for name, means in _MEANS.items() if set(means) == other
        )
    return found


_CODES = _code_table()
_SHOWN = np.frombuffer(LETTERS.encode(), np.uint8)
#: How likely each of A, C, G, T is for a code, (15, 4) float32; a row of zeros for N.
CHANCES = _chances()
#: The code of the opposite base, by code, (15,) uint8.
COMPLEMENTS = _complements()


def codes(text: str | bytes) -> np.ndarray:
    """A sequence as codes, (steps,) uint8: 0 is N, 1 to 4 are A, C, G, T (or U), then IUPAC's.

    Lower case is read as upper, U as T, and X, `.` and `-` as N.

    Raises:
        BadInput: another letter, with its place.

    Example:
        >>> codes("ACGUN").tolist()
        [1, 2, 3, 4, 0]
    """
    raw = text.encode("latin-1", "replace") if isinstance(text, str) else text
    found = _CODES[np.frombuffer(raw, np.uint8)]
    wrong = np.flatnonzero(found == _INVALID)
    if len(wrong):
        place = int(wrong[0])
        letter = chr(raw[place]) if isinstance(text, bytes) else text[place]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BadInput(f"{letter!r} at position {place + 1}{more} is no nucleotide")
    return found


def text_of(sequence: np.ndarray) -> str:
    """The letters of codes.

    Example:
        >>> text_of(np.array([1, 2, 3, 4, 0]))
        'ACGTN'
    """
    return _SHOWN[sequence].tobytes().decode("ascii")


def reverse_complement(sequence: np.ndarray) -> np.ndarray:
    """The other strand, read in its own direction.

    Example:
        >>> text_of(reverse_complement(codes("AACGR")))
        'YCGTT'
    """
    return COMPLEMENTS[sequence[..., ::-1]]
