"""The shallow model beside the network: logistic regression on short words of the sequence.

SciPy and scikit-learn are imported when one is fitted, never by a prediction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfield.toolkit.errors import UsageError

#: Inverse strengths of regularisation that are tried, on a quarter of the training items.
_COSTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_MOST_WORD = 10
#: Items that the regression is fitted on at most.
_MOST_ITEMS = 30_000
#: The member of a pipeline that is a regression on words by their places (see `placed_words`), its
#: share in the answer, and up to how many training letters (times the classes but one) it is worth
#: its room and time.
PLACED, PLACED_SHARE, MOST_PLACED = "words", 0.4, 1_500_000


def words(sequences: np.ndarray, size: int) -> np.ndarray:
    """The number of the word that begins at each place; -1 where a letter is no plain base.

    Args:
        sequences: codes (batch, steps).
        size: letters of a word, k.

    Returns:
        (batch, steps - k + 1) int64: the letters as digits to the base 4, A is 0.

    Raises:
        UsageError: words of no letter, or of more than ten.

    Example:
        >>> words(np.array([[1, 2, 4, 0]]), 2).tolist()
        [[1, 7, -1]]
    """
    if not 1 <= size <= _MOST_WORD:
        raise UsageError(f"words of {size} letters", f"1 to {_MOST_WORD}")
    digits = sequences.astype(np.int64) - 1
    plain = (digits >= 0) & (digits < 4)
    count = max(0, sequences.shape[1] - size + 1)
    found = np.zeros((len(sequences), count), np.int64)
    known = np.ones(found.shape, bool)
    for place in range(size):
        found = 4 * found + digits[:, place : place + count]
        known &= plain[:, place : place + count]
    return np.where(known, found, -1)


def opposite(size: int) -> np.ndarray:
    """The number of the reverse complement of every word of `size` letters, (4^k,) int64.

    Example:
        >>> opposite(1).tolist()
        [3, 2, 1, 0]
    """
    numbers = np.arange(4**size)
    found = np.zeros_like(numbers)
    for _ in range(size):
        found = 4 * found + 3 - numbers % 4
        numbers = numbers // 4
    return found


def word_counts(sequences: np.ndarray, sizes: tuple[int, ...], symmetric: bool) -> Any:
    """How often each word occurs, as log(1 + count): a sparse matrix (batch, words).

    Args:
        sequences: codes (batch, steps).
        sizes: letters of the words.
        symmetric: whether a word and its reverse complement count as one.
    """
    from scipy import sparse

    blocks = []
    for size in sizes:
        numbers = words(sequences, size)
        rows = np.repeat(np.arange(len(sequences)), numbers.shape[1])
        numbers = numbers.ravel()
        rows, numbers = rows[numbers >= 0], numbers[numbers >= 0]
        if symmetric:
            numbers = np.minimum(numbers, opposite(size)[numbers])
        ones = np.ones(len(numbers), np.float32)
        block = sparse.csr_matrix((ones, (rows, numbers)), (len(sequences), 4**size))
        block.sum_duplicates()
        block.data = np.log1p(block.data)
        blocks.append(block)
    return sparse.hstack(blocks, format="csr")


def placed(sequences: np.ndarray) -> Any:
    """Which base stands where: a sparse matrix (batch, 4 x steps)."""
    from scipy import sparse

    batch, steps = sequences.shape
    rows, places = np.nonzero((sequences >= 1) & (sequences <= 4))
    columns = 4 * places + sequences[rows, places] - 1
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), (batch, 4 * steps))


def features(sequences: np.ndarray, kind: str) -> Any:
    """What the shallow model is told: of peaks words of 6 to 8 letters on either strand, of
    anything else words of 1 to 5 letters and which base stands where.
    """
    if kind == "peak":
        return word_counts(sequences, (6, 7, 8), symmetric=True)
    from scipy import sparse

    parts = [placed(sequences), word_counts(sequences, (1, 2, 3, 4, 5), symmetric=False)]
    return sparse.hstack(parts, format="csr")


class KmerRegression:
    """Logistic regression whose regularisation is chosen on a quarter of the training items.

    Of more than 30,000 items so many are drawn.

    Args:
        features: (items, features), sparse.
        targets: class indices (items,).
        classes: how many there are.
        seed: of the quarter.
    """

    def __init__(self, features: Any, targets: np.ndarray, classes: int, seed: int = 0) -> None:
        order = np.random.default_rng(seed).permutation(len(targets))[:_MOST_ITEMS]
        held, rest = order[: len(order) // 4], order[len(order) // 4 :]
        self.classes = classes
        losses = [
            _log_loss(_fitted(features[rest], targets[rest], cost), features[held], targets[held])
            for cost in _COSTS
        ]
        self.cost = _COSTS[int(np.argmin(losses))]
        self.model = _fitted(features[order], targets[order], self.cost)

    def predict(self, features: Any) -> np.ndarray:
        """Probabilities (items, classes) float64."""
        found = np.zeros((features.shape[0], self.classes))
        found[:, self.model.classes_.astype(int)] = self.model.predict_proba(features)
        return found


def _fitted(features: Any, targets: np.ndarray, cost: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=cost, max_iter=300, tol=1e-3).fit(features, targets)


def _log_loss(model: Any, features: Any, targets: np.ndarray) -> float:
    if not len(targets):
        return 0.0
    told = dict(zip(model.classes_.astype(int), model.predict_log_proba(features).T, strict=True))
    each = [told[y][i] if y in told else -20.0 for i, y in enumerate(targets.astype(int))]
    return -float(np.mean(each))
