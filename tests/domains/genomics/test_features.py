import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfield.domains.genomics.features import (
    CHANCES,
    LETTERS,
    codes,
    reverse_complement,
    text_of,
)
from deepfield.toolkit.errors import BadInput

#: From the recommendations of IUPAC and IUB, 1984.
AMBIGUOUS = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
             "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"}  # fmt: skip


def test_letters_are_read_in_any_case_and_rna_as_dna():
    assert codes("ACGTUacgtun-.x").tolist() == [1, 2, 3, 4, 4, 1, 2, 3, 4, 4, 0, 0, 0, 0]
    assert codes(b"ACG").tolist() == [1, 2, 3]
    assert len(codes("")) == 0


def test_chances_are_those_of_iupac():
    for letter, bases in AMBIGUOUS.items():
        row = CHANCES[LETTERS.index(letter)]
        assert {b for b, p in zip("ACGT", row, strict=True) if p} == set(bases)
        assert np.isclose(row.sum(), 1) and len(set(row[row > 0])) == 1
    assert CHANCES[0].sum() == 0 and np.array_equal(CHANCES[1:5], np.eye(4))


def test_another_letter_is_named_with_its_place():
    with pytest.raises(BadInput, match=r"^'Z' at position 3 \(and 1 more\) is no nucleotide$"):
        codes("ACZGJ")
    with pytest.raises(BadInput, match="'é' at position 2"):
        codes("AéC")


@given(st.text(alphabet=LETTERS, max_size=50))
def test_the_other_strand_of_the_other_strand_is_the_first(text):
    sequence = codes(text)
    assert text_of(sequence) == text
    assert text_of(reverse_complement(reverse_complement(sequence))) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_codes_or_refused(raw):
    try:
        found = codes(raw)
    except BadInput as error:
        assert "no nucleotide" in error.reason
    else:
        assert found.max(initial=0) < len(LETTERS) and len(found) == len(raw)


def test_complements_of_ambiguous_letters_are_what_iupac_says():
    assert text_of(reverse_complement(codes("RYSWKMBDHVN"))) == "NBDHVKMWSRY"
