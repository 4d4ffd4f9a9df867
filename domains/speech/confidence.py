"""How likely each word of a transcript is right, fitted to recordings not learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfield.domains.speech.decoder import Said
from deepfield.toolkit.rising_curves import sigmoid

#: What is known of a word: see `word_features`.
NAMES = ("mean letter", "worst letter", "rivals")
#: Words below which nothing is fitted.
LEAST_WORDS = 60


def words_of(said: Said) -> list[tuple[str, int, int]]:
    """The words of a text with the places of their letters: word, first, behind the last."""
    found, start = [], 0
    for word in said.text.split(" ") if said.text else []:
        found.append((word, start, start + len(word)))
        start += len(word) + 1
    return found


def word_features(said: Said) -> np.ndarray:
    """What tells how sure each word is, (words, 3).

    The mean and the least log-probability of its letters, and the log odds against other readings
    of the search (0 where there were none).
    """
    rows = []
    for i, (_, start, end) in enumerate(words_of(said)):
        own = np.clip(said.scores[start:end], -8.0, 0.0)
        odds = said.rivals[i] if i < len(said.rivals) else 0.0
        rows.append((own.mean(), own.min(), np.clip(odds, -8.0, 8.0)))
    return np.array(rows, np.float64).reshape(-1, len(NAMES))


def fit(features: np.ndarray, right: np.ndarray, ridge: float = 1.0) -> list[float] | None:
    """A logistic curve over the features: the weights, and last the offset.

    Args:
        features: (words, features).
        right: (words,) bool.
        ridge: of the weights, in words.

    Returns:
        None where there are too few words, or all are right or wrong: one pseudo-word of either
        kind would then say everything.

    Source: Platt 1999, with his targets; Newton's method, as in Lin, Lin and Weng 2007.
    """
    good = int(right.sum())
    bad = len(right) - good
    if len(right) < LEAST_WORDS or not good or not bad:
        return None
    y = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    x = np.column_stack([features, np.ones(len(features))])
    w = np.zeros(x.shape[1])
    w[-1] = np.log(good / bad)
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-9
    for _ in range(50):
        p = sigmoid(x @ w)
        gradient = x.T @ (p - y) + penalty * w
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        w -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-8:
            break
    return [float(v) for v in w]


def probabilities(said: Said, weights: Sequence[float] | None) -> np.ndarray:
    """How likely each word is right, (words,); without weights the mean of its letters."""
    features = word_features(said)
    if weights is None:
        return np.exp(features[:, 0])
    w = np.asarray(weights, np.float64)
    return sigmoid(features @ w[:-1] + w[-1])
