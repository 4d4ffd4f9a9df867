"""Words that may trade places: names of people, places and things, as the data themselves show.

If Mary and John do the same things in a set of stories, then those stories are as true with the two
exchanged. Shown in other orders in every epoch, a small set teaches what happens, not to whom.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from deepfield.domains.qa.features import Asked, words_of
from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.toolkit.data import Arrays

#: Words are alike if the cosine between what stands beside them is at least this.
LEAST_LIKENESS = 0.8
#: Answers depend on which of two words it is if chance makes it seem so this seldom.
LEAST_CHANCE = 1e-4

Lesson = tuple[Asked, str]


def interchangeable(
    lessons: Sequence[Lesson], names: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """Groups of words that may trade places in the stories of one task.

    The words of a group stand in the same company (the two words before and after them). Questions
    ask for them or are answered by them, or it is known that they are names. An answer of the group
    stands in its story, or it would be meant by itself, not told. And the answers do not depend on
    which word of the group it is:

    - No two stories that are equal but for the words of the group have different answers: where
      "Sumit is hungry" tells where Sumit will go, hungry is no name.
    - Where a question, or a story, has only one of two words, the answers are as often this or that
      with the one as with the other: a chocolate is never bigger than a suitcase.

    Args:
        lessons: stories with questions, and their answers.
        names: casefolded words that are names in other tasks.

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
    asked_for = {word for _, question, answer in told for word in (*question, *answer)}
    wanted = said & (asked_for | set(names))
    company: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for sentence in {s for story, question, _ in told for s in (*story, question)}:
        padded = ("", "", *sentence, "", "")
        for at, word in enumerate(sentence, start=2):
            company[word]["before", *padded[at - 2 : at]] += 1
            company[word]["after", *padded[at + 1 : at + 3]] += 1
    once = list(_one_a_story(told))

    def alike(one: str, other: str) -> bool:
        return _likeness(company[one], company[other]) >= LEAST_LIKENESS and not _matters(
            once, one, other
        )

    groups: list[list[str]] = []
    for word in sorted(wanted):
        for group in groups:
            if all(alike(word, other) for other in group):
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


def _one_a_story(told: Sequence[_Told]) -> Iterator[_Told]:
    """The first question of every story: more of them would be the same evidence again."""
    before: tuple[tuple[str, ...], ...] | None = None
    for lesson in sorted(told, key=lambda lesson: lesson[0]):
        if before is None or lesson[0][: len(before)] != before:
            yield lesson
        before = lesson[0]


def _matters(told: Sequence[_Told], one: str, other: str) -> bool:
    """Whether the answers depend on which of two words a question, or else a story, has.

    Pearson's chi-squared over the tables of all questions that are equal but for the two words.
    """
    from scipy.stats import chi2

    tables: dict[object, dict[object, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for story, question, answer in told:
        in_question = {one, other}.intersection(question)
        found = in_question or {one, other}.intersection(w for s in story for w in s)
        if len(found) == 1:
            (word,) = found
            names = {word: "#", other if word == one else one: "$"}
            called = tuple(names.get(w, w) for w in question)
            answered = tuple(names.get(w, w) for w in answer)
            tables[bool(in_question), called][answered][word == other] += 1
    total, freedom = 0.0, 0
    for table in tables.values():
        counts = np.array(list(table.values()), float)
        sums, all_ = counts.sum(axis=0), counts.sum()
        if len(counts) > 1 and sums.all():
            expected = counts.sum(axis=1, keepdims=True) * sums / all_
            # (n - 1) / n makes the mean exact for small tables
            total += float(((counts - expected) ** 2 / expected).sum()) * (all_ - 1) / all_
            freedom += len(counts) - 1
    return freedom > 0 and float(chi2.sf(total, freedom)) < LEAST_CHANCE


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
