"""Decoders against every possible text, written out."""

import gc
import itertools
import math

import numpy as np
import pytest

from deepfield.domains.speech.decoder import BeamSearch, _Reading, align, greedy, heard_frames
from deepfield.domains.speech.language import END, Language
from deepfield.domains.speech.text import Alphabet

ALPHABET = Alphabet(" ab")
WORDS = Language.of([["a", "ab"], ["ab", "b"], ["b"], ["a", "ab"], ["ba", "a"]], 2)


def chances(rng, frames, sharp=1.0):
    z = sharp * rng.normal(size=(frames, 4))
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def spelled(path):
    return "".join(ALPHABET.letters[s - 1] for s, _ in itertools.groupby(path) if s)


def by_enumeration(log_probs, weight, bonus):
    """The best sentence over all alignments of all texts."""
    heard = {}
    for path in itertools.product(range(4), repeat=len(log_probs)):
        text = " ".join(spelled(path).split())  # more than one space between words is one
        score = sum(log_probs[t, s] for t, s in enumerate(path))
        heard[text] = np.logaddexp(heard.get(text, -np.inf), score)
    found = {}
    for text, score in heard.items():
        words = text.split()
        if all(w in WORDS.numbers for w in words):
            language = weight * WORDS.sentence(words) if words else 0.0
            found[text] = score + language + bonus * len(words)
    return max(found, key=found.get), found


@pytest.mark.parametrize("seed", range(12))
def test_the_search_finds_what_enumeration_finds(seed):
    log_probs = chances(np.random.default_rng(seed), 6, 2.0)
    search = BeamSearch(ALPHABET, WORDS, 0.7, 0.4, beam=10_000, margin=1e9, letters=-1e9)
    best, scores = by_enumeration(log_probs, 0.7, 0.4)
    ranked = search.search(log_probs)
    text = " ".join(WORDS.words[w - 2] for w in ranked[0][1])
    assert text == best
    for score, words in ranked[:5]:
        said = " ".join(WORDS.words[w - 2] for w in words)
        assert score == pytest.approx(scores[said], abs=1e-6)


def test_a_narrow_search_mostly_finds_it_too():
    search = BeamSearch(ALPHABET, WORDS, 0.7, 0.4)
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(20):
        log_probs = chances(rng, 6, 3.0)
        hits.append(search(log_probs).text == by_enumeration(log_probs, 0.7, 0.4)[0])
    assert np.mean(hits) >= 0.95


def test_a_long_recording_holds_no_more_readings_than_a_short_one(monkeypatch):
    search = BeamSearch(ALPHABET, WORDS, 0.7, 0.4, beam=20)
    pruned, living = search._pruned, []

    def counted(found):
        living.append(sum(type(one) is _Reading for one in gc.get_objects()))
        return pruned(found)

    monkeypatch.setattr(search, "_pruned", counted)
    search.search(chances(np.random.default_rng(0), 240, 2.0))
    assert max(living[180:]) < 2 * max(living[:60])


def test_greedy_merges_and_drops():
    path = [1, 0, 2, 2, 0, 2, 3, 1, 1, 0, 1, 3, 1]
    log_probs = np.full((len(path), 4), -9.0)
    log_probs[np.arange(len(path)), path] = -0.01
    said = greedy(log_probs, ALPHABET)
    assert said.text == "aab b"
    assert said.first.tolist() == [2, 5, 6, 7, 11] and said.last[0] == 3
    assert np.allclose(said.scores, -0.01)


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_silence_has_no_word(frames):
    log_probs = np.tile([0.0, -1e4, -1e4, -1e4], (frames, 1))
    assert greedy(log_probs, ALPHABET).text == ""
    assert BeamSearch(ALPHABET, WORDS)(log_probs).text == ""
    assert BeamSearch(ALPHABET, WORDS)(np.tile(np.log([0.97, 0.01, 0.01, 0.01]), (9, 1))).text == ""


def test_padding_of_either_kind_changes_nothing():
    rng = np.random.default_rng(1)
    log_probs = chances(rng, 9, 3.0)
    certain = np.tile([0.0, -1e4, -1e4, -1e4], (4, 1))
    padded = np.concatenate([log_probs, certain, np.zeros((3, 4))])
    assert heard_frames(padded) == 9 and heard_frames(np.zeros((0, 4))) == 0
    search = BeamSearch(ALPHABET, WORDS)
    for decode in (search, lambda x: greedy(x, ALPHABET)):
        a, b = decode(log_probs), decode(padded)
        assert a.text == b.text and np.array_equal(a.first, b.first)


def test_an_alignment_is_the_likeliest():
    rng = np.random.default_rng(2)
    for text in ("a", "ab", "aa b"):
        log_probs = chances(rng, 6, 2.0)
        symbols = ALPHABET.symbols(text)
        paths = [p for p in itertools.product(range(4), repeat=6) if spelled(p) == text]
        best = max(paths, key=lambda p: sum(log_probs[t, s] for t, s in enumerate(p)))
        first, last, clearest = align(log_probs, symbols)
        runs, t = [], 0
        for symbol, run in itertools.groupby(best):
            length = len(list(run))
            if symbol:
                runs.append((t, t + length - 1))
            t += length
        assert list(zip(first, last, strict=True)) == runs
        for i, (a, b) in enumerate(runs):
            assert clearest[i] == pytest.approx(log_probs[a : b + 1, symbols[i]].max())


def test_the_language_decides_where_the_sound_does_not():
    said = np.log([0.02, 0.02, 0.48, 0.48])
    log_probs = np.stack([said, np.log([0.94, 0.02, 0.02, 0.02])])
    likely = Language.of([["b"]] * 9 + [["a"]], 2)
    assert BeamSearch(ALPHABET, likely, weight=1.0)(log_probs).text == "b"
    found = BeamSearch(ALPHABET, likely, weight=1.0)(log_probs)
    # against "a", and against silence, which costs no language
    ranked = BeamSearch(ALPHABET, likely, weight=1.0).search(log_probs)
    others = sum(np.exp(score) for score, words in ranked if words != ranked[0][1])
    assert found.rivals[0] == pytest.approx(ranked[0][0] - np.log(others), abs=1e-3)


def test_only_words_of_the_vocabulary_are_heard():
    rng = np.random.default_rng(3)
    search = BeamSearch(ALPHABET, WORDS)
    for _ in range(10):
        text = search(chances(rng, 12, 3.0)).text
        assert set(text.split()) <= set(WORDS.words)
    assert WORDS.score((), END) < 0 and math.isfinite(WORDS.score((), END))
