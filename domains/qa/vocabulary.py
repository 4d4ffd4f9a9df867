"""The words that a network knows, and slots for those that it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

#: Ids below the first word's: padding, and an unknown word for which no slot is left.
PADDING, UNKNOWN = 0, 1
FIRST = 2


class Vocabulary:
    """Words and their ids: 0 is padding, 1 an unknown word without a slot, then the words, then
    the slots. Upper and lower case are one word.

    Args:
        words: the known words; their order is that of the ids.
        slots: how many unknown words of one story can be told apart.

    Example:
        >>> vocabulary = Vocabulary(["where", "is", "the"], slots=2)
        >>> vocabulary.ids(("Where", "is", "Gollum")), vocabulary.slot_id(0), len(vocabulary)
        ([2, 3, None], 5, 7)
    """

    def __init__(self, words: Iterable[str], slots: int = 0) -> None:
        self.words: tuple[str, ...] = tuple(dict.fromkeys(word.casefold() for word in words))
        self.slots = slots
        self._ids = {word: FIRST + place for place, word in enumerate(self.words)}
        self._seen: dict[tuple[str, ...], list[int | None]] = {}

    @classmethod
    def learn(
        cls, stories: Iterable[Iterable[Sequence[str]]], slots: int = 0, least: int = 1
    ) -> Vocabulary:
        """The words of stories, in alphabetical order.

        Args:
            stories: of each story its sentences, and of those the words.
            slots: as above.
            least: a word is known if this many stories use it. With names invented anew for each
                story, 2 and more leaves them out.
        """
        counts: Counter[str] = Counter()
        for story in stories:
            counts.update({word.casefold() for sentence in story for word in sentence})
        return cls(sorted(word for word, count in counts.items() if count >= least), slots)

    def __len__(self) -> int:
        """How many ids there are, with padding, unknown and slots."""
        return FIRST + len(self.words) + self.slots

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and word.casefold() in self._ids

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
        return {"words": list(self.words), "slots": self.slots}
