"""Figures of a trained pipeline on labelled data: one JSON shape in every domain."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit import tables
from deepfield.toolkit.data import BATCH, name_of, stacked
from deepfield.toolkit.errors import UsageError, commonest
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.parts import labelled
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.report import Report
from deepfield.toolkit.tasks import Task


@dataclass(slots=True)
class Evaluated:
    """An evaluation with the arrays it was made from, for plots.

    Example:
        >>> import deepfield
        >>> found = evaluate_fully(deepfield.load("image/small_cnn_digits"), "sample:digits-folder")
        >>> found.targets.shape, found.predictions.shape
        ((40,), (40, 10))
    """

    result: dict[str, Any]
    targets: np.ndarray
    predictions: np.ndarray


def evaluate(pipeline: Pipeline, data: Any, **arguments: Any) -> dict[str, Any]:
    """Measure a pipeline on labelled data.

    Args:
        pipeline: a loaded pipeline.
        data: a source's name, or labelled samples.
        arguments: see `evaluate_fully`.

    Returns:
        `{"model", "data", "n", "rejected", "seconds", "metrics", "intervals", "baseline",
        "by", "groups", "published"}`; metrics are fractions, `intervals` are 95 % bootstrap
        intervals, `groups` figures by class, or by task or fold where the data are divided so;
        `published` is what others report of those tasks or folds.

    Raises:
        UsageError: no labelled sample that the model can be judged by.

    Example:
        >>> import deepfield
        >>> found = evaluate(deepfield.load("image/small_cnn_digits"), "sample:digits-folder")
        >>> found["n"], found["rejected"], found["metrics"]["accuracy"] > 0.9
        (40, 0, True)
    """
    return evaluate_fully(pipeline, data, **arguments).result


def evaluate_fully(
    pipeline: Pipeline,
    data: Any,
    *,
    batch_size: int = BATCH,
    reader_options: Mapping[str, Any] | None = None,
    row: Callable[[dict[str, Any]], None] | None = None,
    name: str = "",
) -> Evaluated:
    """As `evaluate`, with the arrays; `row` is called with every answered row and its target.

    Example:
        >>> import deepfield
        >>> answered = []
        >>> model = deepfield.load("image/small_cnn_digits")
        >>> found = evaluate_fully(model, "sample:digits-folder", row=answered.append)
        >>> len(answered) == found.result["n"]
        True
    """
    began = time.monotonic()
    task = pipeline.task
    samples = labelled(pipeline.as_samples(data, **(reader_options or {})))
    targets, predictions, groups, contexts = [], [], [], []
    kinds: list[str] = []
    rejected, first = Counter[str](), ""
    for item, answer in pipeline.answers(samples, batch_size, targets=True):
        if row is not None:
            row(pipeline.row(item, answer) | {"target": item.sample.target})
        if item.fault is not None or item.prediction is None:
            rejected[str(item.fault)] += 1
            first = first or item.sample.id
            continue
        targets.append(np.asarray((item.target or {})[task.output]))
        predictions.append(item.prediction.astype(np.float32))
        groups.append(item.sample.group)
        contexts.append(item.context)
        kinds.append(str(item.sample.row.get(task.column) or ""))
    answered_s = time.monotonic() - began
    if not targets:
        all_of_them = f"all {rejected.total():,} were rejected ({commonest(rejected, first)})"
        why = all_of_them if rejected else "it is empty"
        raise UsageError(
            f"nothing to evaluate {pipeline.name!r} on in {name or name_of(data)!r}: {why}",
            "the data needs labels, and they must be the model's own",
        )
    truth, said = stacked(targets), stacked(predictions)
    figures = task.figures(truth, said) | task.speed(contexts, answered_s)
    grouped = bool(task.column) and any(kinds)
    divided = _divided(task, kinds, truth, said) if grouped else task.groups(truth, said)
    if grouped:
        figures |= task.summary(divided)
        folded, own = task.folded(truth, said, kinds)
        figures = {**folded, **figures, **folded}  # the same, with those of folds at the head
        divided = {kind: row | own.get(kind, {}) for kind, row in divided.items()}
    config = pipeline.bundle.config if pipeline.bundle else {}
    result = {
        "model": pipeline.name,
        "data": name or name_of(data),
        "n": len(truth),
        "rejected": rejected.total(),
        "commonest_fault": commonest(rejected, first),
        "seconds": round(time.monotonic() - began, 3),
        "metrics": figures,
        "intervals": task.intervals(truth, said, groups, kinds if grouped else ()),
        "baseline": config.get("baseline") or {},
        "by": task.column if grouped else task.divided_by,
        "groups": divided,
        "published": _published(task, divided) if grouped else {},
    }
    return Evaluated(result, truth, said)


def _divided(
    task: Task, kinds: list[str], truth: np.ndarray, said: np.ndarray
) -> dict[str, dict[str, Any]]:
    """The figures of the samples of each kind, in natural order."""
    found = {}
    for kind in sorted(set(kinds), key=natural):
        own = np.array([k == kind for k in kinds])
        found[kind] = {"n": int(own.sum()), **task.figures(truth[own], said[own])}
    return found


def _published(task: Task, divided: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What others report, by their names: their figures by group, and the same summed up."""
    together = {
        name: {"metrics": {}, "groups": {}, **told}
        for name, told in task.published_together(divided).items()
    }
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for kind in divided:
        for name, figures in task.published(kind).items():
            groups.setdefault(name, {})[kind] = figures
    return together | {
        name: {"metrics": task.summary(own), "groups": own} for name, own in groups.items()
    }


def report(pipeline: Pipeline, evaluated: Evaluated) -> Report:
    """An evaluation as a page with plots.

    Example:
        >>> import deepfield
        >>> model = deepfield.load("image/small_cnn_digits")
        >>> page = report(model, evaluate_fully(model, "sample:digits-folder"))
        >>> page.title
        'image: small_cnn_digits on sample:digits-folder'
    """
    result = evaluated.result
    page = Report(f"{pipeline.domain}: {result['model']} on {Path(str(result['data'])).name}")
    page.text(
        f"{result['n']} answered, {result['rejected']} rejected, {result['seconds']:.1f} s. "
        "Rates are fractions; intervals are 95 % bootstrap intervals."
    )
    shown = dict(result["metrics"])
    for metric, (low, high) in result["intervals"].items():
        if low is not None:
            shown[f"{metric}, interval"] = f"{low:.4f} to {high:.4f}"
    page.metrics(shown)
    for caption, png in pipeline.task.plots(evaluated.targets, evaluated.predictions):
        page.picture(png, caption)
    if result["groups"]:
        page.section(f"By {result['by']}")
        head, *rows = tables.groups_of_evaluation(result)
        page.table(rows, head)
    for where, (head, *rows) in tables.published_of_evaluation(result).items():
        page.section(f"Published {where}")
        page.table(rows, head)
    return page
