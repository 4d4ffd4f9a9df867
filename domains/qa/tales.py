"""Stories with their questions, and how bAbI's files write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

from deepfield.domains.qa.features import Asked


@dataclass(frozen=True, slots=True)
class Question:
    """A question in a story.

    Args:
        after: how many sentences were told before it.
        text: the question.
        answer: one word, as it is written in the story.
        supporting: places of the sentences (from 0) that the answer rests on.
        kind: `"where_thing"`, `"where_person"` or `"before"`.

    Example:
        >>> Question(1, "Where is Frodo?", "Shire", (0,), "where_person").answer
        'Shire'
    """

    after: int
    text: str
    answer: str
    supporting: tuple[int, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Tale:
    """A story and its questions, in the order in which they are asked."""

    sentences: tuple[str, ...]
    questions: tuple[Question, ...]

    def asked(self) -> Iterator[tuple[Asked, str]]:
        """Every question with what was told before it, and its answer.

        Example:
            >>> whose = Question(1, "Where is Frodo?", "Shire", (0,), "where_person")
            >>> asked, answer = next(Tale(("Frodo is in the Shire.",), (whose,)).asked())
            >>> asked.question, answer
            ('Where is Frodo?', 'Shire')
        """
        for q in self.questions:
            yield Asked(self.sentences[: q.after], q.text, q.supporting, q.kind), q.answer


def write_babi(tales: Iterable[Tale], file: TextIO) -> None:
    r"""Write stories in bAbI's form: numbered lines; question, answer and supporting lines.

    Example:
        >>> import io
        >>> asked = Question(1, "Where is Frodo?", "Shire", (0,), "where_person")
        >>> write_babi([Tale(("Frodo is in the Shire.",), (asked,))], file := io.StringIO())
        >>> file.getvalue().splitlines()
        ['1 Frodo is in the Shire.', '2 Where is Frodo? \tShire\t1']
    """
    for tale in tales:
        line, lines = 0, []
        waiting = list(tale.questions)
        for place, sentence in enumerate(tale.sentences):
            line += 1
            lines.append(line)
            file.write(f"{line} {sentence}\n")
            while waiting and waiting[0].after == place + 1:
                q = waiting.pop(0)
                line += 1
                grounds = " ".join(str(lines[s]) for s in q.supporting)
                file.write(f"{line} {q.text} \t{q.answer}\t{grounds}\n")
