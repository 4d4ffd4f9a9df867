"""The part of `deepfield demo` that answers questions: one story, under its names and others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.qa.data import story_text
from deepfield.domains.qa.features import Asked, sentences_of
from deepfield.domains.qa.world import invent
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.qa.pipeline import QAPipeline

#: The preset that is asked.
PRESET = "story"
#: The example of LeCun, Bengio, Hinton, "Deep learning", Nature 2015, after Bordes and Weston.
STORY = "sample:lotr"
QUESTIONS = ("Where is the ring?", "Where is Bilbo now?", "Where is Frodo now?")
#: Stories in the words of bAbI, for the others.
TASKS = "sample:babi"
#: Names of the story: people, places, and a thing.
PEOPLE = ("Bilbo", "Gollum", "Frodo", "Sauron")
PLACES = ("cave", "Shire", "Mount-Doom", "Grey-havens")
THINGS = ("ring",)


def demo(cls: type[QAPipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Ask the story of the ring its three questions, as it was told and with invented names, and
    the other presets what they were trained for.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    for model, pipeline in loaded(cls, cls.presets, console, rows):
        if model == PRESET:
            rows += _story(pipeline, page, console)
        else:
            figures = pipeline.evaluate(TASKS)
            right = round(figures["metrics"]["accuracy"] * figures["n"])
            spent = 1000 * figures["seconds"] / figures["n"]
            rows.append(answer_row(TASKS, model, f"{right} of {figures['n']} right", ms=spent))
    return rows


def _story(pipeline: QAPipeline, page: Report, console: Console) -> list[dict[str, Any]]:
    """Ask the story, under its names and others, and show why."""
    text = story_text(STORY)
    others = other_names(0)
    rows = _told(pipeline, "as it was told", text, QUESTIONS, page, console)
    questions = [renamed(question, others) for question in QUESTIONS]
    again = _told(pipeline, "with invented names", renamed(text, others), questions, page, console)
    followed = sum(
        renamed(str(one["answer"]), others) == two["answer"]
        for one, two in zip(rows, again, strict=True)
    )
    said = f"{followed} of {len(rows)} answers are the same under other names"
    console.say(f"  {said}")
    page.text(said + ".")
    console.say(f"  {PRESET}: drawing which sentences an answer rests on")
    asked = Asked(sentences_of(text), QUESTIONS[0])
    explanation = pipeline.explain(Sample(STORY, asked))
    page.section(f"{PRESET}: {QUESTIONS[0]}")
    page.picture(explanation.png(), f"How much each sentence counted ({explanation.method})")
    return rows + again


def _told(
    pipeline: QAPipeline,
    how: str,
    text: str,
    questions: Sequence[str],
    page: Report,
    console: Console,
) -> list[dict[str, Any]]:
    """Ask one telling of the story; its part of the page and its rows."""
    sentences = sentences_of(text)
    page.section(f"{PRESET}: a story {how}").text(" ".join(sentences))
    rows, shown = [], []
    for question in questions:
        (answer,), spent = timed(pipeline, [Asked(sentences, question)])
        rests = " ".join(answer["supporting"])
        rows.append(answer_row(question, PRESET, answer["answer"], answer["probability"], spent))
        shown.append(
            {k: rows[-1][k] for k in ("input", "answer", "probability", "ms")}
            | {"supporting sentences": rests}
        )
        console.say(f"  {question} {answer['answer']}: {rests or 'no sentence named'}")
    page.table(shown)
    return rows


def other_names(seed: int) -> dict[str, str]:
    """A name invented for each of the story's; a thing's is in small letters, as the story's."""
    made = invent(np.random.default_rng(seed), len(PEOPLE) + len(PLACES) + len(THINGS))
    pairs = dict(zip((*PEOPLE, *PLACES, *THINGS), made, strict=True))
    return {old: new if old[:1].isupper() else new.lower() for old, new in pairs.items()}


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with other names, all at once.

    Example:
        >>> renamed("Bilbo took the ring.", {"Bilbo": "Ann", "ring": "key"})
        'Ann took the key.'
    """
    words = sorted(map(re.escape, names), key=len, reverse=True)
    return re.sub(rf"\b(?:{'|'.join(words)})\b", lambda found: names[found[0]], text)
