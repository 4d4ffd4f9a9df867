from itertools import pairwise

import numpy as np
import pytest

from deepfield.domains.speech.formants import WORDS, Speaker, say
from deepfield.domains.speech.lexicon import Lexicon
from deepfield.domains.speech.recombination import Recombination, Word, spans
from deepfield.domains.speech.task import Transcription
from deepfield.toolkit.data import Encoded, Sample


def heard(symbols, frames, kinds=6):
    """What a network hears that is sure of a symbol in some frames and of the blank in others."""
    log_probs = np.full((frames, kinds), -9.0, np.float32)
    log_probs[:, 0] = -0.01
    for frame, symbol in symbols.items():
        log_probs[frame] = -9.0
        log_probs[frame, symbol] = -0.01
    return log_probs


def test_words_are_cut_where_it_is_quietest_between_them():
    rate = 1000
    x = np.random.default_rng(0).normal(size=1000)
    x[480:560] *= 1e-3  # a pause between the frames 30 and 70
    log_probs = heard({10: 2, 30: 3, 35: 1, 70: 4}, 100)
    words = [np.array([2, 3]), np.array([4])]
    (first, cut), (again, last) = spans(x, rate, log_probs, words, 1, 0.01)
    assert first == 0 and last == 1000 and cut == again and 480 <= cut <= 560


def test_spans_cover_the_recording_whatever_is_heard():
    rng = np.random.default_rng(1)
    for count in range(5):
        words = [rng.integers(2, 6, rng.integers(1, 4)) for _ in range(count)]
        log_probs = np.log(rng.dirichlet(np.ones(6), 30)).astype(np.float32)
        found = spans(rng.normal(size=470), 1000, log_probs, words, 1, 0.02)
        assert len(found) == count
        if count:
            assert found[0][0] == 0 and found[-1][1] == 470
            assert all(a <= b for a, b in found)
            assert all(a[1] == b[0] for a, b in pairwise(found))


@pytest.fixture
def drawn():
    own = [Word(0, 0, 50, {}), Word(0, 50, 90, {}), Word(0, 90, 130, {})]
    return Recombination([own, []], [["a", "a", "b"], []], ["x", "y"])


def test_rare_words_are_drawn_as_often_as_others(drawn):
    rng = np.random.default_rng(0)
    words = [w for _ in range(300) for w in drawn.draw(0, rng, 400)]
    assert 0.45 < np.mean([w.start == 90 for w in words]) < 0.55


def test_it_lasts_about_as_long_as_the_recording(drawn):
    rng = np.random.default_rng(0)
    for most in (1, 130, 1000):
        lengths = [sum(w.end - w.start for w in drawn.draw(0, rng, most)) for _ in range(50)]
        assert all(abs(length - most) <= 25 or most < 25 for length in lengths)


def test_who_said_no_word_that_is_known_has_none(drawn):
    assert drawn.draw(1, np.random.default_rng(0), 100) == []


@pytest.mark.slow
def test_words_are_cut_in_the_pauses_between_them():
    rng = np.random.default_rng(0)
    task = Transcription({"letters": " abcdefghijklmnopqrstuvwxyz", "frame_s": 0.02})
    task.lexicon = Lexicon({word: list(word) for word in WORDS})
    items, between = [], []
    for number in range(160):
        speaker, words = Speaker.drawn(rng), rng.choice(WORDS, rng.integers(1, 4))
        said = [say(word, speaker, rng, 16000) for word in words]
        between.append(np.cumsum([len(x) for x in said])[:-1])
        sample = Sample(str(number), None, " ".join(words), number % 8)
        arrays = {"waveform": np.concatenate(said)}
        items.append(Encoded(sample, arrays, target=task.encode(sample.target)))
    found = Recombination.of(items, task, 16000)
    words = [word for kinds in found._kinds.values() for kind in kinds for word in kind]
    cuts = [sorted(w.start for w in words if w.item == n and w.start) for n in range(160)]
    off = np.concatenate([np.subtract(a, b) for a, b in zip(cuts, between, strict=True)]) / 16000
    # `say` is silent for 0.11 to 0.2 s behind a word, and for 0.08 to 0.14 s before it
    assert np.mean((off > -0.2) & (off < 0.14)) > 0.97
