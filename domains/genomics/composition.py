"""Whether letters follow one another as in the sequences that a network has learnt from."""

from __future__ import annotations

import numpy as np

from deepfield.domains.genomics.kmers import words

#: Letters before the one that is foretold.
ORDER = 4


def chain(sequences: np.ndarray) -> np.ndarray:
    """A Markov chain of the letters: log2 of how likely each is behind the four before it.

    Args:
        sequences: codes (batch, steps).

    Returns:
        (4^5,) float32, by the number of the word of five letters. Every word counts once more than
        it was seen.
    """
    numbers = words(sequences, ORDER + 1)
    counts = np.bincount(numbers[numbers >= 0], minlength=4 ** (ORDER + 1)) + 1.0
    rows = counts.reshape(-1, 4)
    return np.log2(rows / rows.sum(axis=1, keepdims=True)).ravel().astype(np.float32)


def surprise(sequences: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Bits a letter that sequences hold for who knows the chain, (batch,) float64.

    2 for letters at random. Words with other letters than bases are left out; a sequence of
    nothing else has none: infinity.
    """
    numbers = words(sequences, ORDER + 1)
    known = numbers >= 0
    bits = -np.where(known, table[np.maximum(numbers, 0)], 0.0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return np.where(count > 0, bits / np.maximum(count, 1), np.inf)


def unread(sequence: np.ndarray) -> str:
    """Why nothing can be said of how the letters of a sequence go on; "" where something can.

    Args:
        sequence: codes (steps,).

    Example:
        >>> unread(np.array([1, 2, 0, 0, 0]))
        '3 of 5 letters are missing: nowhere are 5 in a row known'
        >>> unread(np.array([1, 2, 3, 4, 1, 0]))
        ''
    """
    lost = int(((sequence < 1) | (sequence > 4)).sum())
    if not lost or (words(sequence[None], ORDER + 1) >= 0).any():
        return ""
    whole = f"{lost} of {len(sequence)} letters are missing"
    return f"{whole}: nowhere are {ORDER + 1} in a row known" if lost < len(sequence) else whole
