"""A small genome with genes whose splice sites SpliceAI knows, and variants of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: Letters about the sites of an intron: what its end and its start look like.
_BRANCH, _TRACT, _ACCEPTOR, _DONOR = "TACTAAC", "TTTCTTTTCTTTCCTTTCTT", "GCAG", "CAGGTAAGT"
_HEADER = "##fileformat=VCFv4.2\n##contig=<ID={contig},length={length}>\n"
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
CONTIG = "chr1"


def write_genome(folder: Path, length: int, seed: int = 0) -> tuple[Path, Path, list[int]]:
    """A genome of one contig and a table of its genes, in turn on both strands.

    Returns:
        The FASTA, the table, and the places of the exons' ends, from 0.
    """
    rng = np.random.default_rng(seed)
    letters = list("".join(rng.choice(list("ACGT"), length, p=[0.29, 0.21, 0.21, 0.29])))
    rows, sites = [], []
    start, number = 8_000, 0
    while start + 32_000 < length:
        stop = start + int(rng.integers(20_000, 60_000))
        stop = min(stop, length - 8_000)
        strand = "+-"[number % 2]
        exons = _exons(start, stop, rng)
        for index, (first, last) in enumerate(exons):
            if strand == "+":
                plant(letters, first if index else None, last if index < len(exons) - 1 else None)
            else:
                _plant_other(
                    letters, first if index else None, last if index < len(exons) - 1 else None
                )
            sites += [first, last - 1]
        firsts, lasts = ("".join(f"{e[i]}," for e in exons) for i in (0, 1))
        rows.append(f"G{number}\t{CONTIG}\t{strand}\t{start}\t{stop}\t{firsts}\t{lasts}\n")
        start, number = stop + int(rng.integers(1_000, 6_000)), number + 1
    fasta, genes = folder / "genome.fa", folder / "genes.tsv"
    text = "".join(letters)
    lines = (text[at : at + 60] + "\n" for at in range(0, length, 60))
    fasta.write_text(f">{CONTIG}\n" + "".join(lines))
    heads = ("#NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END")
    genes.write_text("\t".join(heads) + "\n" + "".join(rows))
    return fasta, genes, sites


def _exons(start: int, stop: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    exons, at = [], start
    while True:
        size = int(rng.integers(90, 220))
        last = at + size
        following = last + int(rng.integers(300, 3_500))
        if following + 300 > stop:
            exons.append((at, stop))
            return exons
        exons.append((at, last))
        at = following


def plant(letters: list[str], first: int | None, last: int | None) -> None:
    """The letters before an exon's first base, and about its last one, on the + strand."""
    if first is not None:
        before = _BRANCH + "ATTG" + _TRACT + _ACCEPTOR
        letters[first - len(before) : first] = before
        letters[first] = "G"
    if last is not None:
        letters[last - 3 : last + 6] = _DONOR


def _plant_other(letters: list[str], first: int | None, last: int | None) -> None:
    """The same on the - strand, where the last base of an exon comes first."""
    other = str.maketrans("ACGT", "TGCA")
    if last is not None:
        before = _BRANCH + "ATTG" + _TRACT + _ACCEPTOR
        letters[last : last + len(before)] = before[::-1].translate(other)
        letters[last - 1] = "C"
    if first is not None:
        letters[first - 6 : first + 3] = _DONOR[::-1].translate(other)


def letters_of(fasta: Path) -> str:
    return "".join(fasta.read_text().splitlines()[1:])


def write_vcf(path: Path, text: str, rows: Sequence[tuple[int, str, str]]) -> Path:
    """Rows of (place from 0, REF, ALT) in order of their place."""
    lines = (f"{CONTIG}\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n" for at, ref, alt in rows)
    path.write_text(_HEADER.format(contig=CONTIG, length=len(text)) + _COLUMNS + "".join(lines))
    return path


def substitution(text: str, at: int, rng: np.random.Generator) -> tuple[int, str, str]:
    """Another letter than the one that is there."""
    return at, text[at], str(rng.choice([base for base in "ACGT" if base != text[at]]))
