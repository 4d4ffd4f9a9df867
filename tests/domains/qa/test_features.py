import numpy as np
import pytest

from deepfield.domains.qa.features import Asked, encode, sentences_of, words_of
from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.toolkit.errors import BadInput

BILBO = (
    "Bilbo travelled to the cave. Gollum dropped the ring there. Bilbo took the ring. "
    "Bilbo went back to the Shire. Bilbo left the ring there. Frodo got the\nring."
)
KNOWN = "where is the to there travelled dropped took went back left got in".split()  # noqa: SIM905


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?\r\nFour", 4),
        ("The Ring\n\nOnce upon\na time. Then", 3),
        ("no full stop\nnor here", 2),
        ('He said: "Go." Then he went.', 2),
        ("Version 3.5 is in the U.S. now.", 2),
        ("比尔博去了洞穴。咕噜丢了戒指！", 2),
        ("बिल्बो गुफा में गया। उसने अंगूठी ली।", 2),
        ("ذهب بيلبو إلى الكهف. أين الخاتم؟", 2),
        ("", 0),
        (" ... !!! \n\n", 0),
    ],
)
def test_a_text_is_cut_into_sentences(text, count):
    assert len(sentences_of(text)) == count


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Where is the ring?", ["Where", "is", "the", "ring"]),
        ("Mount-Doom, Grey-havens.", ["Mount-Doom", "Grey-havens"]),
        ("Где кольцо Фродо?", ["Где", "кольцо", "Фродо"]),
        ("बिल्बो गुफा में गया।", ["बिल्बो", "गुफा", "में", "गया"]),
        ("戒指在哪里？", list("戒指在哪里")),
        ("«Où est l’anneau ?»", ["Où", "est", "l’anneau"]),
        ("أين الخاتم؟", ["أين", "الخاتم"]),
        ("x_1 = 2", ["x_1", "2"]),
        ("--- ... ", []),
    ],
)
def test_words_of_any_script(sentence, words):
    assert list(words_of(sentence)) == words


def test_composed_and_decomposed_letters_are_one_word():
    assert words_of("Éowyn") == words_of("E\u0301owyn")


def test_known_words_have_their_ids_and_padding_is_zero():
    asked = Asked(("Bilbo took it.", "Bilbo went back to the cave."), "Where is Bilbo?")
    words = Vocabulary(["bilbo", "took", "it", "went", "back", "to", "the", "cave", "where", "is"])
    arrays, read = encode(asked, words)
    assert arrays["story"].dtype == arrays["question"].dtype == np.int32
    assert arrays["story"].tolist() == [[2, 3, 4, 0, 0, 0], [2, 5, 6, 7, 8, 9]]
    assert arrays["question"].tolist() == [10, 11, 2]
    assert read.slots == read.missed == () and read.sentences == asked.sentences


def test_an_unknown_word_has_one_slot_throughout_a_story():
    asked = Asked(sentences_of(BILBO), "Where is GOLLUM?")
    words = Vocabulary(KNOWN, slots=6)
    arrays, read = encode(asked, words)
    assert read.slots == ("Bilbo", "cave", "Gollum", "ring", "Shire", "Frodo")
    first = words.slot_id(0)
    assert arrays["story"][:, 0].tolist() == [first + i for i in (0, 2, 0, 0, 0, 5)]
    assert arrays["question"][-1] == first + 2
    assert read.place("shire") == 4 and read.place("Sauron") is None


def test_renaming_changes_nothing_but_the_slots_words():
    other = BILBO
    for old, new in {"Bilbo": "Ξένος", "Gollum": "Q17", "ring": "Zug-Zug", "Shire": "Ω"}.items():
        other = other.replace(old, new)
    words = Vocabulary(KNOWN, slots=8)
    one, _ = encode(Asked(sentences_of(BILBO), "Where is the ring?"), words)
    two, read = encode(Asked(sentences_of(other), "Where is the Zug-Zug?"), words)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert read.slots[:4] == ("Ξένος", "cave", "Q17", "Zug-Zug")


def test_words_beyond_the_last_slot_are_said_to_be_missed():
    asked = Asked(("Ann met Bob and Cid.",), "Who met Dan?")
    arrays, read = encode(asked, Vocabulary(["met", "and", "who"], slots=2))
    assert read.slots == ("Ann", "Bob") and read.missed == ("Cid", "Dan")
    assert arrays["story"].tolist() == [[5, 2, 6, 3, 1]] and arrays["question"][-1] == 1


def test_known_words_can_be_hidden():
    asked = Asked(("Bilbo took the ring.",), "Where is Bilbo?")
    words = Vocabulary(["bilbo", "took", "the", "ring", "where", "is"], slots=3)
    arrays, read = encode(asked, words, hidden={"bilbo"})
    assert read.slots == ("Bilbo",)
    assert arrays["story"][0, 0] == arrays["question"][-1] == words.slot_id(0)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked((), "Where is Bilbo?"), "the story is empty"),
        (Asked(("...", ""), "Where is Bilbo?"), "the story is empty"),
        (Asked(("Bilbo left.",), " ?"), "no question"),
        (Asked(("x " * 2000,), "Where?"), "a sentence of 2,000 words, the limit is 1,000"),
        (
            Asked(("x " * 900, *["Ann left."] * 999), "Where?"),
            "1,000 sentences and a longest one of 900 words, the limit of their product is 500,000",
        ),
    ],
)
def test_what_cannot_be_answered_is_rejected_with_its_reason(asked, reason):
    with pytest.raises(BadInput) as error:
        encode(asked, Vocabulary(["where"], 2))
    assert error.value.reason == reason


def test_a_story_of_ten_thousand_sentences_is_encoded():
    asked = Asked(tuple(f"Mary went to the place{i % 7}." for i in range(10_000)), "Where is Mary?")
    arrays, read = encode(asked, Vocabulary(KNOWN, 8))
    assert arrays["story"].shape == (10_000, 5) and len(read.slots) == 8


def test_a_vocabulary_leaves_out_what_few_stories_use():
    stories = [[("The", "end")], [("the", "Xyz"), ("Xyz",)], [("THE", "end")]]
    assert Vocabulary.learn(stories).words == ("end", "the", "xyz")
    learnt = Vocabulary.learn(stories, slots=4, least=2)
    assert learnt.words == ("end", "the") and len(learnt) == 2 + 2 + 4
    assert "End" in learnt and "xyz" not in learnt
    assert Vocabulary(**learnt.state()).state() == learnt.state()
