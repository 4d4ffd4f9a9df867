"""From labelled samples to a bundle: split, encode, train, calibrate, compare, write.

The order matters. Weights are rounded to half precision first, so that everything measured after
it (calibration, figures, golden outputs, the ONNX file) belongs to the network that is shipped.
"""

from __future__ import annotations

import inspect
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.bundle import refuse_foreign, replace_file
from deepfield.toolkit.cards import known_data
from deepfield.toolkit.data import Arrays, Encoded
from deepfield.toolkit.errors import (
    DeepfieldError,
    UnusableModel,
    UsageError,
    did_you_mean,
    first_line,
    near_names,
)
from deepfield.toolkit.export import converts
from deepfield.toolkit.measuring import Fitted, measure
from deepfield.toolkit.packing import (
    build_models,
    machine,
    round_weights,
    save,
    set_weights,
    stored_weights,
)
from deepfield.toolkit.parts import Parts, Say, deal, stacked_targets
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import preset_folder
from deepfield.toolkit.recipe import Recipe, check_setting, plain
from deepfield.toolkit.splits import Split


def fit(
    pipeline: Pipeline,
    data: Any,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str | Split | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    say: Say = lambda line: None,
    progress: Any = None,
    command: str = "",
    name: str = "",
    reader_options: Mapping[str, Any] | None = None,
    checkpoint_minutes: float = 5.0,
) -> Fitted:
    """Train a pipeline.

    Args:
        pipeline: a new pipeline; it is changed in place.
        data: a source's name, or labelled samples.
        out: folder of the bundle to write; a run's checkpoints lie in `OUT.part` meanwhile.
        settings: fields of the recipe and arguments of the builder, by name.
        split: see `toolkit.splits.Split.parse`.
        seed: of everything: split, initial weights, order of the data, augmentation.
        resume: go on with the run in `OUT.part`.
        device: see `toolkit.training.devices`.
        say: is told what happens.
        progress: called after every batch (see `toolkit.training.Run`).
        command: how to make the bundle again, for the record.
        name: the bundle's own name.
        reader_options: handed to the reader.
        checkpoint_minutes: how often a checkpoint is written inside an epoch.

    With Keras on JAX or PyTorch, and on several machines (see `toolkit.machines`), it ends with the
    finished checkpoints in `OUT.part` (of machine 0); what is left (calibration, figures, the files
    of the bundle) a process on TensorFlow does that calls `fit` with `resume=True`.

    Raises:
        UsageError: unknown settings, too little data, one class only.
    """
    recipe, hyper = sort_settings(pipeline, settings or {})
    return _Fit(
        pipeline, recipe, hyper, out, seed, resume, device, say, progress, command, name,
        checkpoint_minutes,
    ).on(data, split, reader_options or {})  # fmt: skip


def finetune(base: Pipeline, data: Any, **arguments: Any) -> tuple[Pipeline, Fitted]:
    """Adapt a trained network to other data: first a new head, then every layer.

    Args:
        base: a pipeline loaded from a bundle.
        data: a source's name, or labelled samples.
        arguments: as in `fit`; and `others`, networks that were fine-tuned from the same one as
            `base`: the start is the mean of all their weights (Wortsman et al. 2022, "Model
            soups"), which is often better on new data than each of them.

    Returns:
        The new pipeline and what was measured. Weights whose path and shape the new network
        shares are taken over; the rest is the head. Of a table of embeddings that has got longer
        the first rows are taken over: a domain puts new words behind the old ones.

    Raises:
        UsageError: the others are networks of another form.
    """
    bases = (base, *arguments.pop("others", ()))
    pipeline = type(base)(base.architecture, **base.settings)
    pipeline.state = {k: v for k, v in base.state.items()}
    hyper = {**base.finetune_hyper.get(base.architecture, {}), **base.hyper}
    recipe, hyper = sort_settings(
        pipeline, arguments.pop("settings", None) or {}, base.finetune_recipe, hyper
    )
    weights = {m: _mean_weights(bases, m) for m in base.members}
    command, before_s = _after(bases, arguments.pop("command", ""))
    run = _Fit(
        pipeline, recipe, hyper, arguments.pop("out", None), arguments.pop("seed", 0),
        arguments.pop("resume", False), arguments.pop("device", None),
        arguments.pop("say", lambda line: None), arguments.pop("progress", None),
        command, arguments.pop("name", ""),
        arguments.pop("checkpoint_minutes", 5.0), weights,
        ",".join(one.name for one in bases), before_s,
    )  # fmt: skip
    run.inherited = base.hyper
    fitted = run.on(data, arguments.pop("split", None), arguments.pop("reader_options", None) or {})
    return pipeline, fitted


def _mean_weights(bases: Sequence[Pipeline], member: str) -> Arrays:
    first, *others = bases
    mean = stored_weights(first, member)
    for count, other in enumerate(others, start=2):
        own = stored_weights(other, member) if other.state == first.state else {}
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in mean.items()}:
            raise UsageError(
                f"{first.name!r} and {other.name!r} are networks of two forms",
                "only those that were fine-tuned from the same one have a mean",
            )
        mean = {k: v + ((own[k] - v) / count).astype(v.dtype) for k, v in mean.items()}
    return mean


def _after(bases: Sequence[Pipeline], command: str) -> tuple[str, float]:
    """What made a network, and how many seconds were learnt before: with the commands and the
    seconds of its bases, unless these are presets. A command that two of them share is told once,
    its seconds are counted for both.
    """
    commands, seconds = [], 0.0
    for base in bases:
        if base.bundle is None or base.bundle.path == preset_folder(type(base), base.name):
            continue
        before = str(base.bundle.config.get("command") or "")
        commands += [c for c in before.split(" && ") if c and c not in commands]
        seconds += float(base.bundle.config.get("training_seconds") or 0)
    return " && ".join([*commands, command] if command else []), seconds


def sort_settings(
    pipeline: Pipeline,
    settings: Mapping[str, Any],
    recipe: Recipe | None = None,
    hyper: Mapping[str, Any] | None = None,
) -> tuple[Recipe, dict[str, Any]]:
    """Deal settings to the recipe and to the builder's arguments.

    Raises:
        UsageError: a name that neither knows.
    """
    base = recipe or pipeline.recipes.get(pipeline.architecture) or pipeline.recipes[""]
    builder = pipeline.builders()[pipeline.architecture]
    # A builder's parameters without a default follow from the data; the others may be set.
    parameters = list(inspect.signature(builder).parameters.values())
    arguments = [p.name for p in parameters if p.default is not p.empty]
    recipe_fields = [f.name for f in fields(Recipe)]
    unknown = sorted(set(settings) - set(arguments) - set(recipe_fields))
    if unknown:
        near = near_names(unknown[0], [*arguments, *recipe_fields])
        raise UsageError(
            f"{pipeline.architecture} has no setting {unknown[0]!r}",
            f"{did_you_mean(near)}the network's: {', '.join(arguments)}; "
            f"of training: {', '.join(recipe_fields)}",
        )
    settings = {name: plain(value) for name, value in settings.items()}
    usual = {f.name: f.default for f in fields(Recipe)} | {p.name: p.default for p in parameters}
    for name, value in settings.items():
        check_setting(name, value, usual[name])
    own = {k: v for k, v in settings.items() if k in arguments}
    return base.with_settings(settings), dict(hyper or {}) | own


class _Fit:
    """One training, from samples to the bundle."""

    def __init__(
        self, pipeline: Pipeline, recipe: Recipe, hyper: dict[str, Any],
        out: str | Path | None, seed: int, resume: bool, device: str | None, say: Say,
        progress: Any, command: str, name: str, checkpoint_minutes: float,
        weights: Mapping[str, Arrays] | None = None, base_name: str = "", before_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.pipeline, self.recipe, self.seed = pipeline, recipe, seed
        pipeline.hyper, pipeline.say = hyper, say
        self.out = Path(out) if out else None
        if self.out is not None and not self.out.name:
            raise UsageError(f"{str(out)!r} is a folder of yours", "-o the name of a new one")
        self.folder = self.out.with_name(self.out.name + ".part") if self.out else None
        self.resume, self.device, self.say, self.progress = resume, device, say, progress
        self.command, self.name = command, name
        self.minutes = checkpoint_minutes
        self.weights, self.base_name, self.before_s = weights, base_name, before_s
        self.stages: list[str] = []
        self.inherited: Mapping[str, Any] = {}

    def on(self, data: Any, split: str | Split | None, reader_options: Mapping[str, Any]) -> Fitted:
        from deepfield.toolkit.machines import share

        began = time.monotonic()
        self.share = share()
        if self.share.place > 0:  # machine 0 alone writes
            self.out = self.folder = None
        if self.out is not None:
            refuse_foreign(self.out)
        dealt = split if isinstance(split, Split) else Split.parse(split, self.seed)
        parts = deal(self.pipeline, data, dealt, reader_options, self.say)
        self.recipe = self.recipe.for_items(len(parts.of("train")))
        first = self._built(0)  # before anything is written: settings may be senseless
        self._open_folder(parts)
        fitted = Fitted(parts=parts)
        networks = self._train(parts, fitted, first)
        if self.share.machines > 1 or (self.out is not None and not converts()):
            fitted.seconds = round(time.monotonic() - began, 1)
            return fitted
        models = self._in_single_precision(networks)
        self.pipeline._models = {name: round_weights(model) for name, model in models.items()}
        self.pipeline._networks = {}
        measure(self.pipeline, parts, fitted, self.seed, self.say)
        # After a resume most of the time was spent in other processes.
        spent = max(time.monotonic() - began, sum(row["seconds"] for row in fitted.history))
        fitted.seconds = round(spent, 1)
        if self.out is not None:
            facts = {
                "command": self.command, "seed": self.seed, "recipe": asdict(self.recipe),
                "finetuned_from": self.base_name, "data": parts.facts(dealt),
                "metrics": fitted.metrics, "intervals": fitted.intervals, "alone": fitted.alone,
                "baseline": fitted.baseline, "verdict": fitted.verdict,
                **known_data(self.pipeline, parts.source),
                "training_seconds": round(fitted.seconds + self.before_s, 1),
                "training_machine": machine(),
            }  # fmt: skip
            golden = self.pipeline.golden(parts.items)
            self.say("converting to ONNX")
            fitted.bundle = save(
                self.pipeline, self.out, facts, golden, fitted.history, self.name or self.out.name
            )
            assert self.folder is not None
            shutil.rmtree(self.folder, ignore_errors=True)
        return fitted

    def _open_folder(self, parts: Parts) -> None:
        """Take possession of the run's folder, or find that it belongs to another run."""
        if self.folder is None:
            return
        identity = {
            "data": parts.fingerprint, "architecture": self.pipeline.architecture,
            "hyper": json.loads(json.dumps(self.pipeline.hyper)), "recipe": asdict(self.recipe),
            "seed": self.seed, "from": self.base_name,
        }  # fmt: skip
        note = self.folder / "run.json"
        if note.is_file():
            if not self.resume:
                raise UsageError(
                    f"{str(self.folder)!r} holds an unfinished run",
                    "add --resume to go on with it, or remove the folder",
                )
            different = sorted(
                k for k, v in identity.items() if json.loads(note.read_text())[k] != v
            )
            if different:
                raise UsageError(
                    f"the unfinished run has another {different[0]}",
                    "resume with the same command and data, or remove the folder",
                )
        elif self.resume:
            self.say("no unfinished run is there: this one starts from the beginning")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(note, json.dumps(identity, indent=1).encode())
        except OSError as error:
            raise DeepfieldError(
                f"cannot write {str(self.folder)!r}: {error.strerror}",
                "check the path and the disk",
            ) from None

    # -- training

    def _train(self, parts: Parts, fitted: Fitted, first: dict[str, Any]) -> dict[str, Any]:
        from deepfield.toolkit import training

        train, valid = parts.of("train"), parts.of("valid")
        finished: dict[str, Any] = {}
        for index, name in enumerate(first):
            whole = first[name] if index == 0 else self._built(index)[name]
            finished[name] = whole
            if not whole.trainable_variables:  # what no gradient moves waits for who finishes it
                if converts():
                    self.pipeline.settle(whole, train)
                continue
            model = self.pipeline.learner(whole)
            fixed = {layer.name for layer in model.layers if not layer.trainable}
            stages = self._stages(name, model)  # takes over weights, which may be what settles
            self.pipeline.settle(whole, train)
            for stage, (recipe, frozen, easier) in enumerate(stages):
                self._freeze(model, frozen | fixed)
                if self.recipe.start_epochs:
                    self.pipeline.ease(model, easier)
                run = training.Run(
                    folder=self.folder / f"{name}-{stage}" if self.folder else None,
                    seed=self.seed + index, resume=self.resume, every_minutes=self.minutes,
                    monitor=self.pipeline.task.monitor, progress=self.progress,
                )  # fmt: skip
                weights = None
                if recipe.class_weight == "balanced":
                    labels = stacked_targets(train, self.pipeline.task.output)
                    weights = training.class_weights(labels)
                few = training.compiled(recipe)
                feed = feed_of(
                    self.pipeline, name, model, train, recipe.batch_size, self.seed + index,
                    weights, self.pipeline.variation(train), few,
                )  # fmt: skip
                size = max(recipe.batch_size, 128)
                check = (
                    feed_of(self.pipeline, name, model, valid, size, few_shapes=few)
                    if valid
                    else None
                )
                losses = training.resolve_losses(self.pipeline.task, recipe, model)
                figures = training.watched(self.pipeline.task, model)
                rows = training.fit(model, feed, check, recipe, losses, run, figures)
                fitted.history += [{"network": name, "stage": stage, **row} for row in rows]
                if len(rows) < recipe.epochs:
                    self.say(f"no better for {recipe.patience} epochs: {len(rows)} were enough")
            self.pipeline.finish(whole, train)
        return finished

    def _in_single_precision(self, finished: Mapping[str, Any]) -> dict[str, Any]:
        """The networks built anew in single precision, whatever they were trained in."""
        self.pipeline._models = {}
        models = build_models(self.pipeline)
        for name, model in models.items():
            set_weights({v.path: np.asarray(v) for v in finished[name].weights}, model)
        return models

    def _built(self, index: int) -> dict[str, Any]:
        from deepfield.toolkit import training

        training.seed_everything(self.seed + index)
        with training.devices(self.device), training.precision(self.recipe.precision):
            try:
                return build_models(self.pipeline)
            except (ValueError, TypeError, ArithmeticError) as error:
                own = {k: v for k, v in self.pipeline.hyper.items() if v != self.inherited.get(k)}
                if not own:
                    raise
                given = ", ".join(f"{k}={v}" for k, v in own.items())
                what = f"{self.pipeline.architecture} cannot be built with {given}"
                raise UsageError(
                    f"{what}: {first_line(error)}",
                    "leave out --set for what is usual",
                ) from error

    def _stages(self, name: str, model: Any) -> list[tuple[Recipe, set[str], bool]]:
        """Recipe, frozen layers and whether it is the easier start, of each stage. One stage from
        scratch, with an easier start two; for fine-tuning first the head alone, then everything.
        """
        whole = [(self.recipe, set[str](), False)]
        if self.weights is None:
            easier = [(self.recipe.start(), set[str](), True)] if self.recipe.start_epochs else []
            return easier + whole
        source = self.weights.get(name) or next(iter(self.weights.values()))
        fresh, grown = set(), False
        for variable in model.weights:
            stored = source.get(variable.path)
            if stored is not None and stored.shape == tuple(variable.shape):
                variable.assign(stored)
                continue
            fresh.add(variable.path)
            if stored is not None and _longer_table(variable, stored):
                rows = np.array(variable)
                rows[: len(stored)] = stored
                variable.assign(rows)
                grown = True
        old = {layer.name for layer in model.layers if layer.weights} - {
            layer.name for layer in model.layers for v in layer.weights if v.path in fresh
        }
        if not fresh:
            return whole
        if not old and not grown:
            raise UnusableModel(
                f"{self.base_name!r} shares no weights with the new network", "train from scratch"
            )
        head = self.pipeline.head_recipe(self.recipe)
        return [(head, old, False), (self.recipe, self.pipeline.frozen_layers(model), False)]

    @staticmethod
    def _freeze(model: Any, names: set[str]) -> None:
        for layer in model.layers:
            layer.trainable = layer.name not in names


def _longer_table(variable: Any, stored: np.ndarray) -> bool:
    """Whether a table of embeddings has got rows for new words behind those it had."""
    shape = tuple(variable.shape)
    return (
        variable.path.endswith("/embeddings")
        and shape[1:] == stored.shape[1:]
        and shape[0] > len(stored)
    )


def feed_of(
    pipeline: Pipeline, name: str, model: Any, items: Sequence[Encoded], batch_size: int,
    seed: int | None = None, weights: np.ndarray | None = None, vary: Any = None,
    few_shapes: bool = False,
) -> Any:  # fmt: skip
    """Items in batches for one network of a pipeline: the inputs and the targets that it has."""
    from deepfield.toolkit.batches import Batches
    from deepfield.toolkit.machines import share

    inputs, targets = [tensor.name for tensor in model.inputs], model.output_names
    lessons = [pipeline.lesson(name, item) for item in items]
    return Batches(
        [{k: own[k] for k in inputs} for own, _ in lessons],
        [{k: asked[k] for k in targets if k in asked} for _, asked in lessons],
        batch_size, seed, {**pipeline.task.padding, **pipeline.padding}, weights, share(model),
        len(targets) > 1, vary, few_shapes,
    )  # fmt: skip
