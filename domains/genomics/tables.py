"""Tables with a column of sequences, and forms of data that are tables by another name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepfield.domains.genomics.sequences import DNA
from deepfield.toolkit.cells import Rows, find_column, is_missing, looked_at, text_of_cell
from deepfield.toolkit.data import Sample, read_rows
from deepfield.toolkit.errors import ROWS, UsageError, called, listed
from deepfield.toolkit.separated import breaks_off, is_blank
from deepfield.toolkit.splits import GROUP_COLUMNS, PART_COLUMNS, part_named
from deepfield.toolkit.text_files import open_text

#: Columns by their usual names. `EventID`, `seq` and `Bound` are those of DeepBind's files.
SEQUENCES = ("sequence", "seq", "dna", "dna_sequence", "nucleotides", "bases")
LABELS = ("label", "class", "target", "bound")
NAMES = ("name", "id", "eventid", "seq_id", "sequence_id", "accession", "index")
CHROMOSOMES = ("chromosome", "chrom", "chr", "contig", "seqnames")
#: What sequences are written in; the share of a text that must be plain for it to count as one.
_LETTERS = re.compile(r"[A-Za-z.*-]+")
_PLAIN, _SHARE = "ACGTUN", 0.8
#: Letters from which on a word of no known meaning is taken for a sequence.
SHORTEST = 10


def looks_like_dna(text: str, shortest: int = SHORTEST) -> bool:
    """Whether a text is a sequence, perhaps with a few wrong letters, and no word.

    Example:
        >>> looks_like_dna("ACGTTGCANN"), looks_like_dna("accession1"), looks_like_dna("ACGT")
        (True, False, False)
    """
    text = text.strip()
    if len(text) < shortest or not _LETTERS.fullmatch(text):
        return False
    shown = text[:1000].upper()
    return sum(shown.count(letter) for letter in _PLAIN) >= _SHARE * len(shown)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table is what."""

    sequence: str
    label: str | None
    name: str | None
    group: str | None
    chromosome: str | None
    part: str | None

    def sample(self, number: int, row: dict[str, Any], fault: str | None) -> Sample:
        """One row as a sample; without a group its chromosome is its group."""
        name = row.get(self.name or "")
        identity = f"row {number}" if is_missing(name) else text_of_cell(name)
        cell = row.get(self.sequence)
        letters = b"" if cell is None else _letters(str(cell))
        if not letters:
            fault = fault or f"no sequence in column {self.sequence!r}"
        sample = Sample(identity, None, row=row, fault=fault)
        contig = row.get(self.chromosome or "")
        contig = "" if is_missing(contig) else text_of_cell(contig)
        sample.data = DNA(letters, contig)
        label, group = row.get(self.label or ""), row.get(self.group or "")
        label = int(label) if isinstance(label, bool) else label  # bound or not: 1 or 0
        sample.target = None if is_missing(label) else text_of_cell(label)
        sample.group = (contig or None) if is_missing(group) else text_of_cell(group)
        sample.part = part_named(row.get(self.part or ""))
        return sample


def read_table(source: str, **columns: Any) -> Iterator[Sample]:
    """The rows of a table: CSV, TSV, JSON lines or Parquet; otherwise as `of_rows`."""
    return of_rows(source, read_rows(source), **columns)


def of_rows(
    source: str,
    rows: Rows,
    sequence: str | None = None,
    label: str | None = None,
    group: str | None = None,
    part: str | None = None,
    start: int = 1,
) -> Iterator[Sample]:
    """The rows of a table as samples, numbered from `start` on.

    Raises:
        UsageError: no column of sequences, one that was named is not there, or no row.
    """
    names, good, rows = looked_at(rows)
    columns = _told_apart(source, names, good, sequence, label, group, part)
    for number, (row, fault) in enumerate(rows, start):
        yield columns.sample(number, row, fault)


def _told_apart(
    source: str,
    names: Mapping[str, Any],
    good: Sequence[Mapping[str, Any]],
    sequence: str | None,
    label: str | None,
    group: str | None,
    part: str | None,
) -> Columns:
    if source != ROWS and any(map(looks_like_dna, names)):
        raise UsageError(
            f"{source!r} has no header: its first line holds a sequence",
            "put a line with the names of the columns on top: sequence,label",
        )
    column = find_column(names, sequence, SEQUENCES, "the sequence") or _by_content(names, good)
    if column is None:
        raise UsageError(
            f"no column of {called(source)} holds sequences",
            f"{'call it sequence' if source == ROWS else 'name it with --sequence'};"
            f" its columns: {listed(names)}",
        )
    rest = {name: None for name in names if name != column}
    return Columns(
        column,
        find_column(rest, label, LABELS, "the label"),
        find_column(rest, None, NAMES, "the name"),
        find_column(rest, group, GROUP_COLUMNS, "the group"),
        find_column(rest, None, CHROMOSOMES, "the chromosome"),
        find_column(rest, part, PART_COLUMNS, "the part"),
    )


def _by_content(names: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column in whose cells sequences stand; of several the one with the longest."""
    found: dict[str, float] = {}
    for name in names:
        cells = [str(row[name]) for row in rows if not is_missing(row.get(name))]
        if cells and sum(map(looks_like_dna, cells)) >= _SHARE * len(cells):
            found[name] = sum(map(len, cells)) / len(cells)
    return max(found, key=found.__getitem__) if found else None


def _letters(text: str) -> bytes:
    return "".join(text.split()).encode("latin-1", "replace")


# ------------------------------------------------------------- tables without a line of names


def whole_lines(lines: Iterable[str]) -> Iterator[tuple[int, str, str | None]]:
    """Lines that hold anything, by number; behind the last one, if the file breaks off, why."""
    number, reading = 0, iter(lines)
    while True:
        try:
            line = next(reading)
        except StopIteration:
            return
        except (EOFError, OSError, ValueError) as error:
            yield number, "", breaks_off(number, error)
            return
        number += 1
        if not is_blank(line):
            yield number, line.rstrip("\r\n"), None


def read_uci(source: str) -> Iterator[Sample]:
    """UCI's splice junctions: lines of class (EI, IE or N), name and 60 letters.

    Raises:
        UsageError: the file is empty.
    """
    with open_text(source) as lines:
        found = False
        for number, line, fault in whole_lines(lines):
            found = True
            cells = [cell.strip() for cell in line.split(",")]
            if fault is None and len(cells) != 3:
                fault = f"line {number}: {len(cells)} cells, expected class, name and sequence"
            label, name, letters = (*cells, "", "", "")[:3]
            row = {"class": label, "name": name, "sequence": letters}
            data = DNA(_letters(letters))
            if not data.letters:
                fault = fault or f"line {number}: no sequence"
            yield Sample(name or f"line {number}", data, label or None, row=row, fault=fault)
    if not found:
        raise UsageError(f"{source!r} is empty", "expected lines of class, name, sequence")


def read_lines(source: str) -> Iterator[Sample]:
    """Lines of bare sequences."""
    with open_text(source) as lines:
        for number, line, fault in whole_lines(lines):
            row = {"sequence": line.strip()}
            yield Sample(f"line {number}", DNA(_letters(line)), row=row, fault=fault)
