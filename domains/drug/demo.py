"""The drug domain's part of `deepfield demo`: known drugs, asked of every preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.drug.pipeline import DrugPipeline

#: Who is asked, and of which the answer is explained atom by atom.
SOURCE, EXPLAINED = "sample:drugs", "sample:aspirin"
#: The preset that is to fine-tune from: its answers are descriptors.
ENCODER = "encoder"
_SHOWN = 3


def demo(cls: type[DrugPipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Ask the presets about known drugs, and one why.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    names = [name for name in cls.presets if name != ENCODER]
    for model, pipeline in loaded(cls, names, console, rows):
        asked = list(pipeline.read(SOURCE))
        answers, spent = timed(pipeline, asked)
        page.section(f"{model}: known drugs")
        page.table([_row(pipeline.task.names, answer) for answer in answers])
        for answer in answers[:_SHOWN]:
            said, probability = told(pipeline.task.names, answer)
            rows.append(answer_row(answer["name"], model, said, probability, spent))
        if model == cls.presets[1]:
            console.say(f"  {model}: answered; drawing what its answer for {EXPLAINED} rests on")
            explanation = pipeline.explain(next(iter(pipeline.read(EXPLAINED))))
            page.section(f"{model}: {EXPLAINED}")
            page.picture(
                explanation.png(),
                "Red atoms speak for more, blue ones for less: what the answer falls by when an "
                "atom is taken away.",
            )
    return rows


def told(names: list[str], answer: Mapping[str, Any]) -> tuple[str, float | None]:
    """An answer in words, and its probability where it is one: of several assays the likeliest."""
    if "value" in answer:
        return f"{answer['value']:.2f} ({answer['low']:.2f} to {answer['high']:.2f})", None
    if "probability" in answer:
        return ("yes" if answer["probability"] >= 0.5 else "no"), answer["probability"]
    likeliest = max(names, key=lambda name: answer[name])
    return f"likeliest of {len(names)}: {likeliest}", answer[likeliest]


def _row(names: list[str], answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the page tells of an answer: of several assays their chances alone."""
    shown = [name for name in ("value", "probability") if name in answer] or names
    row = {name: answer[name] for name in ("name", *shown)}
    if shown is not names:
        row["interval"] = f"{answer['low']:.3g} to {answer['high']:.3g}"
    return row | {"nearest training molecule": answer["similarity"]}
