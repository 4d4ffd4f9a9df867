"""flashlight-text's search against our own."""

import math
import sys

import numpy as np
import pytest

from deepfield.domains.speech.decoder import BeamSearch
from deepfield.domains.speech.flashlight import FlashlightSearch, arpa
from deepfield.domains.speech.language import Language
from deepfield.domains.speech.text import Alphabet
from deepfield.toolkit.errors import NotFound

ALPHABET = Alphabet(" ab")
WORDS = Language.of([["a", "ab"], ["ab", "b"], ["b"], ["a", "ab"], ["ba", "a"]], 2)


@pytest.fixture(autouse=True)
def there(request):
    if "without" not in request.node.name:
        pytest.importorskip("flashlight.lib.text", reason="no wheel for this Python")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("order", [2, 3])
def test_it_finds_the_same_sentences_with_the_same_scores(seed, order):
    rng = np.random.default_rng(seed)
    z = 2.0 * rng.normal(size=(6 + seed % 5, 4))
    log_probs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    sentences = [["a", "ab", "b"], ["ab", "b"], ["b"], ["a", "ab", "a"], ["ba", "a"]]
    language = Language.of(sentences, order)
    ours = BeamSearch(ALPHABET, language, 0.7, 0.4, beam=10_000, margin=1e9, letters=-1e9)
    theirs = FlashlightSearch(ALPHABET, language, 0.7, 0.4, beam=10_000, margin=1e9)
    ranked = theirs.search(log_probs)
    known = {words: score for score, words in ours.search(log_probs)}
    assert {words for _, words in ranked} == set(known)
    assert max(abs(score - known[words]) for score, words in ranked) < 1e-4
    said, own = theirs(log_probs), ours(log_probs)
    assert said.text == own.text and said.rivals == pytest.approx(own.rivals, abs=1e-3)


def test_nothing_heard_is_nothing_said():
    search = FlashlightSearch(ALPHABET, WORDS)
    assert search(np.zeros((0, 4))).text == ""
    silence = np.log(np.tile([1.0, 1e-6, 1e-6, 1e-6], (5, 1)))
    assert search(silence).text == ""


def test_the_language_is_written_as_others_read_it():
    lines = list(arpa(WORDS))
    rows = [line.split("\t") for line in lines if "\t" in line]
    chances = {text: 10 ** float(p) for p, text, *_ in rows}
    first, second = WORDS.numbers["a"], WORDS.numbers["ab"]
    assert chances["a ab"] == pytest.approx(math.exp(WORDS.score((first,), second)), rel=1e-4)
    assert sum(p for text, p in chances.items() if " " not in text) == pytest.approx(1, abs=1e-3)
    assert f"ngram 1={1 + len(WORDS.words) + 2}" in lines and lines[-1] == "\\end\\"


def test_a_recording_is_told_the_same(trained):
    samples = list(trained.read("synthetic:12:9"))
    told = []
    for how in ("search", "flashlight"):
        trained.settings["decoder"] = how
        told.append(list(trained.predict(samples)))
    for ours, theirs in zip(*told, strict=True):
        assert ours["text"] == theirs["text"]
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-3)


def test_without_the_package_the_way_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashlight.lib.text", None)
    with pytest.raises(NotFound, match="flashlight-text"):
        FlashlightSearch(ALPHABET, WORDS)
