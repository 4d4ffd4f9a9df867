"""A story and a question as arrays: sentences, words, ids, and slots for words never seen.

Nothing here knows a language: words are what stands between spaces and punctuation, in any script.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput

#: A question may have this many words, a sentence too: what is longer is no sentence.
MOST_WORDS = 1_000
#: Sentences times the words of the longest one: a network needs memory for each.
MOST_CELLS = 500_000

# Characters that are written without spaces between words: each is a word of its own.
_CHARACTERS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# What stands between words: white space, ASCII, Latin, Armenian, Hebrew, Arabic, Indic, Ethiopic,
# general, CJK and full-width punctuation. Joiners (200c, 200d) are parts of words.
_BETWEEN = (
    r"\s!-/:-@\[-^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u055a-\u055f\u0589"
    r"\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u1361-\u1368"
    r"\u2000-\u200b\u200e-\u206f\u2e00-\u2e7f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    r"\uff5b-\uff65\ufeff"
)
_WORD = re.compile(
    rf"[{_CHARACTERS}]|[^{_BETWEEN}{_CHARACTERS}]+(?:['’\-‐][^{_BETWEEN}{_CHARACTERS}]+)*"
)
_STOP = re.compile(r"[.!?…։؟۔।॥][\"'”’)\]]*(?:\s|$)|[。！？]")
_END = re.compile(r"(?<=[.!?…։؟۔।॥])[\"'”’)\]]*\s+|(?<=[。！？])|\n\s*\n")


@dataclass(frozen=True, slots=True)
class Asked:
    """A story as far as it was told, and a question about it.

    Args:
        sentences: as they were written, in order; a text is taken apart into its sentences.
        question: as it was written.
        supporting: places in `sentences` (from 0) that the answer rests on, where the data say so.
        task: what kind of question it is, where the data are divided so.

    Example:
        >>> asked = Asked("Bilbo went home. Frodo slept.", "Where is Bilbo?")
        >>> asked.sentences
        ('Bilbo went home.', 'Frodo slept.')
    """

    sentences: tuple[str, ...]
    question: str
    supporting: tuple[int, ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        """A text would be read letter by letter."""
        if isinstance(self.sentences, str):
            object.__setattr__(self, "sentences", sentences_of(self.sentences))


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands behind the numbers of an encoded story, for its answer.

    Args:
        sentences: those that hold words, one a row of `story`.
        slots: which word stands in which slot: the words that the vocabulary does not know, in
            the order of the slots, as they were first written.
        missed: unknown words beyond the last slot; all of them read as one unknown word.

    Example:
        >>> reading = Reading(("Zorp took the key.",), slots=("Zorp",))
        >>> reading.place("zorp"), reading.place("key")
        (0, None)
    """

    sentences: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    def place(self, word: str) -> int | None:
        """The slot of a word, however it is written; None where it has none."""
        key = word.casefold()
        return next((i for i, own in enumerate(self.slots) if own.casefold() == key), None)


def sentences_of(text: str) -> tuple[str, ...]:
    r"""The sentences of a text: `.`, `!`, `?` and their like end one, and so does an empty line.

    Lines may be wrapped anywhere; only in a text without any full stop each line is a sentence.

    Example:
        >>> sentences_of("Bilbo took the\nring. The End.")
        ('Bilbo took the ring.', 'The End.')
        >>> sentences_of("Bilbo took the ring\nthe end")
        ('Bilbo took the ring', 'the end')
    """
    text = text.replace("\r\n", "\n")
    pieces = _END.split(text) if _STOP.search(text) else text.split("\n")
    joined = (" ".join(piece.split()) for piece in pieces)
    return tuple(piece for piece in joined if _WORD.search(piece))


def told_sentences(story: Any) -> tuple[str, ...]:
    """The sentences of a story that was given as a text, or as a list of sentences.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(story, str):
        return sentences_of(story)
    if isinstance(story, list | tuple) and all(isinstance(s, str) for s in story):
        return tuple(s.strip() for s in story if words_of(s))
    if story is None:
        raise ValueError("no story")
    raise ValueError(f"story is {type(story).__name__}, expected a text or a list of sentences")


@lru_cache(maxsize=1 << 16)  # stories say the same things over and over
def words_of(sentence: str) -> tuple[str, ...]:
    """The words of a sentence as they are written, without punctuation.

    Han characters and kana, which are written without spaces, are a word each.

    Example:
        >>> words_of("Frodo's ring: it's in Mount-Doom!")
        ("Frodo's", 'ring', "it's", 'in', 'Mount-Doom')
    """
    return tuple(_WORD.findall(unicodedata.normalize("NFC", sentence)))


def encode(
    asked: Asked, vocabulary: Vocabulary, hidden: Collection[str] = ()
) -> tuple[Arrays, Reading]:
    """A story and its question as word ids.

    Words that the vocabulary does not know get a slot each, in the order in which they come up:
    the same word has the same slot throughout the story and the question, so that a network can
    follow a name that it never saw. (Which slot it is must not matter; `RandomSlots` in
    `models.py` sees to it in training.)

    Args:
        asked: what was told and asked.
        vocabulary: the known words.
        hidden: words, casefolded, to be treated as unknown although the vocabulary knows them.

    Returns:
        `story` (sentences, words) int32 and `question` (words,) int32, 0 where a sentence has no
        more words; and what they stand for.

    Raises:
        BadInput: no story, no question, or a sentence or a story beyond all measure.
    """
    story = [words for sentence in asked.sentences if (words := words_of(sentence))]
    sentences = asked.sentences
    if len(story) < len(sentences):
        sentences = tuple(sentence for sentence in sentences if words_of(sentence))
    question = words_of(asked.question)
    if not question:
        raise BadInput("no question")
    if not story:
        raise BadInput("the story is empty")
    longest = max(len(question), max(map(len, story)))
    if longest > MOST_WORDS:
        raise BadInput(f"a sentence of {longest:,} words, the limit is {MOST_WORDS:,}")

    if len(story) * longest > MOST_CELLS:
        raise BadInput(
            f"{len(story):,} sentences and a longest one of {longest:,} words, "
            f"the limit of their product is {MOST_CELLS:,}"
        )

    slots: dict[str, int] = {}
    written: list[str] = []

    def ids(words: tuple[str, ...]) -> list[int]:
        words = vocabulary.told(words)
        known = vocabulary.ids(words)
        if None not in known and not hidden:
            return known  # type: ignore[return-value]
        found = []
        for word, number in zip(words, known, strict=True):
            key = word.casefold()
            if number is None or key in hidden:
                if key not in slots:
                    slots[key] = len(slots)
                    written.append(word)
                number = vocabulary.slot_id(slots[key])
            found.append(number)
        return found

    rows = [ids(words) for words in story]
    width = max(map(len, rows))
    table = np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)
    last = ids(question)
    kept = vocabulary.slots
    return (
        {"story": table, "question": np.array(last, np.int32)},
        Reading(sentences, tuple(written[:kept]), tuple(written[kept:])),
    )
