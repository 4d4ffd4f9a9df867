"""What a network says of a stretch of DNA, and of the same with some letters changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deepfield.domains.genomics.features import reverse_complement
from deepfield.domains.genomics.residual import Change, ResidualNetwork
from deepfield.domains.genomics.windows import middle

#: Windows that a network of whole windows sees at once.
BATCH = 64

#: Codes (batch, steps) int32 to probabilities (batch, places, classes).
Chances = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Question:
    """A change of a stretch, and which places are asked about before and after it.

    Args:
        change: of the stretch.
        before: the first place, and the one after the last.
        after: the same in the changed stretch.
    """

    change: Change
    before: tuple[int, int]
    after: tuple[int, int]

    def flipped(self, steps: int) -> Question:
        """The same of a stretch of `steps` letters that is read along the other strand."""
        longer = steps + self.change.shift
        return Question(
            Change(
                steps - self.change.at - self.change.removed,
                self.change.removed,
                reverse_complement(self.change.inserted),
            ),
            (steps - self.before[1], steps - self.before[0]),
            (longer - self.after[1], longer - self.after[0]),
        )


#: Probabilities (places, classes) before and after a change.
Compared = tuple[np.ndarray, np.ndarray]
#: From a stretch (steps,) and questions about it to the answers.
Part = Callable[[np.ndarray, Sequence[Question]], list[Compared]]


class Judge(Protocol):
    """A network, or several that answer together.

    Attributes:
        field: letters that an answer hangs on.
        whole: whether it judges one window rather than every base.
        parts: the mean of their answers is the judge's; each may run in a thread of its own.
    """

    field: int
    whole: bool
    parts: Sequence[Part]

    def finish(self, chances: np.ndarray) -> np.ndarray:
        """Turn the mean of probabilities (places, classes) into what is told."""


class PlainJudge:
    """Any network that is a function of letters.

    Args:
        chances: the network. One of sites takes any length and answers for every base that has
            all its letters around it; another one takes `field` letters and answers once.
        field: letters that an answer hangs on.
        whole: whether it judges one window rather than every base.
    """

    def __init__(self, chances: Chances, field: int, whole: bool) -> None:
        self.chances, self.field, self.whole = chances, field, whole
        self.parts: Sequence[Part] = [self._compare]

    def finish(self, chances: np.ndarray) -> np.ndarray:
        """As they are."""
        return chances

    def _compare(self, codes: np.ndarray, questions: Sequence[Question]) -> list[Compared]:
        left, more = middle(self.field), self.field - 1
        if self.whole:
            before = self._many([codes[q.before[0] - left :][: self.field] for q in questions])
        else:
            said = self.chances(codes[None].astype(np.int32))[0]
            before = [said[q.before[0] - left : q.before[1] - left] for q in questions]
        changed = [
            after_change(codes, q.change)[q.after[0] - left : q.after[1] - left + more]
            for q in questions
        ]
        return list(zip(before, self._many(changed), strict=True))

    def _many(self, windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers for windows, those of one length together."""
        places: dict[int, list[int]] = {}
        for place, one in enumerate(windows):
            places.setdefault(len(one), []).append(place)
        found: list[np.ndarray] = [np.empty(0)] * len(windows)
        for own in places.values():
            for at in range(0, len(own), BATCH):
                batch = own[at : at + BATCH]
                said = self.chances(np.stack([windows[p] for p in batch]).astype(np.int32))
                for place, one in zip(batch, said, strict=True):
                    found[place] = one
        return found


class ResidualJudge:
    """Networks of residual units, of which an alternative computes only what differs.

    Args:
        weights: of each network, by variable path.
        context: of them all.
        finish: from the mean of their probabilities to what is told.
    """

    whole = False

    def __init__(
        self,
        weights: Sequence[Mapping[str, np.ndarray]],
        context: int,
        finish: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.field = context + 1
        self._finish = finish
        self.networks = [ResidualNetwork(own, context) for own in weights]
        self.parts: Sequence[Part] = [_of_network(network) for network in self.networks]

    def finish(self, chances: np.ndarray) -> np.ndarray:
        """Calibrate, where the network is calibrated."""
        return self._finish(chances) if self._finish else chances


def _of_network(network: ResidualNetwork) -> Part:
    def compare(codes: np.ndarray, questions: Sequence[Question]) -> list[Compared]:
        reference = network.reference(codes)
        return [
            (
                network.chances(reference, *q.before),
                network.changed_chances(reference, q.change, *q.after),
            )
            for q in questions
        ]

    return compare


def after_change(codes: np.ndarray, change: Change) -> np.ndarray:
    """The letters after a change.

    Example:
        >>> after_change(np.array([1, 2, 3]), Change(1, 1, np.array([4, 4]))).tolist()
        [1, 4, 4, 3]
    """
    return np.concatenate(
        [codes[: change.at], change.inserted, codes[change.at + change.removed :]]
    )


def aligned(after: np.ndarray, at: int, removed: int, inserted: int) -> np.ndarray:
    """What is said of the letters after a change, one row for each letter before it.

    Letters that are gone get zeros; the last letter that is replaced gets the most that is said of
    all letters that have come in its place.

    Args:
        after: (places, classes).
        at: place of the first letter that REF and ALT name.
        removed: letters of REF.
        inserted: letters of ALT.

    Example:
        >>> aligned(np.array([[1], [5], [7], [2]]), 1, 1, 2).ravel().tolist()
        [1, 7, 2]
        >>> aligned(np.array([[1], [5], [2]]), 1, 2, 1).ravel().tolist()
        [1, 5, 0, 2]
    """
    both = min(removed, inserted)
    middle_ = after[at : at + both]
    if inserted > removed:
        most = after[at + both - 1 : at + inserted].max(axis=0, keepdims=True)
        middle_ = np.concatenate([middle_[:-1], most])
    gone = np.zeros((removed - both, after.shape[1]), after.dtype)
    return np.concatenate([after[:at], middle_, gone, after[at + inserted :]])
