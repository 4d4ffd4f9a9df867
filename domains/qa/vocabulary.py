"""The words that a network knows, and slots for those that it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

#: Ids below the first word's: 0 is padding, 1 an unknown word for which no slot is left.
UNKNOWN = 1
FIRST = 2


class Vocabulary:
    """Words and their ids: 0 is padding, 1 an unknown word without a slot, then the words, then
    the slots. Upper and lower case are one word.

    Args:
        words: the known words; their order is that of the ids.
        slots: how many unknown words of one story can be told apart.
        silent: words that are passed over, since nearly every sentence has them.

    Example:
        >>> vocabulary = Vocabulary(["where", "is"], slots=2, silent=["the"])
        >>> vocabulary.ids(vocabulary.told(("Where", "is", "the", "ring")))
        [2, 3, None]
        >>> vocabulary.slot_id(0), len(vocabulary)
        (4, 6)
    """

    def __init__(self, words: Iterable[str], slots: int = 0, silent: Iterable[str] = ()) -> None:
        self.silent = frozenset(word.casefold() for word in silent)
        known = (word.casefold() for word in words)
        self.words: tuple[str, ...] = tuple(dict.fromkeys(w for w in known if w not in self.silent))
        self.slots = slots
        self._ids = {word: FIRST + place for place, word in enumerate(self.words)}
        self._seen: dict[tuple[str, ...], list[int | None]] = {}
        self._told: dict[tuple[str, ...], tuple[str, ...]] = {}

    @classmethod
    def learn(
        cls,
        stories: Iterable[Iterable[Sequence[str]]],
        slots: int = 0,
        least: int = 1,
        silent: Iterable[str] = (),
    ) -> Vocabulary:
        """The words of stories, in alphabetical order.

        Args:
            stories: of each story its sentences, and of those the words.
            slots: as above.
            least: a word is known if this many stories use it. With names invented anew for each
                story, 2 and more leaves them out.
            silent: as above.
        """
        counts: Counter[str] = Counter()
        for story in stories:
            counts.update({word.casefold() for sentence in story for word in sentence})
        return cls(sorted(word for word, count in counts.items() if count >= least), slots, silent)

    def __len__(self) -> int:
        """How many ids there are, with padding, unknown and slots."""
        return FIRST + len(self.words) + self.slots

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and word.casefold() in self._ids

    def told(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words of a sentence but the silent ones; all, where there are no others."""
        if not self.silent:
            return words
        found = self._told.get(words)
        if found is None:
            found = tuple(w for w in words if w.casefold() not in self.silent) or words
            if len(self._told) < 1 << 16:
                self._told[words] = found
        return found

    def ids(self, words: tuple[str, ...]) -> list[int | None]:
        """The ids of the words of a sentence; None for those that are not known."""
        found = self._seen.get(words)
        if found is None:
            found = [self._ids.get(word.casefold()) for word in words]
            if len(self._seen) < 1 << 16:  # stories say the same things over and over
                self._seen[words] = found
        return found

    def slot_id(self, slot: int) -> int:
        """The id of a slot, counted from 0; beyond the last one that of an unknown word."""
        return FIRST + len(self.words) + slot if slot < self.slots else UNKNOWN

    def state(self) -> dict[str, Any]:
        """What `Vocabulary(**state)` needs, JSON-able."""
        state: dict[str, Any] = {"words": list(self.words), "slots": self.slots}
        return state | {"silent": sorted(self.silent)} if self.silent else state
