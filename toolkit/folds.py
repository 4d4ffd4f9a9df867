"""Cross-validation: every sample answered by a network that never saw it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.data import Sample, stacked
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import Split, folds, kept_together
from deepfield.toolkit.writers import RowWriter


def cross_validate(
    make: Callable[[], Pipeline],
    data: Any,
    count: int,
    output: str,
    format: str,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Train `count` networks, each without one fold, and answer that fold with it.

    Samples of one group, copies, and what a `split` of the domain's own keeps together are in one
    fold. Inside the other folds a tenth, dealt likewise, is the validation part.

    Args:
        make: makes a new pipeline.
        data: a source's name, or labelled samples.
        count: folds, two or more.
        output: table of the out-of-fold rows; they carry `fold` and `target`.
        format: of the table.
        arguments: of `fit`; of `split` the kind alone matters.

    Returns:
        The same object as `evaluate`; `groups` holds the figures of each fold.
    """
    if count < 2:
        raise UsageError(f"--folds {count}", "cross-validation takes 2 or more")
    began = time.monotonic()
    arguments = dict(arguments)
    say = arguments.get("say", lambda line: None)
    options = arguments.pop("reader_options", None) or {}
    samples = list(make().as_samples(data, **options))
    good = [s for s in samples if s.fault is None and s.target is not None]
    split = arguments.get("split")
    kind = split.kind if isinstance(split, Split) else Split.parse(split).kind
    good = kept_together(good, kind, make().splits)
    dealt = folds(good, count, int(arguments.get("seed", 0)))
    writer = RowWriter(output, format)
    groups: dict[str, Any] = {}
    truths, answers = [], []
    rejected = len(samples) - len(good)
    for number, fold in enumerate(dealt, start=1):
        say(f"fold {number} of {count}")
        held = set(fold.tolist())
        rest = [replace(s, part=None) for i, s in enumerate(good) if i not in held]
        pipeline = make()
        split = Split("auto", (0.9, 0.1, 0.0), int(arguments.get("seed", 0)))
        pipeline.fit(rest, **{**arguments, "out": None, "split": split, "resume": False})
        pipeline.name = f"{Path(output).stem}, fold {number}"
        truth, said, rows, lost = _answered(pipeline, [good[i] for i in fold])
        rejected += lost
        writer.write([row | {"fold": number} for row in rows], len(fold))
        groups[f"fold {number}"] = pipeline.task.figures(truth, said)
        truths.append(truth)
        answers.append(said)
        task = pipeline.task
    writer.finish()
    truth, said = np.concatenate(truths), np.concatenate(answers)
    return {
        "model": f"{count} folds",
        "data": str(data),
        "n": len(truth),
        "rejected": rejected,
        "seconds": round(time.monotonic() - began, 1),
        "metrics": task.figures(truth, said),
        "intervals": {},
        "baseline": {},
        "by": "fold",
        "groups": groups,
        "published": {},
    }


def _answered(
    pipeline: Pipeline, samples: list[Sample]
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]], int]:
    truth, said, rows, rejected = [], [], [], 0
    for item, answer in pipeline.answers(samples, targets=True):
        rows.append(pipeline.row(item, answer) | {"target": item.sample.target})
        if item.fault is not None or item.prediction is None:
            rejected += 1
            continue
        truth.append(np.asarray((item.target or {})[pipeline.task.output]))
        said.append(item.prediction)
    return stacked(truth), stacked(said), rows, rejected
