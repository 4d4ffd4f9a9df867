"""The stretch that a network judges, cut out of a sequence about its middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from deepfield.domains.genomics.features import COMPLEMENTS, LETTERS
from deepfield.toolkit.errors import BadInput

#: What is judged: the base in the middle, the whole stretch as it lies, or whatever is in it, on
#: either strand.
KINDS = ("site", "window", "peak")
#: Share of the training sequences that must have a letter for it to belong to the site.
_FIXED = 0.999


def middle(length: int) -> int:
    """The place of the base in the middle: of an even number the left one.

    Example:
        >>> middle(601), middle(602)
        (300, 300)
    """
    return (length - 1) // 2


def usual_length(lengths: Sequence[int]) -> int:
    """The length that most sequences have; of several the longest."""
    counts = Counter(lengths)
    return max(counts, key=lambda length: (counts[length], length))


def window(sequence: np.ndarray, length: int, least: int | None = None) -> tuple[np.ndarray, str]:
    """As many letters about the middle as a network reads, N where there are none.

    Args:
        sequence: codes (steps,).
        length: of the window.
        least: letters that there must be; half of the window without.

    Returns:
        Codes (length,), and in words what is missing; "" where nothing is.

    Raises:
        BadInput: longer than the window, or too short.

    Example:
        >>> window(np.array([1, 2, 3, 4], np.uint8), 6)
        (array([0, 1, 2, 3, 4, 0], dtype=uint8), '2 of 6 letters are missing at its ends')
    """
    have = len(sequence)
    if have > length:
        raise BadInput(f"{have:,} letters, and the network reads {length:,}")
    if have < max(1, -(-length // 2) if least is None else least):
        raise BadInput(f"{have:,} letters are too few: the network reads {length:,}")
    if have == length:
        return sequence, ""
    found = np.zeros(length, sequence.dtype)
    start = middle(length) - middle(have)
    found[start : start + have] = sequence
    return found, missing(length - have, length)


def missing(count: int, length: int) -> str:
    """How many letters of a window are beyond the ends of what it was cut out of, in words."""
    return f"{count} of {length} letters are missing at its ends"


def site_letters(sequences: Sequence[np.ndarray]) -> dict[int, str]:
    """The letters next to the middle that all training sequences share, by their place from it.

    Of donor sites these are G at 0 and T at 1.

    Example:
        >>> site_letters([np.array([1, 3, 4, 1]), np.array([2, 3, 4, 3])])
        {0: 'G', 1: 'T'}
    """
    found: dict[int, str] = {}
    for direction in (1, -1):
        place = 0 if direction == 1 else -1
        while abs(place) < 8:
            seen = Counter(
                int(one[at]) if 0 <= (at := middle(len(one)) + place) < len(one) else -1
                for one in sequences
            )
            code, count = seen.most_common(1)[0]
            if count < _FIXED * len(sequences) or not 1 <= code <= 4:
                break
            found[place] = LETTERS[code]
            place += direction
    return dict(sorted(found.items()))


def at_sites(sequence: np.ndarray, letters: Mapping[int, str]) -> np.ndarray:
    """Where a sequence has the letters of a site, (steps,) bool: everywhere if it has none.

    Example:
        >>> at_sites(np.array([3, 4, 3, 3]), {0: "G", 1: "T"}).tolist()
        [True, False, False, False]
    """
    steps = len(sequence)
    there = np.ones(steps, bool)
    for place, letter in letters.items():
        moved = np.zeros(steps, bool)
        here = sequence == LETTERS.index(letter)
        if place >= 0:
            moved[: max(0, steps - place)] = here[place:]
        else:
            moved[-place:] = here[:place]
        there &= moved
    return there


def around(contig: np.ndarray, positions: np.ndarray, strand: str, length: int) -> np.ndarray:
    """The windows about some bases of a contig, read along a strand; N beyond the contig's ends.

    Args:
        contig: codes (steps,).
        positions: of the bases in their middle, from 0, on the + strand; (places,).
        strand: `"+"` or `"-"`.
        length: of a window.

    Returns:
        Codes (places, length).

    Example:
        >>> around(np.array([1, 1, 3, 4]), np.array([2]), "-", 5).tolist()
        [[0, 1, 2, 4, 4]]
    """
    offsets = np.arange(length) - middle(length)
    places = positions[:, None] + (offsets if strand == "+" else -offsets)
    inside = (places >= 0) & (places < len(contig))
    found = np.where(inside, contig[np.clip(places, 0, len(contig) - 1)], 0)
    return found if strand == "+" else COMPLEMENTS[found]
