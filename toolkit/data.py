"""Samples and the tables they come from: what flows through every pipeline, and reading it.

`files → reader → Sample → expand → items → encode → arrays`. A reader never stops at a bad row: it
yields a `Sample` whose `fault` says what is wrong, and the row keeps its place to the end.
"""

from __future__ import annotations

import difflib
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepfield.toolkit.errors import (
    BROKEN,
    ROWS,
    NotFound,
    UsageError,
    called,
    shortened,
    unreadable,
)
from deepfield.toolkit.parquet_files import read_parquet
from deepfield.toolkit.paths import is_file, is_there, link_to
from deepfield.toolkit.separated import breaks_off, is_blank, read_separated
from deepfield.toolkit.text_files import open_text

#: The arrays of one item (or, with a leading axis, of a batch) by input name of the network.
Arrays = dict[str, np.ndarray]

#: Items that a network is given at once, and the most bytes of their arrays.
BATCH = 256
_BATCH_BYTES = 4 << 20
_WIDENED = 16


@dataclass(slots=True)
class Sample:
    """One thing to answer about, before any interpretation.

    Args:
        id: names it to a person: a path, a record name, a row number.
        data: what the domain reads: a path, bytes, an array, a text.
        target: its label or labels, or None where unknown.
        group: samples of one group never straddle two parts of a split.
        part: `"train"`, `"valid"` or `"test"` where the source itself says so; another word that
            stands there is refused where parts matter (see `Split.placed`).
        time: when it was measured: a number, or a date as ISO writes it.
        row: the columns it came with; answers are added to them.
        fault: why the reader could make nothing of it; such a sample is only reported.
        label_fault: what is wrong with its label, which only those mind who learn or measure.

    Example:
        >>> Sample("row 1", "CCO", target={"active": 1.0}, group="alcohols").fault is None
        True
    """

    id: str
    data: Any
    target: Any = None
    group: str | None = None
    part: str | None = None
    time: float | str | None = None
    row: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None
    label_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """One form of data that a domain reads.

    Args:
        name: as the documentation calls it: `"idx"`, `"folder per class"`.
        summary: one line for `--help`.
        accepts: whether a source (a path, `tfds:NAME`, `-`, a literal) has this form. Cheap.
        read: yields the samples of a source, lazily. Keyword arguments are the reader's options.
        options: names of the command-line options that `read` takes.
        spells: whether a text in a list spells such a thing out, if a broken or an empty one that
            costs its own row, rather than name a source. None: texts in a list are sources.
        rows: of a table: yields the samples of rows, each with what is wrong with it, as `read`
            of a file; source is what errors call them, `start` the number of the first.

    Example:
        >>> words = Reader("words", "a text of words", lambda source: source.endswith(".txt"),
        ...                lambda source: [Sample("1", source)])
        >>> [reader.name for reader in (words,) if reader.accepts("poem.txt")]
        ['words']
    """

    name: str
    summary: str
    accepts: Callable[[str], bool]
    read: Callable[..., Iterable[Sample]]
    options: tuple[str, ...] = ()
    spells: Callable[[str], bool] | None = None
    rows: Callable[..., Iterable[Sample]] | None = None

    def given(self, source: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options that are given, none of which this form of data lacks (`UsageError`)."""
        given = {k: v for k, v in options.items() if v is not None}
        if unknown := sorted(set(given) - set(self.options)):
            flags, takes = (
                ", ".join(n if source == ROWS else "--" + n.replace("_", "-") for n in names)
                for names in (unknown, self.options)
            )
            raise UsageError(
                f"{flags} does not apply to {called(source)}, read as {self.name}",
                f"options of this form of data: {takes or 'none'}",
            )
        return given


@dataclass(frozen=True, slots=True)
class Option:
    """A command-line option that a domain adds to the shared ones.

    Args:
        name: without dashes, words joined by underscores: `"smiles"`.
        help: one line.
        verbs: the verbs that take it.
        type: `str`, `int`, `float` or `bool` (a flag).
        default: value when it is not given.
        choices: allowed values.
        repeat: may be given several times; the value is then a tuple.
        reader: handed to the reader rather than to the pipeline.
        short: one letter.
        least: of a number.

    Example:
        >>> Option("step", "bases from one window to the next", ("predict",), int, least=1).type
        <class 'int'>
    """

    name: str
    help: str
    verbs: tuple[str, ...]
    type: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    repeat: bool = False
    reader: bool = False
    short: str = ""
    least: float | None = None


@dataclass(slots=True)
class Encoded:
    """An item on its way: its sample, its arrays and context, or why it is rejected.

    Example:
        >>> Encoded(Sample("row 2", ""), fault="an empty SMILES").arrays is None
        True
    """

    sample: Sample
    arrays: Arrays | None = None
    context: Any = None
    target: Arrays | None = None
    prediction: np.ndarray | None = None
    fault: str | None = None


def is_one(thing: Any) -> bool:
    """Whether what a program asks about is one thing, not several of them."""
    one = isinstance(thing, str | bytes | bytearray | Mapping)
    return one or not isinstance(thing, Iterable)


def is_row(thing: Any) -> bool:
    """Whether a thing is a row of a table: cells by the names of their columns."""
    return isinstance(thing, Mapping)


def name_of(data: Any) -> str:
    """What data are called in a report or an error: a source by its name, all others samples."""
    return str(data) if isinstance(data, str | Path) else "samples"


def own_columns(sample: Sample, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a sample came with, beside those of its answer.

    Nothing of the input is lost: a column with the name of one of the answer's is called
    `given_NAME`, so that the answer's names are always the same.

    Example:
        >>> own_columns(Sample("1", None, row={"smiles": "C", "label": "a"}), {"label": "b"})
        {'smiles': 'C', 'given_label': 'a'}
    """
    own: dict[str, Any] = {}
    for name, value in (sample.row or {"id": sample.id}).items():
        while name in answer or (name.startswith("given_") and name in own):
            name = f"given_{name}"
        own[name] = value
    return own


def shipped(source: str, samples: Mapping[str, Callable[[], str]]) -> str:
    """What `sample:NAME` stands for; any other source is itself.

    Raises:
        NotFound: no such sample.
    """
    if not source.startswith("sample:"):
        return source
    name = source.removeprefix("sample:")
    if name not in samples:
        known = ", ".join(f"sample:{n}" for n in samples)
        raise NotFound(f"no sample named {name!r}", f"there are {known}")
    return samples[name]()


def read_source(
    source: str,
    readers: Sequence[Reader],
    samples: Mapping[str, Callable[[], str]],
    **options: Any,
) -> Iterator[Sample]:
    """Read a source with the first reader that accepts it.

    Args:
        source: a path, `-`, `sample:NAME` (resolved by `samples`), or a form of the domain's own.
        readers: in the order in which they are asked.
        samples: name to a function that returns the source which `sample:NAME` stands for.
        options: handed to the reader as far as it declares them; None means "not given".

    Raises:
        NotFound: no such file or sample.
        UsageError: no reader knows the form, or an option that the reader does not have.

    Example:
        >>> letters = Reader("letters", "some letters", str.isalpha, lambda s: [Sample(s, s)])
        >>> [sample.data for sample in read_source("ACGT", (letters,), {})]
        ['ACGT']
    """
    if not source.strip() or "\0" in source:
        raise UsageError(f"{source!r} names nothing to read", "name a file or folder, or '-'")
    source = shipped(source, samples)
    for reader in readers:
        if reader.accepts(source):
            return _whole(reader, source, reader.given(source, options))
    if looks_like_path(source) and not is_there(source):
        also = "".join(f"; also: {r.summary}" for r in readers if r.spells and r.spells(source))
        said = f"no such file or folder: {shortened(source, 300)!r}"
        raise NotFound(said, _near_path(source) + also)
    if "://" in source:
        raise UsageError(f"{source!r} is an address: nothing is fetched", "name a copy on disk")
    if source.lower().endswith((".xlsx", ".xls", ".ods")):
        raise UsageError(f"{source!r} is a workbook", "save its sheet as CSV")
    forms = "; ".join(r.summary for r in readers)
    raise UsageError(f"cannot tell what {source!r} holds", f"known forms: {forms}")


def _whole(reader: Reader, source: str, options: Mapping[str, Any]) -> Iterator[Sample]:
    """What a reader gives; a file that breaks off somewhere is told as one."""
    try:
        yield from reader.read(source, **options)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{source!r} is damaged or breaks off: {error}", "copy it again") from None


class Numbered(NamedTuple):
    """What `NAME[:COUNT[:SEED[:MORE]]]` asks for: a set of samples that is made up."""

    name: str
    number: int
    seed: int
    more: str


def numbered(source: str, count: int) -> Numbered | None:
    """Read the name of a set that is made up; None where a number is none, or less than it may be.

    Args:
        source: as it was given.
        count: where it gives none; the seed is 0.

    Example:
        >>> numbered("world:20", 200)
        Numbered(name='world', number=20, seed=0, more='')
    """
    name, many, seed, more = [*source.split(":", 3), "", "", ""][:4]
    try:
        told = Numbered(name, int(many or count), int(seed or 0), more)
    except ValueError:
        return None
    return told if told.number > 0 and told.seed >= 0 else None


def looks_like_path(source: str) -> bool:
    """Whether a source that no reader accepted was most likely meant as a path."""
    return ":" not in source.split("/")[0] or len(source.split(":")[0]) == 1


def _near_path(source: str) -> str:
    path = Path(source)
    if (target := link_to(source)) is not None:
        return f"it is a link to {target!r}, which leads nowhere"
    try:
        names = [p.name for p in itertools.islice(path.parent.iterdir(), 2000)]
    except OSError:
        return f"the folder {str(path.parent)!r} is not there either"
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"near it: {', '.join(near)}" if near else f"looked in {str(path.parent.resolve())!r}"


# ---------------------------------------------------------------------------------- tables


def read_rows(source: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    r"""Read a table row by row: CSV, TSV, JSON lines or Parquet, gzipped or not, `-` for stdin.

    Byte-order marks, Latin-1, semicolons and tabs are recognised. Constant memory.

    Returns:
        Pairs of the row and what is wrong with it (None for a good row). Cells are strings in text
        tables and typed values in JSON and Parquet.

    Raises:
        NotFound: no such file.
        UsageError: an empty file, a header with a repeated name, a file that is no table.

    Example:
        >>> _ = Path("scores.csv").write_text("name,score\nann,3\nbo\n")
        >>> [(row["score"], fault) for row, fault in read_rows("scores.csv")]
        [('3', None), ('', 'line 3: 1 cell between commas, the header has 2')]
    """
    if source != "-" and not is_file(source):
        raise NotFound(f"no such table: {source!r}", _near_path(source))
    suffixes = [] if source == "-" else [s.lower() for s in Path(source).suffixes]
    if suffixes[-1:] == [".parquet"]:
        yield from read_parquet(source)
        return
    try:
        with open_text(source) as lines:
            yield from rows_of(source, lines)
    except BROKEN as error:
        raise unreadable(source, error) from None


def rows_of(source: str, lines: Iterable[str]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Rows of a table whose text was opened already: as `read_rows`."""
    lines = iter(lines)
    first, blank = "", 0
    for first in lines:
        if not is_blank(first):
            break
        blank += 1
    if is_blank(first):
        raise UsageError(f"{called(source)} is empty", "a table starts with a header line")
    lines = itertools.chain(["\n"] * blank, [first], lines)
    if first.lstrip().startswith("{"):
        yield from read_json_lines(lines)
    else:
        yield from read_separated(source, first, lines)


def read_json_lines(lines: Iterable[str]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Rows of JSON lines; a line that is no object gives an empty row and the reason."""
    lines, number = iter(lines), 0
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except BROKEN as error:
            yield {}, breaks_off(number, error)
            return
        number += 1
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield {}, f"line {number}: not JSON ({error})"
            continue
        if isinstance(row, dict):
            yield row, None
        else:
            yield {}, f"line {number}: expected an object, found {type(row).__name__}"


# --------------------------------------------------------------------------------- batches


def collate(items: Sequence[Arrays], padding: Mapping[str, float]) -> Arrays:
    """Stack the arrays of several items, padded at the end of every axis to the longest.

    Args:
        items: arrays of one item each, of equal rank by name.
        padding: value by input name; 0 where none is given.

    Returns:
        Arrays with a leading batch axis.
    """
    batch: Arrays = {}
    for name in items[0]:
        parts = [np.asarray(item[name]) for item in items]
        shapes = {part.shape for part in parts}
        if len(shapes) == 1:
            batch[name] = np.stack(parts)
            continue
        longest = tuple(np.max([part.shape for part in parts], axis=0))
        full = np.full((len(parts), *longest), padding.get(name, 0), dtype=parts[0].dtype)
        for place, part in zip(full, parts, strict=True):
            place[tuple(slice(n) for n in part.shape)] = part
        batch[name] = full
    return batch


def stacked(parts: Sequence[np.ndarray], padding: float = 0) -> np.ndarray:
    """Stack arrays of equal rank, padded at the end of every axis to the longest."""
    return collate([{"": part} for part in parts], {"": padding})[""]


def size_of(arrays: Arrays) -> int:
    """How long an item is: the number of values in its largest array."""
    return max((np.asarray(a).size for a in arrays.values()), default=0)


def sizes_of(items: Sequence[Arrays]) -> list[int]:
    """How long each item is, among arrays whose shapes differ: others need no padding."""
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for item in items:
        for name, array in item.items():
            shapes.setdefault(name, set()).add(np.shape(array))
    differ = {name for name, own in shapes.items() if len(own) > 1}
    return [size_of({n: array for n, array in item.items() if n in differ}) for item in items]


def batches_by_length(
    sizes: Sequence[int], batch_size: int, longest: float = 1.25
) -> list[list[int]]:
    """Group items of similar size, so that little is computed on padding.

    Args:
        sizes: the size of each item.
        batch_size: most items in a batch.
        longest: largest ratio of sizes inside one batch.

    Returns:
        Lists of indices, every index once.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(sizes)), key=sizes.__getitem__):
        last = batches[-1] if batches else None
        if last and len(last) < batch_size and sizes[index] <= longest * max(1, sizes[last[0]]):
            last.append(index)
        else:
            batches.append([index])
    return batches


def batches_that_fit(items: Sequence[Arrays], batch_size: int) -> list[list[int]]:
    """Group items of similar size into batches that stay small also when they are padded.

    A batch holds fewer than `batch_size` items where they are large, and where their shapes
    differ so much that padding would make them large (many short rows beside few long ones).

    Returns:
        Lists of indices, every index once.
    """
    found: list[list[int]] = []
    waiting = batches_by_length(sizes_of(items), batch_size)
    while waiting:
        batch = waiting.pop()
        pieces = -(-_padded_bytes([items[i] for i in batch]) // _BATCH_BYTES)
        if pieces <= 1 or len(batch) == 1:
            found.append(batch)
            continue
        batch.sort(key=lambda i: [array.shape for array in items[i].values()])
        step = -(-len(batch) // min(pieces, len(batch)))
        waiting += [batch[i : i + step] for i in range(0, len(batch), step)]
    return found


def _padded_bytes(items: Sequence[Arrays]) -> int:
    total = 0
    for name, first in items[0].items():
        cells = len(items)
        for lengths in zip(*(item[name].shape for item in items), strict=True):
            cells *= max(lengths)
        # in the network a whole number becomes a vector
        total += cells * first.itemsize * (_WIDENED if first.dtype.kind == "i" else 1)
    return total


def numbers_only(values: np.ndarray) -> np.ndarray:
    """Which rows of a batch hold no NaN, (batch,) bool."""
    values = np.asarray(values)
    if values.dtype.kind != "f" or not values.size:
        return np.ones(len(values), bool)
    return ~np.isnan(values.reshape(len(values), -1)).any(axis=1)
