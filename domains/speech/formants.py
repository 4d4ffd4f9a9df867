"""Voices that nobody has: words of a made-up language, for tests, the demo and trying a command.

A letter is one sound, and some capitals are English ones. Vowels, nasals and liquids are harmonics
of the voice, as loud as three resonances of the vocal tract let them be; fricatives are noise in a
band; stops are a silence and a short noise. Speakers differ in pitch, in the length of their vocal
tract and in tempo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: Resonances in hertz and loudness of sounds with a voice (Peterson and Barney 1952, men; rounded).
_VOICED = {
    "a": (730, 1090, 2440, 1.0), "e": (530, 1840, 2480, 0.9), "i": (270, 2290, 3010, 0.7),
    "o": (570, 840, 2410, 0.9), "u": (300, 870, 2240, 0.7), "m": (250, 1000, 2200, 0.25),
    "n": (250, 1500, 2500, 0.25), "l": (360, 1300, 2700, 0.5), "r": (320, 1200, 1600, 0.5),
    "I": (390, 1990, 2550, 0.8), "V": (640, 1190, 2390, 0.9), "O": (490, 700, 2500, 0.9),
    "w": (300, 650, 2200, 0.5), "y": (280, 2200, 2950, 0.5), "v": (280, 1100, 2300, 0.25),
    "z": (280, 1600, 2600, 0.2),
}  # fmt: skip
#: Middle and width of the band in hertz, and loudness, of noises.
_NOISES = {
    "s": (5500, 1500, 0.12), "f": (4000, 3000, 0.05), "h": (1500, 1500, 0.05),
    "t": (4500, 2000, 0.2), "k": (2000, 900, 0.2), "p": (900, 700, 0.15),
    "T": (5500, 3000, 0.05), "z": (5500, 1500, 0.06), "v": (4000, 3000, 0.03),
}  # fmt: skip
_STOPS = "tkp"
#: Words of the made-up language.
WORDS = ("sami", "nolu", "tepa", "rika", "fumo", "hane", "liso", "peku", "mora", "tuli")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice.

    Args:
        pitch_hz: of its harmonics.
        tract: length of the vocal tract, 1 being a man's; resonances lie lower in a longer one.
        tempo: sounds a second, about 8.
        noise: root mean square of the noise around it.

    Example:
        >>> low = Speaker(pitch_hz=95, tract=1.0, tempo=8.0, noise=0.001)
        >>> rng = np.random.default_rng(0)
        >>> len(say("sami", low, rng)) > len(say("sa", low, rng))
        True
    """

    pitch_hz: float
    tract: float
    tempo: float
    noise: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Speaker:
        """Anybody."""
        tract = rng.uniform(0.82, 1.05)
        pitch = 110.0 * (1.05 / tract) ** 3 * rng.uniform(0.85, 1.2)
        return cls(pitch, tract, rng.uniform(7.0, 10.0), 10 ** rng.uniform(-4.0, -2.8))


def say(text: str, speaker: Speaker, rng: np.random.Generator, rate_hz: int = 16000) -> np.ndarray:
    """A text as sound, (samples,) float32 below 1; letters that have no sound are passed over.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = say("sami nolu", Speaker.drawn(rng), rng, rate_hz=8000)
        >>> x.dtype.name, bool(np.abs(x).max() < 1)
        ('float32', True)
    """
    parts = [_pause(0.1, rate_hz, rng)]
    for word in text.split():
        parts += [_sounds(word, speaker, rng, rate_hz), _pause(0.09, rate_hz, rng)]
    x = np.concatenate([*parts, _pause(0.05, rate_hz, rng)])
    x = x * rng.uniform(0.2, 0.6) / max(1e-9, np.abs(x).max())
    return (x + rng.normal(0, speaker.noise, len(x))).astype(np.float32)


def _pause(seconds: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(seconds * rate_hz * rng.uniform(0.8, 1.4)))


def _sounds(word: str, speaker: Speaker, rng: np.random.Generator, rate_hz: int) -> np.ndarray:
    """One word: resonances glide from sound to sound, noises lie over them."""
    known = [c for c in word if c in _VOICED or c in _NOISES]
    lengths = [
        int(rate_hz / speaker.tempo * rng.uniform(0.8, 1.2) * (0.7 if c in _STOPS else 1.0))
        for c in known
    ]
    count = sum(lengths)
    if not count:
        return np.zeros(0)
    edges = np.cumsum([0, *lengths])
    middles = (edges[:-1] + edges[1:]) / 2
    time = np.arange(count)
    table = np.array([_VOICED.get(c, (400, 1400, 2500, 0.0)) for c in known])
    glide = [_smooth(np.interp(time, middles, column), rate_hz // 60) for column in table[:, :3].T]
    loud = np.repeat(table[:, 3], lengths)
    loud = _smooth(loud, rate_hz // 80)
    pitch = speaker.pitch_hz * (1.08 - 0.16 * time / count + 0.01 * rng.normal())
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    x = np.zeros(count)
    top = min(0.48 * rate_hz, 5500.0)
    for harmonic in range(1, int(top / pitch.max()) + 1):
        x += _envelope(harmonic * pitch, glide, speaker.tract) * np.sin(harmonic * phase) / harmonic
    x *= loud
    for letter, start, length in zip(known, edges, lengths, strict=False):
        if letter in _NOISES:
            middle, width, level = _NOISES[letter]
            quiet = length // 2 if letter in _STOPS else 0
            hiss = _hiss(length - quiet, middle / speaker.tract, width, rate_hz, rng)
            x[start + quiet : start + length] += level * hiss
    return x


def _smooth(x: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(x, (width, width), mode="edge")
    return np.convolve(padded, np.ones(width) / width, "same")[width:-width]


def _envelope(hz: np.ndarray, resonances: Sequence[np.ndarray], tract: float) -> np.ndarray:
    """How loud a harmonic is: the product of the resonances' gains."""
    gain = np.ones_like(hz)
    for middle, width in zip(resonances, (80.0, 100.0, 140.0), strict=True):
        f = middle / tract
        gain = gain * f**2 / np.sqrt((hz**2 - f**2) ** 2 + (width * hz) ** 2)
    return gain


def _hiss(
    count: int, middle: float, width: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """Noise in a band, faded in and out, of root mean square 1."""
    if count < 2:
        return np.zeros(count)
    spectrum = np.fft.rfft(rng.normal(size=count))
    hz = np.fft.rfftfreq(count, 1 / rate_hz)
    x = np.fft.irfft(spectrum * np.exp(-0.5 * ((hz - middle) / width) ** 2), count)
    return x * np.hanning(count) / max(1e-9, float(np.sqrt((x**2).mean())))


def conversations(
    count: int, seed: int = 0, rate_hz: int = 16000, words: Sequence[str] = WORDS, longest: int = 3,
    speakers: int = 12,
) -> Iterator[tuple[np.ndarray, str, str]]:  # fmt: skip
    """Sentences of one to `longest` words: waveform, text and speaker.

    Example:
        >>> [(text, who) for _, text, who in conversations(2, words=("sami",), longest=1)]
        [('sami', 'voice1'), ('sami', 'voice2')]
    """
    rng = np.random.default_rng((seed, 1))
    voices = [Speaker.drawn(rng) for _ in range(speakers)]
    for i in range(count):
        who = i % speakers
        text = " ".join(rng.choice(words, rng.integers(1, longest + 1)))
        yield say(text, voices[who], rng, rate_hz), text, f"voice{who + 1}"
