"""The face domain's part of `deepfield demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.face.data import SAMPLES, Pair
from deepfield.domains.face.drawn import draw_face
from deepfield.domains.face.features import FINDER, pixels_of
from deepfield.domains.face.task import SAID
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample
from deepfield.toolkit.presets import brings, lacking
from deepfield.toolkit.report import Report, answer_row, loaded, timed

if TYPE_CHECKING:
    from deepfield.domains.face.pipeline import FacePipeline

#: What the page tells of an answer.
_SHOWN = ("same", "probability", "distance", "threshold", "fmr", "fnmr", "measured_on")
#: Where the detector finds the face of `sample:grace_hopper`: left, top, right, bottom.
_FACE = (190, 140, 356, 305)


def demo(cls: type[FacePipeline], page: Report, console: Console) -> list[dict[str, Any]]:
    """Compare pictures that ship with the dependencies: a person with herself, and with none.

    Where the package is not installed that finds faces, faces are compared that are cut out.

    Returns:
        A row an answer: input, model, answer, probability, milliseconds.
    """
    rows: list[dict[str, Any]] = []
    for model, pipeline in loaded(cls, dict.fromkeys(cls.presets), console, rows):
        extra = "" if pipeline.tables else lacking(cls, FINDER)
        if extra:
            console.say(f"  {model}: compares faces cut out by hand; finding them: {brings(extra)}")
            pipeline.settings["crop"] = True
        samples = _cut() if extra else list(pipeline.read(SAMPLES["pairs"]()))
        next(pipeline.predict(samples[:1]), None)  # both networks are loaded, and this face found
        for sample in samples:
            pipeline.__dict__.pop("_vector", None)
            pipeline.__dict__.pop("_faces", None)
            (row,), spent = timed(pipeline, [sample])
            answer = SAID[row["same"]] if row["status"] == "ok" else row["reason"]
            rows.append(answer_row(sample.id, model, answer, row["probability"], spent))
        console.say(f"  {model}: answered; drawing what its answer for {samples[0].id} rests on")
        explanation = pipeline.explain(samples[0])
        page.section(f"{model}: {samples[0].id}")
        page.table([{"": k, "value": explanation.answer[k]} for k in _SHOWN])
        page.picture(explanation.png(), "Orange speaks for the same person, blue against it")
    return rows


def _cut() -> list[Sample]:
    """The face of the portrait with that of its mirror image, and with a drawing of nobody."""
    left, top, right, bottom = _FACE
    portrait, mirrored = (pixels_of(SAMPLES[name]()) for name in ("grace_hopper", "mirrored"))
    one = np.ascontiguousarray(portrait[top:bottom, left:right])
    two = np.ascontiguousarray(mirrored[:, ::-1][top:bottom, left:right][:, ::-1])
    return [
        Sample("grace_hopper.jpg mirrored.jpg, cut out", Pair(one, two)),
        Sample("grace_hopper.jpg, cut out, and a drawing", Pair(one, draw_face(1, 1))),
    ]
