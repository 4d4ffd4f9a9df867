"""What a data set holds, before anyone trains on it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from deepfield.toolkit.data import Encoded, Sample, name_of
from deepfield.toolkit.errors import BadInput, DeepfieldError, UsageError
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import (
    PARTS,
    Split,
    across_parts,
    exact_duplicates,
    fingerprint,
)

_EXAMPLES = 5
_TIMED_STEPS = 5


def inspect(
    pipeline: Pipeline,
    data: Any,
    split: str | None = None,
    seed: int = 0,
    reader_options: Mapping[str, Any] | None = None,
    timed: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read everything once and report.

    Args:
        pipeline: a new pipeline of the architecture that would be trained.
        data: a source's name, or samples.
        split: as `train` would deal it; leakage is looked for between its parts. Without one, data
            that cannot be trained on (a test part alone) are looked at all the same.
        seed: of the split.
        reader_options: handed to the reader.
        timed: also measure a few training steps and say how long training will take.
        settings: as for `train`.

    Returns:
        `{"data", "n", "rejected", "rejects", "columns", "targets", "unlabelled", "shapes", "parts",
        "duplicates", "near_duplicates", "contradicting_labels", "leakage", "training"}`; and
        `"problem"`, where no network could learn the labels, `"undealt"`, why there are no parts.
    """
    dealing = Split.parse(split, seed)
    read = dealing.placed(pipeline.as_samples(data, **(reader_options or {})))
    samples = [
        replace(s, fault=s.label_fault) if not s.fault and s.label_fault else s for s in read
    ]
    if not samples:
        raise UsageError(f"{name_of(data)!r} is empty", "name something that holds samples")
    good = [s for s in samples if s.fault is None]
    labelled = [s for s in good if s.target is not None]
    result: dict[str, Any] = {"data": name_of(data), "n": len(samples)}
    if good:
        pipeline.prepare(good, [s.target for s in good])
    encoded = list(pipeline.encoded(samples))
    fine = [e for e in encoded if e.fault is None]
    problem, meaning = _judge_labels(pipeline, fine)
    bad = [e for e in encoded if e.fault is not None]
    result["rejected"] = len(bad)
    if problem:
        result["problem"] = problem
    result["rejects"] = [{"id": e.sample.id, "reason": e.fault} for e in bad[:_EXAMPLES]]
    result["columns"] = list(dict.fromkeys(k for s in samples[:1000] for k in s.row))
    sound = {id(e.sample) for e in encoded if e.fault is None}
    known = [s for s in labelled if id(s) in sound]
    result["targets"] = pipeline.task.contents([s.target for s in known]) if known else {}
    result["unlabelled"] = len(good) - len(labelled)
    shapes = Counter(
        " ".join(f"{k} {'x'.join(map(str, a.shape))}" for k, a in (e.arrays or {}).items())
        for e in fine
    )
    result["shapes"] = dict(shapes.most_common(_EXAMPLES))
    prints = [fingerprint(pipeline.identity(e.arrays or {})) for e in fine]
    same = exact_duplicates(prints)
    twin = {i: group[0] for group in same for i in group}
    near = [(a, b) for a, b in pipeline.near_pairs(fine) if twin.get(a, a) != twin.get(b, b)]
    name = [e.sample.id for e in fine]
    result["duplicates"] = _pairs(same, name)
    result["near_duplicates"] = _pairs(near, name)
    said = [meaning.get(id(e.sample)) for e in fine]
    contradicting = [g for g in same if len({said[i] for i in g if said[i] is not None}) > 1]
    result["contradicting_labels"] = _pairs(contradicting, name)
    if not known:
        return result
    try:
        dealt = _dealt(pipeline, dealing, labelled, fine)
    except UsageError as error:
        if split:
            raise
        result["undealt"] = error.message
        return result
    result["parts"] = {part: len(dealt[part]) for part in PARTS}
    result["leakage"] = {
        "exact": _pairs(across_parts(same, dealt), name),
        "near": _pairs(across_parts(near, dealt), name),
    }
    if timed and len({str(s.target) for s in labelled}) > 1:
        result["training"] = training_time(pipeline, encoded, dealt, settings or {})
    return result


def _dealt(
    pipeline: Pipeline, split: Split, labelled: Sequence[Sample], items: Sequence[Encoded]
) -> dict[str, np.ndarray]:
    """Sound items by part, as `train` deals them: before it knows which samples are broken."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        if item.fault is None:
            places[id(item.sample)].append(place)
    return {
        part: np.array([p for i in own for p in places[id(labelled[i])]], dtype=int)
        for part, own in split.deal(labelled, pipeline.splits).items()
    }


def _judge_labels(pipeline: Pipeline, items: Sequence[Encoded]) -> tuple[str, dict[int, Hashable]]:
    """Reject the items whose label cannot be learnt, and say why none of them can; and what each
    sample's label means to a network, in whatever way it is written.
    """
    known = [e for e in items if e.sample.target is not None]
    meaning: dict[int, Hashable] = {id(e.sample): str(e.sample.target) for e in known}
    if not known:
        return "", meaning
    told = {id(e.sample): pipeline.targets(e.sample) for e in known}
    task = type(pipeline.task)(dict(pipeline.task.state))
    try:
        task.learn([target for targets in told.values() for target in targets])
    except DeepfieldError as error:
        return error.message, meaning
    for item in known:
        own = id(item.sample)
        try:
            meaning[own] = tuple(fingerprint(task.encode(target)) for target in told[own])
        except BadInput as error:
            item.fault = error.reason
    return "", meaning


def _pairs(groups: list[Any], names: list[str]) -> dict[str, Any]:
    return {"count": len(groups), "examples": [[names[i] for i in g] for g in groups[:_EXAMPLES]]}


def training_time(
    pipeline: Pipeline,
    encoded: list[Any],
    dealt: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Time a few real training steps and multiply.

    Returns:
        `{"architecture", "epochs", "seconds_per_epoch", "minutes"}`, on this machine.
    """
    from deepfield.toolkit import training
    from deepfield.toolkit.fitting import feed_of, sort_settings
    from deepfield.toolkit.packing import build_models

    recipe, hyper = sort_settings(pipeline, settings)
    fine = [e for e in encoded if e.fault is None and e.sample.target is not None]
    samples = list({id(e.sample): e.sample for e in fine}.values())
    pipeline.hyper = hyper
    try:
        pipeline.task.learn([t for s in samples for t in pipeline.targets(s)])
        name, model = next(iter(build_models(pipeline).items()))
    except DeepfieldError as error:
        return {"architecture": pipeline.architecture, "problem": error.message}
    wanted = (_TIMED_STEPS + 2) * recipe.batch_size
    spread = samples[:: max(1, len(samples) // wanted)]  # not the first ones: they may be short
    labelled = (e for e in pipeline.encoded(spread, targets=True) if e.fault is None)
    some = list(islice(labelled, wanted))
    size = min(recipe.batch_size, len(some))
    model = pipeline.learner(model)
    vary = pipeline.variation(some)
    feed = feed_of(pipeline, name, model, some, size, 0, vary=vary, few_shapes=recipe.jit)
    feed.on_epoch_begin()  # before it the second batch is a wide one, for TensorFlow to look at
    model.compile(
        optimizer=training.make_optimizer(recipe, 100, model),
        loss=training.resolve_losses(pipeline.task, recipe, model),
        jit_compile=recipe.jit,
    )
    steps = min(_TIMED_STEPS, len(feed))
    for index in range(steps):  # compiles, for every shape
        model.train_on_batch(*feed[index])
    began = time.monotonic()
    for index in range(steps):
        model.train_on_batch(*feed[index])
    step = (time.monotonic() - began) / steps
    recipe = recipe.for_items(len(dealt["train"]))
    epoch = step * -(-len(dealt["train"]) // recipe.batch_size)
    return {
        "architecture": pipeline.architecture,
        "epochs": recipe.epochs,
        "seconds_per_epoch": round(epoch, 2),
        "minutes": round(epoch * recipe.epochs / 60, 1),
    }
