"""Rows to a file or to standard output: atomic, and resumable after a crash."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from deepfield.toolkit.bundle import (
    is_bundle,
    open_bundle,
    replace_file,
    take_place,
)
from deepfield.toolkit.errors import FULL, DeepfieldError, UsageError
from deepfield.toolkit.paths import is_file, is_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_to_json = json.JSONEncoder(ensure_ascii=False).encode  # made once: `json.dumps` makes it anew
FORMATS = ("csv", "tsv", "jsonl", "parquet")
_MANY = 4096  # items of one sample that are written before the others are there
_NOTE_SECONDS = 1.0  # between two notes of how far a file is: each waits for the disk
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
             ".parquet": "parquet", ".txt": "tsv"}  # fmt: skip


def escaped(text: str) -> bytes:
    """UTF-8; half a surrogate pair, of a file's name that is none, as an escape."""
    return text.encode("utf-8", "backslashreplace")


def refuse_input(output: str, *sources: str) -> None:
    """Nothing is written over what it is read from, nor over a part of a model.

    Args:
        output: a file, or `"-"`.
        sources: files, several joined by commas, or whatever else is no file.

    Raises:
        UsageError: the output is one of the sources, or a file of a bundle.
    """
    folder = Path(output).parent
    if output != "-" and is_bundle(folder) and _is_whole(folder):
        raise UsageError(f"{output!r} lies in the model {str(folder)!r}", "-o another name")
    if output == "-" or not is_file(output):
        return
    for source in sources:
        names = [source] if is_file(source) else source.split(",")
        if any(n != "-" and is_file(n) and Path(output).samefile(n) for n in names):
            raise UsageError(f"{output!r} is what is read, and would be lost", "-o another name")


def _is_whole(folder: Path) -> bool:
    try:
        open_bundle(folder)
    except DeepfieldError:  # its `config.json` is another program's
        return False
    return True


def format_of(output: str, given: str | None) -> str:
    """The format of an output: the one given, else by its suffix; CSV for standard output.

    Raises:
        UsageError: an unknown format or suffix, or a format that the suffix contradicts.
    """
    suffix = "" if output == "-" else Path(output).suffix.lower()
    if output != "-" and is_folder(output):
        raise UsageError(f"{output!r} is a folder", "name a file")
    if given is not None:
        if given not in FORMATS:
            raise UsageError(f"no format {given!r}", f"known: {', '.join(FORMATS)}")
        if suffix != ".txt" and _SUFFIXES.get(suffix, given) != given:
            raise UsageError(
                f"the format is to be {given}, but {output!r} ends in {suffix}",
                "leave one of them away",
            )
        return given
    if output == "-":
        return "csv"
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"cannot tell the format of {output!r} from its suffix",
            f"end it in {', '.join(sorted(_SUFFIXES))}, or add --format",
        )
    return _SUFFIXES[suffix]


class RowWriter:
    """Writes rows, the same columns in every row, to a file or to standard output.

    A file grows as `OUT.part` and takes its name when it is whole. Beside it, `OUT.part.journal`
    says how many samples are in it for certain; a resumed run cuts the file there and goes on.

    Args:
        output: a path, or `-`.
        format: one of `FORMATS`.
        identity: what the rows were made from; a resume with another one is refused, and without
            one there is none.
        resume: go on with `OUT.part` if it is there.

    Raises:
        DeepfieldError: the file cannot be written.
        UsageError: the journal is of another run.
    """

    def __init__(
        self, output: str, format: str, identity: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> None:  # fmt: skip
        self.output, self.format = output, format
        self.identity = json.loads(json.dumps(dict(identity or {})))
        self.columns: list[str] = []
        self.left_out: set[str] = set()
        self.samples = 0
        self.rows = 0
        self.rejected = 0
        self.to_stdout = output == "-"
        self._next_note, self._to_note = 0.0, False
        self.stream: BinaryIO
        if self.to_stdout:
            if resume:
                raise UsageError("--resume needs a file to go on with", "add -o FILE")
            if format == "parquet":
                raise UsageError("Parquet does not go to standard output", "add -o FILE.parquet")
            self.stream = sys.stdout.buffer
            return
        self.target = real_target(output)
        self.part = self.target.with_name(self.target.name + ".part")
        self.journal = self.target.with_name(self.target.name + ".part.journal")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if self.target.is_dir():
                raise UsageError(f"{output!r} is a folder", "name a file")
            if is_special(self.target):  # /dev/null, a named pipe: written to, never replaced
                if format == "parquet":
                    raise UsageError(f"Parquet does not go to {output!r}", "name a file")
                self.to_stdout = True
                self.stream = self.target.open("wb")
                return
            self._open(resume)
        except OSError as error:
            raise self._unwritable(error) from None

    def _open(self, resume: bool) -> None:
        resume = resume and self.part.is_file() and self.journal.is_file()
        self.stream = _taken(self.part)
        try:
            self._go_on(resume)
        except BaseException:
            self.stream.close()
            raise

    def _go_on(self, resume: bool) -> None:
        if resume:
            state = _read_journal(self.journal, self.part)
            if state["identity"] != self.identity:
                different = [k for k, v in self.identity.items() if state["identity"].get(k) != v]
                raise UsageError(
                    f"{str(self.part)!r} was made with another {(different or ['run'])[0]}",
                    "resume with the same command, or leave --resume away",
                )
            self.samples, self.rows = state["samples"], state["rows"]
            self.rejected = state.get("rejected", 0)
            self.columns = state["columns"]
            self.stream.truncate(state["bytes"])
            self.stream.seek(state["bytes"])
        else:
            self.journal.unlink(missing_ok=True)
            self.stream.truncate(0)

    def write(self, rows: Sequence[Mapping[str, Any]], samples: int, rejected: int = 0) -> None:
        """Add rows that complete `samples` more samples, and now and then make them last.

        Rows that complete none are the first of a sample with many: nothing is noted before its
        last ones are there too. Of the rows, `rejected` are without an answer, or left out: a
        resumed run knows them too.
        """
        self._to_note = False
        try:
            if rows:
                self._add(rows)
            self.samples += samples
            self.rejected += rejected
            self.stream.flush()
            self._to_note = samples > 0 and not self.to_stdout
            if time.monotonic() >= self._next_note:
                self._note()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._unwritable(error) from None

    def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not self.columns:
            # Of all rows at hand: the first may be a bad one, which has fewer.
            self.columns = _all_columns(rows)
            if self.format in ("csv", "tsv"):
                self.stream.write(self._lines([self.columns]))
        if self.format in ("csv", "tsv"):
            known = set(self.columns)
            for row in rows:
                if not row.keys() <= known:
                    self.left_out |= row.keys() - known
            cells = [[_cell(row.get(c)) for c in self.columns] for row in rows]
            self.stream.write(self._lines(cells))
        else:
            for row in rows:
                try:
                    text = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
                except ValueError:  # a NaN among the columns that it came with
                    text = json.dumps(_finite(row), ensure_ascii=False, default=str)
                self.stream.write(escaped(text) + b"\n")
        self.rows += len(rows)

    def _lines(self, rows: Sequence[Sequence[str]]) -> bytes:
        text = io.StringIO()
        delimiter = "\t" if self.format == "tsv" else ","
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
        try:
            return text.getvalue().encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half a surrogate pair: its own row alone is escaped
            if len(rows) > 1:
                return b"".join(self._lines([row]) for row in rows)
            return escaped(text.getvalue())

    def _note(self) -> None:
        if not self._to_note:
            return
        os.fsync(self.stream.fileno())
        state = {
            "identity": self.identity, "samples": self.samples, "rows": self.rows,
            "rejected": self.rejected, "columns": self.columns, "bytes": self.stream.tell(),
        }  # fmt: skip
        replace_file(self.journal, json.dumps(state).encode())
        self._next_note, self._to_note = time.monotonic() + _NOTE_SECONDS, False

    def finish(self) -> None:
        """Give the file its name; until then it is `OUT.part`."""
        try:
            self.stream.flush()
            if self.to_stdout:
                return
            if fcntl is None:  # Windows gives no open file another name
                self.stream.close()
            finished = _to_parquet(self.part) if self.format == "parquet" else self.part
            try:
                take_place(finished, self.target)
            finally:
                if finished != self.part:
                    finished.unlink(missing_ok=True)
            if finished != self.part:
                self.part.unlink()
            self.journal.unlink(missing_ok=True)
            self.stream.close()  # until now no other run takes the file
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> DeepfieldError:
        return _unwritable(self.output, error, bool(self.identity) and not self.to_stdout)

    def close(self) -> None:
        """Leave the unfinished file for a resume; without an `identity` none can go on with it."""
        if not self.identity:
            self.discard()
        elif not self.to_stdout and not self.stream.closed:
            with contextlib.suppress(OSError):  # a full disk was told already
                self._note()
                self.stream.close()

    def discard(self) -> None:
        """Take the unfinished file away, of a run that would end in the same place again."""
        if not self.to_stdout and not self.stream.closed:
            if fcntl is None:  # Windows takes away no open file
                self._shut()
            self.part.unlink(missing_ok=True)
            self.journal.unlink(missing_ok=True)
            self._shut()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):  # what is left in memory, on a full disk
            self.stream.close()


def _taken(part: Path) -> BinaryIO:
    """An unfinished file, opened for this run alone: of two that write one file neither ends.

    Raises:
        UsageError: another run writes it.
    """
    while True:
        stream = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if fcntl is None:
            return stream
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise UsageError(
                f"another run is writing {str(part.with_suffix(''))!r}",
                "wait until it has ended, or name another file",
            ) from None
        except OSError:  # a file system without locks
            return stream
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), part.stat()):
                return stream
        stream.close()  # the other run has ended meanwhile, and taken the file with it


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return _to_json(value)
    return str(value)


def _to_parquet(part: Path) -> Path:
    # The part is JSON lines, which can be cut anywhere; a Parquet file is made of it at the end.
    import pyarrow
    import pyarrow.parquet as parquet

    kinds: dict[str, set[type]] = {}
    for row in _json_rows(part):
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    types = {name: _arrow_type(found - {type(None)}, pyarrow) for name, found in kinds.items()}
    schema = pyarrow.schema([pyarrow.field(name, kind) for name, kind in types.items()])
    # Arrow itself takes no whole number beyond 2^53 among numbers with a point.
    turned: dict[Any, Callable[[Any], Any]] = {pyarrow.string(): _text, pyarrow.float64(): float}
    turn = {name: turned[kind] for name, kind in types.items() if kind in turned}
    whole = part.with_name(part.name + ".parquet")
    rows = _json_rows(part)
    try:
        with parquet.ParquetWriter(whole, schema) as writer:
            while batch := list(islice(rows, 8192)):
                flat = [
                    {k: turn[k](v) if k in turn and v is not None else v for k, v in row.items()}
                    for row in batch
                ]
                writer.write_table(pyarrow.Table.from_pylist(flat, schema=schema))
    except BaseException:
        whole.unlink(missing_ok=True)
        raise
    return whole


def _json_rows(part: Path) -> Iterator[dict[str, Any]]:
    with part.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _kind(value: Any) -> type:
    return str if isinstance(value, int) and abs(value) >= 1 << 63 else type(value)


def _arrow_type(kinds: set[type], pyarrow: Any) -> Any:
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    if kinds and kinds <= {int, float}:
        return pyarrow.float64()
    return pyarrow.string()  # texts, lists and mixtures


def _text(value: Any) -> str:
    return escaped(_cell(value)).decode()


def real_target(output: str | Path) -> Path:
    """Where a file is written: behind a link, so that the link stays one.

    Raises:
        UsageError: a link that leads to itself.
    """
    path = Path(output)
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():  # Python stops in the middle of a circle
        raise UsageError(f"{str(output)!r} is a link that leads to itself", "name a file")
    return target


def is_special(path: Path) -> bool:
    """Whether something lies there that is neither file nor folder: a device, a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _read_journal(journal: Path, part: Path) -> dict[str, Any]:
    try:
        state = json.loads(journal.read_text())
        whole = part.stat().st_size >= state["bytes"] and state["samples"] >= 0
        if whole and isinstance(state["identity"], dict) and isinstance(state["columns"], list):
            return dict(state)
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(
        f"{str(part)!r} and its journal do not belong together", "start anew without --resume"
    )


def _all_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    longest = max((list(row) for row in rows), key=len)
    return [*dict.fromkeys(c for row in rows for c in row if c not in set(longest)), *longest]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unwritable(output: str, error: OSError, resumable: bool = False) -> DeepfieldError:
    name = "standard output" if output == "-" else repr(output)
    why = error.strerror or str(error)
    if error.errno in FULL:
        return DeepfieldError(
            f"the disk is full: {name} is not finished ({why})",
            f"free some space and run the same command {'with --resume' if resumable else 'again'}",
        )
    return DeepfieldError(f"cannot write {name}: {why}", "check the path")


def write_whole(output: str | Path, content: bytes) -> None:
    """Write a whole file in one step, making its parent folders.

    Raises:
        DeepfieldError: it cannot be written.
    """
    path = real_target(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UsageError(f"{str(output)!r} is a folder", "name a file")
        if is_special(path):
            path.write_bytes(content)
        else:
            replace_file(path, content)
    except OSError as error:
        raise _unwritable(str(output), error) from None


def in_samples(
    pairs: Iterable[tuple[Any, Any]], count: int = 512
) -> Iterator[tuple[list[tuple[Any, Any]], int]]:
    """Group (item, answer) pairs into runs of whole samples, of `count` pairs if each sample has
    one: (pairs, number of samples).

    Of a sample with very many the first ones come by themselves, with 0 samples.
    """
    held: list[tuple[Any, Any]] = []
    done: list[tuple[Any, Any]] = []
    samples = 0
    for pair in pairs:
        if held and pair[0].sample is not held[-1][0].sample:
            done += held
            samples += 1
            held = []
            if len(done) >= count:
                yield done, samples
                done, samples = [], 0
        if len(held) >= _MANY:
            if done:
                yield done, samples
                done, samples = [], 0
            yield held[:-1], 0
            held = held[-1:]  # so that the sample is counted when the next one begins
        held.append(pair)
    if held:
        done += held
        samples += 1
    if done:
        yield done, samples
