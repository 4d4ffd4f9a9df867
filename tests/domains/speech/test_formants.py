import numpy as np
import pytest

from deepfield.domains.speech.formants import WORDS, Speaker, conversations, say


def test_a_vowel_has_its_resonances():
    speaker = Speaker(100.0, 1.0, 4.0, 0.0)
    x = say("iiii", speaker, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / 16000)
    strongest = hz[np.argmax(power)]
    assert strongest < 400
    high = (hz > 1900) & (hz < 2800)
    between = (hz > 900) & (hz < 1700)
    assert power[high].max() > 3 * power[between].max()


def test_a_shorter_tract_sounds_higher():
    def centre(tract):
        x = say("aaaa", Speaker(100.0, tract, 4.0, 0.0), np.random.default_rng(0))
        power = np.abs(np.fft.rfft(x)) ** 2
        return (np.fft.rfftfreq(len(x), 1 / 16000) * power).sum() / power.sum()

    assert centre(0.8) > 1.1 * centre(1.0)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_words_differ_and_nothing_is_clipped(rate_hz):
    for x, text, who in conversations(12, 1, rate_hz):
        assert np.abs(x).max() < 0.999 and np.isfinite(x).all()
        assert set(text.split()) <= set(WORDS) and who.startswith("voice")
        assert 0.4 < len(x) / rate_hz < 4.0


def test_letters_without_a_sound_are_passed_over():
    x = say("xyz", Speaker(100.0, 1.0, 8.0, 1e-4), np.random.default_rng(0))
    assert len(x) > 0
