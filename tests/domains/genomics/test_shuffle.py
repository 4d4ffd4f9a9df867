"""Shuffled sequences keep every pair of neighbours, and all orders are equally likely."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deepfield.domains.genomics.shuffle import shuffled


@given(st.text("ACGTN", max_size=80), st.integers(0, 5))
def test_every_pair_of_neighbours_is_kept(text, seed):
    letters = text.encode()
    made = shuffled(letters, seed)
    assert Counter(pairwise(made)) == Counter(pairwise(letters))
    assert made[:1] == letters[:1] and made[-1:] == letters[-1:] and len(made) == len(letters)
    assert made == shuffled(letters, seed)


def test_small_letters_count_as_large():
    assert shuffled(b"acgtTGCAacgt") == shuffled(b"ACGTTGCAACGT")


def test_long_sequences_are_another_one_for_every_seed():
    letters = b"ACGGTTACGATCGACCATGACCATCATTACGGGACT" * 3
    assert len({letters, *(shuffled(letters, seed) for seed in range(20))}) == 21


def test_all_orders_are_equally_likely():
    letters = b"ACATCAGACTA"
    walks = Counter(shuffled(letters, seed) for seed in range(6000))

    def orders(node, left, path):  # all ways over the edges, by trying them
        if not left:
            return {bytes(path)}
        found = set()
        for edge in {edge for edge in left if edge[0] == node}:
            rest = list(left)
            rest.remove(edge)
            found |= orders(edge[1], rest, [*path, edge[1]])
        return found

    expected = orders(letters[0], list(pairwise(letters)), [letters[0]])
    assert set(walks) == expected and len(expected) > 10
    mean = 6000 / len(expected)
    squares = sum((walks[one] - mean) ** 2 / mean for one in expected)
    assert squares < 2 * len(expected)  # chi squared, with a wide margin
