"""A recording in pieces is answered as the whole of it."""

import itertools

import numpy as np
import pytest

from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.formants import Speaker, say
from deepfield.domains.speech.streaming import Stream, reach
from deepfield.toolkit.errors import BadInput, UsageError

HYPER = {
    "tdnn": {"units": 12, "mels": 16, "past_frames": 50},
    "cnn_ctc": {"units": 12, "mels": 16, "past_frames": 50, "filters": [8, 8, 8]},
}


@pytest.fixture(scope="module", params=HYPER)
def untrained(request):
    pipeline = SpeechPipeline(request.param)
    pipeline.hyper = dict(HYPER[request.param])
    pipeline.task.learn(["sami mora tuli"])
    pipeline.prepare([], [])
    model = pipeline.build(**pipeline.hyper)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "variance" not in variable.path:
            variable.assign(variable + 0.1 * rng.normal(size=variable.shape))
    pipeline._models = {"model": model}
    return pipeline


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(1)
    speaker = Speaker.drawn(rng)
    x = np.concatenate([say("sami mora", speaker, rng), np.zeros(9000), say("tuli", speaker, rng)])
    return x.astype(np.float32)


@pytest.mark.parametrize(
    ("block", "chunk_s"), [(1111, 0.02), *itertools.product([160, 1111, 100_000], [0.3, 1.0])]
)
def test_pieces_of_any_size_are_answered_as_the_whole(untrained, recording, chunk_s, block):
    whole = untrained.forward({"waveform": recording[None]})["log_probs"][0]
    stream = Stream(untrained, chunk_s)
    before = ""
    for at in range(0, len(recording), block):
        text = stream.feed(recording[at : at + block])
        assert len(text) >= len(before.rstrip()) - 1
        before = text
    answer = stream.finish()
    rows = np.concatenate(stream.rows)
    assert rows.shape == whole.shape
    assert np.abs(np.exp(rows) - np.exp(whole)).max() < 1e-4
    # of these rows: letters of an untrained network are as likely as each other to the last digit
    (wanted,) = untrained.transcription.predictions({"log_probs": rows[None]}, None)
    assert answer["text"] == untrained.task.answer(wanted)["text"]


def test_answers_come_within_the_stated_time(untrained, recording):
    stream = Stream(untrained, 0.2)
    assert stream.latency_s < 0.65
    for at in range(0, len(recording), 160):
        stream.feed(recording[at : at + 160])
        waiting = (at + 160) / 16000 - sum(map(len, stream.rows)) * 0.02
        assert waiting <= stream.latency_s + 0.011  # of 10 ms that are fed at once


def test_memory_does_not_grow(untrained):
    stream = Stream(untrained, 0.5)
    noise = np.random.default_rng(0).normal(0, 0.05, 16000).astype(np.float32)
    held = []
    for _ in range(8):
        stream.feed(noise)
        held.append(len(stream._held))
    assert max(held[3:]) <= held[2] + 16000


def test_silence_says_nothing(untrained):
    stream = Stream(untrained)
    assert stream.feed(np.zeros(16000, np.float32)) == ""
    assert stream.finish()["text"] == ""


def test_what_is_no_sound_is_refused(untrained):
    with pytest.raises(BadInput, match="0 s of sound"):
        Stream(untrained).finish()
    stream = Stream(untrained)
    stream.feed(np.zeros(1000, np.float32))
    with pytest.raises(BadInput, match="sample 1002 is nan"):
        stream.feed(np.array([0.0, 0.0, np.nan], np.float32))
    assert stream.feed(np.zeros((1000, 2), np.float32)) == ""  # two channels
    for chunk_s in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="is no time"):
            Stream(untrained, chunk_s)


def test_a_network_that_hears_the_whole_is_refused():
    with pytest.raises(UsageError, match="quartznet_small hears a recording as a whole"):
        reach("quartznet_small", {})
    with pytest.raises(UsageError, match="cnn_ctc hears a recording as a whole"):
        reach("cnn_ctc", {})
    before, after = reach("tdnn", {})
    assert before > 300 and after < 30


@pytest.mark.parametrize(
    "hyper",
    [{"past_frames": "x"}, {"past_frames": -3}, {"past_frames": 10**9}, {"past_frames": None},
     {"past_frames": 300, "filters": 3}, {"past_frames": 300, "subsampling": 0}],
)  # fmt: skip
def test_senseless_numbers_of_a_stranger_are_refused_when_a_bundle_is_loaded(hyper):
    pipeline = SpeechPipeline.from_preset("digits")
    pipeline.hyper = hyper
    with pytest.raises((ValueError, TypeError)):
        pipeline.restored()


def test_other_networks_hear_the_whole_whatever_a_bundle_says():
    with pytest.raises(UsageError, match="as a whole"):
        reach("blstm_ctc", {"past_frames": 300})
