"""LogMelSpectrogram: librosa's numbers, from the waveform itself."""

import librosa
import numpy as np
import pytest

from deepfield.toolkit.layers import LogMelSpectrogram
from deepfield.toolkit.testing import check_layer

SETTINGS = {"rate_hz": 8000, "window": 200, "hop": 80, "fft_length": 240, "mels": 23,
            "low_hz": 60.0, "high_hz": 3800.0, "floor": 1e-9}  # fmt: skip


def sound(samples, seed=0):
    """A rising tone with noise, as loud as speech."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / 8000
    tone = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t**2))
    return (tone + 0.02 * rng.normal(size=samples)).astype("float32")


def of_librosa(
    x, center, rate_hz, window, hop, fft_length, mels, low_hz, high_hz, floor, top_db=None
):
    energy = librosa.feature.melspectrogram(
        y=x, sr=rate_hz, n_fft=fft_length, hop_length=hop, win_length=window, n_mels=mels,
        fmin=low_hz, fmax=high_hz, center=center, pad_mode="constant",
    )  # fmt: skip
    if x.ndim == 2:
        decibels = [librosa.power_to_db(e, amin=floor, top_db=top_db) for e in energy]
    else:
        decibels = librosa.power_to_db(energy, amin=floor, top_db=top_db)
    return np.swapaxes(decibels, -1, -2) * np.log(10) / 10


@pytest.mark.parametrize(("center", "top_db"), [(True, None), (True, 30.0), (False, 50.0)])
def test_it_is_what_a_layer_must_be(center, top_db):
    x = np.stack([sound(1500), sound(1500, 1)])
    given = {**SETTINGS, "top_db": top_db}
    check_layer(
        LogMelSpectrogram, {**given, "center": center}, x,
        lambda x, _: of_librosa(x, center, **given), tolerance=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 5000])
def test_any_length_has_librosas_frames(samples):
    x = sound(samples)[None]
    usual = {"rate_hz": 16000, "window": 400, "hop": 160, "fft_length": 512, "mels": 80,
             "low_hz": 0.0, "high_hz": 8000.0, "floor": 1e-10}  # fmt: skip
    ours = np.asarray(LogMelSpectrogram()(x))
    assert ours.shape == (1, 1 + samples // 160, 80)
    theirs = of_librosa(x, True, **usual)
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_zeros_at_the_end_are_masked_and_change_nothing_before():
    layer = LogMelSpectrogram(**SETTINGS)
    x = sound(1500)
    padded = np.pad(x, (0, 700))[None]
    mask = np.asarray(layer.compute_mask(padded))
    assert mask.sum() == 1 + 1500 // 80 and mask[0, : mask.sum()].all()
    assert np.allclose(np.asarray(layer(padded))[mask], np.asarray(layer(x[None]))[0], atol=1e-5)
    assert not np.asarray(layer.compute_mask(np.zeros((2, 800), "float32"))).any()


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="fft_length must be even and 400"):
        LogMelSpectrogram(fft_length=256)
    with pytest.raises(ValueError, match="low_hz < high_hz <= 8000"):
        LogMelSpectrogram(high_hz=9000.0)
