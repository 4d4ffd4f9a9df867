"""Which words follow which: an n-gram model with Witten-Bell smoothing, as plain arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from deepfield.toolkit.bundle import to_half

#: Number of the word that ends a sentence, and of the one that stands before its first.
END, START = 0, 1
FIRST = 2


class Language:
    r"""An n-gram model of sentences.

    $P(w|h) = \frac{c(hw) + t(h) P(w|h')}{c(h) + t(h)}$, where c counts, t(h) is the number of
    different words after h, and h' is h without its first word; with no h left, every word is as
    likely as the others. It is stored as ARPA files are: the logarithm of the probability of every
    n-gram that was seen, and the factor $t(h) / (c(h) + t(h))$ by which one backs off to h'.

    Args:
        words: the vocabulary, without the end of a sentence.
        ngrams: (n, order) int32, each n-gram at the end of its row, -1 before it.
        log_probs: (n,) natural logarithms.
        backoffs: (n,) natural logarithms; 0 where nothing followed.

    Example:
        >>> language = Language.of([["go", "left"], ["go", "right"]], order=2)
        >>> round(math.exp(language.sentence(["go", "left"])), 3)
        0.174

    Source: Witten and Bell 1991, method C; Chen and Goodman 1998, section 2.4. Deviation: none.
    """

    def __init__(
        self, words: Sequence[str], ngrams: np.ndarray, log_probs: np.ndarray, backoffs: np.ndarray
    ) -> None:
        self.words = tuple(words)
        self.numbers = {word: i for i, word in enumerate(self.words, start=FIRST)}
        self.ngrams, self.log_probs, self.backoffs = ngrams, log_probs, backoffs
        self.order = ngrams.shape[1]
        if not len(ngrams) == len(log_probs) == len(backoffs):
            raise ValueError("an n-gram model whose parts differ in length")
        if len(ngrams) and not -1 <= ngrams.min() <= ngrams.max() < FIRST + len(self.words):
            raise ValueError("an n-gram model of words that it does not have")
        self._seen = {
            tuple(w for w in row if w >= 0): (p, b)
            for row, p, b in zip(
                ngrams.tolist(), log_probs.tolist(), backoffs.tolist(), strict=True
            )
        }
        self.start: tuple[int, ...] = (START,)[: self.order - 1]
        self._known: dict[tuple[tuple[int, ...], int], float] = {}

    @classmethod
    def of(
        cls, sentences: Iterable[Sequence[str]], order: int = 3, words: Iterable[str] = ()
    ) -> Language:
        """Learn from sentences.

        Args:
            sentences: words each.
            order: words of the longest n-gram.
            words: further words of the vocabulary, which no sentence has.
        """
        sentences = [list(s) for s in sentences]
        vocabulary = sorted({w for s in sentences for w in s} | set(words))
        numbers = {word: i for i, word in enumerate(vocabulary, start=FIRST)}
        counts: Counter[tuple[int, ...]] = Counter()
        for sentence in sentences:
            line = [START, *(numbers[w] for w in sentence), END]
            for place in range(1, len(line)):
                for size in range(1, min(order, place + 1) + 1):
                    counts[tuple(line[place + 1 - size : place + 1])] += 1
        total: Counter[tuple[int, ...]] = Counter()
        kinds: Counter[tuple[int, ...]] = Counter()
        for gram, count in counts.items():
            total[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        chances: dict[tuple[int, ...], float] = {}
        for gram in sorted(counts, key=len):
            before = gram[:-1]
            lower = chances[gram[1:]] if len(gram) > 1 else 1.0 / (len(vocabulary) + 1)
            own = counts[gram] + kinds[before] * lower
            chances[gram] = own / (total[before] + kinds[before])
        for number in (END, *numbers.values()):  # words of which no sentence tells
            if (number,) not in chances:
                share = kinds[()] / (total[()] + kinds[()]) if total[()] else 1.0
                chances[(number,)] = share / (len(vocabulary) + 1)
        histories = {g for g in total if g} - chances.keys()  # those that begin a sentence
        rows = sorted(chances.keys() | histories, key=lambda g: (len(g), g))
        ngrams = np.full((len(rows), order), -1, np.int32)
        log_probs, backoffs = np.full(len(rows), -99.0), np.zeros(len(rows))
        for i, gram in enumerate(rows):
            ngrams[i, order - len(gram) :] = gram
            if gram in chances:
                log_probs[i] = math.log(chances[gram])
            if total[gram]:
                backoffs[i] = math.log(kinds[gram] / (total[gram] + kinds[gram]))
        return cls(vocabulary, ngrams, log_probs.astype(np.float32), backoffs.astype(np.float32))

    def score(self, history: tuple[int, ...], word: int) -> float:
        """The logarithm of a word's probability after the last words of `history`."""
        found = self._known.get((history, word))
        if found is None:
            seen = self._seen.get((*history, word))
            if seen is not None and seen[0] > -99.0:
                found = seen[0]
            elif not history:
                found = -math.log(len(self.words) + 1)
            else:
                back = self._seen.get(history)
                found = (back[1] if back else 0.0) + self.score(history[1:], word)
            self._known[history, word] = found
        return found

    def after(self, history: tuple[int, ...], word: int) -> tuple[int, ...]:
        """What of the history and the word counts for the next one."""
        return (*history, word)[1 - self.order :] if self.order > 1 else ()

    def sentence(self, words: Sequence[str]) -> float:
        """The logarithm of a sentence's probability, its end included; -inf for unknown words."""
        history, total = self.start, 0.0
        for word in words:
            if word not in self.numbers:
                return -math.inf
            number = self.numbers[word]
            total += self.score(history, number)
            history = self.after(history, number)
        return total + self.score(history, END)

    def spellings(self) -> dict[str, dict]:
        """The words as a tree of letters; `""` holds the number of the word that ends there."""
        tree: dict = {}
        for word, number in self.numbers.items():
            node = tree
            for letter in word:
                node = node.setdefault(letter, {})
            node[""] = number
        return tree

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays, for a bundle."""
        text = "\n".join(self.words).encode()
        return {
            "language/words": np.frombuffer(text, np.uint8).copy(),
            "language/ngrams": to_half(self.ngrams),  # -1 stands for nothing: a signed type
            "language/log_probs": self.log_probs,
            "language/backoffs": self.backoffs,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Language:
        """The inverse of `arrays`.

        Raises:
            ValueError: they make no sense.
        """
        names = ("words", "ngrams", "log_probs", "backoffs")
        words, ngrams, log_probs, backoffs = (arrays[f"language/{name}"] for name in names)
        text = bytes(words).decode()
        if ngrams.ndim != 2 or not np.isfinite(log_probs).all() or not np.isfinite(backoffs).all():
            raise ValueError("the n-gram model is damaged")
        return cls(text.split("\n") if text else (), ngrams, log_probs, backoffs)
