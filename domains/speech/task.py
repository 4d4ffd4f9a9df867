"""Transcription: what log-probabilities of letters mean, and how far a text is from another.

A prediction is an array (4, frames): for each letter its code point, the probability of its word,
and the first and last frame in which it was heard; 0 behind the last letter.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.speech import confidence
from deepfield.domains.speech.decoder import BeamSearch, Said, greedy, heard_frames
from deepfield.domains.speech.language import Language
from deepfield.domains.speech.lexicon import Lexicon
from deepfield.domains.speech.text import Alphabet, plain
from deepfield.toolkit.cells import is_missing
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import folds
from deepfield.toolkit.tasks import Task

#: Ways from letters to words that ask a language model: our own, and the same one in C++.
SEARCHES = ("search", "flashlight")
#: Weights of the language model and bonuses of a word that are tried on the validation part.
_WEIGHTS, _BONUSES = (0.1, 0.3, 0.6, 1.0, 1.5), (-1.0, 0.0, 1.0, 2.0)
_TUNED_ON = 150  # utterances
_CODE, _CHANCE, _FIRST, _LAST = range(4)


class Transcription(Task):
    """Words of a recording, by CTC.

    The state holds the alphabet, the seconds of a frame, the weights of the search and those of the
    confidence of words, by decoder.

    Example:
        >>> task = Transcription({"letters": " ab", "frame_s": 0.02})
        >>> outputs = np.log(np.full((1, 3, 4), 1e-4))
        >>> outputs[0, [0, 1, 2], [2, 0, 3]] = np.log(0.9997)
        >>> task.answer(task.predictions({"log_probs": outputs}, None)[0])["text"]
        'ab'
    """

    name = "transcription"
    output = "log_probs"
    losses: ClassVar[Mapping[str, str]] = {"log_probs": "ctc", "sounds": "ctc"}
    metrics = ("wer", "cer", "accuracy", "ece")
    fields = ("text", "probability", "words")
    column: ClassVar[str] = "speaker"
    shallow = "classification"

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(state)
        self.decoder = "greedy"
        self.language: Language | None = None
        self.lexicon: Lexicon | None = None  # while it learns
        self._search: tuple[Any, BeamSearch] | None = None
        self._letters: Alphabet | None = None

    # ------------------------------------------------------------------ targets

    @property
    def alphabet(self) -> Alphabet:
        """The letters of the network."""
        letters = tuple(self.state.get("letters", ""))
        if self._letters is None or self._letters.letters != letters:
            self._letters = Alphabet(letters)
        return self._letters

    @property
    def frame_s(self) -> float:
        """Seconds of one frame of the answer."""
        return float(self.state["frame_s"])

    def learn(self, targets: Sequence[Any]) -> None:
        """Take the letters from the training texts.

        Raises:
            UsageError: there is no text.
        """
        texts = [plain(str(t)) for t in targets if not is_missing(t)]
        if not any(texts):
            raise UsageError("no text to learn from", "a table with the columns path and text")
        self.state["letters"] = "".join(Alphabet.of(texts).letters)

    def contents(self, targets: Sequence[Any]) -> dict[str, Any]:
        """How often each word comes."""
        words = Counter(w for t in targets for w in plain(str(t)).split())
        return dict(sorted(words.items(), key=lambda p: (-p[1], p[0])))

    def encode(self, target: Any) -> Arrays:
        """A text as symbols, (letters,) int32; where a lexicon is learnt from, as sounds too.

        Raises:
            BadInput: it holds characters that the network does not write.
        """
        text = plain(str(target))
        symbols = {self.output: self.alphabet.symbols(text)}
        return symbols | ({"sounds": self.lexicon.symbols(text)} if self.lexicon else {})

    # ------------------------------------------------------------------ decoding

    def use(self, decoder: str | None, language: Language | None) -> None:
        """Say how letters become words: by `search` where there is a language model.

        Raises:
            UsageError: a search without a language model.
        """
        if decoder in SEARCHES and language is None:
            raise UsageError(f"--decoder {decoder} needs a language model", "--sentences FILE")
        self.decoder = decoder or ("search" if language is not None else "greedy")
        self.language = language

    def search(self, how: str = "search", **settings: float) -> BeamSearch:
        """A search, with the weights that the validation part chose unless others are given.

        Raises:
            NotFound: flashlight-text is asked for and not installed.
        """
        assert self.language is not None
        chosen = {**self.state.get("search", {}), **settings}
        key = (id(self.language), how, tuple(sorted(chosen.items())))
        if self._search is None or self._search[0] != key:
            self._search = key, _kind(how)(self.alphabet, self.language, **chosen)
        return self._search[1]

    def said(self, log_probs: np.ndarray, decoder: str | None = None) -> Said:
        """One item's (frames, symbols) as a text."""
        how = decoder or self.decoder
        return self.search(how)(log_probs) if how in SEARCHES else greedy(log_probs, self.alphabet)

    def predictions(self, outputs: Arrays, calibrator: Any) -> np.ndarray:
        """Texts with their chances and times, (n, 4, frames) float64."""
        rows = np.asarray(outputs[self.output])
        # both searches find the same sentences with the same odds
        kind = "search" if self.decoder in SEARCHES else self.decoder
        weights = self.state.get("confidence", {}).get(kind)
        sound = np.isfinite(rows).all(axis=(1, 2))
        return np.stack([
            packed(self.said(row), weights, len(row)) if fine else np.full((4, len(row)), np.nan)
            for row, fine in zip(rows, sound, strict=True)
        ])  # fmt: skip

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The text, how likely all of it is right, and its words with their times in seconds."""
        words = words_of(prediction, self.frame_s)
        chance = float(np.prod([w["probability"] for w in words])) if words else None
        return {
            "text": " ".join(w["word"] for w in words),
            "probability": None if chance is None else round(chance, 6),
            "words": words,
        }

    # ------------------------------------------------------------------ what is chosen afterwards

    def tune(
        self, targets: np.ndarray, outputs: Arrays, groups: Sequence[Any], seed: int = 0
    ) -> None:
        """Choose the weights of the search and fit the confidence of words, on the validation part.

        Args:
            targets: (n, letters) symbols.
            outputs: of the network.
            groups: whose recording each is; whole groups are left out to judge the confidence.
            seed: of that.
        """
        rows = np.asarray(outputs[self.output])
        truth = [self.alphabet.text(t) for t in targets]
        decoders = ["greedy"]
        if self.language is not None:
            decoders.append("search")
            self.state["search"] = self._best_search(rows[:_TUNED_ON], truth[:_TUNED_ON])
        kept, facts = {}, {}
        for how in decoders:
            said = [self.said(row, how) for row in rows]
            kept[how], facts[how] = _confidence(said, truth, groups, seed)
        self.state["confidence"] = {k: v for k, v in kept.items() if v is not None}
        self.state["confidence_measured"] = facts

    def _best_search(self, rows: np.ndarray, truth: list[str]) -> dict[str, float]:
        """The pair with the fewest wrong words; among equals the one in the middle of them."""
        found = {}
        for weight in _WEIGHTS:
            for bonus in _BONUSES:
                search = self.search(weight=weight, bonus=bonus)
                said = [search.text(row) for row in rows]
                wrong = sum(edits(t, s)[0] for t, s in zip(truth, said, strict=True))
                found[weight, bonus] = wrong
        least = min(found.values())
        best = [pair for pair, wrong in found.items() if wrong == least]
        middle = np.median(np.array(best), axis=0)
        weight, bonus = min(best, key=lambda p: float(np.abs(np.array(p) - middle).sum()))
        return {"weight": weight, "bonus": bonus}

    # ------------------------------------------------------------------ figures

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """Word and letter error rates, the share of texts that are all right, and the calibration
        error of words.
        """
        truth = [self.alphabet.text(t[t > 0]) for t in np.asarray(targets).astype(int)]
        if metric == "ece":
            return self._calibration_error(truth, predictions)
        said = [text_of(p) for p in predictions]
        pairs = list(zip(truth, said, strict=True))
        if metric == "accuracy":
            return float(np.mean([t == s for t, s in pairs])) if pairs else np.nan
        count = edits if metric == "wer" else letter_edits
        wrong, total = np.sum([count(t, s) for t, s in pairs], axis=0) if pairs else (0, 0)
        return float(wrong / total) if total else np.nan

    def _calibration_error(self, truth: list[str], predictions: np.ndarray) -> float:
        from deepfield.toolkit.calibration import ece

        chances, right = [], []
        for text, prediction in zip(truth, predictions, strict=True):
            words = words_of(prediction, 1.0)
            chances += [w["probability"] for w in words]
            right += right_words(text, " ".join(w["word"] for w in words))
        return ece(np.array(chances), np.array(right, float)) if right else np.nan

    def speed(self, contexts: Sequence[Any], seconds: float) -> dict[str, float]:
        """Seconds that a second of sound took."""
        heard_s = sum(context.seconds for context in contexts)
        return {"real_time_factor": round(seconds / heard_s, 5)} if heard_s else {}

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Of every word that was said how often it was heard, and as what else."""
        rows: dict[str, Counter[str]] = {}
        for target, prediction in zip(targets.astype(int), predictions, strict=True):
            for said, heard in confusions(
                self.alphabet.text(target[target > 0]), text_of(prediction)
            ):
                rows.setdefault(said, Counter())[heard] += 1
        return {
            word: {
                "n": sum(heard.values()), "recall": heard[word] / sum(heard.values()),
                "heard_as": ", ".join(
                    f"{w or 'nothing'} ({c})" for w, c in heard.most_common(4) if w != word
                ),
            }
            for word, heard in sorted(rows.items(), key=lambda p: (-sum(p[1].values()), p[0]))
            if word
        }  # fmt: skip

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """The confusion of words, and the reliability of their probabilities."""
        from deepfield.toolkit import plots

        truth = [self.alphabet.text(t[t > 0]) for t in targets.astype(int)]
        said = [text_of(p) for p in predictions]
        pairs = Counter(p for t, s in zip(truth, said, strict=True) for p in confusions(t, s))
        # the words that are mistaken most often, with what they are mistaken for
        wrong: Counter[str] = Counter()
        for (a, b), count in pairs.items():
            if a != b:
                wrong[a] += count
                wrong[b] += count
        names = [w for w, _ in wrong.most_common(25)]
        found = []
        if names:
            table = np.array([[pairs[a, b] for b in names] for a in names])
            labels = [name or "(nothing)" for name in names]
            found.append(
                ("Words that are mistaken most often", plots.confusion_plot(table, labels))
            )
        chances, right = [], []
        for text, prediction in zip(truth, predictions, strict=True):
            words = words_of(prediction, 1.0)
            chances += [w["probability"] for w in words]
            right += right_words(text, " ".join(w["word"] for w in words))
        if right:
            curve = {"words": (np.array(chances), np.array(right, float))}
            found.append(
                ("Reliability: of the words given with 90 %, are nine in ten right?",
                 plots.reliability_diagram(curve))
            )  # fmt: skip
        return found


def _kind(how: str) -> type[BeamSearch]:
    if how != "flashlight":
        return BeamSearch
    from deepfield.domains.speech.flashlight import FlashlightSearch

    return FlashlightSearch


def _confidence(
    said: list[Said], truth: list[str], groups: Sequence[Any], seed: int
) -> tuple[list[float] | None, dict[str, Any]]:
    """Weights of the confidence of words, and its calibration error before and after; the latter
    with each group judged by weights that were fitted without it.
    """
    from deepfield.toolkit.calibration import ece
    from deepfield.toolkit.data import Sample

    features = [confidence.word_features(s) for s in said]
    right = [np.array(right_words(t, s.text), bool) for t, s in zip(truth, said, strict=True)]
    if not sum(map(len, right)):
        return None, {"words": 0}
    weights = confidence.fit(np.concatenate(features), np.concatenate(right))
    raw = np.concatenate([confidence.probabilities(s, None) for s in said])
    flags = np.concatenate(right).astype(float)
    facts: dict[str, Any] = {"words": len(flags), "right": float(flags.mean()),
                             "ece_before": ece(raw, flags)}  # fmt: skip
    names = [str(g) if g is not None else str(i) for i, g in enumerate(groups)]
    count = min(5, len(set(names)))
    if weights is None or count < 2:
        return weights, facts
    after = [np.zeros(len(r)) for r in right]
    samples = [Sample(str(i), None, group=n) for i, n in enumerate(names)]
    for fold in folds(samples, count, seed):
        out = set(fold.tolist())
        rest = [i for i in range(len(said)) if i not in out]
        own = confidence.fit(
            np.concatenate([features[i] for i in rest]), np.concatenate([right[i] for i in rest])
        )
        for i in out:
            after[i] = confidence.probabilities(said[i], own)
    facts["ece_after"] = ece(np.concatenate(after), flags)
    return weights, facts


# ---------------------------------------------------------------------------------- predictions


def packed(said: Said, weights: Sequence[float] | None, frames: int) -> np.ndarray:
    """A text with its chances and times as an array (4, frames)."""
    made = np.zeros((4, frames))
    count = min(len(said.text), frames)
    made[_CODE, :count] = [ord(c) for c in said.text[:count]]
    made[_FIRST, :count], made[_LAST, :count] = said.first[:count], said.last[:count]
    chances = confidence.probabilities(said, weights)
    for (_, start, end), chance in zip(confidence.words_of(said), chances, strict=True):
        made[_CHANCE, start : min(end, count)] = chance
    return made


def text_of(prediction: np.ndarray) -> str:
    """The text of a prediction."""
    codes = prediction[_CODE]
    return "".join(chr(int(c)) for c in codes[codes > 0])


def words_of(prediction: np.ndarray, frame_s: float) -> list[dict[str, Any]]:
    """The words of a prediction: word, start and end in seconds, probability."""
    text, found, start = text_of(prediction), [], 0
    for word in text.split(" ") if text else []:
        end = start + len(word)
        found.append({
            "word": word,
            "start": round(float(prediction[_FIRST, start]) * frame_s, 3),
            "end": round((float(prediction[_LAST, end - 1]) + 1) * frame_s, 3),
            "probability": round(float(prediction[_CHANCE, start]), 6),
        })  # fmt: skip
        start = end + 1
    return found


def certainty(outputs: Arrays) -> np.ndarray:
    """How unsure the network is of the frames in which it hears letters, (n,): the mean of minus
    the logarithm of its best guess; 0 where it hears none.
    """
    scores = []
    for row in np.asarray(outputs["log_probs"]):
        own = row[: heard_frames(row)]
        voiced = own[own[:, 0] < np.log(0.5)] if len(own) else own
        scores.append(float(-voiced.max(axis=1).mean()) if len(voiced) else 0.0)
    return np.array(scores)


# -------------------------------------------------------------------------------- how far apart


@functools.lru_cache(maxsize=1 << 16)
def edits(truth: str, said: str) -> tuple[int, int]:
    """Words that must be changed, left out or put in, and words of the truth."""
    if not truth:
        return len(said.split()), 0
    import jiwer

    found = jiwer.process_words(truth, said)
    return found.substitutions + found.deletions + found.insertions, len(truth.split())


@functools.lru_cache(maxsize=1 << 16)
def letter_edits(truth: str, said: str) -> tuple[int, int]:
    """As `edits`, of letters; spaces are letters too."""
    if not truth:
        return len(said), 0
    import jiwer

    found = jiwer.process_characters(truth, said)
    return found.substitutions + found.deletions + found.insertions, len(truth)


@functools.lru_cache(maxsize=1 << 16)
def _aligned(truth: str, said: str) -> tuple[tuple[str, int, int, int, int], ...]:
    if not truth:
        return (("insert", 0, 0, 0, len(said.split())),)
    import jiwer

    return tuple(
        (c.type, c.ref_start_idx, c.ref_end_idx, c.hyp_start_idx, c.hyp_end_idx)
        for c in jiwer.process_words(truth, said).alignments[0]
    )


def right_words(truth: str, said: str) -> list[bool]:
    """Whether each word that was heard was said."""
    right = [False] * len(said.split())
    for kind, _, _, start, end in _aligned(truth, said):
        if kind == "equal":
            right[start:end] = [True] * (end - start)
    return right


def confusions(truth: str, said: str) -> list[tuple[str, str]]:
    """Pairs of what was said and what was heard; one of them empty where nothing was."""
    a, b, found = truth.split(), said.split(), []
    for _, i, j, k, m in _aligned(truth, said):
        left, right = a[i:j], b[k:m]
        size = max(len(left), len(right))
        left += [""] * (size - len(left))
        right += [""] * (size - len(right))
        found += list(zip(left, right, strict=True))
    return found
