"""Cross-validation: every sample answered by a network that never saw it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.data import Sample, name_of, stacked
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.parts import labelled
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
        output: table of the out-of-fold rows, in the order of the data; they carry `fold` and
            `target`. A rejected sample has its row too, without `fold` if it has no label. Pairs
            of samples are no samples of the data: they come fold by fold.
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
    samples = list(labelled(make().as_samples(data, **options)))
    places = [i for i, s in enumerate(samples) if s.fault is None]
    good = [samples[i] for i in places]
    split = arguments.get("split")
    kind = split.kind if isinstance(split, Split) else Split.parse(split).kind
    good = kept_together(good, kind, make().splits)
    dealt = folds(good, count, int(arguments.get("seed", 0)))
    rows: list[tuple[int, dict[str, Any]]] = []  # each behind the place of its sample
    groups: dict[str, Any] = {}
    truths: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    rejected = len(samples) - len(good)
    with closing(RowWriter(output, format)) as writer:
        for number, fold in enumerate(dealt, start=1):
            say(f"fold {number} of {count}")
            held = set(fold.tolist())
            rest = [replace(s, part=None) for i, s in enumerate(good) if i not in held]
            pipeline = make()
            split = Split("auto", (0.9, 0.1, 0.0), int(arguments.get("seed", 0)))
            pipeline.fit(rest, **{**arguments, "out": None, "split": split, "resume": False})
            pipeline.name = f"{Path(output).stem}, fold {number}"
            truth, said, told, lost = _answered(pipeline, [good[i] for i in fold])
            rejected += lost
            own = {id(good[i]): places[i] for i in fold}
            rows += [(own.get(id(s), len(samples)), row | {"fold": number}) for s, row in told]
            if truth:
                groups[f"fold {number}"] = pipeline.task.figures(stacked(truth), stacked(said))
            truths += truth
            answers += said
        # The rest has faults, so that it does not matter which network is asked.
        bad = {id(s): i for i, s in enumerate(samples) if s.fault is not None}
        told = _answered(pipeline, [samples[i] for i in bad.values()])[2]
        rows += [(bad.get(id(s), len(samples)), row) for s, row in told]
        writer.write([row for _, row in sorted(rows, key=itemgetter(0))], len(samples))
        writer.finish()
    task = pipeline.task
    judged = stacked(truths), stacked(answers)
    return {
        "model": f"{count} folds",
        "data": name_of(data),
        "n": len(truths),
        "rejected": rejected,
        "seconds": round(time.monotonic() - began, 1),
        "metrics": task.figures(*judged),
        "intervals": {},
        "baseline": {},
        "by": "fold",
        "groups": groups,
        "published": {},
    }


def _answered(
    pipeline: Pipeline, samples: list[Sample]
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[Sample, dict[str, Any]]], int]:
    """Targets and predictions of what was answered, the rows with their samples, and how many items
    were rejected.
    """
    truth, said, rows, rejected = [], [], [], 0
    for item, answer in pipeline.answers(samples, targets=True):
        rows.append((item.sample, pipeline.row(item, answer) | {"target": item.sample.target}))
        if item.fault is not None or item.prediction is None:
            rejected += 1
            continue
        truth.append(np.asarray((item.target or {})[pipeline.task.output]))
        said.append(item.prediction)
    return truth, said, rows, rejected
