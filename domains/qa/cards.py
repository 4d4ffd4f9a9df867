"""What a model card says of a network that answers questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.cards import calibration

if TYPE_CHECKING:
    from deepfield.domains.qa.pipeline import QAPipeline


def card_text(pipeline: QAPipeline, config: Mapping[str, Any]) -> str:
    """What the network takes, what it learnt from, and what it cannot know."""
    words, slots = pipeline.vocabulary, int(pipeline.task.state.get("slots", 0))
    labels = pipeline.task.state.get("labels", [])
    data = config.get("data") or {}
    learnt = config.get("data_name") or data.get("source") or "the stories named below"
    known = f"{len(words.words):,} words are known to it, those of the stories that it learnt from"
    if slots:
        answers = "a word of the story that it does not know (a name, a place, a thing)"
        if labels:
            answers = f"one of {len(labels):,} answers that it has learnt, or with {answers}"
        known += (
            f"; up to {slots:,} others in a story are followed by what the story tells of them, "
            "and it makes no difference what they are called"
        )
    else:
        answers = f"one of {len(labels):,} answers that it has learnt"
        known += "; it can answer with no other"
    return (
        "Takes a story, sentence by sentence in the order in which it was told, and a question "
        f"about it, and answers with {answers}. {known}.\n"
        "\n"
        f"It learnt from {learnt}: short sentences of a small, simple world. Free prose, other "
        "ways to say a thing, and kinds of question that were not learnt are beyond it. It always "
        f"answers, also where the story does not tell. {calibration(config)} `in_domain` is false "
        "where a story or a question has words that it does not know"
        + (", beyond those that it can follow, " if slots else ", ")
        + "and where its energy is beyond that of 99 % of the validation questions."
    )
