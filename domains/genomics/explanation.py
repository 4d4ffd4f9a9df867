"""Which letters an answer hangs on: what the network says when another base stands there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.genomics import logos
from deepfield.domains.genomics.attribution import (
    best_stretches,
    contributions,
    covered,
    gradients,
    log_odds,
    mutagenesis,
    scorer,
)
from deepfield.domains.genomics.features import LETTERS, codes, reverse_complement, text_of
from deepfield.domains.genomics.scanning import scan
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.windows import middle
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.plot_style import as_png
from deepfield.toolkit.report import Report
from deepfield.toolkit.tables import aligned

if TYPE_CHECKING:
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

METHODS = ("ism", "gradient")
#: Letters that a network reads for one explanation: more of a long sequence is not mutated letter
#: by letter, but at least so many letters are.
_MOST_READ, _LEAST_MUTATED = 3_000_000, 100
_STRETCH, _STRETCHES, _LISTED = 10, 5, 10


@dataclass(slots=True)
class Explanation:
    """A sequence, the answer, and what each letter adds to the log-odds of a class.

    Args:
        name: of the sample.
        label: the class that is explained.
        answer: what is said of the whole.
        sequence: codes of the letters, (letters,).
        contributions: (letters,) how much the log-odds fall, on average, when another base stands
            in a letter's place. What is positive speaks for the class.
        changes: (letters, 4) what each base in a letter's place changes.
        first: position of the first letter, as people count.
        step: to the position of the next letter: 1, or -1 on the other strand.
        site: position that is judged; None where the whole is.
        method: how that was found, in words.
        overview: (steps,) of everything that the network has read, where that is more.
        before: letters of the overview before the first.
    """

    name: str
    label: str
    answer: dict[str, Any]
    sequence: np.ndarray
    contributions: np.ndarray
    changes: np.ndarray
    first: int = 1
    step: int = 1
    site: int | None = None
    method: str = ""
    overview: np.ndarray | None = None
    before: int = 0

    @property
    def unit(self) -> str:
        """Of contributions and changes."""
        return f"log-odds of {self.label}"

    def _position(self, place: int) -> int:
        return self.first + self.step * place

    def letters(self) -> list[dict[str, Any]]:
        """Every letter with its position, its contribution, and what each base would change."""
        return [
            {
                "position": self._position(place),
                "letter": LETTERS[code],
                "contribution": round(float(self.contributions[place]), 5),
                **{b: round(float(c), 5) for b, c in zip("ACGT", self.changes[place], strict=True)},
            }
            for place, code in enumerate(self.sequence)
        ]

    def stretches(self) -> list[dict[str, Any]]:
        """The stretches of ten letters that speak most for the class, best first."""
        found = best_stretches(self.contributions, _STRETCH, _STRETCHES)
        return [
            {
                "from": self._position(start),
                "to": self._position(min(start + _STRETCH, len(self.sequence)) - 1),
                "letters": text_of(self.sequence[start : start + _STRETCH].astype(np.uint8)),
                "contribution": round(float(self.contributions[start : start + _STRETCH].sum()), 5),
            }
            for start in found
        ]

    def mutations(self) -> list[dict[str, Any]]:
        """The changes of one letter that move the answer most."""
        order = np.argsort(-np.abs(self.changes), axis=None, kind="stable")[:_LISTED]
        places, bases = np.unravel_index(order, self.changes.shape)
        return [
            {
                "position": self._position(int(place)),
                "from": LETTERS[self.sequence[place]],
                "to": "ACGT"[base],
                "change": round(float(self.changes[place, base]), 5),
            }
            for place, base in zip(places, bases, strict=True)
            if self.changes[place, base]
        ]

    def facts(self) -> dict[str, Any]:
        """What is no picture, JSON-able."""
        return {
            "id": self.name,
            "class": self.label,
            "answer": self.answer,
            "unit": self.unit,
            "method": self.method,
            "stretches": self.stretches(),
            "mutations": self.mutations(),
            "letters": self.letters(),
        }

    def lines(self) -> Iterator[str]:
        """The answer, the stretches that speak for it, and the mutations that change it most."""
        yield from aligned((k, v) for k, v in self.answer.items() if v is not None)
        yield ""
        rows: list[tuple[Any, ...]] = [("stretch", "letters", self.unit)]
        rows += [
            (f"{s['from']}-{s['to']}", s["letters"], f"{s['contribution']:+.4f}")
            for s in self.stretches()
        ]
        yield from aligned(rows, left=2)
        yield ""
        rows = [("mutation", "change")]
        rows += [
            (f"{m['from']}{m['position']}{m['to']}", f"{m['change']:+.4f}")
            for m in self.mutations()
        ]
        yield from aligned(rows)
        yield ""
        yield self.method

    def _figure(self) -> Any:
        told = f"{self.name}: {self.answer['label']}, {self.answer['probability']:.1%}"
        return logos.contribution_figure(
            self.sequence, self.contributions, self.changes, unit=self.unit, caption=told,
            first=self.first, step=self.step, site=self.site, overview=self.overview,
            before=self.before,
        )  # fmt: skip

    def png(self) -> bytes:
        """The letters, as high as what they add, as PNG."""
        return as_png(self._figure())

    def svg(self) -> bytes:
        """The same as SVG."""
        return logos.as_svg(self._figure())

    def meme(self) -> str:
        """Nothing: of one sequence there are no motifs.

        Raises:
            UsageError: always.
        """
        raise UsageError("motifs are found in several sequences", "add --motifs N")

    def report(self) -> Report:
        """A page with the picture, the answer, stretches, mutations, and all letters."""
        page = Report(f"Why: {self.name}")
        page.table([{"": k, "value": v} for k, v in self.answer.items() if v is not None])
        page.picture(
            self.png(),
            f"Letters above the line speak for {self.label}, those that hang from it against it "
            f"({self.unit}). Below: what each base would change. {self.method}.",
        )
        page.section("What speaks for it").table(self.stretches())
        page.section("The mutations that change most").table(self.mutations())
        page.section("Letters").table(self.letters())
        return page


# ------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True, slots=True)
class Window:
    """The letters that an answer hangs on, and where they are.

    Args:
        bases: codes (steps,) int32.
        answer: what the pipeline says of them.
        logits: (classes,) of them.
        label: place of the class that is explained.
        first: position of the first letter, as people count.
        step: to the position of the next.
        site: place of the letter that is judged; None where the whole is.
    """

    bases: np.ndarray
    answer: dict[str, Any]
    logits: np.ndarray
    label: int
    first: int
    step: int
    site: int | None

    def position(self, place: int) -> int:
        """Of the letter at a place, as people count."""
        return self.first + self.step * place


def explain(pipeline: GenomicsPipeline, sample: Sample) -> Explanation:
    """Change every letter in turn and ask the network again, or take gradients.

    The pipeline's settings say what is asked: `class` (by default the second of two, at a site the
    likeliest that is anything, else the answer), `position` and `strand` in a sequence that is
    longer than the network reads (by default where it is surest of that class), and `method`.

    Raises:
        BadInput: the sequence cannot be encoded.
        UsageError: the position is not in it.
        UsageError: no such class or method.
    """
    method = method_of(pipeline)
    asked = window_of(pipeline, sample)
    start, stop = _known(asked.bases)
    overview, how = None, "Every letter was changed to the three other bases"
    first = start
    if method == "gradient":
        changes = gradients(pipeline, asked.bases, asked.label)[start:stop]
        how = "Gradients times input: what the slope at the sequence tells of changes"
    else:
        ask = scorer(pipeline, asked.label)
        most = max(_LEAST_MUTATED, _MOST_READ // (3 * len(asked.bases)))
        if stop - start > most:
            overview = covered(ask, asked.bases)[start:stop]
            how = (
                f"{most:,} of {stop - start:,} letters were changed to the three other bases; the "
                "line of the whole is what is lost where stretches are covered with N"
            )
            there = logos.stretch_around(overview, most)
            if asked.site is not None:
                there = int(np.clip(asked.site - start - most // 2, 0, stop - start - most))
            first, stop = start + there, start + there + most
        changes = mutagenesis(ask, asked.bases, np.arange(first, stop))
    letters = asked.bases[first:stop]
    return Explanation(
        sample.id, pipeline.task.state["labels"][asked.label], asked.answer, letters,
        contributions(changes, letters), changes, asked.position(first), asked.step,
        None if asked.site is None else asked.position(asked.site), how, overview, first - start,
    )  # fmt: skip


def method_of(pipeline: GenomicsPipeline) -> str:
    """How contributions are found.

    Raises:
        UsageError: no such method.
    """
    method = pipeline.settings.get("method") or METHODS[0]
    if method not in METHODS:
        raise UsageError(f"no method {method!r}", f"known: {', '.join(METHODS)}")
    return method


def window_of(pipeline: GenomicsPipeline, sample: Sample) -> Window:
    """What the network reads of a sample, its answer, and the class that is asked about.

    Raises:
        BadInput: the sequence cannot be encoded.
        UsageError: the position is not in it.
        UsageError: no such class.
    """
    item = sample.data if isinstance(sample.data, DNA) else DNA(bytes(sample.data))
    label = _label(pipeline)
    if pipeline.settings.get("position") is not None or len(item) > pipeline.length:
        item = _cut(pipeline, item, label)
    arrays, context = pipeline.encode(item)
    bases = arrays["bases"]
    outputs = pipeline.calibrated(pipeline.forward({"bases": bases[None]}))
    logits = outputs[pipeline.task.output][0]
    answer = pipeline.decode({name: values[0] for name, values in outputs.items()}, context)
    if label is None:
        said = outputs["prediction"][0].copy()
        if pipeline.kind == "site":
            said[pipeline.nothing] = -1
        label = int(np.argmax(said))
    place = middle(len(bases)) - middle(len(item))  # where the sample's first letter stands
    step = 1 if item.strand == "+" else -1
    first = (item.start + 1 if step > 0 else item.start + len(item)) - step * place
    if pipeline.kind != "site":
        return Window(bases, answer, logits, label, first, step, None)
    site = middle(pipeline.field)
    start = middle(len(bases)) - site
    bases = bases[start : start + pipeline.field]
    return Window(bases, answer, logits, label, first + step * start, step, site)


def _label(pipeline: GenomicsPipeline) -> int | None:
    """The class that is asked about; None where the answer decides it."""
    labels = pipeline.task.state["labels"]
    name = pipeline.settings.get("class")
    if name is not None:
        if name not in labels:
            raise UsageError(f"no class {name!r}", f"the network has {', '.join(labels)}")
        return labels.index(name)
    return 1 if len(labels) == 2 else None


def _cut(pipeline: GenomicsPipeline, item: DNA, label: int | None) -> DNA:
    """As many letters as the network reads, about the position that is asked about."""
    contig, strand = codes(item.letters), pipeline.settings.get("strand")
    if item.strand == "-" and strand in ("+", "-"):  # strands are told as the genome has them
        strand = "-" if strand == "+" else "+"
    position = pipeline.settings.get("position")
    if position is None:
        place, strand = _surest(pipeline, contig, label, strand)
    else:
        place = position - 1 - item.start
        if item.strand == "-":
            place = item.start + len(item) - position
        if not 0 <= place < len(item):
            last = item.start + len(item)
            raise UsageError(
                f"--position {position} is not in {item.start + 1:,} to {last:,}",
                "a base of the sequence that is explained, as `predict` tells it",
            )
        strand = "-" if strand == "-" else "+"
    left = middle(pipeline.length)
    right = pipeline.length - 1 - left
    start = place - (left if strand == "+" else right)
    stop = start + pipeline.length
    piece = contig[max(0, start) : max(0, stop)]
    piece = np.pad(piece, (max(0, -start), max(0, stop - len(contig))))
    if strand == "-":
        piece = reverse_complement(piece)
    if item.strand == "-":
        start, strand = len(item) - stop, "-" if strand == "+" else "+"
    return DNA(text_of(piece).encode(), item.contig, item.start + start, strand)


def _surest(
    pipeline: GenomicsPipeline, contig: np.ndarray, label: int | None, strand: str | None
) -> tuple[int, str]:
    """Where in a contig the network is surest of the class, or of anything, and on which strand."""
    slides = pipeline.kind == "site"
    best, where = -np.inf, (middle(len(contig)), "+")
    judged = scan(
        pipeline.logits, contig, pipeline.field, slides, strand if strand in ("+", "-") else "+-",
        1 if slides else max(1, pipeline.length // 4), pipeline.site,
    )  # fmt: skip
    for part in judged:
        sure = log_odds(part.logits, pipeline.nothing if label is None else label)
        if label is None:
            sure = -sure
        place = int(np.argmax(sure))
        if sure[place] > best:
            best, where = float(sure[place]), (int(part.positions[place]), part.strand)
    return where


def _known(bases: np.ndarray) -> tuple[int, int]:
    """From the first to behind the last letter that is not N: what a short sequence lacks at its
    ends is not explained.
    """
    there = np.flatnonzero(bases)
    if not len(there):
        raise BadInput("every letter is N")
    return int(there[0]), int(there[-1]) + 1
