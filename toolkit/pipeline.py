"""The contract: a domain is one subclass of `Pipeline`.

It says how a raw sample becomes the items a network sees (`expand`), the arrays of an item
(`encode`), the network itself (`build`) and the answer (`decode`); everything else, from training
to the command line, is the toolkit's. Data flows one way:

`files → reader → samples → expand → items → encode → arrays → network → outputs → calibrate →
decode → rows → writer`

Nothing on this way imports Keras: prediction starts in about a second.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepfield.toolkit import answering, naming
from deepfield.toolkit.bundle import Bundle, open_bundle
from deepfield.toolkit.data import (
    BATCH,
    Arrays,
    Encoded,
    Option,
    Reader,
    Sample,
    is_one,
    is_row,
    read_source,
)
from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.recipe import Recipe
from deepfield.toolkit.registry import beside
from deepfield.toolkit.splits import Groupers
from deepfield.toolkit.tasks import Task

_OPENING = threading.Lock()  # a network is loaded once, whichever thread needs it first


class Pipeline:
    """One domain's way from files to answers. Subclasses fill in the class attributes and hooks.

    Attributes:
        domain: the domain's name on the command line.
        summary: one line for `--help`.
        readers: forms of data, in the order in which they are asked.
        samples: `sample:NAME` to a function that returns the source it stands for.
        options: command-line options of the domain's own.
        verbs: verbs of the domain's own, by name (see `toolkit.verbs.Verb`).
        examples: by verb, commands that run as they stand; help starts with them.
        architectures: module that holds the registry `ARCHITECTURES` of builders; beside it lie
            the rooms `cards`, `demo` and `explanation` (see `room`).
        default_architecture: what `train` builds unless told otherwise.
        recipes: training recipe by architecture; `""` is for all others.
        finetune_recipe: recipe of `finetune`.
        finetune_hyper: hyper-parameters of `finetune` by architecture, unless the base has its own.
        presets: names of the prebuilt networks; the first is the default of every verb.
        adopted: presets converted from a third party's weights: name to `module:function`.
        known_data: public data sets by the last part of their source: full name and licence.
        splits: kinds of split of the domain's own, to how they group samples.
        cached_by: package whose work `encoder` does, if what it made is kept (`FeatureCache`).
        padding: value by input name for ragged items; 0 where none is given.
        resumed: answers go on behind those of an earlier run (see `toolkit.answering`).
        held: validation samples, to which what no gradient moves is fitted too in the end.
        any_length: items have hardly ever the same length twice (see `runtime.Network`).
        baseline: kind of the shallow model beside the net (see `toolkit.baselines`); `""` for none.
        task_class: what the outputs mean.
        is_one: whether what a program asks about is one thing, not several (an array may be).
        is_row: whether one of these is a row, as a table has them.
        explanation_file: what `explain` writes where no output is named; None for nothing.
        explanation_forms: how the names of such files may end.
    """

    domain: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    readers: ClassVar[tuple[Reader, ...]] = ()
    samples: ClassVar[Mapping[str, Callable[[], str]]] = {}
    options: ClassVar[tuple[Option, ...]] = ()
    verbs: ClassVar[Mapping[str, Any]] = {}
    examples: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    architectures: ClassVar[str] = ""
    default_architecture: ClassVar[str] = ""
    recipes: ClassVar[Mapping[str, Recipe]] = {"": Recipe()}
    finetune_recipe: ClassVar[Recipe] = Recipe(epochs=10, learning_rate=3e-4)
    finetune_hyper: ClassVar[dict[str, dict[str, Any]]] = {}
    presets: ClassVar[tuple[str, ...]] = ()
    adopted: ClassVar[Mapping[str, str]] = {}
    known_data: ClassVar[Mapping[str, tuple[str, str]]] = {}
    splits: ClassVar[Groupers] = {}
    cached_by: ClassVar[str] = ""
    padding: ClassVar[Mapping[str, float]] = {}
    resumed: bool = False
    held: int = 0
    any_length: ClassVar[bool] = False
    baseline: str = "svm"
    task_class: ClassVar[type[Task]] = Task
    is_one = staticmethod(is_one)
    is_row = staticmethod(is_row)
    explanation_file: ClassVar[str | None] = "explanation.png"
    explanation_forms: ClassVar[tuple[str, ...]] = (".png", ".html")
    __reduce__ = answering.travelling

    def __init__(self, architecture: str | None = None, **settings: Any) -> None:
        """A pipeline to be trained.

        Args:
            architecture: name of a builder; the domain's default without one.
            settings: the domain's own settings (the subclass documents them).
        """
        self.architecture = architecture or self.default_architecture
        self.settings: dict[str, Any] = settings
        self.hyper: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.tables: Arrays = {}
        self.task: Task = self.task_class()
        self.calibrator: Any = None
        self.novelty: Novelty | None = None
        self.bundle: Bundle | None = None
        self.device, self.name = "cpu", ""
        self.say: Callable[[str], None] = lambda line: None  # what happens while it learns
        self._models: dict[str, Any] = {}
        self._networks: dict[str, Callable[[Arrays], Arrays]] = {}

    # ------------------------------------------------------------------ hooks of a domain

    def expand(self, sample: Sample) -> Iterable[Any]:
        """One raw sample to the items a network sees; lazily, where there are many.

        Raises:
            BadInput: nothing can be made of the sample.
        """
        yield sample.data

    def encode(self, item: Any) -> tuple[Arrays, Any]:
        """One item to the network's input arrays, and what `decode` will need of it.

        Raises:
            BadInput: the item cannot be encoded.
        """
        raise NotImplementedError

    def encoder(self) -> Callable[[Any], tuple[Arrays, Any]] | None:
        """What does the work of `encode` in other processes: a function that can be pickled, for
        samples that are one item each. None where encoding is quick.
        """
        return None

    def targets(self, sample: Sample) -> Sequence[Any]:
        """What is to be learned: a target for each item of `expand` in order, or one for all."""
        return [sample.target]

    def lesson(self, name: str, item: Encoded) -> tuple[Arrays, Arrays]:
        """Inputs and targets from which the network `name` learns an item: the item's own. Of
        both, a network is given those that it has.
        """
        return item.arrays or {}, item.target or {}

    def variation(self, items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]] | None:
        """What varies the training items where no layer does (`vary` of `Batches`)."""
        return None

    def decode(self, outputs: Arrays, context: Any) -> dict[str, Any]:
        """One item's outputs to the columns of its answer, JSON-able.

        `outputs` holds the network's own outputs of this item, and under `"prediction"` the
        calibrated prediction of the task.
        """
        return self.task.answer(outputs["prediction"])

    def prepare(self, items: Sequence[Any], targets: Sequence[Any]) -> None:
        """Learn from training samples what encoding needs, into `state` (JSON) and `tables`."""

    def restored(self) -> None:
        """Called when loaded from a bundle: use `self.state`, so that one of no sense is found."""

    def build(self, **hyper: Any) -> Any:
        """The Keras model, or several by name; by default what the registered builder makes."""
        return self.builders()[self.architecture](**self.build_arguments(), **hyper)

    def build_arguments(self) -> dict[str, Any]:
        """Arguments of the builder that follow from the data (input shape, classes)."""
        return {}

    def forward(self, batch: Arrays) -> Arrays:
        """A batch through the network; the mean over the members where there are several."""
        outputs = [self.run(name, batch) for name in self.members]
        if len(outputs) == 1:
            return outputs[0]
        stacked = {k: np.stack([o[k] for o in outputs]) for k in outputs[0]}
        return {k: np.asarray(v.mean(axis=0, dtype=np.float64)) for k, v in stacked.items()}

    def baseline_features(self, arrays: Arrays) -> np.ndarray:
        """One item as a vector (features,) float32 for the shallow model."""
        return np.concatenate([np.ravel(a) for a in arrays.values()]).astype(np.float32)

    def shallow_features(self, items: Sequence[Encoded]) -> np.ndarray:
        """What the shallow model is told of items, (items, features) float32."""
        return np.stack([self.baseline_features(item.arrays or {}) for item in items])

    def fit_shallow(self, train: Sequence[Encoded], seed: int) -> Any:
        """The shallow model, fitted to the training items: its `predict` takes features."""
        from deepfield.toolkit.baselines import fit_baseline
        from deepfield.toolkit.parts import stacked_targets

        features, told = self.shallow_features(train), stacked_targets(train, self.task.output)
        return fit_baseline(self.baseline, features, told, task=self.task.shallow, seed=seed)

    def trials(self, items: Sequence[Encoded]) -> Sequence[Encoded]:
        """What a network is judged by: the items themselves; pairs of them where it compares."""
        return items

    def choose(self, items: Sequence[Encoded], targets: np.ndarray, outputs: Arrays) -> None:
        """Have the task decide what it decides on the validation part, once it is calibrated.

        Args:
            items: of the validation part.
            targets: of its trials, as `stacked_targets` gives them.
            outputs: what the network says of its trials.
        """
        self.task.choose(targets, outputs, self.calibrator)

    def identity(self, arrays: Arrays) -> Arrays:
        """What two items must agree in to count as the same: by default in everything."""
        return arrays

    def near_hash(self, arrays: Arrays) -> int | None:
        """A 64-bit hash that is close for nearly equal items; None where there is none."""
        return None

    def near_pairs(self, items: Sequence[Encoded]) -> Sequence[Sequence[int]]:
        """Pairs of items, by index, that are nearly the same: by default those of close hashes."""
        from deepfield.toolkit.splits import near_duplicates

        hashes = [self.near_hash(item.arrays or {}) for item in items]
        return [] if None in hashes else near_duplicates([value or 0 for value in hashes])

    def picture(self, sample: Sample) -> bytes | None:
        """A PNG that shows a sample in a report; None where there is nothing to see."""
        return None

    def head_recipe(self, recipe: Recipe) -> Recipe:
        """How `finetune` trains the new head before it unfreezes the rest."""
        return replace(recipe, epochs=max(1, recipe.epochs // 4), learning_rate=1e-3, patience=0)

    def frozen_layers(self, model: Any) -> set[str]:
        """Names of the layers that stay frozen while `finetune` trains the whole network."""
        return set()

    def settle(self, model: Any, items: Sequence[Encoded]) -> None:
        """Fit the weights that no gradient moves to the training items, before training."""

    def finish(self, model: Any, items: Sequence[Encoded]) -> None:
        """Measure what a trained network can tell of the training items, before it is judged."""

    def learner(self, model: Any) -> Any:
        """What gradients train: the network, or a model of some of its layers."""
        return model

    def ease(self, model: Any, easier: bool) -> None:
        """Make a network easier to train, or itself again: for `Recipe.start_epochs`."""
        raise UsageError(f"{self.architecture} has no easier start", "leave start_epochs at 0")

    def fit_novelty(self, outputs: Arrays) -> Novelty | None:
        """What `in_domain` is judged by, from validation outputs, if by anything."""
        return Novelty.fit(outputs[self.task.output]) if self.task.logits else None

    def forget(self) -> None:
        """Drop from the state what training needed and no bundle may hold."""

    def golden(self, items: Sequence[Encoded]) -> list[Arrays]:
        """Arrays that a bundle is checked by from now on: of a few items of the data."""
        from deepfield.toolkit.packing import golden_items

        return golden_items([item.arrays or {} for item in items])

    def card_text(self, config: Mapping[str, Any]) -> str:
        """The domain's own paragraphs of a model card: what it takes and answers, limits."""
        room = self.room("cards")
        return "" if room is None else room.card_text(self, config)

    @classmethod
    def demo(cls, page: Any, console: Any) -> list[dict[str, Any]]:
        """The domain's part of `deepfield demo`: adds to the page, returns rows of a table."""
        room = cls.room("demo")
        return [] if room is None else room.demo(cls, page, console)

    def explanation(self, sample: Sample) -> Any:
        """Why the network says so: `facts()` (JSON-able), `lines()`, `png()` and `report()`."""
        if (room := self.room("explanation")) is None:
            raise DeepfieldError(f"{self.domain} has no explanation", "see `evaluate` instead")
        return room.explain(self, sample)

    def explain_several(self, samples: Iterable[Sample]) -> Any:
        """What the verb tells of the samples of a source: by default of the first alone."""
        return self.explanation(next(iter(samples)))

    # ------------------------------------------------------------------ networks

    @classmethod
    def room(cls, name: str) -> Any:
        """The module `name` beside that of the architectures, imported only now; None: no such."""
        return beside(cls.architectures, name)

    @classmethod
    def builders(cls) -> Any:
        """The registry of the domain's architectures (imports Keras)."""
        return importlib.import_module(cls.architectures).ARCHITECTURES

    @classmethod
    def described(cls, name: str, load: Callable[..., Pipeline]) -> Any:
        """The Keras model that `describe` prints: of a bundle, or as `example_arguments` say."""
        if name in cls.builders():
            return cls.builders()[name](**cls.example_arguments(name))
        return load(name, cls.domain).model

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """What `describe` builds an architecture for, where no data says it."""
        return {}

    @property
    def members(self) -> list[str]:
        """Names of the networks that `forward` runs."""
        return list(self._models) if self.bundle is None else self.bundle.members

    @property
    def model(self) -> Any:
        """The Keras model, rebuilt from the bundle when first asked for (imports Keras)."""
        return self.models[self.members[0]]

    @property
    def models(self) -> dict[str, Any]:
        """The Keras models by name."""
        if not self._models and self.bundle is not None:
            from deepfield.toolkit.packing import rebuild

            self._models = rebuild(self)
        return self._models

    def run(self, name: str, batch: Arrays) -> Arrays:
        """A batch through one named network: ONNX Runtime for a bundle, else Keras."""
        with _OPENING:
            if name not in self._networks:
                self._networks[name] = answering.network(self, name)
            network = self._networks[name]
        return network(batch)

    # ------------------------------------------------------------------ reading

    def read(self, source: str, **options: Any) -> Iterator[Sample]:
        """The samples of a source, lazily, by the first reader that knows its form."""
        return read_source(source, self.readers, self.samples, **options)

    def as_samples(self, data: Any, **options: Any) -> Iterator[Sample]:
        """Samples of a source, of samples, of rows as dictionaries or of raw things to `encode`."""
        return answering.samples(self, data, options)

    def samples_of(self, thing: Any, index: int, **options: Any) -> Iterator[Sample]:
        """The samples of one of several things, the `index`th."""
        for reader in self.readers if isinstance(thing, str) else ():
            if reader.spells is not None and reader.spells(thing):
                return iter(reader.read(thing))
        if isinstance(thing, str | Path):
            return naming.prefixed(str(thing), self.read(str(thing), **options))
        return iter([thing if isinstance(thing, Sample) else Sample(str(index), thing)])

    def encoded(self, samples: Iterable[Sample], targets: bool = False) -> Iterator[Encoded]:
        """Every item of every sample, encoded or with the reason why not, in order."""
        from deepfield.toolkit.encoding import encoded

        return encoded(self, samples, targets)

    # ------------------------------------------------------------------ predicting

    def predict(
        self, data: Any, *, batch_size: int = BATCH, on_error: str = "null", **options: Any
    ) -> Iterator[dict[str, Any]]:
        """Answer, row by row, in constant memory.

        Args:
            data: a source's name, samples, rows as dictionaries, or raw things.
            batch_size: items the network sees at once, fewer where they are large.
            on_error: what becomes of a sample that cannot be answered: `"null"` (a row without
                an answer), `"skip"` (no row) or `"fail"`.
            options: of the reader.

        Yields:
            The sample's own columns, the answer, `in_domain` and why, `status` (`"ok"` or
            `"rejected"`), `reason` and the model's name; one row an item, in order.

        Raises:
            BadInput: with `on_error="fail"`.
            UsageError: `on_error` is none of these, or no item is seen at once.
        """
        samples = answering.samples(self, data, options, rejecting=True)
        yield from answering.rows(self, self.answers(samples, batch_size), on_error)

    def explain(self, thing: Any, **options: Any) -> Any:
        """Why the network says so of one thing; see `toolkit.answering.explained`."""
        return answering.explained(self, thing, **options)

    def row(self, item: Encoded, answer: Mapping[str, Any]) -> dict[str, Any]:
        """One row of output."""
        return answering.row(self, item, answer)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns of an answer."""
        return self.task.fields

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns that a row adds to those of its sample."""
        return (*self.fields, "in_domain", "in_domain_reason", "status", "reason", "model")

    def answers(
        self, samples: Iterable[Sample], batch_size: int = BATCH, targets: bool = False
    ) -> Iterator[tuple[Encoded, dict[str, Any]]]:
        """Items with their answers (empty for a rejected one), in order.

        With `targets` an item also carries its encoded target, and is rejected without one.
        """
        return answering.answers(self, self.encoded(samples, targets), batch_size)

    def calibrated(self, outputs: Arrays) -> Arrays:
        """Outputs of a batch with the task's calibrated `"prediction"` added."""
        return outputs | {"prediction": self.task.predictions(outputs, self.calibrator)}

    def novelty_outputs(self, outputs: Arrays) -> np.ndarray | None:
        """What the novelty score is computed from: the task's output. None: nobody wants it."""
        return outputs[self.task.output]

    def alone(self, outputs: Arrays) -> dict[str, Arrays]:
        """What parts of the network say by themselves, by name: the card tells what they reach."""
        return {}

    # ------------------------------------------------------------------ learning

    def fit(self, data: Any, **arguments: Any) -> Any:
        """Train on data; see `toolkit.fitting.fit`."""
        from deepfield.toolkit.fitting import fit

        return fit(self, data, **arguments)

    def finetune(self, data: Any, **arguments: Any) -> Any:
        """A new pipeline of the same network on other data; see `toolkit.fitting.finetune`."""
        from deepfield.toolkit.fitting import finetune

        return finetune(self, data, **arguments)

    def evaluate(self, data: Any, **arguments: Any) -> dict[str, Any]:
        """Figures on labelled data; see `toolkit.evaluation.evaluate`."""
        from deepfield.toolkit.evaluation import evaluate

        return evaluate(self, data, **arguments)

    def check(self) -> dict[str, Any]:
        """Stored golden outputs against this machine's: `{"ok", "largest_difference", "items"}`."""
        from deepfield.toolkit.golden import check

        return check(self)

    # ------------------------------------------------------------------ keeping

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Pipeline:
        """A pipeline from its bundle's folder.

        Raises:
            NotFound: no bundle there.
            UnusableModel: it is damaged, or of another domain.
        """
        return cls.from_bundle(open_bundle(path), device)

    @classmethod
    def from_bundle(cls, bundle: Bundle, device: str = "cpu") -> Pipeline:
        """A pipeline from an opened bundle."""
        from deepfield.toolkit.restoring import restore

        return restore(cls, bundle, device)

    @classmethod
    def from_preset(cls, name: str, device: str = "cpu") -> Pipeline:
        """One of the domain's prebuilt networks, by its bare name."""
        from deepfield.toolkit.presets import preset_bundle

        return cls.from_bundle(preset_bundle(cls, name), device)

    def save(self, path: str | Path) -> Bundle:
        """Write the pipeline as a bundle (imports Keras unless it came from one)."""
        from deepfield.toolkit.packing import save

        return save(self, Path(path))
