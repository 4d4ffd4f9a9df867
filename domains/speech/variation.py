"""What varies recordings in training where no layer does: tempo, rooms, microphones, silence.

All of it changes lengths or texts, so it happens to batches of waveforms, before the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import fft

from deepfield.domains.speech.recombination import Recombination, Word
from deepfield.toolkit.data import Arrays, collate

#: The output of the network that spells, and the one beside it that only learns.
LETTERS, SOUNDS = "log_probs", "sounds"

Vary = Callable[[np.random.Generator, np.ndarray, Arrays, Arrays], tuple[Arrays, Arrays]]
Say = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def varied(
    waveforms: Sequence[np.ndarray], texts: Sequence[Arrays], rate_hz: int, space: int,
    speed: float = 0.15, stretch: float = 0.15, room: float = 0.2, colour_db: float = 5.0,
    band: float = 0.3, trimmed: float = 0.3,
    joined: float = 0.0, silence: float = 0.02,
    recombination: Recombination | None = None, recombined: float = 0.0, longest_s: float = 12.0,
    say: Say | None = None, voiced: float = 0.5,
) -> Vary:  # fmt: skip
    """A function that varies batches.

    Args:
        waveforms: of all training items, (samples,) each.
        texts: their symbols, by what they are symbols of: letters, and sounds where a lexicon
            tells them.
        rate_hz: samples a second.
        space: symbol of the blank between words, among letters.
        speed: greatest change of tempo and pitch together, up or down: 0.15 is 15 %. It changes the
            apparent length of the vocal tract too (Ko et al. 2015).
        stretch: greatest change of tempo alone, up or down.
        room: share of items that sound as in a room: convolved with noise that dies away.
        colour_db: by how much microphones hear some frequencies louder than others, a deviation.
        band: share of items without their high sounds, as telephones leave them out.
        trimmed: share of single words without up to a quarter of their beginning and of their end,
            as recorders that wait for something loud leave them.
        joined: share of batches in which another single word follows every single word, and of
            those two that a third one does, and so on: who learnt words one by one shall hear them
            in a row too. All of a batch at once, since one long item makes all of it long.
        silence: share of items that become noise with an empty text, so that noise says nothing.
        recombination: when each word was said.
        recombined: share of items that are made of words of other items.
        longest_s: words are joined up to this length.
        say: somebody who says a text, which is given as letters' symbols.
        voiced: share of items that are said by them in place of those who were recorded.

    Example:
        >>> tone = np.sin(np.arange(8000) * 0.3).astype(np.float32)
        >>> text = {LETTERS: np.array([3, 1, 2])}
        >>> vary = varied([tone], [text], rate_hz=8000, space=4, silence=0.0)
        >>> inputs, targets = vary(np.random.default_rng(0), np.array([0]), {}, {LETTERS: None})
        >>> inputs["waveform"].shape != (1, 8000), targets[LETTERS].tolist()
        (True, [[3, 1, 2]])
    """
    single = np.array([i for i, t in enumerate(texts) if _is_word(t[LETTERS], space)], int)

    def vary(
        rng: np.random.Generator, chosen: np.ndarray, inputs: Arrays, targets: Arrays
    ) -> tuple[Arrays, Arrays]:
        made, said = [], []
        more = int(rng.geometric(1 - joined)) - 1 if len(single) else 0
        for index in chosen:
            x, text = waveforms[index], texts[index]
            if say is not None and len(text[LETTERS]) and rng.random() < voiced:
                x = say(text[LETTERS], rng)
            elif recombination is not None and rng.random() < recombined:
                words = recombination.draw(int(index), rng, len(x))
                if words:
                    x, text = _said(words, waveforms, space)
            if _is_word(text[LETTERS], space) and rng.random() < trimmed:
                x = _trimmed(x, rng)
            for _ in range(more if _is_word(text[LETTERS], space) else 0):
                other = int(rng.choice(single))
                if len(x) + len(waveforms[other]) > longest_s * rate_hz:
                    break
                x = np.concatenate([x, waveforms[other]])
                text = _and(text, texts[other], space)
            if rng.random() < silence:
                x, text = _noise(len(x), rng), {k: v[:0] for k, v in text.items()}
            x = stretched(x, 1 + rng.uniform(-stretch, stretch), rate_hz)
            x = at_speed(x, 1 + rng.uniform(-speed, speed))
            if rng.random() < room:
                x = in_room(x, rate_hz, rng)
            x = coloured(x, colour_db, rate_hz, rng)
            if rng.random() < band:
                x = below(x, rng.uniform(2500, 7000), rate_hz)
            made.append({"waveform": x.astype(np.float32)})
            said.append({k: text[k] for k in targets})
        return collate(made, {}), collate(said, {})

    vary.widens = ("waveform", LETTERS, SOUNDS)  # type: ignore[attr-defined]
    return vary


def _said(
    words: Sequence[Word], waveforms: Sequence[np.ndarray], space: int
) -> tuple[np.ndarray, Arrays]:
    """Words in a row."""
    text = words[0].text
    for word in words[1:]:
        text = _and(text, word.text, space)
    return np.concatenate([waveforms[w.item][w.start : w.end] for w in words]), text


def _and(text: Arrays, other: Arrays, space: int) -> Arrays:
    return {k: _followed(v, other[k], space if k == LETTERS else None) for k, v in text.items()}


def _is_word(letters: np.ndarray, space: int) -> bool:
    return len(letters) > 0 and space not in letters


def _followed(text: np.ndarray, other: np.ndarray, between: int | None) -> np.ndarray:
    gap = [] if between is None else [between]
    return np.concatenate([text, np.array(gap, text.dtype), other])


def at_speed(x: np.ndarray, factor: float) -> np.ndarray:
    """A waveform played `factor` times as fast, by straight lines between its samples.

    What is lost above a third of the rate is little beside the bands of a spectrogram.

    Example:
        >>> at_speed(np.array([0.0, 1.0, 2.0, 3.0]), 2).tolist()
        [0.0, 3.0]
        >>> len(at_speed(np.zeros(16000), 0.8)) / 16000
        1.25
    """
    if len(x) < 2 or factor == 1:
        return x
    count = max(2, round(len(x) / factor))
    return np.interp(np.linspace(0, len(x) - 1, count), np.arange(len(x)), x)


def stretched(x: np.ndarray, factor: float, rate_hz: int) -> np.ndarray:
    """A waveform said `factor` times as fast by a voice of the same pitch.

    Frames of 30 ms are added where they overlap by half, each taken within 8 ms of its place, where
    it continues the one before best (Verhelst and Roelands 1993, "An overlap-add technique based on
    waveform similarity (WSOLA)", section 3).
    """
    hop, tolerance = 3 * rate_hz // 200, rate_hz // 125
    apart = max(1, rate_hz // 8000)  # of the samples that are compared
    width = 2 * hop
    if len(x) < 2 * width or factor == 1:
        return x
    count = round(len(x) / factor)
    padded = np.pad(x, (tolerance, width + 2 * tolerance + hop))
    window = np.hanning(width + 1)[:-1]
    y, taken = np.zeros(count + width), tolerance
    for place in range(0, count, hop):
        if place:
            first = int(place * factor)  # of the padded waveform, so `tolerance` before the place
            wanted = padded[taken + hop : taken + hop + width]
            near = padded[first : first + 2 * tolerance + width : apart]
            taken = first + apart * int(np.correlate(near, wanted[::apart], "valid").argmax())
        y[place : place + width] += window * padded[taken : taken + width]
    y[:hop] += (1 - window[:hop]) * x[:hop]
    return y[:count]


def in_room(x: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A waveform as in a room that takes 0.1 to 0.5 s to fall silent (by 60 dB), as loud as before.

    The room is Gaussian noise that dies away behind the direct sound (Polack 1988).

    Example:
        >>> click = np.zeros(8000)
        >>> click[0] = 1.0
        >>> heard = in_room(click, 8000, np.random.default_rng(0))
        >>> bool(np.abs(heard[400:800]).max() > 0), round(float((heard**2).sum()), 3)
        (True, 1.0)
    """
    seconds = rng.uniform(0.1, 0.5)
    count = int(seconds * rate_hz)
    tail = rng.normal(size=count) * 10 ** (-3 * np.arange(count) / count)
    tail *= rng.uniform(0.2, 0.8) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    size = fft.next_fast_len(len(x) + count - 1, real=True)
    wet = fft.irfft(fft.rfft(x, size) * fft.rfft(tail, size), size)[: len(x)]
    return wet * np.sqrt((x**2).sum() / max(1e-12, float((wet**2).sum())))


def below(x: np.ndarray, cutoff_hz: float, rate_hz: int) -> np.ndarray:
    """A waveform without the frequencies above one, which falls off over a twentieth of it."""
    if len(x) < 2:
        return x
    # a length that is a large prime takes ten times as long
    size = fft.next_fast_len(len(x), real=True)
    hz = fft.rfftfreq(size, 1 / rate_hz)
    kept = np.clip((cutoff_hz * 1.05 - hz) / (0.05 * cutoff_hz), 0.0, 1.0)
    return fft.irfft(fft.rfft(x, size) * kept, size)[: len(x)]


def coloured(
    x: np.ndarray, deviation_db: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """A waveform as another microphone hears it, as loud as before.

    Six points of a curve over frequencies are drawn, equally far apart on a scale that is linear up
    to about 700 Hz and logarithmic above (mel).
    """
    if len(x) < 2 or deviation_db <= 0:
        return x
    size = fft.next_fast_len(len(x), real=True)
    mel = np.log1p(fft.rfftfreq(size, 1 / rate_hz) / 700)
    points = rng.normal(0, deviation_db, 6)
    gain = 10 ** (np.interp(mel, np.linspace(0, mel[-1], len(points)), points) / 20)
    y = fft.irfft(fft.rfft(x, size) * gain, size)[: len(x)]
    return y * np.sqrt((x**2).sum() / max(1e-12, float((y**2).sum())))


def _trimmed(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    first, last = (rng.uniform(0.0, 0.25, 2) * len(x)).astype(int)
    return x[first : len(x) - last]


def _noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of any loudness and of one of three colours."""
    white = rng.normal(size=count)
    colour = rng.integers(3)
    if colour:
        width = 8 if colour == 1 else 32
        white = np.convolve(white, np.ones(width) / np.sqrt(width), "same")
    return white * 10 ** rng.uniform(-3.5, -1.0)
