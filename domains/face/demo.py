"""The face domain's part of `deepfield demo`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from deepfield.domains.face.data import SAMPLES
from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report, answer_row, loaded

if TYPE_CHECKING:
    from deepfield.domains.face.pipeline import FacePipeline

#: What the page tells of an answer.
_SHOWN = ("same", "probability", "distance", "threshold", "fmr", "fnmr", "measured_on")


def demo(cls: type[FacePipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Compare pictures that ship with the dependencies: a person with herself, and with none.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    for model, pipeline in loaded(cls, dict.fromkeys(cls.presets), console, rows):
        samples = list(pipeline.read(SAMPLES["pairs"]()))
        next(pipeline.predict(samples[:1]), None)  # the networks are loaded with the first answer
        for sample in samples:
            pipeline.__dict__.pop("_vector", None)
            pipeline.__dict__.pop("_faces", None)
            began = time.perf_counter()
            (row,) = pipeline.predict([sample])
            spent = 1000 * (time.perf_counter() - began)
            told = "the same person" if row["same"] else "different people"
            answer = told if row["status"] == "ok" else row["reason"]
            rows.append(answer_row(sample.id, model, answer, row["probability"], spent))
        console.say(f"  {model}: why")
        explanation = pipeline.explain(samples[0])
        page.section(f"{model}: {samples[0].id}")
        page.table([{"": k, "value": explanation.answer[k]} for k in _SHOWN])
        page.picture(explanation.png(), "Orange speaks for the same person, blue against it")
    return rows
