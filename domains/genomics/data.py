"""Reading DNA, and what is known of it, from the forms in which geneticists keep it.

Every reader yields a `Sample` a sequence: `data` is a `DNA`, `target` its class, or None where
nothing is known. Letters are not looked at here: what is no nucleotide is told when a sequence is
encoded, with its place, and costs that sequence alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepfield.domains.genomics.bed import read_bed
from deepfield.domains.genomics.fasta import Record, read_fasta
from deepfield.domains.genomics.genbank import read_genbank
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.tables import (
    SHORTEST,
    looks_like_dna,
    of_rows,
    read_lines,
    read_table,
    read_uci,
)
from deepfield.toolkit.cells import Rows
from deepfield.toolkit.data import Reader, Sample, numbered, shipped
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.paths import ends, is_file, is_file_of, is_there
from deepfield.toolkit.text_heads import first_lines, first_of, head_of_stdin

_FASTA = (".fa", ".fasta", ".fna", ".ffn", ".fas", ".fsa", ".frn")
_GENBANK = (".gb", ".gbk", ".gbff", ".genbank")
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".seq", ".jsonl", ".ndjson", ".parquet")
#: The classes of two: what is looked for, and what is not.
POSITIVE, NEGATIVE = "1", "0"
#: Names that are remembered, to tell when one comes again.
_MOST_NAMES = 1_000_000
_LABEL = re.compile(r"(?:^|[\s;|])label=([^\s;|]+)")
_SIMULATION = "simulate:"


# ----------------------------------------------------------------------------------- sequences


def _read_fasta(source: str, negatives: str | None = None) -> Iterator[Sample]:
    names = [source] if is_file(source) else source.split(",")
    records = itertools.chain.from_iterable(map(read_fasta, names))
    return _and_negatives(source, _of_records(records), negatives)


def _read_genbank(source: str) -> Iterator[Sample]:
    return _of_records(read_genbank(source), genome=True)


def _of_records(records: Iterable[Record], genome: bool = False) -> Iterator[Sample]:
    """Records as samples. A name that comes again is told apart by its number in `id`; a header may
    say `label=…`.
    """
    seen: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        identity = record.name or f"record {number}"
        times = seen.get(identity, 0) + 1
        if times > 1 or len(seen) < _MOST_NAMES:
            seen[identity] = times
        if times > 1:
            identity = f"{identity} ({times})"
        row: dict[str, Any] = {"name": record.name, "description": record.description}
        sample = Sample(identity, DNA(record.letters), row=row, fault=record.fault)
        if genome:
            sample.data = DNA(record.letters, record.name)
        elif "label=" in record.description and (told := _LABEL.search(record.description)):
            sample.target = row["label"] = told[1]
        yield sample


def _read_bed(
    source: str,
    genome: str | None = None,
    label: str | None = None,
    width: int | None = None,
    negatives: str | None = None,
) -> Iterator[Sample]:
    genome = None if genome is None else shipped(genome, SAMPLES)
    samples = read_bed(source, genome, label, width)
    return _and_negatives(source, samples, negatives, genome=genome, width=width)


def _read_table(source: str, negatives: str | None = None, **columns: str) -> Iterator[Sample]:
    if ends(source, (".txt", ".seq")):
        return _read_text(source, first_lines(source)[0], negatives, **columns)
    return _and_negatives(source, read_table(source, **columns), negatives)


def _of_rows(
    source: str, rows: Rows, negatives: str | None = None, **columns: Any
) -> Iterator[Sample]:
    return _and_negatives(source, of_rows(source, rows, **columns), negatives)


def _read_text(
    source: str, first: str, negatives: str | None = None, **columns: str
) -> Iterator[Sample]:
    """What the first line says a text is: FASTA, GenBank, bare sequences, or a table."""
    readers: tuple[tuple[bool, Callable[[str], Iterable[Sample]]], ...] = (
        (first.lstrip().startswith((">", ";")), lambda s: _of_records(read_fasta(s))),
        (first.startswith("LOCUS"), _read_genbank),
        (looks_like_dna(first), read_lines),
    )
    for fits, read in readers:
        if fits:
            if columns:
                flag = f"--{next(iter(columns))}"
                raise UsageError(f"{flag}, but {source!r} has no columns", f"leave {flag} away")
            return _and_negatives(source, read(source), negatives)
    return _and_negatives(source, read_table(source, **columns), negatives)


# ----------------------------------------------------------------------------------- negatives


def _and_negatives(
    source: str, samples: Iterable[Sample], negatives: str | None, **options: Any
) -> Iterator[Sample]:
    """Samples as they are; or all of class 1 and, as class 0, those of another file or their own
    letters in another order (`shuffle`, `shuffle:SEED`).

    Raises:
        UsageError: the samples have other classes already.
        NotFound: no such file.
    """
    if negatives is None:
        return iter(samples)
    if re.fullmatch(r"shuffle(:\d+)?", negatives):
        seed = int(negatives.partition(":")[2] or 0)
        return _with_shuffled(_positive(source, samples), seed)
    other = shipped(negatives, SAMPLES)
    if not is_file(other):
        raise NotFound(f"no such file of negatives: {negatives!r}", "a file, or 'shuffle'")
    return itertools.chain(
        _positive(source, samples),
        (_labelled(sample, NEGATIVE) for sample in _read_any(other, **options)),
    )


def _read_any(source: str, **options: Any) -> Iterable[Sample]:
    for reader in READERS:
        if reader.accepts(source):
            given = {k: v for k, v in options.items() if k in reader.options and v is not None}
            return reader.read(source, **given)
    raise UsageError(f"cannot tell what {source!r} holds", "a FASTA file, for example")


def _positive(source: str, samples: Iterable[Sample]) -> Iterator[Sample]:
    for sample in samples:
        if sample.target not in (None, POSITIVE):
            raise UsageError(
                f"--negatives, but {sample.id!r} in {source!r} is of class {sample.target!r}",
                "leave --negatives away: the file has classes of its own",
            )
        yield _labelled(sample, POSITIVE)


def _labelled(sample: Sample, label: str) -> Sample:
    sample.target = label
    sample.row = {**sample.row, "label": label}
    return sample


def _with_shuffled(samples: Iterable[Sample], seed: int) -> Iterator[Sample]:
    """Each sample, and behind it its letters in another order with the same neighbours."""
    from deepfield.domains.genomics.shuffle import shuffled

    for sample in samples:
        yield sample
        if sample.fault is not None:
            continue
        letters = shuffled(sample.data.letters, seed)
        same = letters == sample.data.letters.upper()
        fault = "its letters have no other order with the same neighbours" if same else None
        row = {**sample.row, "label": NEGATIVE}
        other = replace(sample.data, letters=letters, shuffled=True)
        yield Sample(
            f"{sample.id} shuffled", other, NEGATIVE, sample.group, sample.part, row=row,
            fault=fault,
        )  # fmt: skip


# ------------------------------------------------- standard input, one sequence, a simulation


def _read_stdin(source: str, negatives: str | None = None, **columns: str) -> Iterator[Sample]:
    _, text = head_of_stdin("pipe FASTA, a table or sequences into it")
    return _read_text(source, first_of(text)[0], negatives, **columns)


def read_literal(source: str) -> Iterator[Sample]:
    """One sequence, as letters."""
    text = source.strip()
    name = text if len(text) <= 24 else f"{text[:20]}… ({len(text):,} letters)"
    yield Sample(name, DNA.of(text), row={"sequence": text})


def _spells(text: str) -> bool:
    """Whether a text of a list is a sequence, if a broken or an empty one, rather than a name."""
    letters = text.strip().upper()
    if letters == "-":
        return False
    known = sum(map(letters.count, "ACGTUNRYSWKMBDHV-"))
    if any(mark in letters for mark in "./:,_\\") or 2 * known < len(letters):
        return False
    return not letters or len(letters) > 250 or not is_there(text)


def _read_simulation(source: str) -> Iterator[Sample]:
    from deepfield.domains.genomics.simulated import KINDS, simulate

    told = numbered(source.removeprefix(_SIMULATION), 1000)
    if told is None or told.more or told.name not in KINDS:
        raise UsageError(
            f"{source!r} is no simulation", f"simulate:NAME:COUNT:SEED, of {', '.join(KINDS)}"
        )
    for place, one in enumerate(simulate(told.name, told.number, told.seed), start=1):
        row = {"name": f"{told.name}{place}", "sequence": one.letters, "motifs": one.motifs,
               "label": one.label}  # fmt: skip
        yield Sample(row["name"], DNA(one.letters.encode()), one.label, row=row)


def _is_literal(source: str) -> bool:
    # a path of this length would be refused by the system itself
    return looks_like_dna(source) and (len(source) > 250 or not is_there(source))


def _several(source: str, suffixes: Sequence[str]) -> bool:
    """Files of a form, joined by commas where one does not name a file itself."""
    names = source.split(",")
    return is_file_of(source, suffixes) or all(is_file_of(name, suffixes) for name in names)


def _shipped(name: str) -> Callable[[], str]:
    return lambda: str(Path(__file__).parent / "samples" / name)


#: `sample:NAME` to what it stands for; all are simulated.
SAMPLES: dict[str, Callable[[], str]] = {
    "sites": _shipped("sites.fa"),
    "pairs": _shipped("pairs.csv"),
    "genome": _shipped("genome.fa"),
    "genes": _shipped("genes.gtf"),
    "variants": _shipped("variants.vcf"),
    "intervals": _shipped("intervals.bed"),
    "junctions": _shipped("junctions.data"),
    "peaks": _shipped("peaks.seq.gz"),
    "contig": _shipped("contig.gb"),
}

_COLUMNS = ("sequence", "label", "group", "part")

#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader("simulation", "simulate:NAME[:COUNT[:SEED]] (sequences with planted motifs; NAME is "
           "motif, pair or site)", lambda s: s.startswith(_SIMULATION), _read_simulation),
    Reader("standard input", "- (FASTA, GenBank, a table, or lines of sequences)",
           lambda s: s == "-", _read_stdin, (*_COLUMNS, "negatives")),
    Reader("FASTA", "FASTA (.fa, .fasta, .fna …, also .gz), its classes by --negatives or label=… "
           "in its headers; several by commas", lambda s: _several(s, _FASTA), _read_fasta,
           ("negatives",)),
    Reader("BED", "intervals of a genome (.bed, .bed.gz) with --genome FASTA",
           lambda s: is_file_of(s, (".bed",)), _read_bed,
           ("genome", "label", "width", "negatives")),
    Reader("GenBank", "GenBank (.gb, .gbk, .gbff, also .gz): its sequences",
           lambda s: is_file_of(s, _GENBANK), _read_genbank),
    Reader("UCI splice junctions", "splice.data of UCI: lines of class, name and sequence",
           lambda s: is_file_of(s, (".data",)), read_uci),
    Reader("table", "a CSV, TSV, JSONL or Parquet table with a column of sequences; DeepBind's "
           ".seq.gz; a text with a sequence a line",
           lambda s: is_file_of(s, _TABLES), _read_table, (*_COLUMNS, "negatives"),
           rows=_of_rows),
    Reader("sequence", f"one sequence, as letters ({SHORTEST} or more; a shorter one in a file)",
           _is_literal, read_literal, spells=_spells),
)  # fmt: skip
