"""The image domain's part of `deepfield demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.image.pipeline import ImagePipeline

_PHOTOS = ("sample:china", "sample:flower", "sample:grace_hopper")
_DIGITS = ("small_cnn_mnist", "lenet5_mnist", "small_cnn_digits")
_JUDGED = "small_cnn_digits"  # on forty labelled digits


def demo(cls: type[ImagePipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Answer photos with the ImageNet network and a digit with each of the digit networks.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    shown = {
        "efficientnet_lite0_imagenet": _PHOTOS,
        **dict.fromkeys(_DIGITS, ("sample:digit",)),
    }
    for model, pipeline in loaded(cls, shown, console, rows):
        sources = shown[model]
        for source in sources:
            (answer,), spent = timed(pipeline, [source])
            rows.append(answer_row(source, model, answer["label"], answer["probability"], spent))
        console.say(f"  {model}: answered; drawing what its answer for {sources[0]} rests on")
        sample = next(iter(pipeline.read(sources[0])))
        explanation = pipeline.explain(sample)
        page.section(f"{model}: {sources[0]}")
        page.table([{"class": k, "probability": v} for k, v in explanation.scores.items()])
        page.picture(explanation.saliency, f"What spoke for its answer ({explanation.method})")
        page.picture(
            explanation.layers, "The outputs of its layers, from the picture to the scores"
        )
        if model == _JUDGED:
            rows.append(_judged(pipeline, page))
    return rows


def _judged(pipeline: ImagePipeline, page: Report) -> dict[str, Any]:
    """How often the network is right on the sample digits."""
    figures = pipeline.evaluate("sample:digits-folder")
    page.section(f"{_JUDGED} on the sample digits")
    page.metrics(figures["metrics"])
    accuracy = figures["metrics"]["accuracy"]
    spent = 1000 * figures["seconds"] / figures["n"]
    return answer_row("40 digits", _JUDGED, f"accuracy {accuracy:.3f}", ms=spent)
