"""Face verification on the toolkit's contract: two pictures in, the same person or not out.

The network sees one aligned face (a chip) and answers with a vector; two faces are compared by the
distance of their vectors. So a network is trained on pictures of people, and judged by pairs.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.face.alignment import CHIP
from deepfield.domains.face.data import READERS, SAMPLES, Pair
from deepfield.domains.face.features import (
    CHOICES,
    FINDER,
    Face,
    FaceFinder,
    Remembered,
    content_hash,
    cropped,
    same_source,
)
from deepfield.domains.face.landmarks import Landmarks
from deepfield.domains.face.learning import OBJECTIVES, paired, partners
from deepfield.domains.face.task import Verification
from deepfield.domains.face.usage import EXAMPLES, OPTIONS, VERBS
from deepfield.domains.face.views import USUAL_VIEWS, VIEWS, face_vectors
from deepfield.toolkit.answering import in_chunks
from deepfield.toolkit.data import BATCH, Arrays, Encoded, Sample, collate
from deepfield.toolkit.errors import BadInput, NotFound, UsageError
from deepfield.toolkit.pictures import perceptual_hash
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import preset_bundle
from deepfield.toolkit.recipe import Recipe
from deepfield.toolkit.runtime import cores

#: Pairs of the same and of different people, at most, by which a network is judged: after
#: training, and by `evaluate`.
MOST_TRIALS, MOST_JUDGED = 20_000, 200_000
#: Samples whose pictures are looked at side by side, and chips that are kept meanwhile.
TOGETHER, FACES_REMEMBERED = 8, 256


class FacePipeline(Pipeline):
    """Whether two pictures show the same person, and how sure that is.

    Example:
        >>> FacePipeline("facenet_small").architecture
        'facenet_small'
    """

    domain = "face"
    summary = "face verification: are these two the same person?"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.face.models"
    default_architecture = "facenet_small"
    task_class = Verification
    baseline = "eigenfaces"
    presets = ("dlib_resnet", "small_face")
    adopted: ClassVar = {"dlib_resnet": "deepfield.domains.face.conversion:adopt_dlib"}
    known_data: ClassVar = {
        name: ("Labeled Faces in the Wild, View 1 (Huang et al. 2007)", "research use")
        for name in ("lfw", "pairsDevTrain.tsv", "pairsDevTest.tsv")
    } | {"att-faces": ("AT&T / ORL faces (AT&T Laboratories Cambridge)", "research use, credit")}
    recipes: ClassVar = {
        "": Recipe(
            epochs=60, batch_size=64, optimizer="adamw", learning_rate=2e-3, schedule="onecycle",
            warmup=0.1, weight_decay=5e-4, clip_norm=5.0, keep="last",
        ),
    }  # fmt: skip
    finetune_recipe = Recipe(
        epochs=20, batch_size=32, optimizer="adamw", learning_rate=5e-4, weight_decay=1e-4,
        clip_norm=5.0, keep="last",
    )  # fmt: skip
    finetune_hyper: ClassVar = {"dlib_resnet": {"metric": True}}
    options = OPTIONS
    verbs: ClassVar = VERBS
    examples: ClassVar = EXAMPLES

    # ------------------------------------------------------------------ from picture to arrays

    @property
    def verification(self) -> Verification:
        """The task, by its own class."""
        assert isinstance(self.task, Verification)
        return self.task

    @property
    def looking(self) -> tuple[bool, str]:
        """Whether pictures are faces already, and which of several faces is meant.

        Raises:
            UsageError: both were said.
        """
        crop, choice = self.settings.get("crop"), self.settings.get("face")
        if crop and choice:  # what is said now counts for more than what was said in training
            kept = self.bundle.config["settings"] if self.bundle else {}
            if bool(kept.get("crop")) == bool(kept.get("face")):
                raise UsageError(
                    "--crop looks for no face, and --face says which is meant",
                    "leave one of them away",
                )
            crop = not kept.get("crop")
        return bool(crop), choice or "clear"

    @property
    def faces(self) -> Remembered:
        """The face of a picture: found and cut out, or the whole picture with `crop`."""
        wish = self.looking
        if getattr(self, "_faces", (None, None))[0] != wish:
            find = cropped if wish[0] else self._finder(wish[1])
            self._faces = wish, Remembered(find, FACES_REMEMBERED)
        return self._faces[1]

    def _finder(self, choice: str) -> FaceFinder:
        """With the detector and landmarks of this bundle, or of the preset that has them."""
        own = self if self.tables else self._with_detector()

        def detector(picture: np.ndarray) -> np.ndarray:
            return own.run("detector", {"picture": picture})["faces"]

        return FaceFinder(detector, Landmarks.from_arrays(own.tables), choice)

    def _with_detector(self) -> Pipeline:
        try:
            return type(self).from_bundle(preset_bundle(type(self), FINDER))
        except NotFound as error:
            why = "faces in pictures are found by the detector of dlib"
            raise NotFound(f"{why}: {error.message}", error.hint) from None

    @property
    def vector(self) -> Remembered:
        """What is to be told of the face of a picture, and its embedding."""
        wish = self.looking
        if getattr(self, "_vector", (None, None))[0] != wish:
            faces = self.faces

            def embedded(source: Any) -> tuple[Face, np.ndarray]:
                face = faces(source)
                return face.without_chip(), self.embeddings(face.chip[None])[0]

            self._vector = wish, Remembered(embedded)
        return self._vector[1]

    def restored(self) -> None:
        """A stranger's bundle must name views, choices, thresholds and landmarks that make sense.

        Raises:
            ValueError: it does not.
        """
        views, (_, choice) = self.state.get("views"), self.looking
        if not views or not set(views) <= VIEWS.keys():
            raise ValueError(f"views {views!r}, expected some of {', '.join(VIEWS)}")
        if choice not in CHOICES:
            raise ValueError(f"face {choice!r}, expected one of {', '.join(CHOICES)}")
        self.verification.check(self.calibrator)
        self.verification.point(self.settings.get("fmr"))
        members = ["model", "detector"] if self.tables else ["model"]
        if self.members != members:
            raise ValueError(f"networks {self.members}, expected {members}")
        if self.tables:
            Landmarks.from_arrays(self.tables).check()

    def samples_of(self, thing: Any, index: int, **options: Any) -> Iterator[Sample]:
        """As in the toolkit; two pictures in a tuple are a pair."""
        for sample in super().samples_of(thing, index, **options):
            if isinstance(sample.data, tuple) and len(sample.data) == 2:
                sample = replace(sample, data=Pair(*sample.data))
            yield sample

    def encoded(self, samples: Iterable[Sample], targets: bool = False) -> Iterator[Encoded]:
        """In order, with the pictures of several samples looked at side by side."""
        samples = iter(samples)
        with ThreadPoolExecutor(cores()) as threads:
            while chunk := list(itertools.islice(samples, TOGETHER)):
                self._look(threads, [sample.data for sample in chunk if sample.fault is None])
                yield from super().encoded(chunk, targets)

    def _look(self, threads: ThreadPoolExecutor, items: Sequence[Any]) -> None:
        """Have the faces of pictures remembered, and the vectors of those that are compared."""
        pairs = [item for item in items if isinstance(item, Pair)]
        sides = [side for pair in pairs for side in (pair.a, pair.b)]
        alone = [item for item in items if not isinstance(item, Pair)]
        for sources, compared in ((alone, False), (sides, True)):
            if sources:
                # a network in Keras takes one thread, and there may be none yet
                known = self.vector if compared and self.bundle is not None else self.faces
                each = {same_source(source): source for source in sources}
                deque(threads.map(known.remember, each.values()), maxlen=0)

    def encode(self, item: Any) -> tuple[Arrays, Any]:
        """A picture to the chip of its face; a pair to the embeddings of both, or to both chips
        where there is no network yet.

        Raises:
            BadInput: no picture, no face, several faces; of a pair it says which picture.
        """
        if not isinstance(item, Pair):
            face = self.faces(item)
            return {"pixels": face.chip}, face
        there = bool(self.members)
        found, faults = [], []
        for side, source in (("a", item.a), ("b", item.b)):
            try:
                found.append(self.vector(source) if there else (self.faces(source),) * 2)
            except BadInput as error:
                faults.append(f"{side}: {error.reason}")
        if faults:
            raise BadInput("; ".join(faults))
        (one, a), (two, b) = found
        if not there:
            return {"a": one.chip, "b": two.chip}, None
        return {"a": a, "b": b}, (one, two, content_hash(item.a) == content_hash(item.b))

    def build(self, **hyper: Any) -> Any:
        """The network; with the detector where the bundle has one."""
        model = super().build(**hyper)
        if not self.tables:
            return model
        from deepfield.domains.face.dlib_models import mmod

        return {"model": model, "detector": mmod()}

    def embeddings(self, chips: np.ndarray) -> np.ndarray:
        """Vectors (batch, units) of length 1 of chips (batch, 150, 150, 3): the mean over the views
        of a face that `state["views"]` names.
        """

        def embed(seen: np.ndarray) -> np.ndarray:
            return self.run("model", {"pixels": seen})["embedding"]

        return face_vectors(embed, chips, self.state.get("views", USUAL_VIEWS))

    def _embedded(self, items: Sequence[Encoded]) -> list[np.ndarray]:
        """The vectors of encoded pictures."""
        rows: list[np.ndarray] = []
        for chunk in in_chunks(items, BATCH):
            rows += list(self.embeddings(np.stack([(e.arrays or {})["pixels"] for e in chunk])))
        return rows

    def forward(self, batch: Arrays) -> Arrays:
        """Chips to embeddings, a picture to a map of faces, two embeddings to minus their
        distance.
        """
        if "picture" in batch:
            return self.run("detector", batch)
        if "pixels" in batch:
            return {"embedding": self.embeddings(batch["pixels"])}
        apart = batch["a"].astype(np.float64) - batch["b"]
        return {"score": -np.sqrt((apart**2).sum(axis=1))}

    # ------------------------------------------------------------------ from outputs to answer

    def answers(
        self, samples: Iterable[Sample], batch_size: int = BATCH, targets: bool = False
    ) -> Iterator[tuple[Encoded, dict[str, Any]]]:
        """Of pairs as they come; pictures of people are judged (`targets`) by their pairs."""
        self.verification.fmr = self.settings.get("fmr")
        samples = iter(samples)
        head = []
        for sample in samples:
            head.append(sample)
            if sample.fault is None:
                break
        samples = itertools.chain(head, samples)
        if not targets or not head or isinstance(head[-1].data, Pair):
            yield from super().answers(map(_comparable, samples), batch_size, targets)
            return
        sound, vectors = [], []
        for chunk in in_chunks(self.encoded(samples), 2 * BATCH):
            yield from ((item, {}) for item in chunk if item.fault is not None)
            fine = [item for item in chunk if item.fault is None]
            vectors += self._embedded(fine)
            for item in fine:  # thousands of them: without their pixels
                item.arrays, item.context = None, item.context.without_chip()
            sound += fine
        for trials in in_chunks(paired(self.task, sound, vectors, MOST_JUDGED), 4096):
            yield from self._judged(trials)

    def _judged(self, trials: Sequence[Encoded]) -> Iterator[tuple[Encoded, dict[str, Any]]]:
        batch = {side: np.stack([(t.arrays or {})[side] for t in trials]) for side in ("a", "b")}
        outputs = self.calibrated(self.forward(batch))
        for place, trial in enumerate(trials):
            trial.prediction = outputs["prediction"][place]
            own = {name: values[place] for name, values in outputs.items()}
            yield trial, self.decode(own, trial.context)

    def decode(self, outputs: Arrays, context: Any) -> dict[str, Any]:
        """The same or not, how sure, and where the threshold comes from."""
        point = self.verification.point(self.settings.get("fmr"))
        distance = -float(outputs["score"])
        one, two, same_file = context
        answer = {
            **self.task.answer(outputs["prediction"]),
            "distance": round(distance, 6),
            "threshold": round(point["distance"], 6),
            "fmr": point["fmr"],
            "fnmr": point["fnmr"],
            "measured_on": point["measured_on"],
            "faces_a": one.faces,
            "faces_b": two.faces,
        }
        doubts = [f"{side}: {f.doubt}" for side, f in (("a", one), ("b", two)) if f.doubt]
        if same_file:
            doubts.insert(0, "the two are one and the same picture")
        return {**answer, "in_domain": not doubts, "in_domain_reason": "; ".join(doubts)}

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's, and how many faces there were."""
        return (*self.task.fields, "faces_a", "faces_b")

    # ------------------------------------------------------------------ learning

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """Say by which views faces are compared, and what a distance meant to the network that
        this one is fine-tuned from.
        """
        crop, _ = self.looking
        self.settings["crop"] = crop
        self.state.setdefault("views", list(USUAL_VIEWS))
        if curve := self.state.pop("curve", None):
            self.task.state["curve"] = curve

    def finetune(self, data: Any, **arguments: Any) -> Any:
        """As in the toolkit; what a distance means is taken over until it is measured anew."""
        crop, choice = self.looking
        self.settings |= {"crop": crop, "face": None if crop else choice}
        self.state = {**self.state, "curve": self.verification.curve_of(self.calibrator)}
        settings = dict(arguments.pop("settings", None) or {})
        if self.settings.get("adapt") == "metric":
            settings.setdefault("metric", True)
        return super().finetune(data, settings=settings, **arguments)

    @property
    def objective(self) -> str:
        """What training is for: one of `OBJECTIVES`."""
        return self.settings.get("objective") or "arc"

    def learner(self, model: Any) -> Any:
        """The network with a head that tells the training people apart."""
        from deepfield.domains.face.models import learner

        self.task.losses = {"person": OBJECTIVES[self.objective]}  # type: ignore[misc]
        return learner(model, self.objective, len(self.verification.people))

    def lesson(self, name: str, item: Encoded) -> tuple[Arrays, Arrays]:
        """Who it is, as input too: the margin is that person's."""
        target = item.target or {}
        if "person" not in target:
            raise UsageError(
                "a network learns from pictures of people, and these are pairs",
                "name a folder per person, or add --people to learn the people of the pairs",
            )
        return {**(item.arrays or {}), "person": target["person"]}, target

    def frozen_layers(self, model: Any) -> set[str]:
        """Where a metric stands behind the network, the network itself stays as it is."""
        names = {layer.name for layer in model.layers}
        if "metric" not in names or self.settings.get("adapt") == "all":
            return set()
        return names - {"metric", "people"}

    def trials(self, items: Sequence[Encoded]) -> Sequence[Encoded]:
        """Pairs of the pictures: of the same people, and as many of different ones, so that a
        probability is for even odds.
        """
        pictures = Counter(str(item.sample.target) for item in items)
        same = sum(count * (count - 1) // 2 for count in pictures.values())
        most = min(MOST_TRIALS, max(1, same))
        return list(paired(self.task, items, self._embedded(items), most))

    def choose(self, items: Sequence[Encoded], targets: np.ndarray, outputs: Arrays) -> None:
        """Thresholds are measured on all pairs of the pictures, of which those of different people
        are many: small rates of false matches are seen in many pairs alone.
        """
        from deepfield.toolkit.parts import stacked_targets

        pairs = list(paired(self.task, items, self._embedded(items), MOST_TRIALS))
        if not pairs:
            return
        outputs = self.forward(collate([pair.arrays or {} for pair in pairs], {}))
        super().choose(items, stacked_targets(pairs, self.task.output), outputs)

    def variation(self, items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]] | None:
        """Losses of distances need several pictures of a person in a batch: the second half of it
        becomes other pictures of the people in the first.
        """
        if OBJECTIVES[self.objective] == "categorical_crossentropy":
            return None
        return partners(items)

    def finish(self, model: Any, items: Sequence[Encoded]) -> None:
        """DeepFace's features are measured by how large each becomes."""
        if self.architecture == "deepface":
            from deepfield.domains.face.models import divide_by_largest

            pixels = (
                [(item.arrays or {})["pixels"] for item in some] for some in in_chunks(items, BATCH)
            )
            divide_by_largest(model, map(np.stack, pixels))

    def forget(self) -> None:
        """Names: a bundle names nobody who was learnt from."""
        self.task.state.pop("people", None)

    def golden(self, items: Sequence[Encoded]) -> list[Arrays]:
        """Noise: a bundle shows nobody who was learnt from."""
        drawn = np.random.default_rng(0).integers(0, 256, (2, CHIP, CHIP, 3), np.uint8)
        ramp = np.repeat(np.arange(CHIP, dtype=np.uint8), 3 * CHIP).reshape(CHIP, CHIP, 3)
        return [{"pixels": pixels} for pixels in (*drawn, ramp)]

    def head_recipe(self, recipe: Recipe) -> Recipe:
        """The new head first, for a few epochs."""
        return replace(recipe, epochs=max(1, recipe.epochs // 4), learning_rate=2e-3, patience=0)

    # ------------------------------------------------------------------ beside the network

    def shallow_features(self, items: Sequence[Encoded]) -> np.ndarray:
        """Small grey portraits; of a pair both side by side."""
        from deepfield.domains.face.eigenfaces import portrait

        drawn: dict[int, np.ndarray] = {}

        def small(chip: np.ndarray) -> np.ndarray:  # a face is in many pairs
            if id(chip) not in drawn:
                drawn[id(chip)] = portrait(chip)
            return drawn[id(chip)]

        if "pixels" in (items[0].arrays or {}):
            return np.stack([small((item.arrays or {})["pixels"]) for item in items])
        return np.stack([
            np.concatenate([small(face.chip) for face in item.context[:2]]) for item in items
        ])  # fmt: skip

    def fit_shallow(self, train: Sequence[Encoded], seed: int) -> Any:
        """Eigenfaces of the training people."""
        from deepfield.domains.face.eigenfaces import fit_eigenfaces

        people = [int((item.target or {})["person"]) for item in train]
        return fit_eigenfaces(self.shallow_features(train), people, seed=seed)

    def near_hash(self, arrays: Arrays) -> int | None:
        """The perceptual hash of the face."""
        return perceptual_hash(arrays["pixels"]) if "pixels" in arrays else None


def _comparable(sample: Sample) -> Sample:
    """A sample of which something can be said: two pictures."""
    if sample.fault is not None or isinstance(sample.data, Pair):
        return sample
    fault = (
        "one picture, and a pair is needed: a and b of a table, in Python [(a, b)]"
        " (see verify, find and embed)"
    )
    return replace(sample, fault=fault)
