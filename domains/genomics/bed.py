"""BED: intervals of a genome, whose letters are looked up in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deepfield.domains.genomics.features import COMPLEMENTS, LETTERS
from deepfield.domains.genomics.genome import Genome
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.tables import whole_lines
from deepfield.toolkit.cells import find_column, is_missing, text_of_cell
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.text_files import open_text

#: What the columns of BED are called here, as far as they mean something to us.
COLUMNS = ("chromosome", "start", "end", "name", "score", "strand")
_HEADS = ("#", "track", "browser")


def _opposite_letters() -> bytes:
    pairs = {LETTERS[c]: LETTERS[o] for c, o in enumerate(COMPLEMENTS) if c} | {"U": "A"}
    table = {ord(a): ord(b) for a, b in pairs.items()}
    table |= {ord(a.lower()): ord(b.lower()) for a, b in pairs.items()}
    return bytes(table.get(value, value) for value in range(256))


_OPPOSITE = _opposite_letters()


def opposite_strand(letters: bytes) -> bytes:
    """Letters of the other strand, in its own direction; case is kept, what is no base as well.

    Example:
        >>> opposite_strand(b"ACGTNrY")
        b'RyNACGT'
    """
    return letters.translate(_OPPOSITE)[::-1]


def read_bed(
    source: str, genome: str | None = None, label: str | None = None, width: int | None = None
) -> Iterator[Sample]:
    """The intervals of a BED file with their letters, read along their strand.

    An interval on a contig that the genome has not, or beyond a contig's end, is a faulty sample.

    Args:
        source: a BED file of three columns or more, gzipped or not.
        genome: FASTA, in which the letters are.
        label: column of the class: one of `COLUMNS`, or its number from 1; without it nothing is
            known.
        width: letters about the middle of each interval, in place of the interval; N where the
            contig has ended.

    Raises:
        UsageError: no genome, an empty file, no such column, a width below 1.
    """
    if genome is None:
        raise UsageError(f"{source!r} holds places, no letters", "add --genome FILE.fa")
    if width is not None and width < 1:
        raise UsageError(f"--width {width}", "1 or more letters")
    letters = Genome(genome)
    names: list[str] = []
    with open_text(source) as lines:
        for number, line, fault in whole_lines(lines):
            if line.startswith(_HEADS):
                continue
            cells = _cells(line)
            columns = [*COLUMNS, *(f"column {n}" for n in range(7, len(cells) + 1))]
            if not names:
                names = columns[: len(cells)]
                label = _label_column(label, names)
            row: dict[str, Any] = dict(zip(columns, cells, strict=False))
            sample = Sample(f"line {number}", None, row=row, fault=fault)
            try:
                sample.data = None if fault else _cut(letters, cells, width)
            except BadInput as error:
                sample.fault = f"line {number}: {error.reason}"
            if not is_missing(row.get("name")):
                sample.id = row["name"]
            elif sample.data is not None:
                sample.id = f"{cells[0]}:{cells[1]}-{cells[2]}"
            if label is not None and not is_missing(row.get(label)):
                sample.target = text_of_cell(row[label])
            yield sample
    if not names:
        raise UsageError(f"{source!r} holds no interval", "expected lines of contig, start, end")


def _cells(line: str) -> list[str]:
    cells = line.split("\t")
    return [cell.strip() for cell in cells] if len(cells) > 2 else line.split()


def _label_column(label: str | None, names: Sequence[str]) -> str | None:
    if label is None:
        return None
    if label.isdigit() and 1 <= int(label) <= len(names):
        return names[int(label) - 1]
    return find_column(dict.fromkeys(names), label, (), "the label")


def _cut(genome: Genome, cells: Sequence[str], width: int | None) -> DNA:
    """The letters of an interval.

    Raises:
        BadInput: it is no interval, or none of this genome.
    """
    if len(cells) < 3:
        raise BadInput(f"{len(cells)} columns, expected contig, start and end")
    contig = cells[0]
    try:
        start, stop = int(cells[1]), int(cells[2])
    except ValueError:
        raise BadInput(f"{cells[1]!r} to {cells[2]!r} is no interval of numbers") from None
    strand = cells[5] if len(cells) > 5 and cells[5] in ("+", "-") else "+"
    name = genome.name_of(contig)
    length = genome.lengths[name]
    if start < 0 or stop <= start:
        raise BadInput(f"{contig}:{start}-{stop} is no interval: start counts from 0, end is above")
    if stop > length:
        raise BadInput(
            f"{contig}:{start}-{stop} runs off the contig, which has {length:,} letters in"
            f" {Path(genome.source).name}: a genome of another build?"
        )
    if width is not None:
        middle = (stop - start - 1) // 2
        if strand == "+":
            start += middle - (width - 1) // 2
        else:
            start = stop - middle + (width - 1) // 2 - width
        stop = start + width
    letters = genome.fetch(name, start, stop)
    return DNA(opposite_strand(letters) if strand == "-" else letters, contig, start, strand)
