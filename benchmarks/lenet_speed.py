"""LeNet-5: an epoch through `toolkit.training.fit` against one of a plain `keras.Sequential`.

Both train on the same pictures from memory, in one process, in turns; the first epoch of a turn
(tracing) is thrown away. Ours keeps its checkpoint, log and progress; the plain one does nothing,
and runs with Keras' own choice of compiler and without XLA: the faster one is what ours is held to.
LeNet-5 itself in Keras' own `fit` is timed as well: what lies between it and the plain network is
the price of the layers of 1998 (squashing after sub-sampling, coefficients, distances), the rest
is ours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measuring import report, row

from deepfield.toolkit.console import silence_tensorflow

silence_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from deepfield.domains.image.models import lenet5  # noqa: E402
from deepfield.domains.image.pipeline import ImagePipeline  # noqa: E402
from deepfield.toolkit import training  # noqa: E402
from deepfield.toolkit.batches import Batches  # noqa: E402


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, from its first batch to after all other callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def plain(rate: float, jit: bool | str) -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(120, 5, activation="tanh"),
            layers.Flatten(),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return compiled(model, rate, jit, from_logits=False)


def compiled(model: keras.Model, rate: float, jit: bool | str, from_logits: bool) -> keras.Model:
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"], jit_compile=jit,
    )  # fmt: skip
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/image/mnist", help="an idx folder")
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="of a turn; the first is not counted")
    given = parser.parse_args()

    pipeline = ImagePipeline("lenet5")
    samples = [s for _, s in zip(range(given.pictures), pipeline.read(given.data), strict=False)]
    if len(samples) < given.pictures:
        print(f"only {len(samples)} pictures there", file=sys.stderr)
    pixels = np.stack([np.asarray(s.data) for s in samples])[..., None]
    labels = np.array([int(s.target) for s in samples])
    pipeline.task.learn([s.target for s in samples])
    inputs = [{"pixels": p} for p in pixels]
    targets = [pipeline.task.encode(s.target) for s in samples]
    recipe = pipeline.recipes["lenet5"].with_settings({"epochs": given.epochs})

    ours: list[float] = []
    theirs: dict[str, list[float]] = {"auto": [], "off": [], "lenet5": []}
    for _ in range(given.turns):
        keras.utils.set_random_seed(0)
        clock = Clock()
        model = lenet5((28, 28, 1), 10)
        batches = Batches(inputs, targets, recipe.batch_size, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            training.fit(
                model, batches, None, recipe,
                training.resolve_losses(pipeline.task, recipe, model),
                training.Run(Path(folder), progress=lambda *_: None),
                metrics=training.watched(pipeline.task, model), callbacks=[clock],
            )  # fmt: skip
        ours += clock.seconds[1:]
        for kind, seconds in theirs.items():
            clock = Clock()
            if kind == "lenet5":
                own = lenet5((28, 28, 1), 10)
                reference = compiled(own, recipe.learning_rate, False, from_logits=True)
            else:
                reference = plain(recipe.learning_rate, "auto" if kind == "auto" else False)
            reference.fit(
                pixels, labels, epochs=given.epochs, batch_size=recipe.batch_size, verbose=0,
                callbacks=[clock],
            )  # fmt: skip
            seconds += clock.seconds[1:]
    best = min(median(theirs["auto"]), median(theirs["off"]))
    rows = [
        row("LeNet-5, an epoch of ours over the faster of plain Keras", median(ours) / best,
            "x", "<= 1.1"),
        row("LeNet-5, an epoch of ours over the same network in Keras' own fit",
            median(ours) / median(theirs["lenet5"]), "x"),
        row("LeNet-5, an epoch of ours", median(ours), "s"),
        row("LeNet-5, an epoch of plain Keras as it comes", median(theirs["auto"]), "s"),
        row("LeNet-5, an epoch of plain Keras, jit_compile=False", median(theirs["off"]), "s"),
    ]  # fmt: skip
    return report("lenet_speed", rows, pictures=len(samples), ours=ours, theirs=theirs)


if __name__ == "__main__":
    sys.exit(main())
