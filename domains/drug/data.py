"""Reading molecules, and what was measured of them, from the forms in which chemists keep them.

Every reader yields a `Sample` a molecule: `data` is a SMILES, a `MolBlock`, or, of a table of
descriptors without structures, a `Descriptors`; `target` a dictionary of measured values by column,
or None where nothing was measured. No molecule is parsed here but to find the column of the SMILES.
"""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfield.domains.drug.molecules import Descriptors, MolBlock, molecule
from deepfield.toolkit.cells import NO, YES, Rows, find_column, is_missing, looked_at, text_of_cell
from deepfield.toolkit.data import Reader, Sample, read_rows, rows_of
from deepfield.toolkit.errors import BROKEN, ROWS, BadInput, UsageError, called, listed
from deepfield.toolkit.paths import ends, is_file_of, is_there
from deepfield.toolkit.separated import breaks_off
from deepfield.toolkit.splits import GROUP_COLUMNS, PART_COLUMNS, part_named
from deepfield.toolkit.text_files import open_text
from deepfield.toolkit.text_heads import header_cells

#: Columns that hold the structure, by their usual names.
SMILES = ("smiles", "canonical_smiles", "isomeric_smiles", "smi", "structure", "mol", "molecule")
#: Columns that name a molecule.
NAMES = ("name", "id", "mol_id", "molecule", "compound", "compound id", "title", "chembl_id",
         "molecule_chembl_id", "cmpd_chemblid", "cid", "num", "index", "iupac")  # fmt: skip
#: What columns of descriptors begin with, in tables without structures.
DESCRIPTOR = "D_"
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".parquet")
_SDF = (".sdf", ".sd", ".mol", ".mdl")
_SMILES_FILES = (".smi", ".ism", ".smiles", ".cxsmiles")
#: Records that are looked at before the fields of an SD file are told apart.
_LOOKED_AT = 100
#: Words that stand for yes and no.
YES_NO = {
    **dict.fromkeys((*YES, "active", "positive", "toxic"), 1.0),
    **dict.fromkeys((*NO, "inactive", "negative", "nontoxic"), 0.0),
}


class Candidates(dict[str, Any]):
    """Cells of all columns that could be targets, where none was named."""


# ------------------------------------------------------------------------------------- tables


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table is what."""

    smiles: str | None
    name: str | None
    targets: tuple[str, ...]
    chosen: bool
    part: str | None
    group: str | None
    time: str | None
    descriptors: tuple[str, ...]

    def sample(self, number: int, row: dict[str, Any], fault: str | None) -> Sample:
        """One row as a sample."""
        name = row.get(self.name or "")
        identity = f"row {number}" if is_missing(name) else str(name)
        if self.descriptors:
            data: Any = None
            try:
                data = self._numbers(row)
            except BadInput as error:
                fault = fault or error.reason
            described = set(self.descriptors)
            row = {k: v for k, v in row.items() if k not in described}
        else:
            cell = row.get(self.smiles or "")
            data = None if is_missing(cell) else str(cell).strip()
            if data is None:
                fault = fault or f"no SMILES in column {self.smiles!r}"
        return self.labelled(identity, data, row, fault)

    def labelled(self, identity: str, data: Any, row: dict[str, Any], fault: str | None) -> Sample:
        """A molecule with what the columns say of it."""
        kind = dict if self.chosen else Candidates
        cells = kind((n, row.get(n)) for n in self.targets)
        known = any(not is_missing(cell) for cell in cells.values())
        sample = Sample(identity, data, cells if known else None, row=row, fault=fault)
        if self.group and not is_missing(row.get(self.group)):
            sample.group = text_of_cell(row[self.group])
        if self.time and not is_missing(row.get(self.time)):
            told = str(row[self.time]).strip()
            try:
                sample.time = float(told)
            except ValueError:
                sample.time = told
        sample.part = part_named(row.get(self.part or ""))
        return sample

    def _numbers(self, row: Mapping[str, Any]) -> Descriptors:
        found = {}
        for name in self.descriptors:
            cell = row.get(name)
            if cell == "0" or is_missing(cell):
                continue
            try:
                value = float(cell)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                raise BadInput(f"descriptor {name} is {cell!r}, expected a number") from None
            if value:
                found[name] = value
        return Descriptors(found)


def _read_table(source: str, **options: Any) -> Iterator[Sample]:
    return _table(source, read_rows(source), **options)


def _table(source: str, rows: Rows, start: int = 1, **options: Any) -> Iterator[Sample]:
    first, good, rows = looked_at(rows)
    columns = _told_apart(source, first, good, **options)
    for number, (row, fault) in enumerate(rows, start):
        yield columns.sample(number, row, fault)


def _told_apart(
    source: str,
    first: Mapping[str, Any],
    good: Sequence[Mapping[str, Any]],
    smiles: str | None = None,
    targets: Sequence[str] | None = None,
    part: str | None = None,
    group: str | None = None,
    time: str | None = None,
    descriptors: str | None = None,
) -> Columns:
    """Find the columns by their names, and by what stands in the first rows.

    Raises:
        UsageError: no structures and no descriptors, or a column that is not there.
    """
    names = list(first)
    prefix = descriptors or DESCRIPTOR
    described = tuple(name for name in names if name.startswith(prefix))
    if descriptors and not described:
        raise UsageError(
            f"no column of {called(source)} begins with {descriptors!r}",
            f"columns: {listed(names)}",
        )
    structure = find_column(first, smiles, (), "the SMILES")
    if structure is None and not (descriptors or len(described) > 1):
        structure = _smiles_column(names, good)
        told = names if structure is None else [structure]
        spelt = structure is not None and _is_spelt_so(structure)
        headless = source != ROWS and (spelt or any(map(_is_molecule, told)))
        if structure is None or headless:
            raise UsageError(*_no_structures(source, names, headless))
    if structure is not None:
        described = ()
    taken = {structure, *described}
    name = find_column({k: None for k in names if k not in taken}, None, NAMES, "the name")
    part = find_column(first, part, PART_COLUMNS, "the part")
    group = find_column(first, group, GROUP_COLUMNS, "the group")
    time = find_column(first, time, (), "the time")
    taken |= {name if name not in (targets or ()) else None, part, group, time}
    if targets:
        chosen = _chosen(targets, [n for n in names if n not in taken], names, source)
    else:
        chosen = tuple(n for n in names if n not in taken and _is_numeric(n, good))
    return Columns(structure, name, chosen, bool(targets), part, group, time, described)


def _chosen(
    wanted: Sequence[str], open_: Sequence[str], names: Sequence[str], source: str
) -> tuple[str, ...]:
    """The targets that were named, each a column, a pattern of columns, or several by commas."""
    found: dict[str, None] = {}
    for text in wanted:
        for one in [text] if text in names else _by_commas(text, names):
            if one in names:
                found[one] = None
                continue
            matching = [n for n in open_ if fnmatch.fnmatchcase(n, one)] if _is_pattern(one) else []
            if not matching:
                near = find_column(dict.fromkeys(names), one, (), "the target")  # says what is near
                raise UsageError(
                    f"no column {near!r} in {called(source)}", f"columns: {listed(names)}"
                )
            found |= dict.fromkeys(matching)
    return tuple(found)


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def _by_commas(text: str, names: Sequence[str]) -> list[str]:
    # Names of columns may hold commas themselves: the longest one that fits is taken.
    found, rest = [], [piece.strip() for piece in text.split(",")]
    while rest:
        for count in range(len(rest), 0, -1):
            joined = ", ".join(rest[:count])
            if count == 1 or joined in names:
                found.append(joined)
                rest = rest[count:]
                break
    return [name for name in found if name]


def _smiles_column(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The column with a usual name in which molecules stand, or any in which they stand."""
    lowered = {name.lower().strip(): name for name in reversed(names)}  # the first of several
    usual = [lowered[name] for name in SMILES if name in lowered]
    containing = [n for n in names if "smiles" in n.lower() and n not in usual]
    for name in (*usual, *containing, *(n for n in names if n not in usual)):
        cells = [str(r[name]) for r in rows[:20] if not is_missing(r.get(name))]
        right = sum(_looks_like_smiles(cell) for cell in cells)
        least = 0.3 if "smiles" in name.lower() else 0.8
        if cells and right >= least * len(cells):
            return name
    # named so, though nothing in it parses: the rows say what is wrong
    return next((n for n in (*usual, *containing) if "smi" in n.lower()), None)


def _looks_like_smiles(cell: str) -> bool:
    """Whether a cell is a molecule, and no number and no word that happens to be one."""
    text = cell.strip()
    if not text or text.isdigit() or not re.fullmatch(r"[^\s]+(\s.*)?", text):
        return False
    try:
        return molecule(text).GetNumAtoms() > 0
    except BadInput:
        return False


def _is_spelt_so(text: str) -> bool:
    """Whether a word has the signs of SMILES alone, and one that no name has: no header, but a
    molecule, if a broken one.
    """
    return bool(re.fullmatch(r"(\[\S+?\]|Cl|Br|[BCNOPSFIbcnops*%@\d()=#:$/\\.-])+", text)) and bool(
        re.search(r"[\d()=#\[]", text)
    )


def _is_numeric(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    cells = [row.get(name) for row in rows if not is_missing(row.get(name))]
    # one cell that says ">10" makes no column of words
    return bool(cells) and sum(map(_is_number, cells)) >= 0.5 * len(cells)


def _is_number(cell: Any) -> bool:
    if isinstance(cell, bool | int | float):
        return True
    try:
        float(str(cell))
    except ValueError:
        return str(cell).strip().lower() in YES_NO
    return True


def _is_molecule(name: str) -> bool:
    """Whether what should be the name of a column is a molecule itself: a file without a header."""
    return name.lower().strip() not in SMILES and len(name) > 2 and _looks_like_smiles(name)


def _no_structures(source: str, names: Sequence[str], headless: bool) -> tuple[str, str]:
    if headless:
        return (
            f"{source!r} has no header: its first line holds a molecule",
            "put a line with the names of the columns on top (smiles,…), or call the file .smi",
        )
    return (
        f"no column of {called(source)} holds SMILES",
        f"{'call it smiles' if source == ROWS else 'name it with --smiles'};"
        f" its columns: {listed(names)}",
    )


# ------------------------------------------------------------------- lists of SMILES and SD files


def _read_smiles_file(source: str) -> Iterator[Sample]:
    with open_text(source) as lines:
        yield from _smiles_lines(lines)


def _smiles_lines(lines: Iterable[str]) -> Iterator[Sample]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            smiles, _, name = text.replace("\t", " ").partition(" ")
            if number == 1 and smiles.lower() in SMILES:
                continue
            name = name.strip()
            row = {"smiles": smiles, "name": name} if name else {"smiles": smiles}
            yield Sample(name or f"line {number}", smiles, row=row)
    except BROKEN as error:
        yield Sample(f"line {number + 1}", None, fault=breaks_off(number, error))


def _read_sdf(source: str, **options: Any) -> Iterator[Sample]:
    with open_text(source) as lines:
        yield from _sd_records(source, lines, **options)


def _sd_records(
    source: str,
    lines: Iterable[str],
    targets: Sequence[str] | None = None,
    part: str | None = None,
    group: str | None = None,
    time: str | None = None,
) -> Iterator[Sample]:
    records = _records(lines)
    head = list(itertools.islice(records, _LOOKED_AT))
    rows = [row for _, row, _ in head]
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = dict.fromkeys(names)
    part = find_column(first, part, PART_COLUMNS, "the part")
    group = find_column(first, group, GROUP_COLUMNS, "the group")
    time = find_column(first, time, (), "the time")
    open_ = [n for n in names if n not in ("name", part, group, time)]
    if targets:
        wanted = _chosen(targets, open_, names, source)
    else:
        wanted = tuple(n for n in open_ if _is_numeric(n, rows))
    columns = Columns(None, "name", wanted, bool(targets), part, group, time, ())
    for number, (block, row, fault) in enumerate(itertools.chain(head, records), start=1):
        yield columns.labelled(row.get("name") or f"record {number}", block, row, fault)


def _records(lines: Iterable[str]) -> Iterator[tuple[MolBlock | None, dict[str, Any], str | None]]:
    """The molecules of an SD file: their block, their data fields, and what is wrong."""
    own: list[str] = []
    count = 0
    try:
        for count, line in enumerate(lines, start=1):  # noqa: B007
            bare = line.rstrip("\r\n")
            if bare.startswith("$$$$"):
                yield _record(own)
                own = []
            elif len(own) < 200_000:
                own.append(bare)
    except BROKEN as error:
        yield None, {}, breaks_off(count, error)
        return
    if any(line.strip() for line in own):
        block, row, fault = _record(own)
        yield block, row, fault and f"the file ends inside this record: {fault}"


def _record(lines: list[str]) -> tuple[MolBlock | None, dict[str, Any], str | None]:
    name = lines[0].strip() if lines else ""
    row: dict[str, Any] = {"name": name} if name else {}
    end = next((i for i, line in enumerate(lines) if line.startswith("M  END")), None)
    if end is None:
        return None, row, "a record without `M  END`"
    field = None
    for line in lines[end + 1 :]:
        # Inside a value, which may begin with ">" too, only the usual form begins another field.
        between = r"(?:\s.*?)?" if field is not None else ".*?"
        match = re.match(rf">{between}<(.+?)>", line)
        if match or not line.strip() or re.match(r">\s+DT\d", line):
            field = match[1] if match else None
        elif field is not None:
            row[field] = f"{row[field]}\n{line}" if field in row else line.strip()
    return MolBlock("\n".join(lines[: end + 1]) + "\n"), row, None


# ------------------------------------------------------------- standard input, and one molecule


def _read_stdin(source: str, **options: Any) -> Iterator[Sample]:
    with open_text(source) as stream:
        head = list(itertools.islice(stream, _TOLD_BY))
        lines = itertools.chain(head, stream)
        if any(mark in line for line in head for mark in ("V2000", "V3000")):
            known = {k: v for k, v in options.items() if k in _OF_RECORDS}
            yield from _sd_records(source, lines, **known)
        elif _is_list(head):
            yield from _smiles_lines(lines)
        else:
            yield from _table(source, rows_of(source, lines), **options)


#: Lines that tell an SD file, a list of SMILES and a table apart; an SD file's fourth says V2000.
_TOLD_BY = 8


def _is_list(head: Sequence[str]) -> bool:
    """Whether lines are SMILES, each with a name behind it, rather than a table with a header."""
    first, *others = [line for line in head if line.strip() and line[0] != "#"] or [""]
    words = first.split()
    if not words or header_cells(first) & {*SMILES}:
        return False
    if words[0].lower() in SMILES:  # a header, but of a list
        return not re.search("[\t,;]", first)
    if _looks_like_smiles(first):
        return True
    # the first molecule may be a broken one
    return _is_spelt_so(words[0]) and (not others or any(map(_looks_like_smiles, others)))


def _read_structures(source: str) -> Iterator[Sample]:
    from deepfield.domains.drug.corpus import read_corpus

    return read_corpus(source)


def read_literal(source: str) -> Iterator[Sample]:
    """One molecule, as SMILES, with a name behind it if it has one."""
    smiles, _, name = source.strip().partition(" ")
    row = {"smiles": smiles} | ({"name": name.strip()} if name.strip() else {})
    yield Sample(name.strip() or smiles, smiles, row=row)


def _is_literal(source: str) -> bool:
    """A molecule, or what nobody calls a file: the row says what is wrong with it."""
    if is_there(source):
        return False
    return (
        _looks_like_smiles(source)
        or _is_spelt_so(source)
        or bool(re.fullmatch(r"[\w@+\-\[\]()=#%]*[(=#\[@][^/ ]*", source))
    )


def _spells(text: str) -> bool:
    """Whether a text of a list is a molecule, if a broken one, rather than the name of a source."""
    if text == "-" or text.startswith(("sample:", "structures:")):
        return False
    suffixes = (*_TABLES, *_SDF, *_SMILES_FILES)
    return not text.strip() or not (ends(text, suffixes) or is_there(text))


def _shipped(name: str) -> Callable[[], str]:
    return lambda: str(Path(__file__).parent / "samples" / name)


#: `sample:NAME` to what it stands for.
SAMPLES: dict[str, Callable[[], str]] = {
    "aspirin": lambda: "CC(=O)Oc1ccccc1C(=O)O",
    "boiling": _shipped("boiling.csv"),
    "drugs": _shipped("drugs.csv"),
    "drugs-smi": _shipped("drugs.smi"),
    "drugs-sdf": _shipped("drugs.sdf"),
}

_OF_RECORDS = ("targets", "part", "group", "time")
_OPTIONS = ("smiles", *_OF_RECORDS, "descriptors")

#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader("structures", "structures:FOLDER (all molecules of its tables; what is learned are "
           "descriptors that are computed of them)", lambda s: s.startswith("structures:"),
           _read_structures),
    Reader("standard input", "- (a table, an SD file, or lines of SMILES)", lambda s: s == "-",
           _read_stdin, _OPTIONS),
    Reader("SD file", "an SD or mol file (.sdf, .sdf.gz, .mol)", lambda s: is_file_of(s, _SDF),
           _read_sdf, _OF_RECORDS),
    Reader("SMILES file", "lines of SMILES, each with a name behind it if it has one (.smi)",
           lambda s: is_file_of(s, _SMILES_FILES), _read_smiles_file),
    Reader("table", "a CSV, TSV, JSONL or Parquet table with a column of SMILES and any number of "
           "targets; or with columns D_* of descriptors in place of structures",
           lambda s: is_file_of(s, _TABLES), _read_table, _OPTIONS, rows=_table),
    Reader("SMILES", "one molecule, as SMILES", _is_literal, read_literal, spells=_spells),
)  # fmt: skip
