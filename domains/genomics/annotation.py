"""Genes of a genome: where each lies, on which strand, and where its exons begin and end."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

import numpy as np

from deepfield.domains.genomics.fasta import decoded, opened
from deepfield.toolkit.errors import BROKEN, UsageError
from deepfield.toolkit.installed_files import installed
from deepfield.toolkit.paths import is_there

#: Tables that the optional package `spliceai` brings: canonical transcripts of GENCODE V24.
INSTALLED = ("grch37", "grch38")
_TABLE = ("NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END")
#: Tags of the one transcript that stands for its gene, the surest first.
_CANONICAL = ("MANE_Select", "Ensembl_canonical")
_GTF_PAIR = re.compile(r'(\w+) (?:"([^"]*)"|([^;"\s]+))')
_NO_STRAND = (".", "?")  # of a single exon StringTie cannot tell it
_NAMES = ("gene_name", "Name", "gene", "gene_id", "ID")
_HINT = "a GTF or GFF3 file, or a table with the columns " + ", ".join(_TABLE)


@dataclass(frozen=True, slots=True, eq=False)
class Gene:
    """A gene, or the one transcript that stands for it.

    Args:
        name: its symbol.
        contig: as the file of genes calls it.
        strand: `"+"` or `"-"`.
        start: its first base on the + strand, from 0.
        stop: the base after its last one.
        ends: first and last bases of its exons in order, (ends,) int64, from 0.
    """

    name: str
    contig: str
    strand: str
    start: int
    stop: int
    ends: np.ndarray

    def nearest_end(self, position: int) -> int:
        """How far the nearest end of an exon is from a base: negative where it lies before it."""
        apart = self.ends - position
        return int(apart[np.argmin(np.abs(apart))])


@dataclass(slots=True)
class _Transcript:
    gene: str
    name: str = ""
    contig: str = ""
    strand: str = ""
    exons: list[tuple[int, int]] = field(default_factory=list)
    coding: list[tuple[int, int]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


class Annotation:
    """Genes, found by place.

    Args:
        genes: in the order in which they are told.
        strandless: how many transcripts were left out since their strand is not known.
    """

    def __init__(self, genes: Iterable[Gene], strandless: int = 0) -> None:
        self.genes, self.strandless = list(genes), strandless
        places: dict[str, list[int]] = {}
        for index, gene in enumerate(self.genes):
            places.setdefault(gene.contig, []).append(index)
        self._contigs = {}
        for contig, own in places.items():
            own.sort(key=lambda index: self.genes[index].start)
            starts = np.array([self.genes[index].start for index in own])
            # how far any gene up to this one reaches: the search ends where none reaches far enough
            reach = np.maximum.accumulate([self.genes[index].stop for index in own])
            self._contigs[contig] = np.array(own), starts, reach
        self._called: dict[str, str | None] = {}

    @classmethod
    def read(cls, source: str) -> Annotation:
        """Read a GTF, GFF3 or table of genes, also compressed; or one of `INSTALLED`.

        Of a GTF or GFF3 file the transcript that is tagged as its gene's own stands for it (tag
        MANE_Select, else Ensembl_canonical); without tags a gene reaches from the first to the last
        base of all its transcripts, and has all their exons. A transcript without a strand is left
        out.

        Raises:
            NotFound: no such file, or the package that brings it is not installed.
            UsageError: it holds no gene, or a line that makes no sense.
        """
        path = source
        if source in INSTALLED and not is_there(source):
            path = installed("spliceai", "annotations", f"{source}.txt", extra="spliceai")
        lines = _lines(path)
        number, first = next(lines, (0, ""))
        strandless: set[str] = set()
        if first.lstrip("#").split("\t")[0] == "NAME":
            genes = list(_of_table(first, lines, source))
        else:
            genes = list(_of_features(_chained(number, first, lines), source, strandless))
        if not genes:
            known = " whose strand is known" if strandless else ""
            raise UsageError(f"{source!r} holds no gene{known}", _HINT)
        return cls(genes, len(strandless))

    def at(self, contig: str, position: int) -> list[Gene]:
        """The genes that a base lies in, in the order of the file; `chr` before a name is optional.

        Args:
            contig: its name.
            position: of the base, from 0.
        """
        if contig not in self._called:
            self._called[contig] = same_contig(contig, self._contigs)
        name = self._called[contig]
        if name is None:
            return []
        indices, starts, reach = self._contigs[name]
        found = []
        place = int(np.searchsorted(starts, position, side="right")) - 1
        while place >= 0 and reach[place] > position:
            if self.genes[indices[place]].stop > position:
                found.append(int(indices[place]))
            place -= 1
        return [self.genes[index] for index in sorted(found)]


def same_contig(name: str, names: Iterable[str]) -> str | None:
    """The contig that another file calls so, or with or without `chr`; M and MT are the same.

    Example:
        >>> same_contig("chr1", ["1", "2"]), same_contig("MT", ["chrM"]), same_contig("3", ["1"])
        ('1', 'chrM', None)
    """
    known = names if isinstance(names, dict) else set(names)
    bare = name.removeprefix("chr")
    bare = "M" if bare == "MT" else bare
    tries = (name, bare, f"chr{bare}", *(("MT", "chrMT") if bare == "M" else ()))
    return next((one for one in tries if one in known), None)


def _lines(source: str) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends; blank ones and comments are left out."""
    with opened(source) as stream:
        try:
            for number, raw in enumerate(stream, start=1):
                line = decoded(raw.removeprefix(codecs.BOM_UTF8)).rstrip("\r\n")
                if line.strip() and (not line.startswith("#") or line.startswith("#NAME\t")):
                    yield number, line
        except BROKEN as error:
            raise UsageError(f"{source!r} is not whole: {error}", "copy it again") from None


def _chained(
    number: int, first: str, lines: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    if first:
        yield number, first
    yield from lines


# ------------------------------------------------------------------------------------ the table


def _of_table(head: str, lines: Iterator[tuple[int, str]], source: str) -> Iterator[Gene]:
    heads = head.lstrip("#").split("\t")
    missing = [name for name in _TABLE if name not in heads]
    if missing:
        raise UsageError(f"{source!r} lacks the column {missing[0]}", _HINT)
    columns = [heads.index(name) for name in _TABLE]
    for number, line in lines:
        cells = line.split("\t")
        try:
            name, contig, strand, *numbers = (cells[column] for column in columns)
            start, stop, firsts, lasts = numbers
            exons = list(zip(_numbers(firsts), _numbers(lasts), strict=True))
            gene = _gene(name, contig, strand, exons, int(start), int(stop))
        except (IndexError, ValueError) as error:
            raise _senseless(source, number, line, error) from None
        yield gene


def _numbers(cell: str) -> list[int]:
    return [int(number) for number in cell.strip(",").split(",")]


def _gene(
    name: str, contig: str, strand: str, exons: list[tuple[int, int]], start: int, stop: int
) -> Gene:
    """A gene of exons [first, last), from 0."""
    if strand not in ("+", "-"):
        raise ValueError(f"strand {strand!r}")
    if not 0 <= start < stop or any(not 0 <= first < last for first, last in exons):
        raise ValueError(f"{start} to {stop}")
    ends = sorted({place for first, last in exons for place in (first, last - 1)})
    return Gene(name, contig, strand, start, stop, np.array(ends, np.int64))


def _senseless(source: str, number: int, line: str, error: Exception) -> UsageError:
    shown = line if len(line) <= 60 else line[:60] + "…"
    return UsageError(f"{source!r}, line {number} is no gene ({error}): {shown!r}", _HINT)


# ----------------------------------------------------------------------------------- GTF and GFF3


def _of_features(
    lines: Iterator[tuple[int, str]], source: str, strandless: set[str]
) -> Iterator[Gene]:
    """Genes of the exons of a GTF or GFF3 file; of their coding parts where there are no exons.
    Transcripts of no strand are put into `strandless`.
    """
    transcripts: dict[str, _Transcript] = {}
    above: dict[str, tuple[str, str, set[str]]] = {}  # GFF3: ID to its parent, name and tags
    for number, line in lines:
        if line.startswith(">"):  # GFF3 with the letters behind its features
            break
        cells = line.split("\t")
        if len(cells) != 9:
            raise _senseless(source, number, line, ValueError(f"{len(cells)} columns, not 9"))
        kind, told = cells[2], cells[8]
        equals = "=" in told.split(";")[0].split('"')[0]
        if not equals and kind not in ("exon", "CDS"):
            continue
        attributes, tags = _gff3(told) if equals else _gtf(told)
        if equals and "ID" in attributes and kind not in ("exon", "CDS"):
            above[attributes["ID"]] = (attributes.get("Parent", ""), _name(attributes), tags)
            continue
        if kind not in ("exon", "CDS"):
            continue
        gene = attributes.get("gene_id", "") if not equals else ""
        owner = attributes.get("Parent") if equals else attributes.get("transcript_id") or gene
        owners = (owner or attributes.get("ID", "")).split(",")
        if cells[6] in _NO_STRAND:
            strandless.update(owners)
            continue
        try:
            piece = int(cells[3]) - 1, int(cells[4])
            if cells[6] not in ("+", "-") or not 0 <= piece[0] < piece[1]:
                raise ValueError(f"{cells[3]} to {cells[4]}, strand {cells[6]!r}")
        except ValueError as error:
            raise _senseless(source, number, line, error) from None
        for one in owners:
            key = f"{one}\t{cells[0]}\t{cells[6]}"
            own = transcripts.setdefault(key, _Transcript(gene or one, _name(attributes)))
            own.contig, own.strand = cells[0], cells[6]
            own.tags |= tags
            (own.exons if kind == "exon" else own.coding).append(piece)
    yield from _assembled(transcripts, above)


def _assembled(
    transcripts: dict[str, _Transcript], above: dict[str, tuple[str, str, set[str]]]
) -> Iterator[Gene]:
    grouped: dict[tuple[str, str, str], list[_Transcript]] = {}
    for own in transcripts.values():
        seen: set[str] = set()
        while own.gene in above and own.gene not in seen:  # up to the gene
            seen.add(own.gene)
            parent, own.name, tags = above[own.gene]
            own.tags |= tags
            if parent not in above:
                break
            own.gene = parent
        grouped.setdefault((own.gene, own.contig, own.strand), []).append(own)
    for (_, contig, strand), several in grouped.items():
        tagged = ([one for one in several if tag in one.tags] for tag in _CANONICAL)
        chosen = next((found for found in tagged if found), several)
        exons = [piece for one in chosen for piece in one.exons or one.coding]
        start, stop = min(first for first, _ in exons), max(last for _, last in exons)
        yield _gene(chosen[0].name, contig, strand, exons, start, stop)


def _gtf(told: str) -> tuple[dict[str, str], set[str]]:
    found: dict[str, str] = {}
    tags: set[str] = set()
    for key, quoted, plain in _GTF_PAIR.findall(told):
        if key == "tag":
            tags.add(quoted or plain)
        else:
            found[key] = quoted or plain
    return found, tags


def _gff3(told: str) -> tuple[dict[str, str], set[str]]:
    pairs = (part.partition("=") for part in told.strip().strip(";").split(";"))
    found = {key.strip(): value.strip() for key, _, value in pairs}
    for key in set(found) - {"ID", "Parent"}:  # these two are compared, and are lists
        found[key] = unquote(found[key])
    return found, {tag.replace(" ", "_") for tag in found.get("tag", "").split(",") if tag}


def _name(attributes: dict[str, str]) -> str:
    return next((attributes[key] for key in _NAMES if attributes.get(key)), "")
