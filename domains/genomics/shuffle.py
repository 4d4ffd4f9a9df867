"""Sequences whose letters come in another order, with the same neighbours as before."""

from __future__ import annotations

import hashlib

import numpy as np


def shuffled(letters: bytes, seed: int = 0) -> bytes:
    """Another order of letters in which every pair of neighbours occurs as often as before.

    Each letter is a node and each pair of neighbours an edge of a graph; a sequence is a walk over
    all its edges. Of every letter but the last a last edge is drawn until those edges lead to the
    last letter from everywhere; the other edges are put into a random order, and walked. All such
    orders are equally likely. The first and the last letter stay. Small letters count as large.

    The same letters and seed give the same order, wherever they stand in a file.

    Args:
        letters: one byte a base.
        seed: of the order.

    Source: Altschul & Erickson 1985, Mol. Biol. Evol. 2, 526: the doublet permutation.

    Example:
        >>> one = shuffled(b"ACGTTGCAACGGTA", seed=1)
        >>> sorted(zip(one, one[1:])) == sorted(zip(b"ACGTTGCAACGGTA", b"CGTTGCAACGGTA"))
        True
    """
    letters = letters.upper()
    if len(letters) < 4:
        return letters
    digest = hashlib.blake2b(letters, digest_size=8, salt=seed.to_bytes(8, "little")).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    edges = _edges(letters, rng)
    last = letters[-1]
    while not _leads_to(last, {node: own[-1] for node, own in edges.items() if node != last}):
        for own in edges.values():  # a new last edge; the order of the others is random still
            place = int(rng.integers(len(own)))
            own[place], own[-1] = own[-1], own[place]
    walks = {node: iter(own) for node, own in edges.items()}
    node = letters[0]
    path = [node]
    for _ in range(len(letters) - 1):
        node = next(walks[node])
        path.append(node)
    return bytes(path)


def _edges(letters: bytes, rng: np.random.Generator) -> dict[int, list[int]]:
    """By letter all letters behind it, in a random order."""
    values = np.frombuffer(letters, np.uint8)
    order = np.lexsort((rng.random(len(values) - 1), values[:-1]))
    behind = values[1:][order].tolist()
    edges, start = {}, 0
    for node in sorted(set(letters[:-1])):
        stop = start + letters.count(node, 0, len(letters) - 1)
        edges[node] = behind[start:stop]
        start = stop
    return edges


def _leads_to(last: int, edges: dict[int, int]) -> bool:
    for node in edges:
        seen = set()
        while node != last:
            if node in seen:
                return False
            seen.add(node)
            node = edges[node]
    return True
