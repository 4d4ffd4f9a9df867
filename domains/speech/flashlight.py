"""The same search by flashlight-text, in C++: for vocabularies of many thousands of words.

It is an extra, `deepfield[flashlight]`, since it has no wheel for every Python.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deepfield.domains.speech.decoder import BeamSearch
from deepfield.domains.speech.language import END, FIRST, START, Language
from deepfield.domains.speech.text import Alphabet
from deepfield.toolkit.console import silent_stderr
from deepfield.toolkit.errors import NotFound

_MARKS = {START: "<s>", END: "</s>"}
_NEVER = -1e30


class FlashlightSearch(BeamSearch):
    """The likeliest sentence of a vocabulary, as `BeamSearch` looks for it.

    Args:
        alphabet: of the network.
        language: vocabulary and n-gram model, of bigrams at least.
        weight: of the language model.
        bonus: of every word.
        beam: readings that are kept.
        margin: a reading this much less likely than the best one is dropped.

    Raises:
        NotFound: flashlight-text is not installed.

    Source: Kahn et al. 2022, "Flashlight", section 4.3; the language model is asked by KenLM
    (Heafield 2011), in float32.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        language: Language,
        weight: float = 0.5,
        bonus: float = 0.0,
        beam: int = 100,
        margin: float = 25.0,
    ) -> None:
        try:
            from flashlight.lib.text import decoder, dictionary
            from flashlight.lib.text.decoder.kenlm import KenLM
        except ImportError:
            raise NotFound(
                "the package flashlight-text is not installed",
                'pip install "deepfield[flashlight]" (Python 3.11 or 3.12), or --decoder search',
            ) from None
        super().__init__(alphabet, language, weight, bonus, beam, margin)
        words = dictionary.Dictionary()
        for index, word in enumerate(language.words):
            words.add_entry(word, index)
        words.set_default_index(len(language.words))  # KenLM asks for a word that is unknown
        words.add_entry("<unk>", len(language.words))
        with tempfile.TemporaryDirectory(prefix="deepfield.") as folder:
            path = Path(folder, "language.arpa")
            path.write_text("\n".join(arpa(language)) + "\n", "utf-8")
            with silent_stderr():  # it shows how far it is
                self._model = KenLM(str(path), words)
        start = self._model.start(False)
        tree = decoder.Trie(len(alphabet) + 1, self._space)
        for index, word in enumerate(language.words):
            letters = [*alphabet.symbols(word).tolist(), self._space]
            tree.insert(letters, index, self._model.score(start, index)[1])
        tree.smear(decoder.SmearingMode.MAX)
        options = decoder.LexiconDecoderOptions(
            beam_size=beam, beam_size_token=len(alphabet) + 1, beam_threshold=margin,
            lm_weight=weight * math.log(10), word_score=bonus, unk_score=-math.inf,
            sil_score=0.0, log_add=True, criterion_type=decoder.CriterionType.CTC,
        )  # fmt: skip
        self._tree = tree
        self._decoder = decoder.LexiconDecoder(
            options, tree, self._model, self._space, 0, len(language.words), [], False
        )

    def search(self, log_probs: np.ndarray) -> list[tuple[float, tuple[int, ...]]]:
        """Sentences with their scores, the best one first."""
        if not len(log_probs):
            return [(0.0, ())]
        # words of the tree end in a space, so one more frame in which nothing else is heard
        last = np.full((1, log_probs.shape[1]), _NEVER)
        last[0, self._space] = 0.0
        frames = np.ascontiguousarray(np.concatenate([log_probs, last]), np.float32)
        found: dict[tuple[int, ...], float] = {}
        for result in self._decoder.decode(frames.ctypes.data, *frames.shape):
            words = tuple(FIRST + w for w in result.words if w >= 0)
            score = float(result.score)
            if not words:  # silence: no sentence was said, so none has to end
                score -= self.weight * self.language.score(self.language.start, END)
            found[words] = max(found.get(words, -math.inf), score)
        return sorted(((s, w) for w, s in found.items()), key=lambda p: (-p[0], p[1]))


def arpa(language: Language) -> Iterator[str]:
    """An n-gram model as the lines of an ARPA file, in which logarithms are to the base of 10."""
    names: dict[int, str] = _MARKS | dict(enumerate(language.words, start=FIRST))
    rows: dict[int, list[str]] = {}
    for gram, log_prob, backoff in zip(
        language.ngrams, language.log_probs, language.backoffs, strict=True
    ):
        numbers = [int(n) for n in gram if n >= 0]
        text = " ".join(names[n] for n in numbers)
        line = f"{max(-99.0, log_prob / math.log(10)):.6f}\t{text}"
        if len(numbers) < language.order:
            line += f"\t{backoff / math.log(10):.6f}"
        rows.setdefault(len(numbers), []).append(line)
    rows[1].insert(0, "-99\t<unk>\t0")
    yield "\\data\\"
    for size, lines in sorted(rows.items()):
        yield f"ngram {size}={len(lines)}"
    for size, lines in sorted(rows.items()):
        yield from ("", f"\\{size}-grams:", *lines)
    yield from ("", "\\end\\")


__all__ = ["FlashlightSearch", "arpa"]
