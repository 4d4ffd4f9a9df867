"""Toy pipelines: each uses a part of the contract that some domain will need.

A source is `toy` or `toy:COUNT`. Every toy is learnt by a few hundred parameters in a second.
"""

from typing import ClassVar

import numpy as np

from deepfield.toolkit.data import Reader, Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.quantities import Quantities
from deepfield.toolkit.recipe import Recipe
from deepfield.toolkit.tasks import Classification

BAD = Sample("broken", None, row={"id": "broken"})


def reader(make, count):
    """A reader of `toy` and `toy:COUNT`; `make(rng, index)` gives data and target."""

    def read(source):
        number = int(source.partition(":")[2] or count)
        rng = np.random.default_rng(1)
        for index in range(number):
            data, target = make(rng, index)
            yield Sample(f"toy{index}", data, target, row={"id": f"toy{index}"})

    return (Reader("toy", "made up", lambda s: s.partition(":")[0] == "toy", read),)


class Toy(Pipeline):
    domain = "toy"
    architectures = "toy_models"
    baseline = "logistic"
    recipes: ClassVar = {"": Recipe(epochs=8, batch_size=16, learning_rate=0.02)}
    finetune_recipe = Recipe(epochs=1, batch_size=32, learning_rate=1e-3)
    #: What `check_pipeline` asks of it.
    learnt: ClassVar = ("accuracy", 0.9)


def number_of(item):
    """An array of the item, or its rejection."""
    if item is None:
        raise BadInput("nothing there")
    return np.asarray(item)


class Windows(Toy):
    """One sample, many rows: windows of a series, cut as they are asked for."""

    LENGTH = 8
    default_architecture = "trend"
    task_class = Classification

    @staticmethod
    def make(rng, index):
        turns = rng.integers(0, 2, 2 + index % 4)
        slopes = np.repeat(np.where(turns, 1.0, -1.0), Windows.LENGTH)
        series = np.cumsum(slopes + rng.normal(0, 0.3, len(slopes)))
        return series.astype("float32"), ["down" if not t else "up" for t in turns]

    readers = reader(make.__func__, 60)

    def expand(self, sample):
        series = sample.data
        if series is None:
            raise BadInput("nothing there")
        # The series may be an endless generator: nothing is looked at before it is needed.
        window, start = [], 0
        for value in series:
            window.append(value)
            if len(window) == self.LENGTH:
                yield start, window
                start, window = start + self.LENGTH, []

    def encode(self, item):
        start, window = item
        values = np.array(window, "float32")
        if not np.isfinite(values).all():
            raise BadInput(f"not a number at {start}")
        return {"window": values - values.mean()}, start

    def targets(self, sample):
        return sample.target

    def decode(self, outputs, context):
        return {"start": context, **super().decode(outputs, context)}

    @property
    def fields(self):
        return ("start", *super().fields)

    def build_arguments(self):
        return {"length": self.LENGTH, "classes": len(self.task.labels)}

    @classmethod
    def example_arguments(cls, architecture):
        return {"length": 8, "classes": 2}


NAMES = ["ann", "bob", "cat", "dan", "eve", "fay"]
PLACES = ["attic", "barn", "cave", "dock"]


class Pointing(Classification):
    """The index of a sentence: as many classes as the story has sentences."""

    padding: ClassVar = {"logits": -1e9}
    metrics = ("accuracy",)
    fields = ("sentence", "probability")

    def learn(self, targets):
        pass

    def encode(self, target):
        return {"logits": np.int32(target)}

    def answer(self, prediction):
        raise NotImplementedError  # the pipeline answers: it knows the sentences

    def groups(self, targets, predictions):
        return {}

    def plots(self, targets, predictions):
        return []


class Story(Toy):
    """An answer built from its input: the sentence that tells where somebody is."""

    default_architecture = "pointer"
    task_class = Pointing
    baseline = ""
    recipes: ClassVar = {"": Recipe(epochs=15, batch_size=16, learning_rate=0.05)}

    @staticmethod
    def make(rng, index):
        who = [NAMES[i] for i in rng.permutation(len(NAMES))[: 2 + index % 4]]
        story = [f"{name} is in the {rng.choice(PLACES)}".split() for name in who]
        story = [words[:4] + ["old"] * (i % 3) + words[4:] for i, words in enumerate(story)]
        asked = int(rng.integers(len(who)))
        return (story, ["where", "is", who[asked]]), asked

    readers = reader(make.__func__, 240)

    def prepare(self, samples, targets):
        words = {w for s in samples for sentence in [*s.data[0], s.data[1]] for w in sentence}
        self.state["words"] = sorted(words)

    def encode(self, item):
        if item is None:
            raise BadInput("no story")
        story, question = item
        place = {word: i + 1 for i, word in enumerate(self.state["words"])}
        longest = max(map(len, story))
        ids = np.zeros((len(story), longest), "int32")
        try:
            for row, sentence in zip(ids, story, strict=True):
                row[: len(sentence)] = [place[w] for w in sentence]
            asked = np.array([place[w] for w in question], "int32")
        except KeyError as error:
            raise BadInput(f"unknown word {error}") from None
        return {"story": ids, "question": asked}, [" ".join(s) for s in story]

    def decode(self, outputs, context):
        chances = outputs["prediction"][: len(context)]
        best = int(np.argmax(chances))
        return {"sentence": context[best], "probability": round(float(chances[best]), 6)}

    def build_arguments(self):
        return {"words": len(self.state["words"]) + 1}

    @classmethod
    def example_arguments(cls, architecture):
        return {"words": 20}


class Sequences(Toy):
    """Ragged lengths: does the series end above where it began?"""

    default_architecture = "sorter"
    task_class = Classification
    padding: ClassVar = {"steps": -9.0}
    recipes: ClassVar = {"": Recipe(epochs=12, batch_size=16, learning_rate=0.03)}

    @staticmethod
    def make(rng, index):
        steps = rng.normal(0, 0.3, (3 + index % 9, 2)).astype("float32")
        up = bool(rng.integers(2))
        steps[:, 0] += 0.5 if up else -0.5
        return steps, "up" if up else "down"

    readers = reader(make.__func__, 200)

    def encode(self, item):
        return {"steps": number_of(item).astype("float32")}, None

    def baseline_features(self, arrays):
        return arrays["steps"].mean(axis=0)

    def build_arguments(self):
        return {"features": 2, "classes": len(self.task.labels)}

    @classmethod
    def example_arguments(cls, architecture):
        return {"features": 2, "classes": 2}


class Measured(Toy):
    """Two quantities, a third of them missing, with conformal intervals."""

    default_architecture = "quantities"
    task_class = Quantities
    learnt: ClassVar = ("r2", 0.9)

    @staticmethod
    def make(rng, index):
        x = rng.normal(size=5).astype("float32")
        values = {"mass": 100 + 20 * x[0] - 10 * x[1], "heat": 0.01 * (x[2] + 0.5 * x[3])}
        noisy = {
            k: float(v + rng.normal(0, 0.1) * (20 if k == "mass" else 0.01))
            for k, v in values.items()
        }
        missing = rng.random()
        if missing < 0.6:
            noisy["mass" if missing < 0.3 else "heat"] = None
        return x, noisy

    readers = reader(make.__func__, 400)

    def encode(self, item):
        return {"features": number_of(item).astype("float32")}, None

    def build_arguments(self):
        return {"features": 5, "outputs": 2}

    @classmethod
    def example_arguments(cls, architecture):
        return {"features": 5, "outputs": 2}


class Ensemble(Sequences):
    """Several networks of one kind: the answer is their mean."""

    recipes: ClassVar = {"": Recipe(epochs=8, batch_size=16, learning_rate=0.03)}

    def build(self, **hyper):
        build = self.builders()[self.architecture]
        return {name: build(**self.build_arguments(), **hyper) for name in ("one", "two")}


class Located(Classification):
    """What a bump is, and where: two outputs of two networks."""

    losses: ClassVar = {"logits": "categorical_crossentropy", "place": "categorical_crossentropy"}

    def learn(self, targets):
        super().learn([kind for kind, _ in targets])

    def encode(self, target):
        kind, place = target
        return super().encode(kind) | {"place": np.int32(place)}


class Bumps(Toy):
    """Networks of two kinds, one after the other: where is the bump, and what is it?"""

    LENGTH, PATCH = 24, 7
    default_architecture = "scorer"
    task_class = Located
    recipes: ClassVar = {"": Recipe(epochs=12, batch_size=16, learning_rate=0.03)}

    @staticmethod
    def make(rng, index):
        series = rng.normal(0, 0.1, Bumps.LENGTH)
        at = int(rng.integers(3, Bumps.LENGTH - 3))
        kind = "hill" if rng.integers(2) else "peak"
        series[at - 2 : at + 3] += [0, 0, 2, 0, 0] if kind == "peak" else [1, 1.5, 2, 1.5, 1]
        return series.astype("float32"), (kind, at)

    readers = reader(make.__func__, 160)

    def encode(self, item):
        return {"series": number_of(item).astype("float32")}, None

    def build(self, **hyper):
        networks = self.builders()
        return {
            "detector": networks["detector"](self.LENGTH),
            "scorer": networks["scorer"](self.PATCH, len(self.task.labels), **hyper),
        }

    def lesson(self, name, item):
        if name == "detector":
            return item.arrays, item.target
        return {"patch": self.cut(item.arrays["series"], int(item.target["place"]))}, item.target

    def cut(self, series, at):
        return np.pad(series, self.PATCH)[at + self.PATCH - 3 : at + self.PATCH + 4]

    def forward(self, batch):
        place = self.run("detector", batch)["place"]
        at = place.argmax(axis=-1)
        patches = np.stack([self.cut(s, a) for s, a in zip(batch["series"], at, strict=True)])
        return self.run("scorer", {"patch": patches}) | {"place": place}

    def decode(self, outputs, context):
        return super().decode(outputs, context) | {"place": int(np.argmax(outputs["place"]))}

    @property
    def fields(self):
        return (*super().fields, "place")

    @classmethod
    def example_arguments(cls, architecture):
        return {"length": 7, "classes": 2}


class Pictures(Toy):
    """Small pictures for a network with augmentation, dropout and batch normalisation."""

    default_architecture = "shaky"
    task_class = Classification
    recipes: ClassVar = {"": Recipe(epochs=4, batch_size=16, learning_rate=0.01)}

    @staticmethod
    def make(rng, index):
        picture = rng.normal(0, 0.3, (8, 8, 1))
        across = bool(rng.integers(2))
        at = rng.integers(2, 6)
        picture[at if across else slice(None), slice(None) if across else at] += 2
        return picture.astype("float32"), "across" if across else "upright"

    readers = reader(make.__func__, 160)

    def encode(self, item):
        return {"pixels": number_of(item).astype("float32")}, None

    def build_arguments(self):
        return {"input_shape": (8, 8, 1), "classes": len(self.task.labels)}

    @classmethod
    def example_arguments(cls, architecture):
        return {"input_shape": (8, 8, 1), "classes": 2}


TOYS = (Windows, Story, Sequences, Measured, Ensemble, Bumps, Pictures)
