"""The networks that ship: what they hear in the project's own clip, whole and as it goes on."""

import numpy as np
import pytest

from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.features import Sound, blocks_of, whole
from deepfield.domains.speech.streaming import Stream
from deepfield.domains.speech.task import letter_edits
from deepfield.toolkit.data import Sample

CLIP, SAID = "sample:said", "five nine one two"


@pytest.mark.parametrize("name", SpeechPipeline.presets)
@pytest.mark.parametrize("decoder", ["greedy", "search"])
def test_the_clip_is_heard(name, decoder):
    pipeline = SpeechPipeline.from_preset(name)
    pipeline.settings["decoder"] = decoder
    (row,) = pipeline.predict(CLIP)
    # nobody has the clip's voice: of the likeliest letters one may be another
    assert letter_edits(SAID, row["text"])[0] <= (2 if decoder == "greedy" else 0), row["text"]
    times = [t for word in row["words"] for t in (word["start"], word["end"])]
    assert times == sorted(times) and times[0] >= 0 and times[-1] < 2.2


@pytest.mark.parametrize("name", SpeechPipeline.presets)
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_pauses_around_words_change_none(name, noise):
    pipeline = SpeechPipeline.from_preset(name)
    (sample,) = pipeline.read(CLIP)
    x, pause = whole(sample.data, 16000).waveform, np.zeros(3 * 16000, np.float32)
    y = np.concatenate([pause, x, pause])
    y += noise * np.random.default_rng(0).normal(size=len(y)).astype(np.float32)
    (row,) = pipeline.predict([Sample("paused", Sound(y, 16000))])
    assert row["text"] == SAID
    assert row["words"][0]["start"] == pytest.approx(3.2, abs=0.4)
    assert row["words"][-1]["end"] == pytest.approx(5.0, abs=0.4)


@pytest.mark.parametrize("name", SpeechPipeline.presets)
def test_silence_and_noise_are_no_words(name):
    pipeline = SpeechPipeline.from_preset(name)
    pipeline.settings["decoder"] = "greedy"
    rng = np.random.default_rng(0)
    for level in (0.0, 1e-4, 0.01):
        noise = level * rng.normal(size=(2 * pipeline.rate_hz,))
        log_probs = pipeline.forward({"waveform": noise[None].astype(np.float32)})
        (prediction,) = pipeline.calibrated(log_probs)["prediction"]
        assert pipeline.task.answer(prediction)["text"] == ""


@pytest.mark.parametrize("chunk_s", [0.1, 0.4])
def test_digits_come_while_they_are_said(chunk_s):
    pipeline = SpeechPipeline.from_preset("digits")
    (sample,) = pipeline.read(CLIP)
    stream = Stream(pipeline, chunk_s)
    came = {}
    for at, block in enumerate(_tenths(blocks_of(sample.data, pipeline.rate_hz))):
        for word in stream.feed(block).split():
            came.setdefault(word, at)
    assert stream.finish()["text"] == SAID
    assert stream.latency_s <= chunk_s + 0.35
    assert came["five"] < 12 < came["one"]  # tenths of a second


def _tenths(blocks):
    x = np.concatenate(list(blocks))
    return (x[i : i + 800] for i in range(0, len(x), 800))
