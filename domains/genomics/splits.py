"""Splits that ask for more than a random one: no two similar sequences, no two chromosomes shared.

Sequences of a genome overlap, come in families and are there on both strands: a network that is
tested on what it has nearly seen is judged too well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepfield.domains.genomics.features import codes, reverse_complement
from deepfield.domains.genomics.sequences import DNA
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.splits import Grouping, linked

#: Letters of the words that are compared; a word and its reverse complement are one.
WORD = 16
#: Share of the words of the shorter sequence that must be in the other one.
SHARED = 0.25
#: Words that are held at once; of more only those are taken whose scrambled number is low.
_MOST_WORDS = 1 << 24
#: Of sequences that have one word in common each is compared with so many next ones at most, ...
_MOST_NEXT = 31
#: ... and fewer where that makes more pairs than these.
_MOST_PAIRS = 1 << 25
_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)


def similarity(samples: Sequence[Sample]) -> Grouping:
    """Clusters of similar sequences, dealt at random; those of one `group` are in one cluster.

    Two sequences are similar if a quarter of the 16-letter words of the shorter one are in the
    other, on either strand: copies, what is read from the other strand, windows of a genome that
    overlap by more than a third or so, and families that differ in less than one letter of twelve.
    Clusters hold whatever is joined by a chain of such pairs (single linkage).

    Example:
        >>> letters = "ACGTTGCAAGGCTTACGATCGATTACGGCATCAGTC"
        >>> texts = [letters, "A" * 30, letters[3:]]  # the third is a piece of the first
        >>> similarity([Sample("", DNA.of(text)) for text in texts]).keys
        [0, 1, 0]
    """
    sequences = [_codes(sample) for sample in samples]
    groups = np.unique([s.group or "" for s in samples], return_inverse=True)[1]
    named = np.array([s.group is not None for s in samples])
    pairs = [*near_pairs(sequences), *_chained(groups, named)]
    clusters = np.unique(linked(len(samples), pairs), return_inverse=True)[1]
    return Grouping(clusters.tolist())


def chromosome(samples: Sequence[Sample]) -> Grouping:
    """Whole chromosomes (contigs), dealt at random.

    Raises:
        UsageError: it is not known where a sample is.

    Example:
        >>> first, second = DNA(b"ACGT", "chr1", start=10), DNA(b"TTTT", "chr2", start=90)
        >>> chromosome([Sample("a", first), Sample("b", second)]).keys
        ['chr1', 'chr2']
    """
    keys = [sample.data.contig if isinstance(sample.data, DNA) else "" for sample in samples]
    if not all(keys):
        unknown = samples[keys.index("")].id
        raise UsageError(
            f"--split chromosome, but nobody says on which {unknown!r} is",
            "read a BED file, or a table with a column 'chromosome'; or --split similarity",
        )
    return Grouping(keys)


#: Kinds of split, by name.
SPLITS = {"similarity": similarity, "chromosome": chromosome}


def near_pairs(
    sequences: Sequence[np.ndarray], word: int = WORD, shared: float = SHARED
) -> np.ndarray:
    """Pairs of sequences of which the shorter has a share of its words in the other one too.

    Exact where no word is in more than 32 sequences; of more, each is compared with its next ones
    alone, so that clusters stay whole but not every pair of them is told. Of copies each is paired
    with the first. Sequences shorter than a word are similar to their copies alone. Of more than 16
    million words a sample is taken, the same of all sequences.

    Args:
        sequences: codes (steps,) each.
        word: letters of a word, at most 31.
        shared: from 0 to 1.

    Returns:
        (pairs, 2) int64, the lower index in front, sorted.

    Example:
        >>> one = np.random.default_rng(0).integers(1, 5, 90)
        >>> near_pairs([one[:60], np.zeros(9, int), one[30:], reverse_complement(one)]).tolist()
        [[0, 2], [0, 3], [2, 3]]
    """
    firsts, copies = _copies(sequences)
    numbers, owners = _words([sequences[i] for i in firsts], word)
    sizes = np.bincount(owners, minlength=len(firsts))
    found, counts = _in_common(numbers, owners, len(firsts))
    near = counts >= np.maximum(1, shared * np.minimum(sizes[found[:, 0]], sizes[found[:, 1]]))
    pairs = np.concatenate([np.array(firsts, np.int64)[found[near]].reshape(-1, 2), copies])
    pairs.sort(axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


# --------------------------------------------------------------------------------------- words


def _codes(sample: Sample) -> np.ndarray:
    try:
        return codes(sample.data.letters)
    except (BadInput, AttributeError):  # rejected with its reason when it is encoded
        return np.zeros(0, np.uint8)


def _copies(sequences: Sequence[np.ndarray]) -> tuple[list[int], np.ndarray]:
    """Indices of sequences that are there for the first time, and pairs of the others with them."""
    seen: dict[bytes, int] = {}
    firsts, pairs = [], []
    for index, sequence in enumerate(sequences):
        own = np.asarray(sequence).astype(np.uint8)
        if not len(own):
            firsts.append(index)
            continue
        key = min(own.tobytes(), reverse_complement(own).tobytes())
        if (first := seen.setdefault(key, index)) == index:
            firsts.append(index)
        else:
            pairs.append((first, index))
    return firsts, np.array(pairs, np.int64).reshape(-1, 2)


def _words(sequences: Sequence[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The words of sequences as numbers, the same on either strand, and whose they are.

    A word that comes twice in a sequence is there once. Those with other letters than the four
    bases are left out.

    Returns:
        (words,) uint64 and (words,) int64, in the order of the sequences.
    """
    total = sum(max(0, len(one) - size + 1) for one in sequences)
    limit = np.uint64(2**64 - 1) if total <= _MOST_WORDS else np.uint64(2**64 * _MOST_WORDS / total)
    numbers, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for index, sequence in enumerate(sequences):
        found = _either_strand(np.asarray(sequence), size)
        if total > _MOST_WORDS:
            found = found[_scrambled(found) <= limit]
        found = np.unique(found)
        numbers.append(found)
        owners.append(np.full(len(found), index))
    return np.concatenate(numbers), np.concatenate(owners)


def _either_strand(sequence: np.ndarray, size: int) -> np.ndarray:
    """Every word of a sequence as a number to the base 4; of the two strands' the lower."""
    count = len(sequence) - size + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    digits = sequence.astype(np.int64) - 1
    plain = (digits >= 0) & (digits < 4)
    digits = np.where(plain, digits, 0)
    forward = np.zeros(count, np.uint64)
    back = np.zeros(count, np.uint64)
    for place in range(size):
        here = digits[place : place + count].astype(np.uint64)
        forward = forward * np.uint64(4) + here
        back += (np.uint64(3) - here) << np.uint64(2 * place)
    unknown = np.concatenate([[0], np.cumsum(~plain)])
    known = unknown[size:] == unknown[:-size]
    return np.minimum(forward, back)[known]


def _scrambled(numbers: np.ndarray) -> np.ndarray:
    """Numbers that look random, the same for the same number: the end of MurmurHash3."""
    found = numbers * _SCRAMBLE + np.uint64(1)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        found ^= found >> np.uint64(shift)
        found *= np.uint64(factor)
    return found ^ (found >> np.uint64(33))


def _in_common(
    numbers: np.ndarray, owners: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of owners with words in common, (pairs, 2), and how many words, (pairs,)."""
    order = np.argsort(numbers, kind="stable")
    numbers, owners = numbers[order], owners[order]
    same = numbers[1:] == numbers[:-1]
    several = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    numbers, owners = numbers[several[: len(numbers)]], owners[several[: len(numbers)]]
    most = min(_MOST_NEXT, max(1, _MOST_PAIRS // max(1, len(numbers))))
    keys = []
    for step in range(1, most + 1):
        here = np.flatnonzero(numbers[step:] == numbers[:-step])
        if not len(here):
            break
        keys.append(owners[here] * count + owners[here + step])
    if not keys:
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    found, counts = np.unique(np.concatenate(keys), return_counts=True)
    return np.stack([found // count, found % count], axis=1), counts


def _chained(groups: np.ndarray, named: np.ndarray) -> list[Any]:
    """Pairs that join all samples of a group."""
    places = np.flatnonzero(named)
    order = places[np.argsort(groups[places], kind="stable")]
    same = groups[order[1:]] == groups[order[:-1]]
    return list(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True))
