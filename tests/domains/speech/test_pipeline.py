import io
import itertools
import json

import numpy as np
import pytest
import soundfile

from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.features import Sound
from deepfield.domains.speech.formants import Speaker, say
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import NotFound, UnusableModel, UsageError

RATE = 16000
NEW = "synthetic:40:5"


def said(text, seed=0):
    rng = np.random.default_rng(seed)
    return say(text, Speaker.drawn(rng), rng)


def answered(pipeline, waveform, rate_hz=RATE):
    (row,) = pipeline.predict([Sample("x", Sound(waveform, rate_hz))])
    return row


def test_strangers_words_are_heard_with_times(trained):
    rows = list(trained.predict(NEW))
    right = [r["text"] == r["given_text"] for r in rows]
    assert np.mean(right) >= 0.7
    for row in rows:
        ends = [t for w in row["words"] for t in (w["start"], w["end"])]
        assert ends == sorted(ends) and all(0 <= t <= row["end"] for t in ends)
        assert row["status"] == "ok" and 0 < row["probability"] <= 1


def test_an_evaluation_tells_how_long_a_second_of_sound_took(trained):
    metrics = trained.evaluate(NEW)["metrics"]
    assert list(metrics)[-1] == "real_time_factor" and 0 < metrics["real_time_factor"] < 1
    assert trained.task.speed([], 1.0) == {}


def test_words_lie_where_they_were_said(trained):
    rng = np.random.default_rng(1)
    speaker = Speaker.drawn(rng)
    quiet = rng.normal(0, speaker.noise, RATE // 4)
    first, second = say("sami", speaker, rng), say("tuli", speaker, rng)
    row = answered(trained, np.concatenate([quiet, first, quiet, second, quiet]))
    assert row["text"] == "sami tuli"
    starts = [0.25, 0.5 + len(first) / RATE]
    for word, start, sound in zip(row["words"], starts, (first, second), strict=True):
        assert start - 0.1 < word["start"] < word["end"] < start + len(sound) / RATE + 0.1


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_the_rate_of_a_recording_does_not_matter(trained, rate_hz):
    import soxr

    x = said("mora sami", 3)
    text = answered(trained, x)["text"]
    assert text == "mora sami"
    other = soxr.resample(x, RATE, rate_hz)
    if rate_hz > RATE:
        assert answered(trained, other, rate_hz)["text"] == text
    assert answered(trained, other, rate_hz)["status"] == "ok"


@pytest.mark.parametrize("loud", [0.0, 1e-5, 3e-4])
def test_silence_says_nothing(trained, loud):
    x = np.random.default_rng(0).normal(0, loud, RATE)
    row = answered(trained, x)
    assert (row["text"], row["words"], row["status"]) == ("", [], "ok")
    assert "silence" in row["in_domain_reason"]


def test_noise_says_next_to_nothing(trained):
    rng = np.random.default_rng(0)
    texts = [answered(trained, rng.normal(0, 0.02, 2 * RATE))["text"] for _ in range(5)]
    assert sum(len(t.split()) for t in texts) <= 3


def test_clipping_is_told(trained):
    row = answered(trained, np.clip(30 * said("sami"), -1, 1))
    assert row["in_domain"] is False and row["in_domain_reason"].startswith("clipped: ")


def test_bad_input_costs_its_own_row(trained, tmp_path):
    good = io.BytesIO()
    soundfile.write(good, said("sami"), RATE, format="FLAC")
    soundfile.write(tmp_path / "loud.wav", said("sami"), 96000, subtype="PCM_24")
    nan = said("sami")
    nan[5] = np.nan
    samples = [
        Sample("good", good.getvalue()), Sample("empty", b""), Sample("text", b"no sound at all"),
        Sample("cut", good.getvalue()[:8000]), Sample("nan", Sound(nan, RATE)),
        Sample("0 s", Sound(np.zeros(0, np.float32), RATE)), Sample("nosuch", "nosuch.wav"),
        Sample("96 kHz, 24 bit", str(tmp_path / "loud.wav")), Sample("good again", good.getvalue()),
    ]  # fmt: skip
    rows = list(trained.predict(samples))
    reasons = [r["reason"] for r in rows]
    assert [r["status"] for r in rows] == ["ok", *["rejected"] * 6, "ok", "ok"]
    parts = ["not a sound", "not a sound", "breaks off", "sample 5", "0 s of sound", "no such file"]
    assert all(part in reason for part, reason in zip(parts, reasons[1:7], strict=True))
    assert rows[0]["text"] == rows[-1]["text"] == "sami"


def test_texts_that_cannot_be_spelled_are_rejected_row_by_row(trained):
    samples = [Sample("a", Sound(said("sami"), RATE), "sami"),
               Sample("b", Sound(said("sami"), RATE), "sämi"),
               Sample("c", Sound(said("sami"), RATE), "7")]  # fmt: skip
    result = trained.evaluate(samples)
    assert (result["n"], result["rejected"]) == (1, 2)
    assert "'ä'; the network writes" in result["commonest_fault"]


def test_figures_are_told_by_speaker_with_an_interval(trained):
    samples = list(trained.read(NEW))
    samples[0].target += " more"  # or nothing may be wrong: then there is no interval
    result = trained.evaluate(samples)
    assert {"wer", "cer", "accuracy", "ece"} < set(result["metrics"])
    assert set(result["groups"]) == {f"voice{i}" for i in range(1, 13)}
    low, high = result["intervals"]["wer"]
    assert 0 <= low < result["metrics"]["wer"] < high < 0.5


def test_the_search_beats_the_likeliest_letters(trained):
    figures = {}
    for how in ("greedy", "search"):
        trained.settings["decoder"] = how
        figures[how] = trained.evaluate(NEW)["metrics"]["wer"]
    assert figures["search"] <= figures["greedy"]


def test_other_sentences_are_another_language(trained, tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("sami sami\nnöt spelled\nmora\n")
    trained.settings["sentences"] = str(file)
    words = {w for r in trained.predict(NEW) for w in r["text"].split()}
    assert words <= {"sami", "mora"}
    trained.settings["sentences"] = str(tmp_path / "nosuch.txt")
    with pytest.raises(NotFound, match="no such text"):
        list(trained.predict(NEW))
    (tmp_path / "digits.txt").write_text("1 2 3\n")
    trained.settings["sentences"] = str(tmp_path / "digits.txt")
    with pytest.raises(UsageError, match="no sentence that the network can spell"):
        list(trained.predict(NEW))


def test_a_long_recording_is_answered_in_pieces(trained):
    rng = np.random.default_rng(0)
    speaker = Speaker.drawn(rng)
    x = np.concatenate([say("sami mora", speaker, rng) for _ in range(40)])
    rows = list(trained.predict([Sample("long", Sound(x, RATE))]))
    assert len(rows) > 2 and rows[-1]["end"] == pytest.approx(len(x) / RATE, abs=0.01)
    assert all(a["end"] == b["start"] for a, b in itertools.pairwise(rows))
    words = [w for r in rows for w in r["words"]]
    assert len(words) >= 70 and [w["start"] for w in words] == sorted(w["start"] for w in words)


def test_a_text_beside_a_recording_changes_no_answer(trained):
    rng = np.random.default_rng(0)
    speaker = Speaker.drawn(rng)
    x = np.concatenate([say("sami mora", speaker, rng) for _ in range(40)])
    with_text, without = (
        [r["text"] for r in trained.predict([Sample("long", Sound(x, RATE), text)])]
        for text in ("sami mora", None)
    )
    assert len(with_text) > 2 and with_text == without


@pytest.mark.parametrize("rate_hz", [0, 500, 10**8])
def test_a_rate_that_no_sound_has_is_refused_before_anything_is_read(rate_hz, tmp_path):
    anew = SpeechPipeline("tdnn")
    with pytest.raises(UsageError, match=f"rate_hz={rate_hz}: a sound has 1,000 to 768,000"):
        anew.fit("synthetic:6:0", out=tmp_path / "m", settings={"rate_hz": rate_hz, "epochs": 1})
    assert not list(tmp_path.iterdir())


def test_variation_is_not_below_nothing():
    anew = SpeechPipeline("tdnn", variation=-1)
    with pytest.raises(UsageError, match="--variation -1 is not 0 or more"):
        anew.fit("synthetic:6:0", settings={"epochs": 1, "units": 8})


def test_fine_tuning_keeps_the_letters_and_adds_new_ones(trained):
    rng = np.random.default_rng(0)
    samples = []
    for i in range(24):
        text = ["sami", "bora"][i % 2]
        heard = Sound(say(text.replace("b", "p"), Speaker.drawn(rng), rng), RATE)
        samples.append(Sample(str(i), heard, text))
    finer, _ = trained.finetune(samples, settings={"epochs": 1}, split="random:80/20/0")
    before, after = (p.transcription.state["letters"] for p in (trained, finer))
    assert after.startswith(before) and set(after) - set(before) == {"b"}
    same, _ = trained.finetune(samples[::2], settings={"epochs": 1}, split="random:80/20/0")
    assert same.transcription.state["letters"] == before


def test_a_bundle_of_no_sense_is_refused(model, tmp_path):
    import hashlib
    import shutil

    for change in ({"frame_s": 0}, {"letters": ""}, {"search": {"weight": 1e9}},
                   {"confidence": {"greedy": [1.0]}}):  # fmt: skip
        folder = tmp_path / "-".join(change)
        shutil.copytree(model, folder)
        config = json.loads((folder / "config.json").read_text())
        config["task"] |= change
        content = json.dumps(config).encode()
        (folder / "config.json").write_bytes(content)
        assert hashlib.sha256(content)
        with pytest.raises(UnusableModel):
            SpeechPipeline.load(folder)


def test_golden_recordings_are_nobodys(trained):
    inputs = trained.bundle.arrays("golden.safetensors")
    waveforms = [v for k, v in inputs.items() if k.startswith("input/")]
    assert 1 <= len(waveforms) <= 3 and sum(w.nbytes for w in waveforms) < 400_000


def test_the_baseline_is_told_what_the_set_is_of(trained):
    assert trained.bundle.config["baseline"]["kind"] == "words"


def test_describing_names_every_architecture():
    for name in SpeechPipeline.builders().names():
        model = SpeechPipeline.described(name, None)
        assert 4e5 < model.count_params() < 1.3e6
        assert [t.name for t in model.inputs] == ["waveform"]
        assert model.output_names == ["log_probs"]


def test_recordings_in_memory_need_no_file(trained):
    rng = np.random.default_rng(4)
    x = say("sami mora", Speaker.drawn(rng), rng).astype(np.float32)
    for data in (x, (x, 16000), [x], [(x, 16000)]):
        assert [row["text"] for row in trained.predict(data)] == ["sami mora"]
    rows = list(trained.predict([x, None, x[:, None], np.stack([x, x])]))
    assert [row["status"] for row in rows] == ["ok", "rejected", "ok", "rejected"]
