"""Measure shipped presets again on what they were trained without, and write the intervals of their
figures into their config.json and card.md; with `--baseline` also what the shallow model beside
them reaches on the same parts.

Networks made today record them when they are trained; this is for those that were made before.
Data are read as the command in config.json says and dealt again by its split. The headline figure
must come out as it is on record, to two thousandths, or nothing is written. Networks stay the same
bits. What was fitted to the validation part too once it had been measured (the trees and the kernel
machine of `fusion`) is fitted to the training part alone here.

Run from the root of the repository; `--data` says where the folder `data` of the records lies.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import click
from held_out import held_out
from make_presets import commands

from deepfield.cli import program
from deepfield.domains import domain, load
from deepfield.toolkit.baselines import verdict
from deepfield.toolkit.bundle import write_bundle
from deepfield.toolkit.cards import card, headline
from deepfield.toolkit.commands import Flags, options_of
from deepfield.toolkit.console import silence_tensorflow
from deepfield.toolkit.data import Encoded
from deepfield.toolkit.measuring import judged, outputs_of, shallow_figures
from deepfield.toolkit.packing import build_models, round_weights, stored_weights
from deepfield.toolkit.parts import stacked_targets
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import fingerprint

SAME = 2e-3


def told(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The data and the options of their reader in a command, without the program's name."""
    command: Any = program()
    for word in words[:2]:
        command = command.get_command(click.Context(command), word)
    flags = Flags(command.make_context(words[1], words[2:]).params)
    return flags["subject"], options_of(domain(words[0]), words[1], flags, reader=True)


def items_of(pipeline: Pipeline, part: str, data: str, options: dict[str, Any]) -> list[Encoded]:
    """The encoded items of a part."""
    samples = held_out(pipeline, data, part, options)
    return [item for item in pipeline.encoded(samples, targets=True) if item.fault is None]


def as_it_was_judged(pipeline: Pipeline, held: list[Encoded], train: list[Encoded]) -> None:
    """Fit what no gradient moves to the training part alone, without copies of what is held out."""
    prints = {fingerprint(pipeline.identity(item.arrays or {})) for item in held}
    train = [e for e in train if fingerprint(pipeline.identity(e.arrays or {})) not in prints]
    models = build_models(pipeline)
    for name, model in models.items():
        pipeline.settle(model, train)
        learnt = stored_weights(pipeline, name)
        for variable in pipeline.learner(model).weights:
            variable.assign(learnt[variable.path])
        round_weights(model)
    pipeline._models, pipeline._networks = models, {}
    pipeline.bundle = None  # its ONNX form would answer


def measured(
    pipeline: Pipeline, part: str, data: str, options: dict[str, Any], baseline: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The figures of a part, their intervals, and if wanted those of the shallow model, as training
    would record them.
    """
    assert pipeline.bundle is not None
    task, seed = pipeline.task, pipeline.bundle.config["seed"]
    held = items_of(pipeline, part, data, options)
    settles = type(pipeline).settle is not Pipeline.settle
    train = items_of(pipeline, "train", data, options) if settles or baseline else []
    if settles:
        as_it_was_judged(pipeline, held, train)
    trials = pipeline.trials(held)
    targets = {part: stacked_targets(trials, task.output)}
    outputs = {part: outputs_of(pipeline, trials)}
    said = judged(task, outputs, targets, pipeline.calibrator, seed)[part]
    intervals = task.intervals(targets[part], said, [item.sample.group for item in trials])
    shallow = {}
    if baseline:
        shallow = shallow_figures(pipeline, train, {part: trials}, targets, seed)
    return {"n": len(trials), **task.figures(targets[part], said)}, intervals, shallow


def write(
    pipeline: Pipeline, part: str, intervals: dict[str, Any], baseline: dict[str, Any]
) -> None:
    """Put the intervals beside the figures, and into the verdict and the card."""
    bundle = pipeline.bundle
    assert bundle is not None
    old = bundle.config
    config: dict[str, Any] = {}
    for key, value in old.items():
        config[key] = value
        if key == "metrics":
            config["intervals"] = {part: intervals}
    config["baseline"] = baseline = baseline or old["baseline"]
    if part in baseline:
        shallow = {"kind": baseline["kind"], **baseline[part]}
        metric = pipeline.task.metrics[0]
        config["verdict"] = verdict(old["metrics"][part], shallow, metric, intervals[metric])
    files = {name: bundle.read(name) for name in bundle.files}
    files["card.md"] = card(pipeline, config).encode()
    write_bundle(bundle.path, config, files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--baseline", action="store_true", help="fit the shallow model again too")
    parser.add_argument("--dry-run", action="store_true", help="measure, and write nothing")
    parser.add_argument("names", nargs="*", help="presets; all without one")
    given = parser.parse_args()
    silence_tensorflow()
    others = 0
    for name, words in dict(commands(given.data, given.names)).items():  # of several, the last
        began = time.monotonic()
        wing, _, preset = name.partition("/")
        pipeline = load(preset, wing)
        assert pipeline.bundle is not None
        config = pipeline.bundle.config
        known = headline(config)
        part, metric = known["part"], known["metric"]
        figures, intervals, shallow = measured(pipeline, part, *told(words), given.baseline)
        recorded = config["metrics"][part]
        moved = {
            k: f"{recorded[k]:.4g}, now {v:.4g}"
            for k, v in figures.items()
            if v is not None and recorded.get(k) is not None and abs(v - recorded[k]) > SAME
        }
        same = metric not in moved and "n" not in moved
        others += not same
        print(
            f"{name}: {metric} {figures[metric]:.4f}, {intervals[metric]}, n {figures['n']}, "
            f"{time.monotonic() - began:.0f} s{'' if same else ': NOT the same, left alone'}"
            + (f"; others: {moved}" if moved else "")
            + (f"; {shallow['kind']}: {shallow[part][metric]:.4f}" if shallow else ""),
            flush=True,
        )
        if same and not given.dry_run:
            write(load(preset, wing), part, intervals, shallow)
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
