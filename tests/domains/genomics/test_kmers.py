from collections import Counter

import numpy as np
import pytest

from deepfield.domains.genomics.features import codes, reverse_complement, text_of
from deepfield.domains.genomics.kmers import (
    KmerRegression,
    features,
    opposite,
    placed,
    word_counts,
    words,
)
from deepfield.toolkit.errors import UsageError


def test_words_are_numbered_to_the_base_four():
    found = words(codes("ACGTNAC")[None], 3)[0]
    assert found.tolist() == [0 * 16 + 1 * 4 + 2, 1 * 16 + 2 * 4 + 3, -1, -1, -1]
    assert words(codes("AC")[None], 5).shape == (1, 0)
    with pytest.raises(UsageError):
        words(codes("AC")[None], 11)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_opposite_word_is_that_of_the_other_strand(size):
    rng = np.random.default_rng(size)
    sequence = rng.integers(1, 5, size).astype(np.uint8)
    own = words(sequence[None], size)[0, 0]
    other = words(reverse_complement(sequence)[None], size)[0, 0]
    assert opposite(size)[own] == other and opposite(size)[other] == own


def test_counts_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    sequences = rng.integers(0, 6, (5, 40)).astype(np.uint8)
    dense = np.expm1(word_counts(sequences, (3,), symmetric=False).toarray())
    for row, sequence in zip(dense, sequences, strict=True):
        text = text_of(sequence)
        counted = Counter(text[i : i + 3] for i in range(38) if set(text[i : i + 3]) <= set("ACGT"))
        assert round(row.sum()) == sum(counted.values())
        for word, count in counted.items():
            assert round(row[words(codes(word)[None], 3)[0, 0]]) == count


def test_symmetric_counts_and_those_of_peaks_do_not_tell_the_strands_apart():
    sequences = np.random.default_rng(0).integers(1, 5, (6, 50)).astype(np.uint8)
    other = np.stack([reverse_complement(s) for s in sequences])
    assert (features(sequences, "peak") != features(other, "peak")).nnz == 0
    assert (features(sequences, "window") != features(other, "window")).nnz > 0


def test_placed_is_one_hot():
    dense = placed(codes("ANT")[None]).toarray()
    assert dense.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]


def test_the_regression_learns_a_planted_word():
    rng = np.random.default_rng(0)
    sequences = rng.integers(1, 5, (300, 60)).astype(np.uint8)
    targets = np.arange(300) % 2
    sequences[targets == 1, 20:28] = codes("CACGTGAC")
    model = KmerRegression(features(sequences[:200], "peak"), targets[:200], 2)
    said = model.predict(features(sequences[200:], "peak"))
    assert np.allclose(said.sum(axis=1), 1)
    assert (said.argmax(axis=1) == targets[200:]).mean() > 0.95
