"""The mel scale and its filters, for layers and for what does without Keras."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def hz_to_mel(hz: npt.ArrayLike) -> np.ndarray:
    """Slaney's mel scale: linear to 1 kHz (15 mel), above it 27 mel for a factor of 6.4."""
    hz = np.asarray(hz, np.float64)
    above = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / math.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def mel_to_hz(mel: npt.ArrayLike) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    above = 1000.0 * 6.4 ** ((np.maximum(mel, 15.0) - 15.0) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, above)


def mel_filters(
    rate_hz: float, fft_length: int, mels: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Triangular filters of equal area, (fft_length // 2 + 1, mels) float64.

    Filter m rises from the centre of its lower neighbour to its own and falls to that of the upper
    one; centres lie evenly on the mel scale. Its height is 2 / (upper - lower) per hertz.
    """
    edges = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), mels + 2))
    hz = np.arange(fft_length // 2 + 1)[:, None] * rate_hz / fft_length
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (hz - lower) / (centre - lower)
    falling = (upper - hz) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (upper - lower)
