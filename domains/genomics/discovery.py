"""Motifs that a network goes by: stretches of many sequences that count, laid over each other."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.genomics import logos
from deepfield.domains.genomics.attribution import (
    best_stretches,
    contributions,
    gradients,
    log_odds,
    mutagenesis,
    scorer,
)
from deepfield.domains.genomics.explanation import Window, method_of, window_of
from deepfield.domains.genomics.features import CHANCES, reverse_complement
from deepfield.domains.genomics.motifs import (
    Match,
    Motif,
    from_sites,
    match,
    matches,
    read_meme,
    write_meme,
)
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, DeepfieldError, UsageError
from deepfield.toolkit.plot_style import as_png
from deepfield.toolkit.report import Report
from deepfield.toolkit.tables import aligned

if TYPE_CHECKING:
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

_CORE, _FLANK = 12, 10  # letters of a stretch, and those taken along on either side
_A_SEQUENCE = 5  # stretches of one sequence, at most
_CHANCE = 0.5  # share of sequences in which a stretch as high may come from shuffled letters
_ALIKE = 0.5  # cosine of a stretch and the pattern that it belongs to
_SAME = 0.8  # similarity of two motifs that are one
_ROUNDS = 10
_LEAST_BITS = 0.25  # of the outer columns of a motif
_LEAST_SITES = 8
_LEAST_TOLD = 6.0  # bits of a motif, above chance: what tells less stands in any 64 letters
_MOST_SEQUENCES, _MOST_READ = 300, 30_000_000


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of sequences that count, all of one width.

    Args:
        letters: codes (stretches, width); N beyond the ends of a sequence.
        weights: (stretches, width) what each letter adds.
        sequence: (stretches,) which sequence each is of.
    """

    letters: np.ndarray
    weights: np.ndarray
    sequence: np.ndarray


@dataclass(slots=True)
class MotifExplanation:
    """The motifs that speak for a class in a set of sequences.

    Args:
        label: the class.
        motifs: the most frequent first.
        known: for each motif what it is most like, if it was compared.
        shares: for each motif the share of the sequences that have it.
        read: how many sequences were looked at.
        counts: of the others, by why they were not.
        method: how letters were weighed.
    """

    label: str
    motifs: list[Motif]
    known: list[Match | None]
    shares: list[float]
    read: int
    counts: dict[str, int]
    method: str

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for motif, match_, share in zip(self.motifs, self.known, self.shares, strict=True):
            row = {
                "motif": motif.name, "consensus": motif.consensus, "sites": motif.sites,
                "share": round(share, 4), "bits": round(float(motif.information.sum()), 2),
            }  # fmt: skip
            if match_ is not None:
                row |= {
                    "known": match_.known, "similarity": round(match_.similarity, 3),
                    "p_value": match_.p_value,
                }  # fmt: skip
            rows.append(row)
        return rows

    def facts(self) -> dict[str, Any]:
        """What is no picture, JSON-able."""
        tables = [
            [[round(float(p), 6) for p in row] for row in m.probabilities] for m in self.motifs
        ]
        rows = zip(self._rows(), tables, strict=True)
        return {
            "class": self.label, "sequences": self.read, **self.counts, "method": self.method,
            "motifs": [row | {"probabilities": table} for row, table in rows],
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """A motif a line."""
        rows = self._rows()
        if rows:
            heads = list(rows[0])
            yield from aligned([heads, *([row.get(h) for h in heads] for row in rows)], left=2)
        else:
            yield "no motif: no stretches that count are alike in enough sequences"
        yield ""
        yield self._told()

    def _told(self) -> str:
        others = "".join(f"; {count:,} {why}" for why, count in self.counts.items() if count)
        return f"{self.read:,} sequences that are {self.label}{others}. {self.method}"

    def meme(self) -> str:
        """The motifs in MEME's text format."""
        return write_meme(self.motifs)

    def _figure(self) -> Any:
        titles = [
            f"{row['motif']}: {row['consensus']}, {row['sites']:,} sites"
            + (f"; {row['known']}, {row['similarity']:.2f}" if "known" in row else "")
            for row in self._rows()
        ]
        return logos.information_figure(self.motifs, titles)

    def png(self) -> bytes:
        """The logos of all motifs as PNG."""
        return as_png(self._figure())

    def svg(self) -> bytes:
        """The same as SVG."""
        return logos.as_svg(self._figure())

    def report(self) -> Report:
        """A page with the logos, a table, and the motifs in MEME's format."""
        page = Report(f"Motifs that speak for {self.label}").text(self._told())
        if self.motifs:
            page.picture(self.png(), "Letters are as high as the bits that they tell")
            page.table(self._rows())
            page.section("In MEME's format").text(self.meme())
        return page


def explain_motifs(
    pipeline: GenomicsPipeline, samples: Iterable[Sample], count: int, known: str | None = None
) -> MotifExplanation:
    """The motifs that speak for a class in the sequences that the network says to be of it.

    Of many sequences those are looked at of which the network is surest. The pipeline's settings
    `class` and `method` are those of `explanation.explain`.

    Args:
        pipeline: a trained one.
        samples: sequences.
        count: motifs, at most.
        known: a file of known motifs in MEME's format, with which they are compared.

    Raises:
        DeepfieldError: hardly any sequence is said to be of the class.
        NotFound: no file of known motifs.
        UsageError: no motif is wanted, no such class or method, the file holds no motifs, or
            sequences too long for in-silico mutagenesis.
    """
    if count < 1:
        raise UsageError(f"{count} motifs", "ask for one at least")
    method = method_of(pipeline)
    others = read_meme(known) if known else []
    windows, tally, label = surest(pipeline, samples)
    if len(windows) < _LEAST_SITES:
        raise DeepfieldError(
            f"{len(windows)} of {sum(tally.values()) + len(windows)} sequences are {label}, "
            f"motifs need {_LEAST_SITES}",
            "give more sequences, or another --class",
        )
    most = _MOST_SEQUENCES
    if method == "ism":
        most = min(most, _MOST_READ // (3 * len(windows[0].bases) ** 2))
        if most < _LEAST_SITES:
            raise UsageError(
                f"changing {len(windows[0].bases):,} letters of each sequence takes too long",
                "take --method gradient",
            )
    tally["not looked at, the network is less sure of them"] += max(0, len(windows) - most)
    windows = windows[:most]
    weights = [_weights(pipeline, one, method) for one in windows]
    found, shares = discover([one.bases for one in windows], weights, count)
    matched = [next(iter(matches(motif, others)), None) for motif in found]
    how = {"ism": "in-silico mutagenesis", "gradient": "gradients times input"}[method]
    return MotifExplanation(
        label, found, matched, shares, len(windows), tally, f"Letters were weighed by {how}"
    )


def surest(
    pipeline: GenomicsPipeline, samples: Iterable[Sample]
) -> tuple[list[Window], dict[str, int], str]:
    """The sequences that the network is surest of, the surest first; how many there are of others,
    by why they are left out; and the class.
    """
    labels = pipeline.task.state["labels"]
    name = pipeline.settings.get("class")
    tally = {
        "rejected": 0, "of another class": 0, "not looked at, the network is less sure of them": 0
    }  # fmt: skip
    held: list[tuple[float, int, Window]] = []
    label = name
    for index, sample in enumerate(samples):
        try:
            if sample.fault is not None:
                raise BadInput(sample.fault)
            asked = window_of(pipeline, sample)
        except BadInput:
            tally["rejected"] += 1
            continue
        label = label or labels[asked.label]  # the first sequence decides, if nobody does
        sure = float(log_odds(asked.logits, labels.index(label)))
        if sure <= 0:
            tally["of another class"] += 1
            continue
        heapq.heappush(held, (sure, -index, replace(asked, label=labels.index(label))))
        if len(held) > _MOST_SEQUENCES:
            heapq.heappop(held)
            tally["not looked at, the network is less sure of them"] += 1
    return [one for *_, one in sorted(held, key=lambda h: (-h[0], -h[1]))], tally, label or "any"


def _weights(pipeline: GenomicsPipeline, asked: Window, method: str) -> np.ndarray:
    if method == "gradient":
        changes = gradients(pipeline, asked.bases, asked.label)
    else:
        changes = mutagenesis(scorer(pipeline, asked.label), asked.bases)
    return contributions(changes, asked.bases)


# ------------------------------------------------------------------------- from weights to motifs


def discover(
    sequences: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    count: int = 5,
    seed: int = 0,
) -> tuple[list[Motif], list[float]]:
    """Motifs in sequences whose letters have weights, whatever weighed them.

    Stretches of 12 letters that weigh more than shuffled weights would are taken with 10 letters on
    either side. Around the heaviest of them those gather that are like it (cosine of weighed
    one-hot letters, over offsets and both strands); their mean is the next centre, until nothing
    changes. What is left begins the next pattern. Patterns whose motifs are alike are one; then
    every stretch goes to the pattern that it is most like, and the letters are counted.

    Args:
        sequences: codes (steps,) each.
        weights: (steps,) each, what letters add.
        count: motifs, at most.
        seed: of the shuffles.

    Returns:
        The motifs, of most sites first, and the share of the sequences that each is in.

    Source: the steps are those of TF-MoDISco (Shrikumar et al. 2018), each in its simplest form.
    """
    stretches = heavy_stretches(sequences, weights, seed)
    signals = CHANCES[stretches.letters] * stretches.weights[..., None]
    patterns: list[np.ndarray] = []
    free = np.ones(len(signals), bool)
    motifs: list[Motif] = []
    for _ in range(3 * count):  # some patterns turn out to be the same
        if len(motifs) == count or free.sum() < _LEAST_SITES:
            break
        pattern, members = _gathered(signals, free)
        free &= ~members
        if members.sum() < _LEAST_SITES:
            continue
        motif = _counted(stretches, signals, pattern, members)
        if motif.information.sum() - len(motif) * _by_chance(motif.sites) < _LEAST_TOLD:
            continue
        if not any(match(motif, other, shuffles=0).similarity >= _SAME for other in motifs):
            patterns.append(pattern)
            motifs.append(motif)
    return _settled(stretches, signals, patterns, len(sequences))


def heavy_stretches(
    sequences: Sequence[np.ndarray], weights: Sequence[np.ndarray], seed: int = 0
) -> Stretches:
    """The stretches that weigh more than the heaviest of shuffled weights in half of the sequences.

    Stretches of no motif that come along are like no other, and are left out later.
    """
    rng = np.random.default_rng(seed)
    width = min(_CORE, *(len(w) for w in weights), _CORE)
    by_chance = [np.convolve(rng.permutation(w), np.ones(width), "valid").max() for w in weights]
    least = max(0.0, float(np.quantile(by_chance, 1 - _CHANCE)))
    letters, heights, which = [], [], []
    for index, (sequence, weight) in enumerate(zip(sequences, weights, strict=True)):
        padded = np.pad(sequence, _FLANK), np.pad(weight, _FLANK)
        for start in best_stretches(weight, width, _A_SEQUENCE, least):
            shown = slice(start, start + width + 2 * _FLANK)
            letters.append(padded[0][shown])
            heights.append(padded[1][shown])
            which.append(index)
    wide = width + 2 * _FLANK
    return Stretches(
        np.array(letters, np.uint8).reshape(-1, wide),
        np.array(heights, float).reshape(-1, wide),
        np.array(which, int),
    )


def _gathered(signals: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pattern that begins with the heaviest free stretch, and which stretches belong to it."""
    heaviest = np.where(free, signals.sum(axis=(1, 2)), -np.inf)
    pattern = _unit(signals[int(np.argmax(heaviest))])
    members = np.zeros(len(signals), bool)
    for _ in range(_ROUNDS):
        likeness, offset, turned = _laid(signals, pattern)
        now = free & (likeness >= _ALIKE)
        if not now.any() or (now == members).all():
            break
        members = now
        moved = [
            _moved(signals[i], int(offset[i]), bool(turned[i])) for i in np.flatnonzero(members)
        ]
        pattern = _unit(_centred(np.mean([_unit(one) for one in moved], axis=0)))
    return pattern, members


def _laid(signals: np.ndarray, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How each stretch lies best over a pattern: cosine, offset, and whether it is turned."""
    length = np.maximum(np.linalg.norm(signals, axis=(1, 2)), 1e-12)
    offsets = np.arange(-_FLANK, _FLANK + 1)
    shifted = np.stack(
        [_shift(pattern, -offset) for offset in offsets.tolist()]
    )  # the pattern moves
    scores = []
    for strand in (signals, signals[:, ::-1, ::-1]):
        scores.append(np.einsum("nwb,owb->no", strand, shifted, optimize=True))
    together = np.concatenate(scores, axis=1) / length[:, None]
    best = np.argmax(together, axis=1)
    return (
        together[np.arange(len(signals)), best],
        offsets[best % len(offsets)],
        best >= len(offsets),
    )


def _shift(array: np.ndarray, offset: int) -> np.ndarray:
    """Moved to the right along the first axis, zeros where nothing is."""
    moved = np.zeros_like(array)
    if offset >= 0:
        moved[offset:] = array[: len(array) - offset]
    else:
        moved[:offset] = array[-offset:]
    return moved


def _moved(signal: np.ndarray, offset: int, turned: bool) -> np.ndarray:
    return _shift(signal[::-1, ::-1] if turned else signal, offset)


def _unit(signal: np.ndarray) -> np.ndarray:
    return signal / max(float(np.linalg.norm(signal)), 1e-12)


def _centred(pattern: np.ndarray) -> np.ndarray:
    """With its centre of gravity in the middle."""
    weight = np.abs(pattern).sum(axis=1)
    centre = (weight * np.arange(len(weight))).sum() / max(weight.sum(), 1e-12)
    move = round(float((len(weight) - 1) / 2 - centre))
    return _shift(pattern, max(-_FLANK, min(_FLANK, move)))


def _counted(
    stretches: Stretches, signals: np.ndarray, pattern: np.ndarray, members: np.ndarray
) -> Motif:
    """The motif of the letters of the members, as they lie over the pattern."""
    _, offset, turned = _laid(signals[members], pattern)
    letters = [
        _shift(reverse_complement(one) if back else one, int(move))
        for one, move, back in zip(stretches.letters[members], offset, turned, strict=True)
    ]
    if turned.mean() > 0.5:
        letters = [reverse_complement(one) for one in letters]
    motif = from_sites(np.stack(letters), pseudocount=1.0)
    return motif.trimmed(max(_LEAST_BITS, 2 * _by_chance(len(letters))))


def _by_chance(sites: int) -> float:
    """Bits that a column of so few letters tells by chance (Schneider et al. 1986)."""
    return 3 / (2 * np.log(2) * sites)


def _settled(
    stretches: Stretches, signals: np.ndarray, patterns: Sequence[np.ndarray], sequences: int
) -> tuple[list[Motif], list[float]]:
    """Every stretch to the pattern it is most like; motifs of most sites first."""
    if not patterns:
        return [], []
    likeness = np.stack([_laid(signals, pattern)[0] for pattern in patterns])
    best = np.where(likeness.max(axis=0) >= _ALIKE, likeness.argmax(axis=0), -1)
    made = []
    for index, pattern in enumerate(patterns):
        members = best == index
        if members.sum() >= _LEAST_SITES:
            share = len(np.unique(stretches.sequence[members])) / sequences
            made.append((_counted(stretches, signals, pattern, members), share))
    made.sort(key=lambda pair: -pair[0].sites)
    named = [replace(m, name=f"motif_{n}") for n, (m, _) in enumerate(made, 1)]
    return named, [share for _, share in made]
