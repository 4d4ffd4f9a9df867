"""What varies recordings in training where no layer does: tempo, rooms, neighbours, silence.

All of it changes lengths or texts, so it happens to batches of waveforms, before the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from deepfield.toolkit.data import Arrays, collate

Vary = Callable[[np.random.Generator, np.ndarray, Arrays, Arrays], tuple[Arrays, Arrays]]


def varied(
    waveforms: Sequence[np.ndarray], texts: Sequence[np.ndarray], rate_hz: int, space: int,
    speed: float = 0.15, room: float = 0.2, joined: float = 0.0, silence: float = 0.02,
    longest_s: float = 12.0,
) -> Vary:  # fmt: skip
    """A function that varies batches.

    Args:
        waveforms: of all training items, (samples,) each.
        texts: their symbols.
        rate_hz: samples a second.
        space: symbol of the blank between words.
        speed: greatest change of tempo and pitch together, up or down: 0.15 is 15 %. It changes the
            apparent length of the vocal tract too (Ko et al. 2015).
        room: share of items that sound as in a room: convolved with noise that dies away.
        joined: share of single words that another single word follows, and of those two that a
            third one does, and so on: who learnt words one by one shall hear them in a row too.
        silence: share of items that become noise with an empty text, so that noise says nothing.
        longest_s: words are joined up to this length.
    """
    single = np.array([i for i, t in enumerate(texts) if len(t) and space not in t], int)

    def vary(
        rng: np.random.Generator, chosen: np.ndarray, inputs: Arrays, targets: Arrays
    ) -> tuple[Arrays, Arrays]:
        made, said = [], []
        (name,) = targets
        for index in chosen:
            x, text = waveforms[index], texts[index]
            alone = len(text) and space not in text
            while alone and rng.random() < joined:
                other = int(rng.choice(single))
                if len(x) + len(waveforms[other]) > longest_s * rate_hz:
                    break
                x = np.concatenate([x, waveforms[other]])
                text = np.concatenate([text, np.array([space], text.dtype), texts[other]])
            if rng.random() < silence:
                x, text = _noise(len(x), rng), text[:0]
            x = at_speed(x, 1 + rng.uniform(-speed, speed))
            if rng.random() < room:
                x = in_room(x, rate_hz, rng)
            made.append({"waveform": x.astype(np.float32)})
            said.append({name: text})
        longest = max(len(waveforms[i]) for i in chosen), max(len(texts[i]) for i in chosen)
        heard, written = collate(made, {}), collate(said, {})
        return (
            {"waveform": _as_wide(heard["waveform"], inputs["waveform"], longest[0])},
            {name: _as_wide(written[name], targets[name], longest[1])},
        )

    return vary


def _as_wide(made: np.ndarray, given: np.ndarray, longest: int) -> np.ndarray:
    """Padded to the width of what was given, if that was wider than its items: so `Batches` shows
    TensorFlow which axes vary.
    """
    missing = given.shape[1] - made.shape[1] if given.shape[1] > longest else 0
    return np.pad(made, ((0, 0), (0, max(0, missing))))


def at_speed(x: np.ndarray, factor: float) -> np.ndarray:
    """A waveform played `factor` times as fast, by straight lines between its samples.

    What is lost above a third of the rate is little beside the bands of a spectrogram.
    """
    if len(x) < 2 or factor == 1:
        return x
    count = max(2, round(len(x) / factor))
    return np.interp(np.linspace(0, len(x) - 1, count), np.arange(len(x)), x)


def in_room(x: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A waveform as in a room that takes 0.1 to 0.5 s to fall silent (by 60 dB), as loud as before.

    The room is Gaussian noise that dies away behind the direct sound (Polack 1988).
    """
    seconds = rng.uniform(0.1, 0.5)
    count = int(seconds * rate_hz)
    tail = rng.normal(size=count) * 10 ** (-3 * np.arange(count) / count)
    tail *= rng.uniform(0.2, 0.8) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    size = 1 << (len(x) + count - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]
    return wet * np.sqrt((x**2).sum() / max(1e-12, float((wet**2).sum())))


def _noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of any loudness and of one of three colours."""
    white = rng.normal(size=count)
    colour = rng.integers(3)
    if colour:
        width = 8 if colour == 1 else 32
        white = np.convolve(white, np.ones(width) / np.sqrt(width), "same")
    return white * 10 ** rng.uniform(-3.5, -1.0)
