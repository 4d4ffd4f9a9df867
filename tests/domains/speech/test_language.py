import math

import numpy as np
import pytest

from deepfield.domains.speech.language import END, FIRST, Language

SENTENCES = [s.split() for s in ("go left", "go right", "go right now", "stop", "stop now")]


@pytest.fixture(params=[1, 2, 3, 4])
def language(request):
    return Language.of(SENTENCES, request.param, ["never"])


def test_probabilities_sum_to_one_after_any_history(language):
    numbers = [END, *language.numbers.values()]
    histories = {language.start, ()}
    for first in numbers[1:]:
        after = language.after(language.start, first)
        histories |= {after, *(language.after(after, second) for second in numbers[1:])}
    for history in histories:
        total = sum(math.exp(language.score(history, w)) for w in numbers)
        assert total == pytest.approx(1, abs=1e-6), history


def test_a_bigram_is_witten_and_bells():
    language = Language.of([["a", "b"], ["a", "c"], ["a", "b"]], 2)
    a, b, c = (language.numbers[w] for w in "abc")
    # unigrams: a 3, b 2, c 1, end 3; four kinds of nine; four words are possible
    unigram = {w: (n + 4 * 0.25) / (9 + 4) for w, n in ((a, 3), (b, 2), (c, 1), (END, 3))}
    assert math.exp(language.score((), c)) == pytest.approx(unigram[c], rel=1e-5)
    # after a: b twice, c once; two kinds of three
    assert math.exp(language.score((a,), b)) == pytest.approx((2 + 2 * unigram[b]) / 5, rel=1e-5)
    assert math.exp(language.score((a,), a)) == pytest.approx(2 * unigram[a] / 5, rel=1e-5)


def test_what_was_said_is_likelier_than_what_was_not():
    language = Language.of(SENTENCES, 3)
    assert language.sentence(["go", "right"]) > language.sentence(["right", "go"])
    assert language.sentence(["go", "up"]) == -math.inf


def test_arrays_make_the_same_model(language):
    twin = Language.from_arrays(language.arrays())
    assert twin.words == language.words and twin.order == language.order
    for sentence in [["go", "now"], ["never"], []]:
        assert twin.sentence(sentence) == language.sentence(sentence)


def test_damaged_arrays_are_refused():
    arrays = Language.of(SENTENCES, 2).arrays()
    for name, value in (("ngrams", np.full(arrays["language/ngrams"].shape, 999)),
                        ("log_probs", arrays["language/log_probs"][:-1]),
                        ("backoffs", arrays["language/backoffs"] * np.nan)):  # fmt: skip
        with pytest.raises(ValueError, match="n-gram model"):
            Language.from_arrays({**arrays, f"language/{name}": value})


def test_the_tree_of_letters_spells_every_word():
    language = Language.of(SENTENCES, 2)
    for word, number in language.numbers.items():
        node = language.spellings()
        for letter in word:
            node = node[letter]
        assert node[""] == number >= FIRST
