"""Why a network heard these words: where they lie, and which sounds it would miss.

A tile of time and frequency is taken out of the recording, and the network is asked again: what its
letters lose is what the tile was worth. That asks the network alone, so it works for every one of
them, without Keras. Only a picture imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.speech.decoder import align, heard_frames
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.mel import hz_to_mel, mel_filters, mel_to_hz
from deepfield.toolkit.report import Report

if TYPE_CHECKING:
    from deepfield.domains.speech.pipeline import SpeechPipeline

#: Bands of a tile, its least length, and how many tiles there are at most.
BANDS, TILE_S, MOST_TILES = 8, 0.08, 320
#: Longer recordings are explained up to here.
LONGEST_S = 20.0
_TOGETHER = 16
METHOD = (
    "each tile: how much the log-probability of the letters falls, as shares of the largest fall,"
    " when the sound of the tile is made as quiet as the pauses"
)


@dataclass(slots=True)
class Explanation:
    """A transcript, and what each part of the sound was worth.

    Args:
        name: of the sample.
        words: word, start, end, probability.
        spectrogram: (frames, mels) logarithms, 100 frames a second.
        worth: (tiles of time, bands), 1 the largest.
        tile_s: seconds of a tile.
        edges_hz: of the bands.
        rate_hz: of the sound.
        whole: whether this is all of the recording.
    """

    name: str
    words: list[dict[str, Any]]
    spectrogram: np.ndarray
    worth: np.ndarray
    tile_s: float
    edges_hz: np.ndarray
    rate_hz: int
    whole: bool = True

    @property
    def part(self) -> str:
        """What of a recording this is, if it is not all."""
        return "" if self.whole else f"the first {len(self.spectrogram) / 100:.1f} s alone"

    @property
    def text(self) -> str:
        """What was heard."""
        return " ".join(word["word"] for word in self.words)

    def facts(self) -> dict[str, Any]:
        """Everything as a JSON-able dictionary."""
        return {
            "id": self.name,
            "text": self.text,
            "words": self.words,
            "part": self.part,
            "method": METHOD,
            "tile_s": round(self.tile_s, 4),
            "bands_hz": [round(float(f)) for f in self.edges_hz],
            "worth": np.round(self.worth, 4).tolist(),
        }

    def lines(self) -> Iterator[str]:
        """For a terminal: the words with their times, and the band that told most of each."""
        yield f"{self.text!r}" if self.words else "no word"
        for word in self.words:
            low, high = self._band(word)
            yield (
                f"  {word['start']:7.2f} to {word['end']:6.2f} s  {word['probability']:6.1%}  "
                f"{word['word']}  (most of it from {low:,.0f} to {high:,.0f} Hz)"
            )
        if self.part:
            yield f"{self.part}: cut the recording to see why of the rest"
        yield METHOD

    def _band(self, word: dict[str, Any]) -> tuple[float, float]:
        first = int(word["start"] / self.tile_s)
        last = max(first + 1, int(np.ceil(word["end"] / self.tile_s)))
        own = self.worth[max(0, first - 1) : last + 1].clip(0).sum(axis=0)
        best = int(own.argmax()) if own.size else 0
        return float(self.edges_hz[best]), float(self.edges_hz[best + 1])

    def png(self) -> bytes:
        """The spectrogram with its words, and below it what mattered."""
        from deepfield.toolkit.plot_style import (
            COLOURS,
            INK,
            NORMAL,
            SMALL,
            SOFT,
            as_png,
            blank_figure,
            plain_axes,
        )

        seconds = len(self.spectrogram) / 100
        figure = blank_figure(max(5.0, min(14.0, 1.5 + 1.6 * seconds)), 4.4)
        top, bottom = figure.subplots(2, 1, sharex=True)
        extent = (0, seconds, 0, self.spectrogram.shape[1])
        image = self.spectrogram.T
        floor = float(np.quantile(image, 0.05))
        for axes in (top, bottom):
            plain_axes(axes, grid=False)
            axes.imshow(image, origin="lower", aspect="auto", extent=extent, cmap="Greys",
                        vmin=floor)  # fmt: skip
            ticks = [f for f in (250, 500, 1000, 2000, 4000) if f < self.rate_hz / 2]
            axes.set_yticks([self._height(f) for f in ticks], [f"{f:,}" for f in ticks])
            axes.set_ylabel("Hz", fontsize=SMALL, color=SOFT)
        height = self.spectrogram.shape[1]
        for word in self.words:
            top.axvspan(word["start"], word["end"], color=COLOURS[0], alpha=0.12)
            middle = (word["start"] + word["end"]) / 2
            said = f"{word['word']}\n{word['probability']:.0%}"
            top.text(middle, 1.02 * height, said, ha="center", va="bottom", fontsize=SMALL,
                     color=INK, parse_math=False)  # fmt: skip
        y = [self._height(f) for f in self.edges_hz]
        x = np.arange(len(self.worth) + 1) * self.tile_s
        shown = np.ma.masked_less(self.worth.T, 0.02)
        bottom.pcolormesh(x, y, shown, cmap="Oranges", vmin=0, vmax=1, alpha=0.75)
        bottom.set(xlim=(0, seconds), ylim=(0, height))
        bottom.set_xlabel("seconds", fontsize=SMALL, color=SOFT)
        bottom.set_title("what the network would miss", fontsize=NORMAL, color=INK, loc="left")
        return as_png(figure)

    def _height(self, hz: float) -> float:
        """Where a frequency lies in the picture."""
        low, high = hz_to_mel(40.0), hz_to_mel(self.rate_hz / 2)
        share = (hz_to_mel(hz) - low) / (high - low)
        return float(share * self.spectrogram.shape[1])

    def report(self) -> Report:
        """A page with the picture and the words."""
        page = Report(f"Why: {self.name}")
        page.text(self.text or "no word").picture(self.png(), METHOD)
        if self.part:
            page.text(self.part)
        return page.table(self.words or [{"word": "none"}])


def explain(pipeline: SpeechPipeline, sample: Sample) -> Explanation:
    """Explain what was heard in one recording.

    Raises:
        BadInput: it is no sound.
    """
    found = iter(pipeline.expand(Sample(sample.id, sample.data)))
    piece = next(found)
    try:
        more = next(found, None) is not None
    except BadInput:  # it breaks off later on
        more = True
    rate_hz = pipeline.rate_hz
    longest = int(LONGEST_S * rate_hz)
    whole = not more and len(piece.waveform) <= longest
    piece = replace(piece, waveform=piece.waveform[:longest])
    arrays, heard = pipeline.encode(piece)
    x, shown = arrays["waveform"], piece.waveform  # the latter without what was put around it
    if len(x) < rate_hz // 10:
        raise BadInput("less than 0.1 s of sound")
    outputs = pipeline.calibrated(pipeline.forward({"waveform": x[None]}))
    own = {name: values[0] for name, values in outputs.items()}
    words = pipeline.decode(own, heard)["words"]
    tile_s = max(TILE_S, len(shown) / rate_hz * BANDS / MOST_TILES)
    edges = mel_to_hz(np.linspace(hz_to_mel(60.0), hz_to_mel(rate_hz / 2), BANDS + 1))
    tiles = int(np.ceil(len(shown) / rate_hz / tile_s))
    worth = np.zeros((tiles, BANDS))
    text = " ".join(word["word"] for word in words)
    if text:
        inside = [heard.cuts.shortened(t * tile_s) for t in range(tiles)]
        rows = [t for t in range(tiles) if inside[t] is not None]  # the network heard these
        at_s = [heard.before_s + at for at in inside if at is not None]
        worth[rows] = _worth(pipeline, x, own["log_probs"], text, at_s, tile_s, edges)
    return Explanation(
        sample.id, words, _spectrogram(shown, rate_hz), worth, tile_s, edges, rate_hz, whole
    )


def _worth(
    pipeline: SpeechPipeline, x: np.ndarray, log_probs: np.ndarray, text: str,
    at_s: Sequence[float], tile_s: float, edges: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What the letters lose without each tile, the largest loss being 1."""
    symbols = pipeline.transcription.alphabet.symbols(text)
    first, last, _ = align(log_probs[: heard_frames(log_probs)], symbols)
    whole = _score(log_probs, symbols, first, last)
    bands = [edges[b : b + 2] for b in range(len(edges) - 1)]
    levels = [quiet(x, band, pipeline.rate_hz) for band in bands]
    places = [(t, b) for t in range(len(at_s)) for b in range(len(bands))]
    found = np.zeros((len(at_s), len(bands)))
    for at in range(0, len(places), _TOGETHER):
        some = places[at : at + _TOGETHER]
        made = [without(x, at_s[t], tile_s, bands[b], pipeline.rate_hz, levels[b])
                for t, b in some]  # fmt: skip
        answers = pipeline.forward({"waveform": np.stack(made)})["log_probs"]
        for place, answer in zip(some, answers, strict=True):
            found[place] = whole - _score(answer, symbols, first, last)
    return np.clip(found, 0, None) / max(1e-9, float(found.max()))


def _score(
    log_probs: np.ndarray, symbols: np.ndarray, first: np.ndarray, last: np.ndarray
) -> float:
    """How clearly the letters are heard at about their places."""
    clear = [
        log_probs[max(0, a - 2) : b + 3, s].max()
        for s, a, b in zip(symbols, first, last, strict=True)
    ]
    return float(np.clip(clear, -12.0, 0.0).sum())


def without(
    x: np.ndarray, start_s: float, length_s: float, band_hz: np.ndarray, rate_hz: int,
    level: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """A waveform whose band of frequencies is as quiet as `level` for a time; soft edges in time.

    `quiet` says how quiet the band is where nobody speaks: silence itself would be stranger to a
    network than what is taken out.
    """
    margin = rate_hz // 50
    first = max(0, int(start_s * rate_hz) - margin)
    last = min(len(x), int((start_s + length_s) * rate_hz) + margin)
    piece = x[first:last].astype(np.float64)
    spectrum = np.fft.rfft(piece)
    inside = _inside(len(piece), band_hz, rate_hz)
    loud = np.sqrt((np.abs(spectrum[inside]) ** 2).sum()) / len(piece)
    spectrum[inside] *= min(1.0, level / max(loud, 1e-12))
    emptied = np.fft.irfft(spectrum, len(piece))
    fade = np.minimum(1.0, np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / margin)
    made = x.copy()
    made[first:last] = piece * (1 - fade) + emptied * fade
    return made


def quiet(x: np.ndarray, band_hz: np.ndarray, rate_hz: int) -> float:
    """The level of a band that a tenth of the recording does not reach."""
    size = max(2, int(TILE_S * rate_hz))
    pieces = x[: len(x) // size * size].astype(np.float64).reshape(-1, size)
    if not len(pieces):
        return 0.0
    power = np.abs(np.fft.rfft(pieces)[:, _inside(size, band_hz, rate_hz)]) ** 2
    return float(np.quantile(np.sqrt(power.sum(axis=1)) / size, 0.1))


def _inside(count: int, band_hz: np.ndarray, rate_hz: int) -> np.ndarray:
    hz = np.fft.rfftfreq(count, 1 / rate_hz)
    return (hz >= band_hz[0]) & (hz < band_hz[1])


def _spectrogram(x: np.ndarray, rate_hz: int, mels: int = 64) -> np.ndarray:
    window, hop = rate_hz // 40, rate_hz // 100
    size = 1 << (window - 1).bit_length()
    padded = np.pad(x.astype(np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: len(x) // hop + 1]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    return np.log(power @ mel_filters(rate_hz, size, mels, 40.0, rate_hz / 2) + 1e-8)
