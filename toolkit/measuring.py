"""What a trained network is worth: calibrated, measured, and set beside a shallow model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepfield.toolkit import scores
from deepfield.toolkit.baselines import verdict
from deepfield.toolkit.bundle import Bundle
from deepfield.toolkit.calibration import cross_fit
from deepfield.toolkit.data import Arrays, Encoded, batches_that_fit, collate
from deepfield.toolkit.packing import round_weights
from deepfield.toolkit.parts import Parts, Say, stacked_targets
from deepfield.toolkit.pipeline import Pipeline

#: Labelled validation samples below which nothing is calibrated but intervals.
LEAST_TO_CALIBRATE = 30
# A shallow model on more numbers, or of more labels, takes longer than the net.
_BASELINE_FEATURES, _BASELINE_LABELS = 20_000, 1_000_000


@dataclass
class Fitted:
    """What training measured: figures and their intervals by part; `alone` holds what parts of the
    network reach by themselves.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    intervals: dict[str, Any] = field(default_factory=dict)
    alone: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    bundle: Bundle | None = None
    parts: Parts | None = None


def outputs_of(pipeline: Pipeline, items: Sequence[Encoded], batch_size: int = 256) -> Arrays:
    """The network's outputs for encoded items, stacked (padded where ragged) in their order."""
    arrays = [e.arrays or {} for e in items]
    rows: list[Arrays] = [{} for _ in items]
    for batch in batches_that_fit(arrays, batch_size):
        outputs = pipeline.forward(collate([arrays[i] for i in batch], pipeline.padding))
        for at, index in enumerate(batch):
            rows[index] = {name: values[at] for name, values in outputs.items()}
    return collate(rows, pipeline.task.padding) if rows else {}


def calibrated_if_better(
    task: Any, outputs: np.ndarray, targets: np.ndarray, seed: int
) -> tuple[Any, str]:
    """The task's calibrator fitted to the validation part, or None and why not.

    On little data a fitted calibrator is often worse than none. It is kept only if it lowers the
    negative log-likelihood of samples that it was not fitted to. Intervals are always kept: there
    is no answer without them, and they widen by themselves where the data are few.
    """
    kind = task.calibrator.kind
    if task.calibrator.always:
        return task.calibrator.fit(outputs, targets), ""
    there = np.isfinite(np.asarray(targets, dtype=float))
    known = int(there.any(axis=tuple(range(1, there.ndim))).sum())
    if known < LEAST_TO_CALIBRATE:
        return None, f"{known} validation samples, {LEAST_TO_CALIBRATE} are needed"
    before = scores.log_loss(targets, task.predictions({task.output: outputs}, None))
    after = scores.log_loss(targets, cross_fit(task.calibrator, outputs, targets, seed=seed))
    if after < before:
        return task.calibrator.fit(outputs, targets), ""
    return None, f"log loss {before:.4g} without, {after:.4g} with {kind} (cross-fitted)"


def measure(
    pipeline: Pipeline, parts: Parts, fitted: Fitted, seed: int, say: Say = lambda line: None
) -> None:
    """Calibrate on the validation part and report on what calibration did not see."""
    task = pipeline.task
    trials = {part: pipeline.trials(parts.of(part)) for part in ("valid", "test")}
    held = {part: items for part, items in trials.items() if len(items)}
    outputs: dict[str, Arrays] = {}
    targets = {part: stacked_targets(items, task.output) for part, items in held.items()}
    if "valid" in held:
        outputs["valid"] = outputs_of(pipeline, held["valid"])
        pipeline.calibrator, doubt = _calibrator(task, outputs["valid"], targets["valid"], seed)
        if doubt:
            say(f"not calibrated: {doubt}")
        if lacking := getattr(pipeline.calibrator, "doubt", ""):
            say(lacking)
        pipeline.choose(parts.of("valid"), targets["valid"], outputs["valid"])
        pipeline.novelty = pipeline.fit_novelty(outputs["valid"])
        _settle_on_all(pipeline, [*parts.of("train"), *parts.of("valid")])
    if "test" in held:
        outputs["test"] = outputs_of(pipeline, held["test"])
    said = judged(task, outputs, targets, pipeline.calibrator, seed)
    fitted.metrics = _figures(task, outputs, targets, said)
    for part, items in held.items():
        groups = [item.sample.group for item in items]
        fitted.intervals[part] = task.intervals(targets[part], said[part], groups)
    for part, figures in fitted.metrics.items():
        told = (f"{k} {v:.4g}" for k, v in figures.items() if v is not None and k != "n")
        say(f"{part}: " + ", ".join(told))
    for name in pipeline.alone(next(iter(outputs.values()), {})):
        own = {part: pipeline.alone(whole)[name] for part, whole in outputs.items()}
        calibrator = (
            _calibrator(task, own["valid"], targets["valid"], seed)[0] if "valid" in own else None
        )
        said = judged(task, own, targets, calibrator, seed)
        fitted.alone[name] = _figures(task, own, targets, said)
    _compare(pipeline, parts, held, targets, fitted, seed, say)


def _settle_on_all(pipeline: Pipeline, items: Sequence[Encoded]) -> None:
    """What no gradient moves is fitted to the validation items too, once all is chosen by them."""
    if type(pipeline).settle is Pipeline.settle:
        return
    for model in pipeline.models.values():
        pipeline.settle(model, items)
        round_weights(model)
    pipeline._networks = {}


def _calibrator(task: Any, outputs: Arrays, targets: np.ndarray, seed: int) -> tuple[Any, str]:
    if task.calibrator is None:
        return None, ""
    return calibrated_if_better(task, outputs[task.output], targets, seed)


def judged(
    task: Any, outputs: Mapping[str, Arrays], targets: Mapping[str, np.ndarray], calibrator: Any,
    seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The predictions that every part is judged by: of the validation part those of calibrators
    that did not see it.
    """
    return {
        part: cross_fit(task.calibrator, own[task.output], targets[part], seed=seed)
        if part == "valid" and calibrator is not None
        else task.predictions(own, calibrator)
        for part, own in outputs.items()
    }


def _figures(
    task: Any, outputs: Mapping[str, Arrays], targets: Mapping[str, np.ndarray],
    said: Mapping[str, np.ndarray],
) -> dict[str, Any]:  # fmt: skip
    """The figures of every part."""
    found = {}
    for part, own in outputs.items():
        figures = task.figures(targets[part], said[part])
        if "ece" in figures and task.calibrator is not None:
            before = task.predictions(own, None)
            figures["ece_uncalibrated"] = scores.or_none(task.score("ece", targets[part], before))
        found[part] = {"n": len(targets[part]), **figures}
    return found


def _compare(
    pipeline: Pipeline, parts: Parts, held: Mapping[str, Sequence[Encoded]],
    targets: Mapping[str, np.ndarray], fitted: Fitted, seed: int, say: Say,
) -> None:  # fmt: skip
    """The shallow model beside the net, on the same parts."""
    part = "test" if "test" in held else "valid"
    if part not in held or not pipeline.baseline:
        return
    train = parts.of("train")
    features = pipeline.shallow_features(train[:1]).size
    labels = len(train) * int(np.prod(targets[part].shape[1:]))
    if features > _BASELINE_FEATURES or labels > _BASELINE_LABELS:
        return
    fitted.baseline = shallow_figures(pipeline, train, held, targets, seed)
    metric = pipeline.task.metrics[0]
    shallow = {"kind": pipeline.baseline, **fitted.baseline[part]}
    interval = fitted.intervals[part][metric]
    fitted.verdict = verdict(fitted.metrics[part], shallow, metric, interval)
    say(fitted.verdict)


def shallow_figures(
    pipeline: Pipeline, train: Sequence[Encoded], held: Mapping[str, Sequence[Encoded]],
    targets: Mapping[str, np.ndarray], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What kind of shallow model stands beside the network, its figures by part, and the seconds
    that it took.
    """
    began = time.monotonic()
    shallow = pipeline.fit_shallow(train, seed)
    found: dict[str, Any] = {"kind": pipeline.baseline}
    for part, items in held.items():
        predictions = shallow.predict(pipeline.shallow_features(items))
        names = [m for m in pipeline.task.metrics if not m.startswith("coverage")]
        figures = pipeline.task.figures(targets[part], predictions, names)
        found[part] = {"n": len(items), **figures}
    found["seconds"] = round(time.monotonic() - began, 1)
    return found
