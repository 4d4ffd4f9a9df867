"""How words are pronounced: a dictionary that a network may learn from, beside the letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.paths import is_file, no_file
from deepfield.toolkit.text_files import open_text

_VARIANT = re.compile(r"\(\d+\)$")
_STRESS = re.compile(r"(?<=[A-Za-z])[0-2]$")


class Lexicon:
    """Pronunciations of words.

    Args:
        words: the sounds of each word.

    Example:
        >>> lexicon = Lexicon({"b": ["B", "IY"], "bee": ["B", "IY"]})
        >>> lexicon.symbols("b bee").tolist(), lexicon.phones
        ([1, 2, 1, 2], ('B', 'IY'))
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self.words = dict(words)
        self.phones = tuple(sorted({phone for sounds in words.values() for phone in sounds}))
        self._places = {phone: i for i, phone in enumerate(self.phones, start=1)}

    @classmethod
    def read(cls, source: str, texts: Iterable[str]) -> Lexicon:
        """Read what a dictionary says of the words of texts.

        Args:
            source: a file in the form of CMU's dictionary: a word and its sounds a line, divided by
                blanks; `WORD(2)` is another pronunciation, of which the last one counts (that of A
                is the letter's name); figures of stress are dropped; `;;;` begins a comment.
            texts: in small letters.

        Raises:
            NotFound: no such file.
            UsageError: it lacks words of the texts.
        """
        if not is_file(source):
            raise NotFound(no_file(source, "dictionary"), "a word and its sounds a line")
        wanted = {word for text in texts for word in text.split()}
        found: dict[str, list[str]] = {}
        with open_text(source) as lines:
            for line in lines:
                word, *sounds = line.split() or [""]
                word = _VARIANT.sub("", word).lower()  # a comment's ;;; is no word that is wanted
                if sounds and word in wanted:
                    found[word] = [_STRESS.sub("", sound) for sound in sounds]
        missing = sorted(wanted - found.keys())
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise UsageError(
                f"{source!r} does not say how to pronounce {', '.join(missing[:3])}{more}",
                "add a line for each, or train without --lexicon",
            )
        return cls(found)

    def symbols(self, text: str) -> np.ndarray:
        """The sounds of a text (sounds,) int32, from 1; none for a word that is not known."""
        sounds = [s for word in text.split() for s in self.words.get(word, ())]
        return np.array([self._places[s] for s in sounds], np.int32)
