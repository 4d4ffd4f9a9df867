import numpy as np
import pytest

from deepfield.domains.genomics.features import codes, reverse_complement
from deepfield.domains.genomics.windows import (
    around,
    at_sites,
    middle,
    site_letters,
    usual_length,
    window,
)
from deepfield.toolkit.errors import BadInput


def test_the_usual_length_is_what_most_have_and_of_several_the_longest():
    assert usual_length([5, 7, 7, 9]) == 7
    assert usual_length([5, 7]) == 7


@pytest.mark.parametrize("have", [6, 7, 9, 10])
@pytest.mark.parametrize("length", [10, 11])
def test_a_short_sequence_keeps_its_middle_in_the_middle(have, length):
    sequence = np.arange(1, have + 1, dtype=np.uint8) % 4 + 1
    sequence[middle(have)] = 9
    found, lack = window(sequence, length)
    assert len(found) == length and found[middle(length)] == 9
    assert np.count_nonzero(found) == have
    assert lack == (f"{length - have} of {length} letters are missing at its ends"
                    if have < length else "")  # fmt: skip


@pytest.mark.parametrize("have", [0, 4, 11])
def test_too_few_or_too_many_letters_are_said_with_both_numbers(have):
    with pytest.raises(BadInput, match=rf"^{have} letters.*10$"):
        window(np.ones(have, np.uint8), 10)


def test_the_letters_of_a_site_are_those_that_all_share_about_the_middle():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(1, 5, 20).astype(np.uint8) for _ in range(200)]
    for one in sequences:
        one[8:11] = codes("AGT")
    assert site_letters(sequences) == {-1: "A", 0: "G", 1: "T"}
    assert site_letters([s[:8] for s in sequences]) == {}


def test_one_sequence_in_a_thousand_may_lack_them():
    sequences = [codes("AGTA")] * 2000
    assert site_letters([*sequences, codes("ACTA")]) == {-1: "A", 0: "G", 1: "T", 2: "A"}
    assert 0 not in site_letters([*sequences, *[codes("ACTA")] * 20])


def test_sites_are_found_where_all_letters_stand():
    contig = codes("AGTAGTNAG")
    assert np.flatnonzero(at_sites(contig, {0: "G", 1: "T"})).tolist() == [1, 4]
    assert np.flatnonzero(at_sites(contig, {-1: "A", 0: "G"})).tolist() == [1, 4, 8]
    assert at_sites(contig, {}).all()


@pytest.mark.parametrize("length", [7, 8])
def test_windows_about_bases_are_cut_on_either_strand(length):
    contig = np.random.default_rng(0).integers(0, 15, 40).astype(np.uint8)
    positions = np.array([0, 3, 20, 39])
    padded = np.pad(contig, length)
    for strand in "+-":
        own = padded if strand == "+" else reverse_complement(padded)
        for row, position in zip(around(contig, positions, strand, length), positions, strict=True):
            at = position + length if strand == "+" else len(padded) - 1 - position - length
            assert np.array_equal(row, own[at - middle(length) :][:length])
