"""Long pauses, which a network is spared: it measures every sound against the whole recording.

Half a second of nothing before a short word is most of the recording, and moves the mean from which
the network hears. So of a long pause only its ends are kept, about as much as the recordings have
from which networks learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: What is kept of a pause on each side of speech; a pause gets shorter by `_LEAST_S` or not at all.
_KEPT_S, _LEAST_S = 0.2, 0.2
#: A pause lies so far below the loudest tenth of a second (-46 dB), or at the level below which a
#: tenth of the recording lies (+6 dB), if that is well below the loudest (-14 dB).
_FAR_BELOW, _OF_NOISE, _BELOW = 0.005, 2.0, 0.2


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a recording was shortened.

    Args:
        starts_s: of what was left out, in the recording.
        lengths_s: of it.

    Example:
        >>> cuts = Cuts((1.0,), (3.0,))
        >>> cuts.span(0.5, 0.9), cuts.span(0.5, 1.2), cuts.span(0.9, 1.5)
        ((0.5, 0.9), (0.5, 1.0), (4.0, 4.5))
        >>> cuts.shortened(4.5), cuts.shortened(2.0)
        (1.5, None)
    """

    starts_s: tuple[float, ...] = ()
    lengths_s: tuple[float, ...] = ()

    def span(self, start_s: float, end_s: float) -> tuple[float, float]:
        """From when to when something lasts in the recording that does so in the shortened one; no
        word is said across a pause, so it ends or starts there, on the side where more of it is.
        """
        for at, length in zip(self.starts_s, self.lengths_s, strict=True):
            if end_s <= at:
                break
            if start_s < at <= (start_s + end_s) / 2:
                start_s = at
            if start_s < at:
                return start_s, at
            start_s, end_s = start_s + length, end_s + length
        return start_s, end_s

    def shortened(self, at_s: float) -> float | None:
        """A time of the recording in the shortened one; None in what was left out."""
        gone = 0.0
        for start, length in zip(self.starts_s, self.lengths_s, strict=True):
            if at_s < start:
                break
            if at_s < start + length:
                return None
            gone += length
        return at_s - gone


def shortened(x: np.ndarray, rate_hz: int) -> tuple[np.ndarray, Cuts]:
    """A waveform (samples,) without the middles of its long pauses, and where they were."""
    step = max(1, rate_hz // 100)
    count = len(x) // step
    if count < 10:
        return x, Cuts()
    power = (x[: count * step].reshape(count, step).astype(np.float64) ** 2).mean(axis=1)
    level = np.sqrt(_smooth(power, 3))
    loudest = np.sqrt(_smooth(power, 10).max())
    noise = _OF_NOISE * np.quantile(level, 0.1)
    quiet = level < max(_FAR_BELOW * loudest, min(noise, _BELOW * loudest))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]])))
    kept, least = round(_KEPT_S * 100), round(_LEAST_S * 100)
    gone: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        start = first + kept if first else 0
        stop = last - kept if last < count else count
        if stop - start > least:
            gone.append((start * step, stop * step if last < count else len(x)))
    if not gone:
        return x, Cuts()
    return _without(x, gone), Cuts(
        tuple(a / rate_hz for a, _ in gone), tuple((b - a) / rate_hz for a, b in gone)
    )


def _without(x: np.ndarray, gone: Sequence[tuple[int, int]]) -> np.ndarray:
    keep = np.ones(len(x), bool)
    for first, last in gone:
        keep[first:last] = False
    return x[keep]


def _smooth(x: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(x, np.ones(width) / width, "same")
