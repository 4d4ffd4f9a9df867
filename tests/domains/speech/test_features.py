"""Recordings of every kind become the same waveform, and what is none says why."""

import contextlib
import io
import os
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepfield.domains.speech import features
from deepfield.domains.speech.features import Clip, Sound, blocks_of, encode, pieces, whole
from deepfield.domains.speech.pauses import Cuts, shortened
from deepfield.domains.speech.wav_stream import WavStream
from deepfield.toolkit.errors import BadInput

RATE = 16000


def tone(seconds, rate_hz, hz=440.0, loud=0.5):
    return (loud * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def written(x, rate_hz, form="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, x, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 96000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW"])
def test_any_rate_and_depth_is_heard_alike(rate_hz, subtype):
    x = tone(0.5, rate_hz)
    got = whole(written(x, rate_hz, subtype=subtype), RATE).waveform
    wanted = tone(0.5, RATE)
    assert abs(len(got) - len(wanted)) <= 1 and got.dtype == np.float32
    middle = slice(1000, 7000)
    allowed = 0.02 if subtype in ("PCM_U8", "ULAW") else 2e-3
    assert np.abs(got[middle] - wanted[middle]).max() < allowed


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF"])
def test_any_form_is_heard(form):
    got = whole(written(tone(1.0, RATE), RATE, form), RATE).waveform
    spectrum = np.abs(np.fft.rfft(got[2000:14000]))
    assert abs(np.argmax(spectrum) * RATE / 12000 - 440) < 2
    assert abs(len(got) - RATE) < 3000  # lossy forms pad


def test_channels_are_mixed(tmp_path):
    left, right = tone(0.2, RATE, 300), tone(0.2, RATE, 900)
    soundfile.write(tmp_path / "x.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    got = whole(str(tmp_path / "x.wav"), RATE).waveform
    assert np.allclose(got, (left + right) / 2, atol=1e-6)


def test_whole_numbers_in_memory_are_read_at_their_scale():
    for kind, one in ((np.int16, 16384), (np.uint8, 192), (np.int32, 1 << 30)):
        got = whole(Sound(np.full(100, one, kind), RATE), RATE).waveform
        assert np.allclose(got, 0.5)


def test_what_is_no_sound_says_why(tmp_path):
    flac = written(np.random.default_rng(0).normal(0, 0.1, 16000), RATE, "FLAC")
    wav = written(tone(1.0, RATE), RATE)
    nan = np.zeros(100, np.float32)
    nan[7] = np.nan
    (tmp_path / "text.wav").write_text("hello")
    cases = [
        (b"", "not a sound file"),
        (b"hello, I am no sound at all", "not a sound file"),
        (str(tmp_path / "text.wav"), "not a sound file"),
        (str(tmp_path / "nosuch.wav"), "no such file"),
        (str(tmp_path), "a folder, not a file"),
        ("/dev/null", "not a regular file"),
        (flac[: len(flac) // 2], r"breaks off between 0\.00 and 1\.00 of 1\.00 s"),
        (wav[:44], "breaks off before its first sample"),
        (wav[: len(wav) // 2], r"breaks off after 0\.5\d of 1\.0\d s"),
        (written(nan, RATE, subtype="FLOAT"), "sample 7 is nan, not a number"),
        (Sound(np.array(["a"]), RATE), "not a waveform"),
    ]
    for source, reason in cases:
        with pytest.raises(BadInput, match=reason):
            whole(source, RATE)
    with pytest.raises(BadInput, match="0 s of sound"):
        encode(whole(written(np.zeros(0), RATE), RATE), RATE)


def test_bytes_of_another_kind_than_the_name_are_no_missing_file(tmp_path):
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(20000))
    with pytest.raises(BadInput, match="not a sound file: its bytes cannot be decoded"):
        whole(tmp_path / "noise.mp3", RATE)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_name_need_not_be_text(tmp_path):
    name = os.fsdecode(bytes(tmp_path) + b"/lat\xe9in.wav")
    Path(name).write_bytes(written(tone(0.2, RATE), RATE))
    assert len(whole(name, RATE).waveform) == 3200


def test_where_a_sample_is_no_number_is_counted_from_the_beginning():
    x = np.zeros(100_000, np.float32)
    x[80_005] = np.nan
    content = written(x, RATE, subtype="FLOAT")
    for source in (content, WavStream(io.BytesIO(content))):
        with pytest.raises(BadInput, match="sample 80005 is nan"):
            whole(source, RATE)


def test_channels_that_cancel_out_are_no_silence():
    x = tone(0.2, RATE)
    assert np.array_equal(features.Mono(RATE)(np.stack([x, -x], axis=1)), x)
    assert np.array_equal(features.Mono(RATE)(np.stack([0 * x, x, -x], axis=1)), x)
    assert not features.Mono(RATE)(np.zeros((100, 2))).any()
    half = np.stack([x, 0 * x], axis=1)
    assert np.allclose(features.Mono(RATE)(half), x / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInput, match="sample 3 is inf"):
            features.Mono(RATE)(np.where(np.arange(9) == 3, np.inf, 0.5)[:, None] * np.ones(2))
        with pytest.raises(BadInput, match="sample 0 is nan"):
            features.Mono(RATE)(np.array([[np.inf, -np.inf]] * 9))
    for odd in (np.zeros((100, 0)), np.zeros((1, 1600)), np.zeros((2, 2, 2))):
        with pytest.raises(BadInput, match=r"waveform|no \(samples, channels\)"):
            features.Mono(RATE)(odd)


def test_a_file_a_pipe_and_an_array_are_made_one_channel_alike():
    hum = 1e-2 * tone(9.0, RATE)
    both = np.stack([hum, -hum], axis=1)  # hum that cancels out, also where nothing is said
    both[2 * RATE : 4 * RATE] += tone(2.0, RATE)[:, None]
    content = written(both, RATE, subtype="FLOAT")
    sources = (content, WavStream(io.BytesIO(content)), Sound(both, RATE))
    heard = [whole(source, RATE).waveform for source in sources]
    assert np.array_equal(heard[0], heard[1])
    assert np.allclose(heard[0], heard[2], atol=1e-6) and np.abs(heard[0][-RATE:]).max() > 1e-3


@pytest.mark.parametrize("lead", [0.0, 0.53])
@pytest.mark.parametrize("noise_db", [-70, -80, -96])
def test_channels_cancel_though_each_has_noise_of_its_own(lead, noise_db):
    rng = np.random.default_rng(0)
    said = np.concatenate([np.zeros(int(lead * RATE)), 0.3 * tone(0.5, RATE)])
    noise = 10 ** (noise_db / 20) * rng.normal(size=(len(said), 2))
    content = written(np.stack([said, -0.985 * said], axis=1) + noise, RATE, subtype="PCM_16")
    heard = whole(content, RATE).waveform
    assert np.abs(heard[-RATE // 2 :] - said[-RATE // 2 :]).max() < 0.01


def test_channels_are_made_one_whatever_blocks_they_come_in():
    rng = np.random.default_rng(0)
    said = np.concatenate([1e-4 * rng.normal(size=RATE // 2), 0.3 * tone(0.5, RATE)])
    both = np.stack([said, 1e-3 * rng.normal(size=len(said)) - said], axis=1)
    frame = RATE // 10
    for cuts in ([777], [frame], [3000, 3001, 8100, 9000], list(range(100, len(both), 160))):
        mono = features.Mono(RATE)
        heard = np.concatenate([mono(block) for block in np.split(both, cuts)])
        different = np.flatnonzero(heard != features.Mono(RATE)(both))
        assert len(different) <= frame
        assert np.allclose(abs(heard[-3 * frame :]), abs(said[-3 * frame :]), atol=0.01)


def test_what_another_program_must_read_is_told_so(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A and so on")
    for source, reason in (
        (tmp_path / "a.m4a", "MPEG-4.*ffmpeg"),
        (b"\x1aE\xdf\xa3\x01", "Matroska"),
        (b"", "it is empty"),
        (b"words", "not a sound file"),
    ):
        with pytest.raises(BadInput, match=reason):
            whole(source, RATE)


def test_a_decoder_says_nothing_of_its_own(capfd):
    for content in (written(speech(np.random.default_rng(0), 20.0), RATE, "MP3"),
                    written(tone(2.0, RATE), RATE, "MP3")[:5000]):  # fmt: skip
        with contextlib.suppress(BadInput):
            whole(content, RATE)
    assert capfd.readouterr() == ("", "")


def test_what_people_have_in_memory_is_heard():
    x = tone(0.5, RATE)
    content = written(x, RATE, subtype="FLOAT")
    for thing in (
        x, x.astype(np.float64), np.stack([x, x], 1), (x, RATE), (np.stack([x, x], 1), RATE),
        {"array": x, "sampling_rate": RATE}, Sound(x, RATE), content, io.BytesIO(content),
    ):  # fmt: skip
        assert features.is_one_recording(thing)
        assert np.allclose(whole(thing, RATE).waveform, x, atol=1e-6)
        if isinstance(thing, io.BytesIO):
            assert not features.is_one_recording([thing])
    assert len(whole((x, 2 * RATE), RATE).waveform) == pytest.approx(len(x) / 2, abs=1)
    for thing in (np.stack([x, x]), None, 5, x.tolist(), (x, "a"), (x, 10), {"path": "a.wav"}):
        with pytest.raises(BadInput):
            whole(thing, RATE)


def test_silence_is_all_zeros_and_says_so():
    quiet = Clip(np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32))
    arrays, heard = encode(quiet, RATE)
    assert not heard.sound_s and not arrays["waveform"].any() and len(arrays["waveform"]) == RATE
    arrays, heard = encode(Clip(tone(0.1, RATE)), RATE)
    assert heard.sound_s == 0.1 and arrays["waveform"].any()
    for click in (tone(0.05, RATE), np.ones(1, np.float32)):
        arrays, heard = encode(Clip(click), RATE)
        assert 0 < heard.sound_s < features.NO_WORD_S and not arrays["waveform"].any()


def test_a_word_cut_out_closely_gets_room_around_it():
    x = tone(0.2, RATE)
    arrays, heard = encode(Clip(x, 3.0), RATE)
    assert len(arrays["waveform"]) == 0.6 * RATE
    assert (heard.start_s, heard.seconds, heard.before_s) == (3.0, 0.2, 0.2)
    first = round(heard.before_s * RATE)
    assert np.array_equal(arrays["waveform"][first : first + len(x)], x)
    around = np.delete(arrays["waveform"], np.arange(first, first + len(x)))
    assert 0 < np.abs(around).max() < 1e-3
    assert encode(Clip(tone(0.7, RATE)), RATE)[1].before_s == 0


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_of_long_pauses_only_the_ends_are_heard_and_times_are_those_of_the_recording(noise):
    x = np.concatenate([tone(t, RATE, loud=v) for t, v in [(2, 0), (1, 0.5), (3, 0), (1, 0.5)]])
    x += noise * np.random.default_rng(0).normal(size=len(x)).astype(np.float32)
    arrays, heard = encode(Clip(x, 10.0), RATE)
    assert len(arrays["waveform"]) == pytest.approx(2.6 * RATE, abs=0.1 * RATE)
    assert heard.seconds == 7.0
    first, second = heard.when(0.2, 1.2), heard.when(1.6, 2.6)
    assert np.allclose([first, second], [(12, 13), (16, 17)], atol=0.05)
    assert heard.when(0.2, 1.5) == pytest.approx((12, 13.2), abs=0.05)  # no word over a pause
    assert np.array_equal(encode(Clip(x), RATE, shorten=False)[0]["waveform"], x)


@pytest.mark.parametrize("count", [1, 100, 1599, 1601, 8000, 24007])
def test_what_is_not_a_pause_is_heard_as_it_is(count):
    rng = np.random.default_rng(count)
    x = (rng.normal(0, 0.1, count) * np.linspace(0.05, 1, count)).astype(np.float32)
    waveform, cuts = shortened(x, RATE)
    assert np.array_equal(waveform, x) and cuts == Cuts()


def test_clipping_is_noticed():
    x = np.clip(4 * tone(1.0, RATE), -1, 1)
    assert whole(Sound(x, RATE), RATE).clipped > 0.5
    assert whole(Sound(tone(1.0, RATE), RATE), RATE).clipped == 0


def speech(rng, seconds=70.0):
    """Bursts of noise with pauses between them."""
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        parts.append(rng.normal(0, 0.1, int(rng.uniform(0.5, 4) * RATE)))
        parts.append(rng.normal(0, 1e-4, int(rng.uniform(0.3, 0.8) * RATE)))
    return np.concatenate(parts).astype(np.float32)


def test_long_recordings_are_cut_in_pauses_and_nothing_is_lost():
    x = speech(np.random.default_rng(0))
    found = list(pieces(Sound(x, RATE), RATE, longest_s=10.0))
    assert np.array_equal(np.concatenate([c.waveform for c in found]), x)
    assert max(len(c.waveform) for c in found) <= 10 * RATE
    at = 0
    for clip in found:
        assert clip.start_s == at / RATE
        at += len(clip.waveform)
    for clip in found[:-1]:  # loud neither before the cut nor behind it
        assert np.abs(clip.waveform[-800:]).max() < 2e-3


def test_a_long_file_takes_little_memory(tmp_path):
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(rng.normal(0, 0.05, 80000))
    tracemalloc.start()
    count = sum(len(c.waveform) for c in pieces(str(tmp_path / "long.flac"), RATE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(count - 600 * RATE) < 10 and peak < 12e6  # ten minutes are 38 MB


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_through_a_pipe_is_that_of_the_file(subtype):
    content = written(np.stack([tone(0.4, 8000), tone(0.4, 8000, 700)], 1), 8000, subtype=subtype)
    piped = np.concatenate(list(blocks_of(WavStream(io.BytesIO(content)), RATE)))
    assert np.allclose(piped, whole(content, RATE).waveform, atol=1e-6)


def test_a_broken_pipe_is_told():
    content = written(tone(0.4, 8000), 8000)
    for cut, reason in ((4, "not a wav"), (30, "no samples"), (2000, "breaks off, 4,4")):
        with pytest.raises(BadInput, match=reason):
            list(blocks_of(WavStream(io.BytesIO(content[:cut])), RATE))


def test_a_rate_that_is_no_sounds_is_refused_through_a_pipe_too():
    content = written(tone(0.4, 8000), 8000)
    for rate in (1, 4_000_000_000):
        odd = content[:24] + rate.to_bytes(4, "little") + content[28:]
        with pytest.raises(BadInput, match=f"a rate of {rate} Hz is no sound"):
            list(blocks_of(WavStream(io.BytesIO(odd)), RATE))


def test_a_chunk_of_a_pipe_takes_no_memory_whatever_its_size():
    class Endless(io.RawIOBase):
        left = 200 << 20

        def read(self, size):
            assert 0 <= size <= 1 << 20
            given, self.left = min(size, self.left), max(0, self.left - size)
            return bytes(given)

    stream = Endless()
    head = io.BytesIO(b"RIFF\0\0\0\0WAVEjunk" + (0xFFFFFFF0).to_bytes(4, "little"))
    stream.read = lambda size: head.read(size) or Endless.read(stream, size)
    tracemalloc.start()
    with pytest.raises(BadInput, match="no samples"):
        WavStream(stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])  # espeak-ng's: second
def test_who_does_not_know_how_long_a_pipe_is_says_so_in_many_ways(size):
    content = written(tone(0.4, 8000), 8000)
    endless = content[:40] + size.to_bytes(4, "little") + content[44:]
    assert sum(map(len, blocks_of(WavStream(io.BytesIO(endless)), 8000))) == 3200


def test_a_labelled_recording_has_a_limit():
    with pytest.raises(BadInput, match="longer than 1 s: cut it, and its text"):
        whole(Sound(tone(1.2, RATE), RATE), RATE, most_s=1.0)
    assert features.sound_s(np.zeros(0, np.float32), RATE) == 0.0


def test_a_file_that_the_system_keeps_is_not_called_damaged(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    monkeypatch.setattr(features.os, "access", lambda *_: False)  # as root nothing is forbidden
    with pytest.raises(BadInput, match="cannot be read: Permission denied"):
        list(blocks_of(tmp_path / "a.wav", 8000))
