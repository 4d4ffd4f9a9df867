"""The genomics domain's part of `deepfield demo`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

#: What each network is asked: sequences of our own making.
SHOWN = {
    "splice_donor_human": "sample:sites",
    "splice_uci": "sample:junctions",
    "tf_gabpa": "sample:peaks",
}
#: The first of them also goes along a contig and says why.
SCANNED, _SURE = "sample:genome", 0.95
_ASKED = 3


def demo(cls: type[GenomicsPipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Ask the presets about simulated sequences, look through a simulated genome, and say why.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    for model, pipeline in loaded(cls, SHOWN, console, rows):
        source = SHOWN[model]
        asked = list(islice(pipeline.read(source), _ASKED))
        answers, spent = timed(pipeline, asked)
        page.section(f"{model}: {source}")
        page.table([_shown(answer) for answer in answers])
        if not all(answer["in_domain"] for answer in answers):
            page.text("in_domain is False where invented letters are unlike the training data.")
        rows.append(
            answer_row(source, model, answers[0]["label"], answers[0]["probability"], spent)
        )
        if model == next(iter(SHOWN)):
            rows.append(_along(pipeline, page))
            console.say(f"  {model}: answered; drawing what each letter adds")
            explanation = pipeline.explain(asked[0])
            page.picture(explanation.png(), "What each letter adds: above the line for a site")
    return rows


def _along(pipeline: GenomicsPipeline, page: Report) -> dict[str, Any]:
    """The sites of a contig."""
    contig = next(iter(pipeline.read(SCANNED)))
    pipeline.settings = {"threshold": _SURE}
    found, spent = timed(pipeline, [contig])
    pipeline.settings = {}
    page.section(f"{pipeline.name} along {len(contig.data):,} letters: {len(found)} places")
    page.table([_shown(answer) for answer in found[:10]])
    what = f"{len(found)} places in {len(contig.data):,} bases"
    return answer_row(SCANNED, pipeline.name, what, ms=spent)


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "label", "probability", "position", "strand", "letters", "in_domain")
    return {name: answer[name] for name in names if answer.get(name) is not None}
