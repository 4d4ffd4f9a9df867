import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfield.domains.speech.text import Alphabet, plain
from deepfield.toolkit.errors import BadInput


@pytest.mark.parametrize(
    ("written", "said"),
    [("Hello, World!", "hello world"), ("  a\t b\n", "a b"), ("it’s", "it's"), ("", ""),
     ("twenty-one", "twenty one"), ("É", "é")],
)  # fmt: skip
def test_a_text_is_made_plain(written, said):
    assert plain(written) == said


@given(st.text())
def test_what_is_plain_stays_plain(text):
    assert plain(plain(text)) == plain(text)


@given(st.text(" abc'", max_size=30))
def test_symbols_spell_the_text(text):
    alphabet = Alphabet(" abc'")
    symbols = alphabet.symbols(text)
    assert alphabet.text(symbols) == text and (symbols > 0).all()


def test_new_letters_stand_behind_the_old_ones():
    alphabet = Alphabet.of(["go", "on"])
    assert alphabet.letters == (" ", "g", "n", "o")
    assert alphabet.and_of(["ego"]).letters == (" ", "g", "n", "o", "e")
    assert alphabet.and_of(["no"]).letters == alphabet.letters


def test_a_strange_letter_is_named():
    with pytest.raises(BadInput, match="'é'; the network writes 'ab'"):
        Alphabet(" ab").symbols("é")
    assert Alphabet(" ab").text(np.array([0, 2, 0, 3])) == "ab"


@pytest.mark.parametrize("letters", [["a", "a"], ["ab"]])
def test_an_alphabet_of_no_sense_is_refused(letters):
    with pytest.raises(ValueError, match="an alphabet of"):
        Alphabet(letters)
