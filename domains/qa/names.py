"""Words that may trade places: names of people, places and things, as the data themselves show.

If Mary and John do the same things in a set of stories, then those stories are as true with the two
exchanged. Shown in other orders in every epoch, a small set teaches what happens, not to whom.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from deepfield.domains.qa.features import Asked, words_of
from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.toolkit.data import Arrays

#: Words are alike if the cosine between what stands beside them is at least this.
LEAST_LIKENESS = 0.5

Lesson = tuple[Asked, str]


def interchangeable(lessons: Sequence[Lesson]) -> list[tuple[str, ...]]:
    """Groups of words that may trade places in the stories of one task.

    The words of a group stand in the same company (the two words before and after them). Questions
    ask for them or are answered by them. An answer of the group stands in its story, or it would
    be meant by itself, not told. And no two stories that are equal but for the words of the group
    have different answers: where "Sumit is hungry" tells where Sumit will go, hungry is no name.

    Args:
        lessons: stories with questions, and their answers.

    Returns:
        Groups of two and more casefolded words.

    Example:
        >>> stories = [("Mary went home.", "John went out."), ("John went home.", "Mary went out.")]
        >>> lessons = [
        ...     (Asked(story, f"Where is {who}?"), answer)
        ...     for story, home in zip(stories, ("Mary", "John"))
        ...     for who in ("Mary", "John")
        ...     for answer in ["home" if who == home else "out"]
        ... ]
        >>> interchangeable(lessons)
        [('home', 'out'), ('john', 'mary')]
    """
    told = [_words(asked, answer) for asked, answer in lessons]
    said = {word for story, _, _ in told for sentence in story for word in sentence}
    wanted = said & {word for _, question, answer in told for word in (*question, *answer)}
    company: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for sentence in {s for story, question, _ in told for s in (*story, question)}:
        padded = ("", "", *sentence, "", "")
        for at, word in enumerate(sentence, start=2):
            company[word]["before", *padded[at - 2 : at]] += 1
            company[word]["after", *padded[at + 1 : at + 3]] += 1
    groups: list[list[str]] = []
    for word in sorted(wanted):
        for group in groups:
            if all(_likeness(company[word], company[other]) >= LEAST_LIKENESS for other in group):
                group.append(word)
                break
        else:
            groups.append([word])
    contradictions = _contradictions(told, frozenset())
    return [
        tuple(group)
        for group in groups
        if len(group) > 1
        and _answers_are_told(told, frozenset(group))
        and _contradictions(told, frozenset(group)) <= contradictions
    ]


_Told = tuple[tuple[tuple[str, ...], ...], tuple[str, ...], tuple[str, ...]]


def _words(asked: Asked, answer: str) -> _Told:
    def folded(text: str) -> tuple[str, ...]:
        return tuple(word.casefold() for word in words_of(text))

    return tuple(map(folded, asked.sentences)), folded(asked.question), folded(answer)


def _likeness(a: Mapping[tuple[str, ...], int], b: Mapping[tuple[str, ...], int]) -> float:
    dot = sum(count * b[key] for key, count in a.items() if key in b)
    return dot / (_length(a) * _length(b))


def _length(a: Mapping[tuple[str, ...], int]) -> float:
    return float(np.sqrt(sum(count * count for count in a.values())))


def _answers_are_told(told: Sequence[_Told], group: frozenset[str]) -> bool:
    for story, question, answer in told:
        mine = group.intersection(answer)
        if mine and not mine <= {word for sentence in (*story, question) for word in sentence}:
            return False
    return True


def _contradictions(told: Sequence[_Told], group: frozenset[str]) -> int:
    """How many lessons have another answer than an equal one before them, were the words of the
    group called by the order in which they come up.
    """
    seen: dict[object, object] = {}
    count = 0
    for story, question, answer in told:
        called: dict[str, str] = {}

        def call(words: tuple[str, ...], called: dict[str, str] = called) -> tuple[str, ...]:
            if group.isdisjoint(words):
                return words
            return tuple(
                called.setdefault(w, f"#{len(called)}") if w in group else w for w in words
            )

        key = tuple(map(call, story)), call(question)
        count += seen.setdefault(key, call(answer)) != call(answer)
    return count


def traded(
    groups: Sequence[Sequence[Sequence[str]]],
    vocabulary: Vocabulary,
    labels: Sequence[str],
    output: str,
) -> Callable[[np.random.Generator, np.ndarray, Arrays, Arrays], tuple[Arrays, Arrays]]:
    """What trades the words of groups in a batch: `Batches`' `vary`.

    Args:
        groups: of each item its groups.
        vocabulary: as the items were encoded.
        labels: the classes, also of several words. An item whose answer would be none of them
            stays as it is.
        output: name of the target that holds the class.
    """
    size = len(vocabulary)
    words = [_ids(label, vocabulary) for label in labels]
    classes = {ids: place for place, ids in enumerate(words)}
    known = {
        group: np.array([i for i in vocabulary.ids(group) if i is not None], np.int32)
        for own in groups
        for group in map(tuple, own)
    }

    def vary(
        rng: np.random.Generator, chosen: np.ndarray, inputs: Arrays, targets: Arrays
    ) -> tuple[Arrays, Arrays]:
        count = len(chosen)
        trade = np.tile(np.arange(size, dtype=np.int32), (count, 1))
        answers = targets[output].copy()
        for row, item in enumerate(chosen):
            for group in groups[item]:
                ids = known[tuple(group)]
                trade[row, ids] = rng.permutation(ids)
            label = words[int(answers[row])]
            renamed = tuple(i if isinstance(i, str) else int(trade[row, i]) for i in label)
            if renamed == label:
                continue
            new = classes.get(renamed)
            if new is None:  # an answer that no class stands for
                trade[row] = np.arange(size)
            else:
                answers[row] = new
        rows = np.arange(count)
        story = trade[rows[:, None, None], inputs["story"]]
        question = trade[rows[:, None], inputs["question"]]
        return (
            {**inputs, "story": story, "question": question},
            {**targets, output: answers},
        )

    return vary


def _ids(label: str, vocabulary: Vocabulary) -> tuple[int | str, ...]:
    """The words of a label by their ids, or as they are written where they have none."""
    words = words_of(label)
    ids = vocabulary.ids(words)
    return tuple(w if i is None else i for w, i in zip(words, ids, strict=True))
