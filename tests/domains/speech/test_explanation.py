import json

import numpy as np
import pytest

from deepfield.domains.speech.explanation import without
from deepfield.domains.speech.features import Sound
from deepfield.domains.speech.formants import Speaker, say
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput


def test_words_and_what_they_rest_on_are_told(trained):
    rng = np.random.default_rng(2)
    quiet = np.zeros(16000)  # of which the network gets a part
    x = np.concatenate([quiet, say("sami", Speaker.drawn(rng), rng), quiet])
    explanation = trained.explain(Sample("clip", Sound(x, 16000)))
    assert explanation.text == "sami"
    facts = json.loads(json.dumps(explanation.facts()))
    worth = np.array(facts["worth"])
    assert worth.max() == 1 and worth.shape[1] + 1 == len(facts["bands_hz"])
    times = worth.sum(axis=1)
    middle = np.arange(len(times)) * facts["tile_s"]
    inside = (middle > 0.9) & (middle < len(x) / 16000 - 0.8)
    assert times[inside].mean() > 4 * times[~inside].mean()  # nothing is missed in the pauses
    assert explanation.png().startswith(b"\x89PNG")
    assert "sami" in explanation.report().html() and "sami" in "\n".join(explanation.lines())


def test_silence_is_explained_too(trained):
    explanation = trained.explain(Sample("clip", Sound(np.zeros(16000, np.float32), 16000)))
    assert not explanation.worth.any() and next(explanation.lines()) == "no word"
    assert explanation.png().startswith(b"\x89PNG")
    with pytest.raises(BadInput, match=r"less than 0\.1 s"):
        trained.explain(Sample("clip", Sound(np.zeros(100, np.float32), 16000)))


def test_of_a_long_recording_it_says_how_much_it_explains(trained):
    explanation = trained.explain(Sample("clip", Sound(np.zeros(16000 * 30, np.float32), 16000)))
    assert (
        explanation.part.startswith("the first ")
        and explanation.part in explanation.report().html()
    )
    assert explanation.part in "\n".join(explanation.lines())
    short = trained.explain(Sample("clip", Sound(np.zeros(16000, np.float32), 16000)))
    assert short.part == "" == short.facts()["part"]


def test_a_tile_takes_out_its_own_band_and_time():
    t = np.arange(16000) / 16000
    x = (np.sin(2 * np.pi * 500 * t) + np.sin(2 * np.pi * 3000 * t)).astype(np.float32)
    y = without(x, 0.4, 0.2, np.array([2000.0, 4000.0]), 16000)
    assert np.allclose(x[:6000], y[:6000]) and np.allclose(x[10400:], y[10400:])
    spectrum = np.abs(np.fft.rfft(y[6800:9200] * np.hanning(2400)))
    assert spectrum[75] > 50 * spectrum[450]  # 500 Hz is there, 3,000 Hz is not


def test_a_recording_that_breaks_off_later_is_explained(trained):
    def blocks():
        yield np.zeros(16000 * 45, np.float32)
        raise BadInput("the file breaks off")

    assert trained.explain(Sample("clip", blocks())).part.startswith("the first ")
