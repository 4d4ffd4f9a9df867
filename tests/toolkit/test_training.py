"""Training: schedules, recipes, repeatability, averages, stopping, precision and devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import toys

from deepfield.toolkit import training
from deepfield.toolkit.batches import Batches
from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.recipe import Recipe

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = (X[:, 0] + 0.3 * RNG.normal(size=96) > 0).astype("int32")


def batches(seed=0, size=16, x=X, y=Y):
    return Batches([{"x": v} for v in x], [{"logits": v} for v in y], size, seed)


def network(units=8):
    keras.utils.set_random_seed(1)
    x = keras.Input((6,), name="x")
    h = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(x, keras.layers.Dense(2, name="logits")(h))


def fit(recipe, model=None, valid=True, callbacks=(), **run):
    model = model or network()
    check = batches(None, 96, X[::2], Y[::2]) if valid else None
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    run = training.Run(**run)
    rows = training.fit(model, batches(), check, recipe, loss, run, callbacks=callbacks)
    return model, rows


# -- the learning rate


def reference(step, rate, steps, kind, warmup):
    if warmup and step < max(1.0, warmup * steps):
        return rate * (step + 1) / (max(1.0, warmup * steps) + 1)
    if kind == "constant":
        return rate
    if kind == "trapezoid":
        return rate * np.clip((steps - step) / (0.2 * steps), 0, 1)
    share = (step - warmup * steps) / max(1.0, (1 - warmup) * steps)
    return rate * 0.5 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))


@pytest.mark.parametrize("kind", ["constant", "cosine", "onecycle", "trapezoid"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25])
def test_the_schedule_is_its_formula(kind, warmup):
    schedule = training.Schedule(0.3, 40, kind, warmup)
    ours = [float(schedule(step)) for step in range(45)]
    theirs = [reference(step, 0.3, 40, kind, warmup) for step in range(45)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    twin = training.Schedule.from_config(json.loads(json.dumps(schedule.get_config())))
    assert float(twin(7)) == ours[7]


def test_the_rate_ends_near_zero_and_the_log_says_so():
    _, rows = fit(Recipe(epochs=3, schedule="cosine", learning_rate=0.1))
    rates = [row["learning_rate"] for row in rows]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 1e-6


# -- settings


def test_an_unknown_setting_is_named():
    with pytest.raises(UsageError, match="dropuot"):
        toys.Pictures().fit("toy", settings={"dropuot": 0.5})


# -- repeatability


def test_two_runs_with_augmentation_and_dropout_are_equal_bit_for_bit():
    ends = []
    for _ in range(2):
        pipeline = toys.Pictures()
        fitted = pipeline.fit("toy", settings={"epochs": 2, "ema": 0.9}, seed=11)
        rows = [{k: v for k, v in r.items() if k != "seconds"} for r in fitted.history]
        ends.append((rows, [np.array(v) for v in pipeline.model.variables]))
    assert ends[0][0] == ends[1][0]
    for one, two in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("backend", "asked", "compiled"),
    [("tensorflow", True, True), ("tensorflow", False, False), ("jax", False, True),
     ("torch", True, False)],
)  # fmt: skip
def test_what_is_compiled_depends_on_the_backend(backend, asked, compiled, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert training.compiled(Recipe(jit=asked)) is compiled


class Steps(keras.callbacks.Callback):
    """Counts the steps that Keras begins, and may be interrupted after some."""

    def __init__(self, stop_after=0):
        super().__init__()
        self.stop_after, self.begun, self.ended = stop_after, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(0)

    def on_train_batch_begin(self, batch, logs=None):
        if self.stop_after and self.ended == self.stop_after:
            raise KeyboardInterrupt
        self.begun[-1] += 1

    def on_train_batch_end(self, batch, logs=None):
        self.ended += 1


def test_a_resumed_epoch_begins_no_step_that_has_no_batch(tmp_path):
    # Weights would decay in it, or not: a matter of which thread is first.
    recipe = Recipe(epochs=3, optimizer="adamw", weight_decay=0.3, learning_rate=0.1, keep="last")
    run = {"folder": tmp_path, "every_minutes": 0.0}
    whole, rows = fit(recipe)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, callbacks=[Steps(stop_after=8)], **run)  # of 6 an epoch
    steps = Steps()
    resumed, again = fit(recipe, callbacks=[steps], resume=True, **run)
    assert steps.begun == [4, 6] and steps.ended == 10
    assert int(resumed.optimizer.iterations) == 18
    for ours, theirs in zip(resumed.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [{k: v for k, v in r.items() if k != "seconds"} for r in again] == [
        {k: v for k, v in r.items() if k != "seconds"} for r in rows
    ]


def test_another_seed_gives_another_network():
    kernels = []
    for seed in (1, 2):
        pipeline = toys.Pictures()
        pipeline.fit("toy", settings={"epochs": 1}, seed=seed, split="random:80/20/0")
        kernels.append(np.array(pipeline.model.get_layer("convolve").kernel))
    assert not np.array_equal(*kernels)


# -- averages, stopping, weights


def test_the_average_of_the_weights_is_what_is_kept():
    decay, steps = 0.8, []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append([np.array(v) for v in self.model.trainable_variables])

    model = network()
    average = [np.array(v) for v in model.trainable_variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    recipe = Recipe(epochs=3, ema=decay, keep="last", learning_rate=0.05)
    training.fit(model, batches(), batches(None), recipe, loss, training.Run(), callbacks=[Watch()])
    # Keras 3.15 starts the average at the first step's weights (zeros, then fully replaced).
    for number, weights in enumerate(steps):
        keep = decay if number else 0.0
        average = [keep * a + (1 - keep) * w for a, w in zip(average, weights, strict=True)]
    for ours, theirs in zip(model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_training_stops_when_nothing_gets_better_and_keeps_the_best_epoch():
    # A rate so high that it only gets worse after a while.
    recipe = Recipe(epochs=60, patience=3, learning_rate=0.3, schedule="constant")
    model, rows = fit(recipe)
    losses = [row["val_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == best + 1 + 3 < 60
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    again = model.evaluate(X[::2], Y[::2], batch_size=96, verbose=0)
    np.testing.assert_allclose(again, losses[best], rtol=1e-5)


def test_the_last_epoch_is_kept_when_asked_for():
    recipe = Recipe(epochs=30, learning_rate=0.3, schedule="constant", keep="last")
    model, rows = fit(recipe)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    again = model.evaluate(X[::2], Y[::2], batch_size=96, verbose=0)
    np.testing.assert_allclose(again, rows[-1]["val_loss"], rtol=1e-5)


def test_a_loss_that_is_no_number_ends_the_run_with_a_hint():
    with pytest.raises(DeepfieldError, match="the loss is") as raised:
        fit(Recipe(epochs=3, optimizer="sgd", learning_rate=1e30))
    assert "learning rate" in raised.value.hint


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(("decay", "left"), [(0.0, 1.0), (0.5, 0.95)])
def test_weights_decay_by_what_the_recipe_says(kind, decay, left):
    model = network()
    kernel = model.trainable_variables[0]
    before = np.array(kernel)
    recipe = Recipe(optimizer=kind, weight_decay=decay, learning_rate=0.1, schedule="constant")
    optimizer = training.make_optimizer(recipe, 10, model)
    optimizer.apply([keras.ops.zeros_like(v) for v in model.trainable_variables],
                    model.trainable_variables)  # fmt: skip
    np.testing.assert_allclose(np.array(kernel), left * before, rtol=1e-5)


def test_weight_decay_spares_vectors():
    model = network()
    optimizer = training.make_optimizer(Recipe(optimizer="adamw", weight_decay=0.5), 10, model)
    optimizer.build(model.trainable_variables)
    decayed = [v.name for v in model.trainable_variables if optimizer._use_weight_decay(v)]
    assert decayed == ["kernel", "kernel"]


def test_balanced_classes_are_found_where_a_rare_one_would_drown():
    keep = np.flatnonzero(Y == 0).tolist() + np.flatnonzero(Y == 1)[:4].tolist()
    labels = [{0: "common", 1: "rare"}[int(Y[i])] for i in keep]
    weights = training.class_weights(np.array(labels))
    assert weights[-1] > 5 * weights[0]


# -- precision


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_and_exports(precision, tmp_path):
    pipeline = toys.Pictures()
    settings = {"precision": precision, "epochs": 6, "augment": 0.0, "dropout": 0.0}
    fitted = pipeline.fit("toy", out=tmp_path / "m", settings=settings, seed=1)
    assert fitted.metrics["valid"]["accuracy"] >= 0.8
    loaded = toys.Pictures.load(tmp_path / "m")
    assert loaded.check()["ok"]
    assert all(v.dtype == "float32" for v in loaded.model.weights)
    assert keras.config.dtype_policy().name == "float32"


# -- devices


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(DeepfieldError, match="no device 'gpu:7'"):
        training.devices("gpu:7")


TWO = """
import json, sys
import numpy as np, toys
from deepfield.toolkit import training

toy, device = sys.argv[1:]
fit, replicas, slots = training.fit, [], []

def watched(model, *arguments, **named):
    rows = fit(model, *arguments, **named)
    replicas.append(model.distribute_strategy.num_replicas_in_sync)
    slots.append([[np.array(v).tolist() for v in getattr(variable.value, "values", [variable])]
                  for variable in (model.weights[0], model.optimizer.variables[2])])
    return rows

training.fit = watched
pipeline = getattr(toys, toy)()
plain = {"augment": 0.0, "dropout": 0.0}
settings = {"epochs": 8, "batch_size": 1000} | (plain if toy == "Pictures" else {})
fitted = pipeline.fit("toy", device=device or None, seed=2, split="random:80/20/0",
    settings=settings)
weights = np.concatenate([np.ravel(v) for v in pipeline.model.weights])
losses = [row["loss"] for row in fitted.history]
print(json.dumps([losses, weights.tolist(), replicas, slots]))
"""


def child(*arguments, code=TWO, **environment):
    paths = os.pathsep.join([str(ROOT / ".dev"), str(ROOT / "tests/toys")])
    whole = os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=whole, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    # One batch an epoch, so that the order of the items does not matter. Batch normalisation sees
    # half of it on a device: close, not equal.
    ("toy", "apart", "alike"),
    [("Windows", 0.02, 0.999), ("Pictures", 0.15, 0.95)],
)
def test_two_devices_agree_with_one(toy, apart, alike):
    one, ours, replicas, _ = child(toy, "")
    assert replicas == [1]
    two, theirs, replicas, slots = child(toy, "cpu:0,cpu:1")
    assert replicas == [2]
    for copies in slots[0]:  # a weight and a momentum: each device has one, and they are the same
        assert len(copies) == 2
        assert copies[0] == copies[1]
    np.testing.assert_allclose(one, two, rtol=apart)
    assert np.corrcoef(ours, theirs)[0, 1] > alike
