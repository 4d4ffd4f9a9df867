import numpy as np

from deepfield.domains.genomics.composition import chain, surprise, unread
from deepfield.domains.genomics.features import codes


def naive(sequence, table):
    bits = []
    for at in range(len(sequence) - 4):
        word = sequence[at : at + 5]
        if min(word) < 1 or max(word) > 4:
            continue
        number = sum((int(c) - 1) * 4 ** (4 - i) for i, c in enumerate(word))
        bits.append(-table[number])
    return np.mean(bits) if bits else np.inf


def test_the_chain_holds_the_chances_of_the_fifth_letter():
    table = chain(np.stack([codes("ACGTACGTACGT")] * 50))
    rows = 2.0 ** table.reshape(-1, 4)
    assert np.allclose(rows.sum(axis=1), 1)
    after_acgt = rows[0 * 64 + 1 * 16 + 2 * 4 + 3]
    assert after_acgt.argmax() == 0 and after_acgt[0] > 0.9
    assert np.allclose(rows[0], 0.25)  # AAAA was never seen


def test_surprise_is_the_mean_of_the_bits_of_the_plain_words():
    rng = np.random.default_rng(1)
    table = chain(rng.integers(1, 5, (20, 60)))
    sequences = rng.integers(0, 6, (8, 40))
    sequences[0] = 0
    expected = [naive(s, table) for s in sequences]
    assert np.allclose(surprise(sequences, table), expected)


def test_a_sequence_of_which_nothing_is_known_says_so():
    assert unread(codes("N" * 60)) == "60 of 60 letters are missing"
    assert unread(codes("ACGTNACGTR")).startswith("2 of 10 letters are missing: nowhere are 5")
    assert unread(codes("NNNACGTANN")) == "" == unread(codes("ACG"))
