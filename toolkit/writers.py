"""Rows to a file or to standard output: atomic, and resumable after a crash."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from deepfield.toolkit.bundle import replace_file
from deepfield.toolkit.errors import DeepfieldError, UsageError

FORMATS = ("csv", "tsv", "jsonl", "parquet")
_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl",
             ".json": "jsonl", ".parquet": "parquet", ".txt": "tsv"}  # fmt: skip


def format_of(output: str, given: str | None) -> str:
    """The format of an output: the one given, else by its suffix; CSV for standard output.

    Raises:
        UsageError: an unknown format or suffix.
    """
    if given is not None:
        if given not in FORMATS:
            raise UsageError(f"no format {given!r}", f"known: {', '.join(FORMATS)}")
        return given
    if output == "-":
        return "csv"
    suffix = Path(output).suffix.lower()
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
        identity: what the rows were made from; a resume with another one is refused.
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
        self.samples = 0
        self.rows = 0
        self.to_stdout = output == "-"
        if self.to_stdout:
            if format == "parquet":
                raise UsageError("Parquet does not go to standard output", "add -o FILE.parquet")
            self.stream: BinaryIO = sys.stdout.buffer
            return
        self.target = Path(output)
        self.part = self.target.with_name(self.target.name + ".part")
        self.journal = self.target.with_name(self.target.name + ".part.journal")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if self.target.is_dir():
                raise UsageError(f"{output!r} is a folder", "name a file")
            self._open(resume)
        except OSError as error:
            raise _unwritable(output, error) from None

    def _open(self, resume: bool) -> None:
        if resume and self.part.is_file() and self.journal.is_file():
            state = json.loads(self.journal.read_text())
            if state["identity"] != self.identity:
                different = [k for k, v in self.identity.items() if state["identity"].get(k) != v]
                raise UsageError(
                    f"{str(self.part)!r} was made with another {(different or ['run'])[0]}",
                    "resume with the same command, or leave --resume away",
                )
            self.samples, self.rows = state["samples"], state["rows"]
            self.columns = state["columns"]
            self.stream = self.part.open("r+b")
            self.stream.truncate(state["bytes"])
            self.stream.seek(state["bytes"])
        else:
            self.journal.unlink(missing_ok=True)
            self.stream = self.part.open("wb")

    def write(self, rows: Sequence[Mapping[str, Any]], samples: int) -> None:
        """Add rows that complete `samples` more samples, and make them last."""
        try:
            if rows:
                self._add(rows)
            self.samples += samples
            self.stream.flush()
            if not self.to_stdout:
                os.fsync(self.stream.fileno())
                self._note()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable(self.output, error) from None

    def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not self.columns:
            self.columns = list(rows[0])
            if self.format in ("csv", "tsv"):
                self.stream.write(self._line(self.columns))
        if self.format in ("csv", "tsv"):
            for row in rows:
                self.stream.write(self._line([_cell(row.get(c)) for c in self.columns]))
        else:
            for row in rows:
                text = json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
                self.stream.write(text.encode("utf-8", "surrogatepass") + b"\n")
        self.rows += len(rows)

    def _line(self, cells: Sequence[str]) -> bytes:
        text = io.StringIO()
        delimiter = "\t" if self.format == "tsv" else ","
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue().encode("utf-8", "surrogateescape")

    def _note(self) -> None:
        state = {
            "identity": self.identity, "samples": self.samples, "rows": self.rows,
            "columns": self.columns, "bytes": self.stream.tell(),
        }  # fmt: skip
        replace_file(self.journal, json.dumps(state).encode())

    def finish(self) -> None:
        """Give the file its name; until then it is `OUT.part`."""
        try:
            self.stream.flush()
            if self.to_stdout:
                return
            self.stream.close()
            if self.format == "parquet":
                _to_parquet(self.part)
            self.part.replace(self.target)
            self.journal.unlink(missing_ok=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable(self.output, error) from None

    def close(self) -> None:
        """Leave the unfinished file for a resume."""
        if not self.to_stdout and not self.stream.closed:
            self.stream.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _to_parquet(part: Path) -> None:
    # The part is JSON lines, which can be cut anywhere; it becomes Parquet when it is whole.
    import pyarrow
    import pyarrow.parquet as parquet

    def batches() -> Iterator[list[dict[str, Any]]]:
        with part.open(encoding="utf-8") as lines:
            batch: list[dict[str, Any]] = []
            for line in lines:
                row = json.loads(line)
                flat = {k: _cell(v) if isinstance(v, dict | list) else v for k, v in row.items()}
                batch.append(flat)
                if len(batch) == 8192:
                    yield batch
                    batch = []
            if batch:
                yield batch

    whole = part.with_name(part.name + ".parquet")
    writer = None
    try:
        for batch in batches():
            table = pyarrow.Table.from_pylist(batch, schema=writer.schema if writer else None)
            if writer is None:
                fields = [
                    pyarrow.field(f.name, pyarrow.string() if f.type == pyarrow.null() else f.type)
                    for f in table.schema
                ]
                table = table.cast(pyarrow.schema(fields))
                writer = parquet.ParquetWriter(whole, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    whole.replace(part)


def _unwritable(output: str, error: OSError) -> DeepfieldError:
    import errno

    if error.errno == errno.ENOSPC:
        return DeepfieldError(
            f"the disk is full: {output!r} is not finished",
            "free some space and run the same command with --resume",
        )
    return DeepfieldError(f"cannot write {output!r}: {error.strerror or error}", "check the path")


def write_whole(output: str | Path, content: bytes) -> None:
    """Write a whole file in one step, making its parent folders.

    Raises:
        DeepfieldError: it cannot be written.
    """
    path = Path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UsageError(f"{str(output)!r} is a folder", "name a file")
        replace_file(path, content)
    except OSError as error:
        raise _unwritable(str(output), error) from None


def in_samples(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[list[tuple[Any, Any]], int]]:
    """Group (item, answer) pairs into runs of whole samples: (pairs, number of samples)."""
    held: list[tuple[Any, Any]] = []
    done: list[tuple[Any, Any]] = []
    samples = 0
    for pair in pairs:
        if held and pair[0].sample is not held[-1][0].sample:
            done += held
            samples += 1
            held = []
            if len(done) >= 512:
                yield done, samples
                done, samples = [], 0
        held.append(pair)
    if held:
        done += held
        samples += 1
    if done:
        yield done, samples
