"""The domain's own verbs: `ask` a story, `simulate` stories."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from deepfield.domains.qa.data import story_text
from deepfield.domains.qa.features import Asked, sentences_of
from deepfield.domains.qa.tales import write_babi
from deepfield.domains.qa.world import simulate
from deepfield.toolkit.commands import asked, console_of, tell
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import REJECTED, UsageError
from deepfield.toolkit.writers import write_whole


def ask(cls: Any, load: Any, questions: tuple[str, ...], flags: Any) -> int:
    """Answer questions about a story: those of the command line, or one a line until the end."""
    if not flags.story:
        raise UsageError("no story to ask", "--story FILE, or - for standard input")
    if flags.story == "-" and not questions:
        raise UsageError("story and questions cannot both come from standard input", "ask one")
    pipeline = asked(cls, load, "ask", flags)
    sentences = sentences_of(story_text(flags.story))
    rejected = 0
    for question in questions or _typed(sys.stdin, console_of(flags)):
        sample = Sample(question, Asked(sentences, question), row={"question": question})
        (row,) = pipeline.predict([sample])
        rejected += row["status"] != "ok"
        tell(row, _told(row), flags)
    return REJECTED if rejected else 0


def _typed(lines: Iterable[str], console: Console) -> Iterator[str]:
    """Questions as a person types them."""
    person = sys.stdin.isatty()
    if person:
        console.say("Ask, one question a line; an empty line ends.")
    for line in lines:
        if line.strip():
            yield line.strip()
        elif person:
            return


def _told(row: dict[str, Any]) -> Iterator[str]:
    """The answer, its probability, and what it rests on."""
    yield f"{row['answer']}  ({row['probability']:.0%})"
    for sentence in row["supporting"]:
        yield f"    {sentence}"


def write_stories(cls: Any, load: Any, flags: Any) -> int:
    """Write simulated stories in bAbI's form."""
    low, _, high = str(flags.length).partition("-")
    try:
        length = int(low), int(high or low)
    except ValueError:
        length = 0, 0
    if not 1 <= length[0] <= length[1]:
        raise UsageError(f"--length {flags.length!r}", "sentences of a story: 12, or 4-30")
    for name, least in (("count", 1), ("questions", 1)):
        if flags[name] < least:
            raise UsageError(f"--{name} {flags[name]} is too small", f"at least {least}")
    tales = simulate(flags.count, flags.seed, length, flags.questions, flags.names)
    if flags.output in (None, "-"):
        write_babi(tales, sys.stdout)
        return 0
    text = io.StringIO()
    write_babi(tales, text)
    write_whole(flags.output, text.getvalue().encode())
    return 0
