"""From log-probabilities of letters, frame by frame, to words, times and how sure each is.

`greedy` takes the likeliest letter of every frame. `BeamSearch` looks for the likeliest sentence
of a vocabulary, a language model having its say. NumPy and plain Python: half an hour of speech
takes seconds, since frames in which the blank is certain, most of them, cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from deepfield.domains.speech.language import END, FIRST, Language
from deepfield.domains.speech.text import Alphabet

#: A log-probability below this was put there for frames that are padding.
IMPOSSIBLE = -1e3
_NEVER = -math.inf
#: Log-probability of the blank above which a frame is passed over: 1 in 10,000 says otherwise.
_CERTAIN = math.log(1 - 1e-4)


@dataclass(slots=True)
class Said:
    """A text with what is known of its letters.

    Args:
        text: as it was heard.
        first: (letters,) the frame in which each letter was first heard.
        last: (letters,) and the last.
        scores: (letters,) log-probability of each letter where it was heard most clearly.
        rivals: by word, in order: the log of the odds that it is right against other readings of
            the search; empty where there were none.
    """

    text: str
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    rivals: list[float] = field(default_factory=list)


def heard_frames(log_probs: np.ndarray) -> int:
    """How many frames (frames, symbols) come before the padding: of the network or of zeros."""
    real = (log_probs[:, 1:] > IMPOSSIBLE).any(axis=1) & (log_probs != 0).any(axis=1)
    return int(np.flatnonzero(real)[-1]) + 1 if real.any() else 0


def greedy(log_probs: np.ndarray, alphabet: Alphabet) -> Said:
    """The likeliest symbol of every frame; repeated ones merged, blanks dropped.

    Example:
        >>> from deepfield.domains.speech.text import Alphabet
        >>> said = np.array([1, 1, 0, 2, 0, 2])  # the likeliest symbol of each frame; 0: blank
        >>> log_probs = np.log(np.where(np.eye(3)[said] > 0, 0.8, 0.1))
        >>> greedy(log_probs, Alphabet("ab")).text
        'abb'

    Source: Graves et al. 2006, section 3.2, "best path decoding". Words are divided by single
    spaces.
    """
    log_probs = log_probs[: heard_frames(log_probs)]
    if not len(log_probs):
        return Said("", np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    best = log_probs.argmax(axis=1)
    changes = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(changes[1:], len(best))
    rows = [
        (alphabet.letters[best[a] - 1], int(a), int(b) - 1, float(log_probs[a:b, best[a]].max()))
        for a, b in zip(changes, ends, strict=True)
        if best[a] > 0
    ]
    kept: list[tuple[str, int, int, float]] = []
    for row in rows:
        if row[0] != " " or (kept and kept[-1][0] != " "):
            kept.append(row)
    if kept and kept[-1][0] == " ":
        kept.pop()
    letters, first, last, scores = zip(*kept, strict=True) if kept else ((), (), (), ())
    return Said("".join(letters), np.array(first, int), np.array(last, int), np.array(scores))


def align(log_probs: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When each symbol of a text was said: its most likely alignment with the frames.

    Args:
        log_probs: (frames, kinds of symbols).
        symbols: (letters,), none of them the blank.

    Returns:
        First and last frame (letters,), and the greatest log-probability between them.

    Example:
        >>> log_probs = np.log(np.array([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]))
        >>> first, last, _ = align(log_probs, np.array([1, 2]))
        >>> first.tolist(), last.tolist()
        ([0, 2], [0, 2])

    Source: Viterbi's algorithm on the states of Graves et al. 2006, figure 3.
    """
    frames, count = len(log_probs), len(symbols)
    if not count or not frames:
        return np.zeros(count, int), np.zeros(count, int), np.zeros(count)
    states = np.zeros(2 * count + 1, int)
    states[1::2] = symbols
    skips = np.zeros(len(states), bool)  # a blank may be left out between different letters
    skips[3::2] = symbols[1:] != symbols[:-1]
    emitted = log_probs[:, states].astype(np.float64)
    score = np.full(len(states), -1e30)
    score[:2] = emitted[0, :2]
    steps = np.zeros((frames, len(states)), np.int8)
    one, two = np.full(len(states), -1e30), np.full(len(states), -1e30)
    for t in range(1, frames):
        one[1:], two[2:] = score[:-1], score[:-2]
        two[~skips] = -1e30
        best = np.maximum(score, one)
        steps[t] = np.where(two > best, 2, np.where(one > score, 1, 0))
        score = np.maximum(best, two) + emitted[t]
    state = len(states) - 1 if score[-1] > score[-2] else len(states) - 2
    path = np.zeros(frames, int)
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= int(steps[t, state])
    first, last, clearest = np.zeros(count, int), np.zeros(count, int), np.full(count, -30.0)
    for i in range(count):
        own = np.flatnonzero(path == 2 * i + 1)
        if len(own):
            first[i], last[i] = own[0], own[-1]
            clearest[i] = emitted[own, 2 * i + 1].max()
        elif i:
            first[i] = last[i] = last[i - 1]
    return first, last, clearest


@dataclass(slots=True, eq=False)
class _Reading:
    """One reading of the frames so far: complete words, and the letters of one begun."""

    words: tuple[int, ...]
    history: tuple[int, ...]
    node: dict
    last: str  # its last letter; the space behind a word
    language: float = 0.0
    below: dict[str, _Reading | None] = field(default_factory=dict)  # a letter longer, as met


#: A reading with three log-probabilities: of its alignments that end in a blank, of those that end
#: in its last letter, and of both.
_Heard = tuple[_Reading, float, float, float]


class BeamSearch:
    r"""The likeliest sentence of a vocabulary.

    It looks for $\arg\max_W \log P_{CTC}(W|x) + \alpha \log P_{LM}(W) + \beta |W|$, keeping the
    best readings of every frame. A reading is a sequence of whole words and the beginning of one
    more that some word of the vocabulary has; alignments of one reading are summed up.

    Args:
        alphabet: of the network.
        language: vocabulary and n-gram model.
        weight: α, of the language model.
        bonus: β, of every word.
        beam: readings that are kept.
        margin: a reading this much less likely than the best one is dropped.
        letters: least log-probability of a letter that is looked at, in its frame.

    Example:
        >>> from deepfield.domains.speech.text import Alphabet
        >>> search = BeamSearch(Alphabet(" ab"), Language.of([["a", "ab"]], order=2))
        >>> said = np.array([2, 1, 2, 3, 0, 3])  # "a abb", letter by letter
        >>> log_probs = np.log(np.where(np.eye(4)[said] > 0, 0.7, 0.1))
        >>> greedy(log_probs, search.alphabet).text, search(log_probs).text
        ('a abb', 'a ab')

    Source: Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
    bi-directional recurrent DNNs", algorithm 1. Deviations: words are those of a tree of letters,
    and the language model is asked at the end of a word, its unigram already at each letter (the
    best word that is still possible), so that good words are not dropped late.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        language: Language,
        weight: float = 0.5,
        bonus: float = 0.0,
        beam: int = 24,
        margin: float = 14.0,
        letters: float = -8.0,
    ) -> None:
        self.alphabet, self.language = alphabet, language
        self.weight, self.bonus = weight, bonus
        self.beam, self.margin, self.least = beam, margin, letters
        self._space = alphabet.letters.index(" ") + 1 if " " in alphabet.letters else -1
        self.root = language.spellings()
        self._hopes: dict[int, float] = {}
        self._hope(self.root)

    def _hope(self, node: dict) -> float:
        """The greatest log-probability of a word below a node, without its history."""
        found = _NEVER
        for letter, below in node.items():
            own = self.language.score((), below) if letter == "" else self._hope(below)
            found = max(found, own)
        self._hopes[id(node)] = found
        return found

    def __call__(self, log_probs: np.ndarray) -> Said:
        """The likeliest sentence, its alignment, and the odds of its words."""
        log_probs = log_probs[: heard_frames(log_probs)]
        ranked = self.search(log_probs)
        text = self._spelled(ranked)
        first, last, scores = align(log_probs, self.alphabet.symbols(text))
        return Said(text, first, last, scores, _odds(ranked))

    def text(self, log_probs: np.ndarray) -> str:
        """The likeliest sentence alone."""
        return self._spelled(self.search(log_probs[: heard_frames(log_probs)]))

    def _spelled(self, ranked: list[tuple[float, tuple[int, ...]]]) -> str:
        best = ranked[0][1] if ranked else ()
        return " ".join(self.language.words[w - FIRST] for w in best)

    def search(self, log_probs: np.ndarray) -> list[tuple[float, tuple[int, ...]]]:
        """Sentences with their scores, the best one first."""
        # Nothing but the beam holds readings: one from which none of it came is given up.
        beam: list[_Heard] = [(_Reading((), self.language.start, self.root, ""), 0.0, _NEVER, 0.0)]
        for row in log_probs.astype(np.float64):
            if row[0] > _CERTAIN:
                blank = float(row[0])
                beam = [(one, heard + blank, _NEVER, heard + blank) for one, _, _, heard in beam]
            else:
                beam = self._pruned(self._stepped(beam, row.tolist()))
        done: dict[tuple[int, ...], float] = {}
        for reading, _, _, heard in beam:
            for words, score in self._ended(reading, heard):
                done[words] = _sum(done.get(words, _NEVER), score)
        return sorted(((s, w) for w, s in done.items()), key=lambda p: (-p[0], p[1]))

    def _stepped(self, beam: list[_Heard], row: list[float]) -> dict[_Reading, list[float]]:
        """All readings one frame further, with the first two of their log-probabilities."""
        blank, scores = row[0], dict(zip(self.alphabet.letters, row[1:], strict=True))
        likely = [(letter, score) for letter, score in scores.items() if score > self.least]
        found: dict[_Reading, list[float]] = {}
        for old, by_blank, by_letter, heard in beam:
            own = found.setdefault(old, [_NEVER, _NEVER])
            own[0] = heard + blank
            if old.last and by_letter > _NEVER:  # the same letter goes on
                own[1] = _sum(own[1], by_letter + scores[old.last])
            for letter, score in likely:
                # a letter twice has a blank between
                came = (by_blank if letter == old.last else heard) + score
                if came == _NEVER:
                    continue
                if letter not in old.below:
                    old.below[letter] = self._longer(old, letter)
                new = old.below[letter]
                if new is not None:
                    there = found.get(new)
                    if there is None:
                        found[new] = [_NEVER, came]
                    else:
                        there[1] = _sum(there[1], came)
                elif letter == " " and old.node is self.root:
                    # a space before the first word is none, nor is one after another
                    place = 1 if old.words else 0
                    own[place] = _sum(own[place], came)
        return found

    def _longer(self, old: _Reading, letter: str) -> _Reading | None:
        """A reading with one letter more, if that begins or ends a word."""
        if letter == " ":
            word = None if old.node is self.root else old.node.get("")
            if word is None:
                return None
            words, history = (*old.words, word), self.language.after(old.history, word)
            return _Reading(words, history, self.root, " ", self._with_word(old, word))
        node = old.node.get(letter)
        if node is None:
            return None
        begun = old.node is not self.root
        base = old.language - (self.weight * self._hopes[id(old.node)] if begun else 0.0)
        language = base + self.weight * self._hopes[id(node)]
        return _Reading(old.words, old.history, node, letter, language)

    def _with_word(self, old: _Reading, word: int) -> float:
        hoped = self.weight * self._hopes[id(old.node)]
        own = self.weight * self.language.score(old.history, word)
        return old.language - hoped + own + self.bonus

    def _ended(self, reading: _Reading, heard: float) -> list[tuple[tuple[int, ...], float]]:
        """A reading as a whole sentence; none if a word is only begun."""
        words, history, language = reading.words, reading.history, reading.language
        if reading.node is not self.root:
            word = reading.node.get("")
            if word is None:
                return []
            language = self._with_word(reading, word)
            words, history = (*words, word), self.language.after(history, word)
        if not words:  # silence: no sentence was said, so none has to end
            return [((), heard)]
        end = self.weight * self.language.score(history, END)
        return [(words, heard + language + end)]

    def _pruned(self, found: dict[_Reading, list[float]]) -> list[_Heard]:
        """The best readings, with their log-probabilities."""
        ranked = []
        for reading, (blank, letter) in found.items():
            heard = _sum(blank, letter)
            ranked.append((heard + reading.language, (reading, blank, letter, heard)))
        best = max(score for score, _ in ranked)
        kept = [pair for pair in ranked if pair[0] >= best - self.margin]
        if len(kept) > self.beam:
            kept.sort(key=lambda pair: -pair[0])
            kept = kept[: self.beam]
        return [heard for _, heard in kept]


def _sum(a: float, b: float) -> float:
    """The logarithm of a sum of two numbers given by their logarithms."""
    if a < b:
        a, b = b, a
    return a if b == _NEVER else a + math.log1p(math.exp(b - a))


def _odds(ranked: list[tuple[float, tuple[int, ...]]]) -> list[float]:
    """For each word of the best sentence, the log odds of the sentences that have it there."""
    if not ranked:
        return []
    best = ranked[0][1]
    top = ranked[0][0]
    with_word, without = [0.0] * len(best), [0.0] * len(best)
    for score, words in ranked[:50]:
        chance = math.exp(score - top)
        same = _matched(best, words)
        for i in range(len(best)):
            if i in same:
                with_word[i] += chance
            else:
                without[i] += chance
    floor = 1e-6
    return [math.log((w + floor) / (o + floor)) for w, o in zip(with_word, without, strict=True)]


def _matched(best: tuple[int, ...], other: tuple[int, ...]) -> set[int]:
    """Places of the best sentence whose words the other one has too, in order."""
    if best == other:
        return set(range(len(best)))
    length = np.zeros((len(best) + 1, len(other) + 1), int)
    for i, a in enumerate(best):
        for j, b in enumerate(other):
            length[i + 1, j + 1] = (
                length[i, j] + 1 if a == b else max(length[i, j + 1], length[i + 1, j])
            )
    i, j, same = len(best), len(other), set()
    while i and j:
        if best[i - 1] == other[j - 1]:
            same.add(i - 1)
            i, j = i - 1, j - 1
        elif length[i - 1, j] >= length[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return same
