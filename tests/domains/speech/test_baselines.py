import numpy as np

from deepfield.domains.speech.baselines import (
    OneSentence,
    Words,
    fixed_length,
    mfcc,
)
from deepfield.domains.speech.formants import WORDS, Speaker, say
from deepfield.domains.speech.task import text_of


def spoken(seed, words=WORDS[:4], times=5):
    rng = np.random.default_rng(seed)
    speaker = Speaker.drawn(rng)
    return [(mfcc(say(w, speaker, rng), 16000), w) for w in words for _ in range(times)]


def test_a_support_vector_machine_tells_words_apart():
    train, test = spoken(0) + spoken(1), spoken(0, times=2)
    model = Words(np.stack([fixed_length(c) for c, _ in train]), [w for _, w in train], 0)
    said = model.predict(np.stack([fixed_length(c) for c, _ in test]))
    right = [text_of(p) == w for p, (_, w) in zip(said, test, strict=True)]
    assert np.mean(right) > 0.7


def test_the_language_alone_says_one_thing():
    said = OneSentence(["go left", "stop", "go left"]).predict(np.zeros((2, 3)))
    assert [text_of(p) for p in said] == ["go left", "go left"]
