"""The part of a data set that a network was trained without, for a benchmark to judge it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepfield.toolkit.data import Sample
from deepfield.toolkit.parts import labelled
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import Split


def held_out(
    pipeline: Pipeline,
    data: Any,
    part: str = "valid",
    reader_options: Mapping[str, Any] | None = None,
) -> list[Sample]:
    """The samples that a loaded network was trained without, dealt again as its bundle records it.

    Args:
        pipeline: loaded from a bundle.
        data: what it was trained on; other data are dealt in the same way.
        part: another one of the split, `"test"` or `"train"`.
        reader_options: as they were for training.
    """
    assert pipeline.bundle is not None
    told = pipeline.bundle.config["data"]["split"]
    split = Split(told["kind"], tuple(told["fractions"]), told["seed"])
    samples = split.placed(labelled(pipeline.as_samples(data, **(reader_options or {}))))
    good = [s for s in samples if s.fault is None]
    return [good[i] for i in split.deal(good, pipeline.splits)[part]]
