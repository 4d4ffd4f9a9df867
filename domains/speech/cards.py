"""What a model card says of a network that listens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfield.domains.speech.pipeline import SpeechPipeline


def card_text(pipeline: SpeechPipeline, config: Mapping[str, Any]) -> str:
    """Letters, language, and what was measured of the confidence."""
    task = config.get("task", {})
    return "\n".join(_card(task, config.get("hyper", {}))) + "\n"


def _card(task: Mapping[str, Any], hyper: Mapping[str, Any]) -> Iterator[str]:
    letters = "".join(c for c in task.get("letters", "") if c != " ")
    rate = hyper.get("rate_hz", 16000)
    yield "## What it hears and writes"
    yield ""
    yield f"Sound of {rate:,} samples a second (other rates are converted). It writes `{letters}`,"
    yield "words divided by spaces. It knows the words of its training texts best; the search knows"
    yield "no others. Voices, microphones and languages unlike its training data are beyond it."
    facts = task.get("confidence_measured", {})
    rows = [(how, own) for how, own in facts.items() if own.get("words")]
    if rows:
        yield ""
        yield "## How sure it is of a word"
        yield ""
        yield "| decoder | words | right | calibration error before | after |"
        yield "|---|---|---|---|---|"
        for how, own in rows:
            after = own.get("ece_after")
            shown = "not fitted: too few words, or none wrong" if after is None else f"{after:.4f}"
            yield (f"| {how} | {own['words']:,} | {own['right']:.2%} | {own['ece_before']:.4f} | "
                   f"{shown} |")  # fmt: skip
        yield ""
        yield "Measured on the validation part; after: by weights fitted to other speakers of it."
