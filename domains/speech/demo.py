"""The part of `deepfield demo` that listens: the project's own clip, and why it was heard so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.speech.pipeline import SpeechPipeline

#: What every preset hears.
CLIP = "sample:said"


def demo(cls: type[SpeechPipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Transcribe the project's own clip with every preset, and show why the first heard it so.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    for model, pipeline in loaded(cls, cls.presets, console, rows):
        (answer,), spent = timed(pipeline, [CLIP])
        rows.append(answer_row(CLIP, model, answer["text"], answer["probability"], spent))
        console.say(f"  {model}: {answer['text']!r}")
        if model == cls.presets[0]:
            explanation = pipeline.explain(next(pipeline.read(CLIP)))
            page.section(f"{model}: {CLIP}")
            page.picture(explanation.png(), f"{answer['text']} ({explanation.facts()['method']})")
            page.table(answer["words"] or [{"word": "none"}])
    return rows
