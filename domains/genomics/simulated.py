"""Simulated DNA whose grammar is known: motifs, pairs of them at a spacing, splice sites, a genome.

What was planted is told beside each sequence, so that whatever a network claims to have found can
be compared with the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deepfield.domains.genomics.features import codes, reverse_complement, text_of

#: Motifs of our own making, none its own reverse complement: what each place of them mostly is.
MOTIFS = {"A": "CACTTCCGG", "B": "GATAAGCG"}
#: Probability of a motif's own letter at a place; the other three share the rest.
FIDELITY = 0.94
#: Of a pair, the letters between A and B.
SPACING = (6, 7, 8, 9, 10)
#: How likely A, C, G and T are between motifs.
BACKGROUND = (0.29, 0.21, 0.21, 0.29)
#: A donor site and an acceptor site as they mostly are, in the sense of Shapiro & Senapathy 1987;
#: "N" is any letter. The intron begins, and ends, at the places given.
_DONOR, _DONOR_AT = "CAGGTAAGT", 3
_ACCEPTOR, _ACCEPTOR_END = "TTTTCTTTTTTNCAGG", 15


@dataclass(frozen=True, slots=True)
class Planted:
    """A simulated sequence.

    Args:
        letters: its bases.
        label: `"1"` where the grammar is kept, else `"0"`.
        motifs: names and places of what was planted: `"A+12 B+28"`, from 0; behind a minus it is
            read on the other strand.

    Example:
        >>> one = next(simulate("motif", 1))
        >>> one.label, one.motifs.count("A")  # motif A is there, and so the label is 1
        ('1', 1)
    """

    letters: str
    label: str
    motifs: str


def matrix(name: str) -> np.ndarray:
    """Probabilities of A, C, G and T at each place of a motif, (width, 4) float64.

    Example:
        >>> matrix("A").shape
        (9, 4)
    """
    consensus = MOTIFS[name]
    found = np.full((len(consensus), 4), (1 - FIDELITY) / 3)
    found[np.arange(len(consensus)), codes(consensus) - 1] = FIDELITY
    return found


def simulate(kind: str, count: int, seed: int = 0, length: int = 0) -> Iterator[Planted]:
    """Labelled sequences, half of them with what the label is about.

    - `motif` (80 letters): 1 where motif A is, on either strand.
    - `pair` (100 letters): 1 where B follows A after 6 to 10 letters, on either strand. Of the
      others a third have both of them in another order or further apart, a third one of them, a
      third none: neither motif tells alone.
    - `site` (120 letters): GT in the middle of all; 1 where it is a donor site.

    Args:
        kind: `motif`, `pair` or `site`.
        count: how many.
        seed: of all that is random; the first sequences of a longer simulation are the same.
        length: letters of each; as above without.

    Example:
        >>> [(one.label, len(one.letters)) for one in simulate("pair", 3)]
        [('1', 100), ('0', 100), ('1', 100)]
    """
    make, usual = KINDS[kind]
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield make(rng, length or usual, number % 2 == 0)


def _motif(rng: np.random.Generator, length: int, right: bool) -> Planted:
    sequence = _background(rng, length)
    marks = []
    if right:
        marks.append(_plant(rng, sequence, "A", int(rng.integers(length - 8))))
    return _finished(rng, sequence, marks, right)


def _pair(rng: np.random.Generator, length: int, right: bool) -> Planted:
    sequence = _background(rng, length)
    first, second = len(MOTIFS["A"]), len(MOTIFS["B"])
    if right:
        gap = int(rng.choice(SPACING))
        start = int(rng.integers(length - first - gap - second + 1))
        marks = [
            _plant(rng, sequence, "A", start),
            _plant(rng, sequence, "B", start + first + gap),
        ]
        return _finished(rng, sequence, marks, right)
    wrong = int(rng.integers(3))
    if wrong == 0:  # both, too far apart or in the other order
        names, least = (("AB", SPACING[-1] + 8), ("BA", 0))[int(rng.integers(2))]
        far = int(rng.integers(least, length - first - second))
        start = int(rng.integers(length - first - far - second + 1))
        ahead = len(MOTIFS[names[0]])
        marks = [
            _plant(rng, sequence, names[0], start),
            _plant(rng, sequence, names[1], start + ahead + far),
        ]
    elif wrong == 1:
        name = "AB"[int(rng.integers(2))]
        marks = [_plant(rng, sequence, name, int(rng.integers(length - second + 1)))]
    else:
        marks = []
    return _finished(rng, sequence, marks, right)


def _site(rng: np.random.Generator, length: int, right: bool) -> Planted:
    sequence = _background(rng, length)
    start = (length - 1) // 2
    if right:
        sequence[start - _DONOR_AT : start - _DONOR_AT + len(_DONOR)] = _drawn(rng, _DONOR)
    sequence[start : start + 2] = codes("GT")
    return Planted(text_of(sequence), str(int(right)), f"GT+{start}")


KINDS = {"motif": (_motif, 80), "pair": (_pair, 100), "site": (_site, 120)}


def _background(rng: np.random.Generator, length: int) -> np.ndarray:
    """Letters without the consensus of a motif on either strand."""
    while True:
        sequence = rng.choice(4, length, p=BACKGROUND).astype(np.uint8) + 1
        both = text_of(sequence) + "N" + text_of(reverse_complement(sequence))
        if not any(consensus in both for consensus in MOTIFS.values()):
            return sequence


def _drawn(rng: np.random.Generator, consensus: str) -> np.ndarray:
    found = codes(consensus)
    other = rng.integers(1, 5, len(found)).astype(np.uint8)
    changed = (rng.random(len(found)) > FIDELITY) | (found == 0)
    return np.where(changed, other, found)


def _plant(rng: np.random.Generator, sequence: np.ndarray, name: str, start: int) -> str:
    """Put a motif, as drawn from its matrix, in its place; its mark."""
    rows = matrix(name).cumsum(axis=1)
    letters = (rng.random((len(rows), 1)) > rows).sum(axis=1).clip(0, 3) + 1
    sequence[start : start + len(letters)] = letters
    return f"{name}+{start}"


def _finished(
    rng: np.random.Generator, sequence: np.ndarray, marks: list[str], right: bool
) -> Planted:
    """The sequence on one strand or the other, with the places of its motifs."""
    if rng.integers(2):
        sequence = reverse_complement(sequence)
        turned = []
        for mark in reversed(marks):
            name, start = mark.split("+")
            turned.append(f"{name}-{len(sequence) - int(start) - len(MOTIFS[name])}")
        marks = turned
    return Planted(text_of(sequence), str(int(right)), " ".join(marks))


# ------------------------------------------------------------------------------------ a genome


@dataclass(frozen=True, slots=True)
class Gene:
    """A gene of a simulated genome.

    Args:
        name: of the gene.
        contig: on which it lies.
        strand: `"+"` or `"-"`.
        exons: start (from 0) and stop of each, by place on the + strand.

    Example:
        >>> gene = Gene("SIM001", "chr1", "-", ((500, 620), (900, 1010)))
        >>> sum(stop - start for start, stop in gene.exons)  # bases that are spliced together
        230
    """

    name: str
    contig: str
    strand: str
    exons: tuple[tuple[int, int], ...]


def genome(length: int = 100_000, seed: int = 0) -> tuple[dict[str, bytes], list[Gene]]:
    """Contigs with genes on both strands, whose introns have splice sites at their ends.

    Three contigs share the length as 6 : 3 : 1. Genes of three to five exons do not overlap.

    Args:
        length: bases of all contigs together, 10,000 or more.
        seed: of all that is random.

    Returns:
        Letters by contig, and the genes in the order of their places.

    Example:
        >>> contigs, genes = genome(20_000, seed=1)
        >>> {name: len(letters) for name, letters in contigs.items()}
        {'chr1': 12000, 'chr2': 6000, 'chr3': 2000}
        >>> start, stop = genes[0].exons[0][1], genes[0].exons[1][0]
        >>> contigs[genes[0].contig][start:start + 2], genes[0].strand
        (b'GT', '+')
    """
    contigs: dict[str, bytes] = {}
    genes: list[Gene] = []
    for number, share in enumerate((0.6, 0.3, 0.1), start=1):
        rng = np.random.default_rng([seed, number])
        sequence = rng.choice(4, int(share * length), p=BACKGROUND).astype(np.uint8) + 1
        place = int(rng.integers(300, 800))
        while True:
            exons = _exons(rng, place)
            if exons[-1][1] + 300 > len(sequence):
                break
            name = f"SIM{len(genes) + 1:03d}"
            strand = "+-"[int(rng.integers(2))]
            genes.append(Gene(name, f"chr{number}", strand, exons))
            _splice(rng, sequence, genes[-1])
            place = exons[-1][1] + int(rng.integers(400, 2000))
        contigs[f"chr{number}"] = text_of(sequence).encode()
    return contigs, genes


def _exons(rng: np.random.Generator, place: int) -> tuple[tuple[int, int], ...]:
    exons = []
    for _ in range(int(rng.integers(3, 6))):
        stop = place + int(rng.integers(90, 240))
        exons.append((place, stop))
        place = stop + int(rng.integers(150, 900))
    return tuple(exons)


def _splice(rng: np.random.Generator, sequence: np.ndarray, gene: Gene) -> None:
    """Write the sites of every intron; GT and AG are never changed."""
    for (_, start), (stop, _) in zip(gene.exons, gene.exons[1:], strict=False):
        donor, acceptor = _drawn(rng, _DONOR), _drawn(rng, _ACCEPTOR)
        donor[_DONOR_AT : _DONOR_AT + 2] = codes("GT")
        acceptor[_ACCEPTOR_END - 2 : _ACCEPTOR_END] = codes("AG")
        if gene.strand == "+":
            first, second = start - _DONOR_AT, stop - _ACCEPTOR_END
            sequence[first : first + len(donor)] = donor
            sequence[second : second + len(acceptor)] = acceptor
        else:
            first, second = stop + _DONOR_AT, start + _ACCEPTOR_END
            sequence[first - len(donor) : first] = reverse_complement(donor)
            sequence[second - len(acceptor) : second] = reverse_complement(acceptor)
