"""Genomics on the toolkit's contract: a stretch of DNA in, what it does out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.genomics import kmers
from deepfield.domains.genomics.composition import chain, surprise, unread
from deepfield.domains.genomics.data import READERS, SAMPLES
from deepfield.domains.genomics.features import codes, reverse_complement, text_of
from deepfield.domains.genomics.scanning import scan
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.shuffle import shuffled
from deepfield.domains.genomics.splits import SPLITS, near_pairs
from deepfield.domains.genomics.task import Function
from deepfield.domains.genomics.usage import EXAMPLES, OPTIONS, PRESETS, VERBS
from deepfield.domains.genomics.windows import (
    KINDS,
    around,
    middle,
    missing,
    site_letters,
    usual_length,
    window,
)
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.data import BATCH, Arrays, Encoded, Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.recipe import Recipe

#: Labels that mean that there is nothing.
_NOTHING = ("0", "N", "no", "none", "neither", "negative", "other", "false")
#: Letters that are shown of a site.
_SHOWN = 20
_MOST_MEMBERS = 20
_UNSAID = "licence not stated by the source"


class GenomicsPipeline(Pipeline):
    """What a stretch of DNA does, and where in a contig something does it.

    Settings:
        kind: what is judged (see `windows.KINDS`); by default the site where all training
            sequences share the letters in their middle, else the whole window.
        members: how many networks answer together.
        length: letters of a training sequence; by default what most have.
        strand: `"+"`, `"-"` or `"both"`: which strands of a contig are looked at.
        step: bases from one window of a long sequence to the next.
        threshold: probability from which a place in a contig is told of.

    Example:
        >>> GenomicsPipeline("motif_cnn").architecture
        'motif_cnn'
    """

    domain = "genomics"
    summary = "genomics: what DNA does, and what a variant changes"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.genomics.models"
    default_architecture = "dilated_cnn"
    presets: ClassVar = PRESETS
    adopted: ClassVar = {"spliceai": "deepfield.domains.genomics.conversion:adopt_spliceai"}
    task_class = Function
    baseline = "kmers"
    splits: ClassVar = SPLITS
    options = OPTIONS
    verbs: ClassVar = VERBS
    examples: ClassVar = EXAMPLES
    explanation_file = "explanation.png"
    explanation_forms = (".png", ".svg", ".html", ".meme")
    known_data: ClassVar = {
        "splice-human": ("human splice sites (EnsembleSplice, Akpokiro et al. 2022)", _UNSAID),
        "splice-hs3d": ("HS3D, human splice sites (Pollastro & Rampone 2002)", _UNSAID),
        "splice.data": ("UCI splice junctions (GenBank 64.1; Towell, Noordewier, Shavlik)",
                        "CC BY 4.0"),
        "promoters": ("promoters and non-promoters (Umarov & Solovyev 2017)", _UNSAID),
        "chipseq": ("ENCODE ChIP-seq peaks (DeepBind's supplement, Alipanahi et al. 2015)",
                    _UNSAID),
    }  # fmt: skip
    recipes: ClassVar = {
        "": Recipe(
            epochs=12, batch_size=64, optimizer="adamw", learning_rate=2e-3, schedule="onecycle",
            warmup=0.1, weight_decay=1e-2, clip_norm=5.0, ema=0.99, keep="last",
            recalibrate_bn=True, least_steps=3000,
        ),
    }  # fmt: skip
    finetune_recipe = Recipe(
        epochs=15, batch_size=64, optimizer="adamw", learning_rate=5e-4, weight_decay=1e-2,
        clip_norm=5.0, keep="last", recalibrate_bn=True,
    )  # fmt: skip

    def __init__(self, architecture: str | None = None, **settings: Any) -> None:
        super().__init__(architecture, **settings)
        self._learners: dict[int, Any] = {}

    # ------------------------------------------------------------------ from sequence to arrays

    @property
    def kind(self) -> str:
        """What is judged: one of `windows.KINDS`."""
        return str(self.state["kind"])

    @property
    def length(self) -> int:
        """Letters of the sequences that the network has learnt from."""
        return int(self.state["length_bp"])

    @property
    def site(self) -> dict[int, str]:
        """The letters that all training sequences share, by their place from the middle."""
        return {int(place): letter for place, letter in self.state.get("site", {}).items()}

    def encode(self, item: Any) -> tuple[Arrays, Any]:
        """A sequence to codes, `bases` (steps,) int32, about its middle.

        Raises:
            BadInput: letters that are no nucleotides, or too few or too many of them.
        """
        letters = codes((item := DNA.of(item)).letters)
        try:
            found, lack = window(letters, self.length, self.state.get("least_bp"))
        except BadInput as error:
            if self.kind == "site" or len(item) <= self.length:
                raise
            raise BadInput(f"{error.reason}; `predict --step N` slides over it") from None
        return {"bases": found.astype(np.int32)}, (item, found, lack)

    def restored(self) -> None:
        """A stranger's bundle must say what it judges, and of how many letters.

        Raises:
            ValueError: it does not.
        """
        if self.kind not in KINDS or not 1 <= self.length <= 1_000_000:
            raise ValueError(f"{self.kind!r} of {self.length} letters")
        if "chain" in self.tables and self.tables["chain"].shape != (1024,):
            raise ValueError("a chain of letters that is none")
        float(self.state.get("usual", 0.0)), float(self.state.get(kmers.PLACED, 0.0))
        if any(letter not in "ACGT" for letter in self.site.values()):
            raise ValueError(f"a site with the letters {self.site}")

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """Settle the length of a window, what of it is judged, and how its letters go on."""
        found = []
        for sample in items:
            try:
                found.append(codes(sample.data.letters))
            except BadInput:  # rejected with its reason when it is encoded
                continue
        if not found:
            raise UsageError("no sequence to learn from", "see `deepfield genomics inspect`")
        self._settle_members()
        if "length_bp" not in self.state or self.settings.get("length") or self.kind == "site":
            asked = self.settings.get("length")
            self.state["length_bp"] = int(asked or usual_length([len(one) for one in found]))
        whole = [one for one in found if len(one) == self.length]
        letters = site_letters(whole) if len(whole) > 1 else {}
        kind = self.settings.get("kind") or self.state.get("kind")
        self.state["kind"] = kind or ("site" if len(letters) >= 2 else "window")
        self.state["site"] = letters if self.kind == "site" and 0 in letters else {}
        fitting = []
        for one in found:
            try:
                fitting.append(window(one, self.length)[0])
            except BadInput:
                continue
        if not fitting:
            raise UsageError(
                f"no sequence fits {self.length} letters", "choose another --length, or leave it"
            )
        stacked = np.stack(fitting)
        told = stacked.size * (len(set(targets)) - 1)
        worth = self.architecture == "dilated_cnn" and 0 < told <= kmers.MOST_PLACED
        self.state[kmers.PLACED] = kmers.PLACED_SHARE if worth and self.kind != "peak" else 0.0
        self.tables["chain"] = chain(stacked)
        bits = surprise(stacked, self.tables["chain"])
        self.state["usual"] = round(float(np.mean(bits[np.isfinite(bits)])), 6)

    def _settle_members(self) -> None:
        members = self.settings.get("members") or self.state.get("members", 1)
        if not 1 <= members <= _MOST_MEMBERS:
            raise UsageError(f"--members {members}", f"1 to {_MOST_MEMBERS}")
        self.state["members"] = int(members)

    def build_arguments(self) -> dict[str, Any]:
        """What is judged, how many classes there are, and how many letters."""
        return {
            "kind": self.kind,
            "classes": len(self.task.state["labels"]),
            "length_bp": self.length,
        }

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """Two classes; of the splice networks a site of 602 letters, else a peak of 101."""
        site = architecture in ("dilated_cnn", "splice_resnet")
        kind, length = ("site", 602) if site else ("peak", 101)
        return {"kind": kind, "classes": 2, "length_bp": length}

    def build(self, **hyper: Any) -> Any:
        """The network, or as many of its kind as answer together; and words by their places."""
        count, own = int(self.state.get("members", 1)), super().build
        names = [f"model_{k}" for k in range(1, 1 + count)] if count > 1 else ["model"]
        models = {name: own(**hyper) for name in names}
        if self.state.get(kmers.PLACED):
            from deepfield.domains.genomics.placed_words import beside

            models[kmers.PLACED] = beside(models[names[0]], **self.build_arguments())
        return models

    def settle(self, model: Any, items: Sequence[Encoded]) -> None:
        """The weights of words by their places."""
        if model.name == kmers.PLACED:
            from deepfield.domains.genomics.placed_words import settle

            settle(model, items, self.task.output)

    def learner(self, model: Any) -> Any:
        """Of a network of sites what learns from windows: the middle of its answer."""
        if self.kind != "site":
            return model
        from deepfield.domains.genomics.models import learner

        self._learners[id(model)] = learner(
            model, self.architecture, self.build_arguments(), self.hyper
        )
        return self._learners[id(model)]

    def finish(self, model: Any, items: Sequence[Encoded]) -> None:
        """Give a network of sites what was learnt from windows."""
        from deepfield.domains.genomics.models import take_over

        if (learnt := self._learners.pop(id(model), None)) is not None:
            take_over(model, learnt)

    def variation(self, items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]] | None:
        """Shuffled sequences are shuffled anew in every epoch: no order of chance is learnt."""
        chance = np.array([getattr(item.sample.data, "shuffled", False) for item in items])
        if not chance.any():
            return None

        def vary(
            rng: np.random.Generator, places: np.ndarray, inputs: Arrays, targets: Arrays
        ) -> tuple[Arrays, Arrays]:
            bases = np.array(inputs["bases"])
            for at in np.flatnonzero(chance[places]):
                letters = shuffled(bases[at].astype(np.uint8).tobytes(), int(rng.integers(1 << 62)))
                bases[at] = np.frombuffer(letters, np.uint8)
            return {**inputs, "bases": bases}, targets

        return vary

    def identity(self, arrays: Arrays) -> Arrays:
        """The sequence; where both strands mean the same, whichever comes first."""
        if self.state.get("kind") != "peak":
            return arrays
        own, other = arrays["bases"], reverse_complement(arrays["bases"])
        return {"bases": min(own, other.astype(own.dtype), key=lambda one: one.tobytes())}

    def near_pairs(self, items: Sequence[Encoded]) -> list[list[int]]:
        """Sequences of which a quarter is in another one too, on either strand."""
        return near_pairs([(item.arrays or {})["bases"] for item in items]).tolist()

    # ------------------------------------------------------------------ from outputs to answer

    def logits(self, bases: np.ndarray) -> np.ndarray:
        """Codes (batch, steps) int32 to logits: (batch, classes), of sites (batch, positions,
        classes).

        The mean over the members by `shares`; of SpliceAI's the logarithm of the mean probability.
        """
        each = {n: self.run(n, {"bases": bases})[self.task.output] for n in self.members}
        if self.architecture == "splice_resnet" and len(each) > 1:
            chances = np.mean([softmax(own.astype(np.float64)) for own in each.values()], axis=0)
            return np.log(np.maximum(chances, 1e-30))
        if len(each) == 1:
            return each[self.members[0]]
        return np.einsum("m,m...->...", list(self.shares.values()), list(each.values()))

    @property
    def shares(self) -> dict[str, float]:
        """How much each member is listened to; networks all alike."""
        own = {n: float(self.state.get(n, 0.0)) for n in self.members if n == kmers.PLACED}
        each = (1 - sum(own.values())) / max(1, len(self.members) - len(own))
        return {name: own.get(name, each) for name in self.members}

    @property
    def field(self) -> int:
        """Letters that an answer hangs on."""
        if self.kind != "site":
            return self.length
        if not hasattr(self, "_field"):
            nothing = np.zeros((1, self.length), np.int32)
            self._field = self.length - self.logits(nothing).shape[1] + 1
        return self._field

    def forward(self, batch: Arrays) -> Arrays:
        """The logits, of sites those of the middle; and how unusually the letters go on."""
        logits = self.logits(batch["bases"])
        if logits.ndim == 3:
            steps = batch["bases"].shape[1]
            field = steps - logits.shape[1] + 1
            logits = logits[:, middle(steps) - middle(field)]
        return {self.task.output: logits, **self._unusual(batch["bases"])}

    def _unusual(self, bases: np.ndarray) -> Arrays:
        if "chain" not in self.tables:
            return {}
        return {"unusual": np.abs(surprise(bases, self.tables["chain"]) - self.state["usual"])}

    def _known(self, outputs: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """Whether windows are of the domain, and their scores; nothing where nobody can tell."""
        if self.novelty is None or "unusual" not in outputs:
            return np.zeros(0, bool), np.zeros(0)
        return self.novelty.apply(outputs["unusual"])

    def novelty_outputs(self, outputs: Arrays) -> np.ndarray | None:
        """How unusually the letters go on."""
        return outputs.get("unusual")

    def fit_novelty(self, outputs: Arrays) -> Novelty | None:
        """Unlike the training sequences is where letters go on as in hardly any of them."""
        if "unusual" not in outputs:
            return None
        name = "the difference in bits a letter from the usual sequence"
        return Novelty.fit(outputs["unusual"], measure="given", name=name)

    def decode(self, outputs: Arrays, context: Any) -> dict[str, Any]:
        """The class, and of a site where it is."""
        item, found, lack = context
        place = middle(len(item)) if self.kind == "site" else None
        answer = {**self.task.answer(outputs["prediction"]), **_where(item, place, "+", found)}
        doubts = [reason for reason in (lack, unread(found)) if reason]
        centre = middle(len(found))
        for offset, letter in self.site.items():
            if text_of(found[centre + offset : centre + offset + 1]) != letter:
                doubts.append(f"its middle is not {''.join(self.site.values())}, as in training")
                break
        if doubts:
            answer |= {"in_domain": False, "in_domain_reason": "; ".join(doubts)}
        return answer

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's, and where it is."""
        return (*self.task.fields, "position", "strand", "letters")

    # ------------------------------------------------------------------ along a contig

    def answers(
        self, samples: Iterable[Sample], batch_size: int = BATCH, targets: bool = False
    ) -> Iterator[tuple[Encoded, dict[str, Any]]]:
        """Of sequences as they come; long ones are looked through, where that is wanted."""
        if targets:
            yield from super().answers(samples, batch_size, targets)
            return
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"--threshold {self.threshold:g}", "a probability, 0 to 1")
        if (step := self.settings.get("step")) is not None and step < 1:
            raise UsageError(f"--step {step}", "1 or more bases")
        for long, group in itertools.groupby(samples, self._is_long):
            if not long:
                yield from super().answers(group, batch_size)
                continue
            for sample in group:
                yield from self._along(sample)

    def _is_long(self, sample: Sample) -> bool:
        slides = self.kind == "site" or self.settings.get("step")
        return bool(
            slides
            and sample.fault is None
            and isinstance(sample.data, DNA)
            and len(sample.data) > self.length
        )

    @property
    def threshold(self) -> float:
        """The probability from which a place in a contig is told of."""
        told = self.settings.get("threshold")
        return 0.5 if told is None else float(told)

    @property
    def nothing(self) -> int:
        """The class that means that there is nothing."""
        labels = self.task.state["labels"]
        return next((labels.index(name) for name in _NOTHING if name in labels), 0)

    def _along(self, sample: Sample) -> Iterator[tuple[Encoded, dict[str, Any]]]:
        """A row for every place in a contig that is above the threshold; one if there is none."""
        item: DNA = sample.data
        try:
            contig = codes(item.letters)
        except BadInput as error:
            yield Encoded(sample, fault=error.reason), {}
            return
        strands = {"both": "+-", None: "+-"}.get(self.settings.get("strand")) or str(
            self.settings["strand"]
        )
        found, letters = 0, np.ones(len(contig), np.uint8)
        judged = scan(
            self.logits, contig, self.field, self.kind == "site", strands,
            int(self.settings.get("step") or 1), self.site,
        )  # fmt: skip
        for part in judged:
            said = self.calibrated({self.task.output: part.logits})["prediction"]
            above = np.flatnonzero(1 - said[:, self.nothing] >= self.threshold)
            windows = around(contig, part.positions[above], part.strand, self.length)
            known, scores = self._known(self._unusual(windows))
            shown = around(contig, part.positions[above], part.strand, _SHOWN + 1)
            there = around(letters, part.positions[above], part.strand, self.length) > 0
            lacks = self.length - there.sum(axis=1)
            for at, place in enumerate(above.tolist()):
                found += 1
                answer = self.task.answer(said[place])
                answer |= _where(item, int(part.positions[place]), part.strand, shown[at])
                if self.novelty is not None and len(known):
                    answer["in_domain"] = bool(known[at])
                    doubt = unread(windows[at]) or self.novelty.reason(scores[at])
                    answer["in_domain_reason"] = "" if known[at] else doubt
                if lacks[at]:
                    reason = missing(int(lacks[at]), self.length)
                    answer |= {"in_domain": False, "in_domain_reason": reason}
                yield Encoded(sample, prediction=said[place]), answer
        if not found:
            empty = dict.fromkeys(self.fields)
            reason = f"nothing in {len(contig):,} letters reaches {self.threshold:g}"
            yield Encoded(sample), empty | {"in_domain_reason": reason}

    # ------------------------------------------------------------------ beside the network

    def shallow_features(self, items: Sequence[Encoded]) -> Any:
        """Words of the sequences and, but of peaks, which letter stands where: a sparse matrix."""
        return kmers.features(np.stack([(item.arrays or {})["bases"] for item in items]), self.kind)

    def fit_shallow(self, train: Sequence[Encoded], seed: int) -> Any:
        """Logistic regression on them."""
        from deepfield.toolkit.parts import stacked_targets

        told = stacked_targets(train, self.task.output)
        classes = len(self.task.state["labels"])
        return kmers.KmerRegression(self.shallow_features(train), told, classes, seed)

    def explain_several(self, samples: Iterable[Sample]) -> Any:
        """With `motifs` what many sequences have in common for the network."""
        count = self.settings.get("motifs")
        if count is None:
            return super().explain_several(samples)
        from deepfield.domains.genomics.discovery import explain_motifs

        return explain_motifs(self, samples, count, self.settings.get("known"))


def _where(item: DNA, place: int | None, strand: str, letters: np.ndarray) -> dict[str, Any]:
    """Where in a genome, or in the sequence, an answer belongs to; the letters about it."""
    if place is None:
        return {"position": None, "strand": None, "letters": None}
    if item.strand == "-":
        position = item.start + len(item) - place
        strand = "-" if strand == "+" else "+"
    else:
        position = item.start + place + 1
    centre = middle(len(letters))
    shown = letters[max(0, centre - _SHOWN // 2) : centre + _SHOWN // 2 + 1]
    return {"position": position, "strand": strand, "letters": text_of(shown)}
