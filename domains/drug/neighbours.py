"""How near molecules are to each other: what a prediction rests on, and what leaks."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from deepfield.toolkit.data import Arrays

#: Training molecules that are kept to compare with, at most: every so-manieth of them.
MOST_REFERENCES = 2500


class Neighbours:
    r"""Training molecules, as folded circular fingerprints, and the most similar of them.

    Tanimoto similarity $|a \cap b| / |a \cup b|$ of the sets of environments (ECFP4, 1,024 bits).

    Args:
        bits: (references, 128) uint8, packed.
        names: what the references are called: their SMILES.

    Example:
        >>> known = Neighbours(np.array([[0b1110], [0b0001]], "uint8"), ["CCO", "C"])
        >>> known.nearest(np.array([[0b0110]], "uint8"))
        (array([0.66666667]), array([0]))
    """

    def __init__(self, bits: np.ndarray, names: Sequence[str]) -> None:
        if len(bits) != len(names) or not len(names):
            raise ValueError(f"{len(bits)} fingerprints of {len(names)} molecules")
        self.words = _as_words(bits)
        self.sizes = np.bitwise_count(self.words).sum(axis=1, dtype=np.int32)
        self.names = list(names)

    def nearest(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Similarity to the most similar reference (batch,) float64, and its place (batch,).

        Args:
            bits: (batch, 128) uint8, packed.
        """
        words = _as_words(bits)
        common = np.zeros((len(words), len(self.words)), np.int32)
        for place in range(words.shape[1]):  # word by word: the whole would be large
            common += np.bitwise_count(words[:, place, None] & self.words[:, place])
        sizes = np.bitwise_count(words).sum(axis=1, dtype=np.int32)
        union = sizes[:, None] + self.sizes - common
        similarity = common / np.maximum(union, 1)
        best = similarity.argmax(axis=1)
        return similarity[np.arange(len(best)), best], best


def _as_words(bits: np.ndarray) -> np.ndarray:
    """Packed bytes as 64-bit words, filled up with zeros."""
    packed = np.ascontiguousarray(bits, np.uint8)
    missing = -packed.shape[1] % 8
    return np.pad(packed, ((0, 0), (0, missing))).view(np.uint64)


def unordered(arrays: Arrays) -> Arrays:
    """A molecule's arrays with atoms and bonds sorted by what they are.

    Two spellings of a molecule agree, and so do the rare molecules that differ only in which of
    several like atoms are joined; fingerprints beside the graph tell most of these apart.
    """
    kinds, kind = np.unique(arrays["atoms"], axis=0, return_inverse=True)
    joined = np.sort(np.append(kind.ravel(), -1)[arrays["ends"]], axis=1)
    bonds = np.concatenate([arrays["bonds"], joined], axis=1)
    ordered = {"atoms": np.sort(kind.ravel()), "kinds": kinds, "bonds": bonds[np.lexsort(bonds.T)]}
    order_free = {k: v for k, v in arrays.items() if k in ("fingerprint", "sets", "environments")}
    return {**order_free, **ordered}


@functools.cache
def _planes(bits: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((bits, 64)).astype(np.float32)


def environments_hash(bits: np.ndarray) -> int:
    r"""64 bits, each the side of a random plane that the environments lie on.

    Of two molecules at an angle $\theta$ about $64 \theta / \pi$ bits differ: at most 3 where the
    Tanimoto similarity is about 0.98 or more.

    Args:
        bits: (bytes,) uint8, packed.

    Source:
        Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, section 3.
    """
    present = np.unpackbits(np.asarray(bits, np.uint8))
    sides = present.astype(np.float32) @ _planes(len(present)) > 0
    return int(np.packbits(sides).view(">u8")[0])
