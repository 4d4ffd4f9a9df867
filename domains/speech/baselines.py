"""The shallow models beside the network: sounds compared with sounds, or the language alone.

Of single words a support vector machine on MFCCs, brought to one length. Of sentences the
likeliest sentence of all, whatever was said: what the language knows without hearing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from deepfield.domains.speech.decoder import Said
from deepfield.domains.speech.task import packed
from deepfield.toolkit.mel import mel_filters

#: Coefficients, frames to which a word is brought, and mel bands.
COEFFICIENTS, FRAMES, BANDS = 13, 16, 26
#: More different texts than that are sentences.
MOST_WORDS = 200


def mfcc(x: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mel-frequency cepstral coefficients without the first, (frames, 12), of zero mean.

    Source: Davis and Mermelstein 1980, eq. 1.
    """
    window, hop = rate_hz // 40, rate_hz // 100
    size = 1 << (window - 1).bit_length()
    x = np.pad(np.asarray(x, np.float64), (0, max(0, window - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    bands = np.log(power @ mel_filters(rate_hz, size, BANDS, 60.0, rate_hz / 2) + 1e-8)
    place = np.arange(BANDS) + 0.5
    cosines = np.cos(np.pi / BANDS * np.outer(place, np.arange(1, COEFFICIENTS)))
    found = bands @ cosines
    return found - found.mean(axis=0)


def fixed_length(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients at evenly spaced times, with their changes: a vector of one length."""
    places = np.linspace(0, len(coefficients) - 1, FRAMES)
    index = np.arange(len(coefficients))
    rows = np.stack([np.interp(places, index, c) for c in coefficients.T])
    changes = np.gradient(rows, axis=1)
    return np.concatenate([rows.ravel(), changes.ravel(), [len(coefficients)]]).astype(np.float32)


class Words:
    """A support vector machine that tells words apart.

    Args:
        features: (n, features) of the training words.
        texts: what they are.
        seed: of its cross-validation.
    """

    def __init__(self, features: np.ndarray, texts: Sequence[str], seed: int) -> None:
        from deepfield.toolkit.baselines import fit_baseline

        self.texts = sorted(set(texts))
        places = {text: i for i, text in enumerate(self.texts)}
        labels = np.array([places[t] for t in texts])
        self.model = fit_baseline("svm", features, labels, task="classification", seed=seed)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Texts as predictions of the task."""
        chances = self.model.predict(features)
        return _as_predictions([self.texts[i] for i in chances.argmax(axis=1)])


class OneSentence:
    """The language alone: the sentence that was said most often, for everything."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = Counter(texts).most_common(1)[0][0]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The same text for every row."""
        return _as_predictions([self.text] * len(features))


def _as_predictions(texts: Sequence[str]) -> np.ndarray:
    frames = max(1, *(len(t) for t in texts))
    made = []
    for text in texts:
        nothing = np.zeros(len(text), int)
        made.append(packed(Said(text, nothing, nothing, np.zeros(len(text))), None, frames))
    return np.stack(made)
