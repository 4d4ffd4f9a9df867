"""Fitting a network: Keras' own `fit`, repeatable to the bit and resumable after a crash.

The order of the data is a function of (seed, epoch), every random state is a variable of the
model, and a checkpoint holds all variables; so a run that is killed and resumed ends in the very
weights of one that was not.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepfield.toolkit.batches import Batches, Feed
from deepfield.toolkit.bundle import pack, replace_file
from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.memory import keep_memory
from deepfield.toolkit.normalisation import recalibrate
from deepfield.toolkit.recipe import Recipe

CHECKPOINT = "checkpoint.safetensors"
LOG = "training.csv"


# ------------------------------------------------------------------------------ the optimiser


@keras.saving.register_keras_serializable("deepfield")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is a function of the step alone, so that a resume needs no memory.

    For step s of N, with w = warmup · N: rate · s/w while s < w; then the rate itself
    (`constant`), or rate · ½(1 + cos(π (s - w)/(N - w))) (`cosine`, `onecycle`; Loshchilov &
    Hutter 2017, eq. 5, without restarts), or rate · min(1, 5 (N - s)/N) (`trapezoid`: flat, with a
    linear end; Hägele et al., "Scaling laws and compute-optimal training beyond fixed training
    durations", 2024).
    """

    def __init__(self, rate: float, steps: int, kind: str = "cosine", warmup: float = 0.0) -> None:
        self.rate, self.steps, self.kind, self.warmup = rate, max(1, steps), kind, warmup

    def __call__(self, step: Any) -> Any:
        """The rate at a step."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        rising = max(1.0, self.warmup * self.steps)
        rate = ops.ones_like(step)
        if self.kind == "trapezoid":
            rate = ops.clip(5 * (self.steps - step) / self.steps, 0.0, 1.0)
        elif self.kind != "constant":
            share = (step - self.warmup * self.steps) / max(1.0, (1 - self.warmup) * self.steps)
            rate = 0.5 * (1 + ops.cos(math.pi * ops.clip(share, 0.0, 1.0)))
        if self.warmup > 0:
            rate = ops.where(step < rising, (step + 1) / (rising + 1), rate)
        return self.rate * rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "rate": self.rate, "steps": self.steps, "kind": self.kind, "warmup": self.warmup
        }  # fmt: skip


def make_optimizer(recipe: Recipe, steps: int, model: Any) -> Any:
    """The optimiser of a recipe, for a run of `steps` steps."""
    warmup = recipe.warmup or (0.25 if recipe.schedule == "onecycle" else 0.0)
    rate = Schedule(recipe.learning_rate, steps, recipe.schedule, warmup)
    shared: dict[str, Any] = {"learning_rate": rate}
    if recipe.weight_decay:
        shared["weight_decay"] = recipe.weight_decay
    if recipe.clip_norm:
        shared["global_clipnorm"] = recipe.clip_norm
    if recipe.ema:
        shared |= {"use_ema": True, "ema_momentum": recipe.ema}
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=0.9, nesterov=True, **shared)
    elif recipe.optimizer == "adam" or not recipe.weight_decay:  # AdamW's own default is no 0
        optimizer = keras.optimizers.Adam(**shared)
    else:
        optimizer = keras.optimizers.AdamW(**shared)
    if recipe.weight_decay:
        vectors = [v for v in model.trainable_variables if len(v.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=vectors)
    return optimizer


# --------------------------------------------------------------------------------- one run


@dataclass(slots=True)
class Run:
    """Where and how a network is being trained.

    Args:
        folder: holds the checkpoint and the log; None keeps nothing on disk.
        seed: of the data's order; the model's own seeds are set where it is built.
        resume: go on from the checkpoint in `folder`, if there is one.
        every_minutes: how often a checkpoint is written inside an epoch.
        monitor: which figure decides on the best epoch, `val_loss` by default.
        progress: called with (epoch, epochs, batch, batches, logs) after every batch.
    """

    folder: Path | None = None
    seed: int = 0
    resume: bool = False
    every_minutes: float = 5.0
    monitor: str = "val_loss"
    progress: Callable[[int, int, int, int, Mapping[str, float]], None] | None = None


def fit(
    model: Any,
    train: Batches,
    valid: Batches | None,
    recipe: Recipe,
    losses: Any,
    run: Run,
    metrics: Any = None,
    loss_weights: Any = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Train a model in place; it ends with the weights of the best (or last) epoch.

    Args:
        model: a Keras model, built under the recipe's precision.
        train: the training part.
        valid: the validation part; without one the last epoch is kept.
        recipe: how.
        losses: what `compile` takes as loss.
        run: where, and whether to resume.
        metrics: what `compile` takes as metrics.
        loss_weights: what `compile` takes.
        callbacks: more Keras callbacks (they are not part of a checkpoint).

    Returns:
        One row of figures an epoch, as in the CSV log.

    Raises:
        DeepfieldError: the loss is not a number, or the checkpoint is of another network.
    """
    keep_memory()
    with _where_built(model):
        optimizer = make_optimizer(recipe, recipe.epochs * len(train), model)
        model.compile(
            optimizer=optimizer,
            loss=losses,
            metrics=metrics,
            loss_weights=loss_weights,
            jit_compile=compiled(recipe),
            auto_scale_loss=recipe.precision == "mixed_float16",
        )
        model.optimizer.build(model.trainable_variables)
    keeper = _Keeper(train, recipe, run, valid is not None)
    extra: list[Any] = [keras.callbacks.SwapEMAWeights()] if recipe.ema and valid else []
    if run.folder is not None and os.environ.get("DEEPFIELD_TENSORBOARD"):
        with contextlib.suppress(ImportError):
            extra.append(keras.callbacks.TensorBoard(log_dir=str(run.folder / "tensorboard")))
    start = keeper.restore(model)
    if start < recipe.epochs and not keeper.finished:
        with warnings.catch_warnings():
            # Keras warns that the first epoch after a resume has fewer batches: it is meant to.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            model.fit(
                Feed(train),
                validation_data=None if valid is None else Feed(valid),
                epochs=recipe.epochs,
                initial_epoch=start,
                callbacks=[*extra, *callbacks, keeper],  # the keeper may end an epoch
                shuffle=False,
                verbose=0,
            )
    keeper.finish(model)
    # Of several machines none can compute by itself: there who finishes the bundle does it.
    if recipe.recalibrate_bn and train.share.machines == 1:
        recalibrate(model, train)
    return keeper.history


def compiled(recipe: Recipe) -> bool:
    """Whether the step is compiled: always on JAX, which else goes operation by operation; never on
    PyTorch, whose compiler loses an axis where a layer has a gradient of its own.
    """
    return {"jax": True, "torch": False}.get(keras.backend.backend(), recipe.jit)


def _where_built(model: Any) -> Any:
    """The devices of the model, for the optimiser's variables: each device has its own, or every
    device would update the same ones.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    return model.distribute_strategy.scope()


class _Keeper(keras.callbacks.Callback):
    """Checkpoints, the best weights, early stopping, the log and the progress of one run."""

    def __init__(self, train: Batches, recipe: Recipe, run: Run, validated: bool) -> None:
        super().__init__()
        self.train, self.recipe, self.run = train, recipe, run
        self.validated = validated
        self.history: list[dict[str, float]] = []
        self.best: dict[str, np.ndarray] = {}
        self.best_value, self.best_epoch, self.finished = math.inf, -1, False
        self.epoch, self.batch, self.written = 0, 0, time.monotonic()
        self.began = time.monotonic()
        self.metric_state: list[np.ndarray] | None = None
        self.resumed = False

    # -- Keras' events

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.batch = epoch, self.train.skip
        self.began = time.monotonic()
        if self.metric_state is not None:  # after a resume in the middle of an epoch
            states = self.model.metrics_variables, self.metric_state
            for variable, value in zip(*states, strict=True):
                variable.assign(value)
            self.metric_state = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batch += 1
        if self.run.progress is not None:
            total = len(self.train)
            self.run.progress(self.epoch, self.recipe.epochs, self.batch, total, logs or {})
        due = time.monotonic() - self.written > 60 * self.run.every_minutes
        if self.run.folder is not None and due and self.batch < len(self.train):
            self.save(self.epoch, self.batch)
        if self.resumed and self.batch == len(self.train):
            # Keras takes a resumed epoch to be as long as any, and would learn from a step without
            # a batch that it is over. That step fails, but what does not wait for the batch (weight
            # decay, random generators, the count of steps) may be done by then.
            self.resumed = False
            raise StopIteration

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row: dict[str, float] = {"epoch": epoch + 1} | {
            k: float(v) for k, v in (logs or {}).items()
        }
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(time.monotonic() - self.began, 3)
        self.history.append(row)
        if not math.isfinite(row.get("loss", 0.0)):
            raise DeepfieldError(
                f"the loss is {row['loss']} in epoch {epoch + 1}",
                f"lower the learning rate, now {self.recipe.learning_rate:g}",
            )
        figure = row.get(self.run.monitor, row.get("val_loss", math.inf))
        figure = -figure if _higher_is_better(self.run.monitor) else figure
        if self.recipe.keep == "last" or not self.validated or figure < self.best_value:
            self.best_value, self.best_epoch = figure, epoch
            self.best = self._weights()
        elif self.recipe.patience and epoch - self.best_epoch >= self.recipe.patience:
            self.model.stop_training = self.finished = True
        if self.run.folder is not None:
            self.save(epoch + 1, 0)
            self._write_log(self.run.folder / LOG)

    # -- weights

    def _weights(self) -> dict[str, np.ndarray]:
        kept = {v.path: keras.ops.convert_to_numpy(v) for v in self.model.weights}
        if self.recipe.ema:
            averages = self.model.optimizer._model_variables_moving_average
            for variable, average in zip(self.model.trainable_variables, averages, strict=True):
                kept[variable.path] = keras.ops.convert_to_numpy(average)
        return kept

    def finish(self, model: Any) -> None:
        for variable in model.weights:
            if variable.path in self.best:
                variable.assign(self.best[variable.path])

    # -- checkpoints

    def save(self, epoch: int, batch: int) -> None:
        """Write all that the next batch depends on, in one file, in one step."""
        if hasattr(self.model, "jax_state_sync"):  # on JAX variables are old within an epoch
            self.model.jax_state_sync()
        state = _state(self.model)
        state |= {f"best/{path}": value for path, value in self.best.items()}
        facts = {
            "epoch": epoch, "batch": batch, "history": self.history, "finished": self.finished,
            "best_value": self.best_value, "best_epoch": self.best_epoch,
            "recipe": asdict(self.recipe), "seed": self.run.seed,
        }  # fmt: skip
        state["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        assert self.run.folder is not None
        self.run.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.run.folder / CHECKPOINT, pack(state))
        self.written = time.monotonic()

    def restore(self, model: Any) -> int:
        """Take up the checkpoint, if asked to and there is one; the epoch to go on with."""
        if not self.run.resume or self.run.folder is None:
            return 0
        path = self.run.folder / CHECKPOINT
        if not path.is_file():
            return 0
        from safetensors.numpy import load_file

        state = load_file(path)
        facts = json.loads(bytes(state.pop("facts")))
        if facts["recipe"] != asdict(self.recipe) or facts["seed"] != self.run.seed:
            raise UsageError(
                f"{str(path)!r} was written with other settings", "resume with the same command"
            )
        self.history, self.finished = facts["history"], facts["finished"]
        self.best_value, self.best_epoch = facts["best_value"], facts["best_epoch"]
        self.best = {k[5:]: v for k, v in state.items() if k.startswith("best/")}
        if facts["batch"]:  # Keras makes the metrics' variables at the first batch
            model._symbolic_build(data_batch=self.train[0])
        metrics = _assign_state(model, state, path)
        self.train.epoch, self.train.skip = facts["epoch"], facts["batch"]
        if facts["batch"]:
            self.metric_state, self.resumed = metrics, True
        return int(facts["epoch"])

    def _write_log(self, path: Path) -> None:
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        with path.open("w", newline="") as stream:
            table = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(self.history)


def _higher_is_better(name: str) -> bool:
    return any(word in name for word in ("accuracy", "auc", "r2", "pearson", "mcc"))


def _own_variables(model: Any) -> list[Any]:
    # Weights and the states of random generators; Keras counts metrics among the variables too.
    metrics = {id(v) for v in model.metrics_variables}
    return [v for v in model.variables if id(v) not in metrics]


def _state(model: Any) -> dict[str, np.ndarray]:
    groups = {
        "model": _own_variables(model),
        "metrics": model.metrics_variables,
        "optimizer": model.optimizer.variables,
    }
    return {
        f"{group}/{index}": keras.ops.convert_to_numpy(variable)
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def _assign_state(model: Any, state: dict[str, np.ndarray], path: Path) -> list[np.ndarray]:
    groups = {
        "model": _own_variables(model),
        "optimizer": model.optimizer.variables,
    }
    for group, variables in groups.items():
        stored = [k for k in state if k.startswith(group + "/")]
        if len(stored) != len(variables):
            raise DeepfieldError(
                f"{str(path)!r} holds {len(stored)} {group} variables, this network has "
                f"{len(variables)}",
                "start anew without --resume",
            )
        for index, variable in enumerate(variables):
            variable.assign(state[f"{group}/{index}"])
    count = sum(k.startswith("metrics/") for k in state)
    return [state[f"metrics/{i}"] for i in range(count)]


# ---------------------------------------------------------------------------- losses, metrics


def resolve_losses(task: Any, recipe: Recipe, model: Any) -> dict[str, Any]:
    """The Keras losses of a task, by output name, of those outputs that the network has.

    Names are looked up in `toolkit.losses` first, then in Keras.
    """
    from deepfield.toolkit import losses

    return {
        output: losses.get(name, label_smoothing=recipe.label_smoothing, **task.loss_settings)
        for output, name in task.losses.items()
        if output in model.output_names
    }


def watched(task: Any, model: Any) -> dict[str, Any] | None:
    """Figures that Keras keeps during training, by output name."""
    # Keras keeps figures of all outputs or of none: not where one has nothing to learn from.
    learning = set(model.output_names) <= set(task.losses)
    # and only where a target is one class, not a text
    of_classes = "accuracy" in task.metrics and task.losses.get(task.output) != "ctc"
    if of_classes and task.output in model.output_names and learning:
        return {task.output: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]}
    return None


# --------------------------------------------------------------------- seeds, devices, precision


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and the back end; on a GPU also ask for deterministic kernels."""
    keras.utils.set_random_seed(seed % (1 << 32))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def names_counted_anew() -> Iterator[None]:
    """Name unnamed layers as in a process that has built none before."""
    # Not `keras.utils.clear_session`: that also forgets the dtype policy, the random seed and the
    # distribution.
    from keras.src.backend.common import global_state

    name = "object_name_uids"
    counters = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute(name, counters)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Build layers under a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def devices(names: str | None) -> Any:
    """A scope in which models are built and compiled for one or several devices.

    Args:
        names: `"cpu"`, `"gpu"`, `"auto"` or a comma-separated list (`"gpu:0,gpu:1"`), over which
            batches are divided by `tf.distribute.MirroredStrategy`.

    Raises:
        DeepfieldError: a device that is not there.
    """
    if not names or names == "auto" or keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    wanted = [name.strip().upper() for name in names.split(",")]
    halves = sum(name.startswith("CPU:") for name in wanted)
    if halves > 1:  # `cpu:0,cpu:1`: one processor as several, as long as TensorFlow is not at work
        with contextlib.suppress(RuntimeError):
            processor = tf.config.list_physical_devices("CPU")[0]
            tf.config.set_logical_device_configuration(
                processor, [tf.config.LogicalDeviceConfiguration()] * halves
            )
    there = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices()]
    for name in wanted:
        if not any(d == name or d.split(":")[0] == name for d in there):
            raise DeepfieldError(
                f"no device {name.lower()!r}", f"there are {', '.join(there).lower()}"
            )
    if len(wanted) > 1:
        return tf.distribute.MirroredStrategy(wanted).scope()
    return tf.device(wanted[0] if ":" in wanted[0] else f"{wanted[0]}:0")


def class_weights(labels: np.ndarray) -> np.ndarray:
    """A weight for each item, inverse to its class's frequency, mean 1.

    Example:
        >>> class_weights(np.array([0, 1, 2, 2, 2, 2])).tolist()
        [2.0, 2.0, 0.5, 0.5, 0.5, 0.5]
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(counts) * counts))[inverse].astype(np.float32)
