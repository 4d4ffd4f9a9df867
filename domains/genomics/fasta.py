"""FASTA, read record by record, as it stands in files: wrapped, lower case, gzipped, cut off."""

from __future__ import annotations

import codecs
import gzip
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from deepfield.toolkit.errors import BROKEN, NotFound, UsageError
from deepfield.toolkit.paths import is_file
from deepfield.toolkit.text_files import is_gzipped

_CHUNK = 1 << 20
_SPACE = b" \t\n\v\f"
_BOM_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file of sequences.

    Args:
        name: the first word of its header; "" if there is none.
        description: the rest of the header.
        letters: one byte a base, as the file has them, without line breaks and spaces.
        fault: what is wrong with it; None where nothing is.
    """

    name: str
    description: str
    letters: bytes
    fault: str | None = None


def opened(source: str) -> BinaryIO:
    """A file's bytes, unpacked if they are gzipped, whatever it is called; `-` is standard input.

    Raises:
        NotFound: no such file.
    """
    if source != "-" and not is_file(source):
        raise NotFound(f"no such file: {source!r}", "mind the folder that you are in")
    raw: Any = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115
    packed = is_gzipped(raw.peek(2))
    return gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[return-value]


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    r"""The bytes of a text in pieces, with lines that end in `\n` and without a byte-order mark.

    What a damaged archive raises comes through, behind all that could be unpacked.
    """
    read = getattr(stream, "read1", stream.read)
    block = read(_CHUNK)
    decoder = None
    if block[:2] in _BOM_16:
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
    elif block.startswith(codecs.BOM_UTF8):
        block = block.removeprefix(codecs.BOM_UTF8) or read(_CHUNK)
    held = b""
    while block:
        if decoder is not None:
            block = decoder.decode(block).encode()
        block, held = held + block, b""
        if b"\r" in block:
            if block.endswith(b"\r"):  # its \n may come with the next piece
                block, held = block[:-1], b"\r"
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield block
        block = read(_CHUNK)
    if held:
        yield b"\n"


def read_fasta(source: str) -> Iterator[Record]:
    """The records of a FASTA file, in constant memory over records.

    Text before the first `>` is a record with a fault, and so is one without letters. Of an archive
    that breaks off all records before the break are there, and the one that it broke is faulty.

    Args:
        source: a file, gzipped or not; `-` is standard input.

    Raises:
        NotFound: no such file.
        UsageError: it is empty, or holds no record at all.
    """
    with opened(source) as stream:
        yield from records(blocks(stream), source)


def records(text: Iterable[bytes], source: str) -> Iterator[Record]:
    r"""The records of a text in pieces; see `read_fasta`.

    Example:
        >>> [(r.name, r.letters) for r in records([b">a one", b" more\nAC\nGT\n>b\nA"], "x")]
        [('a', b'ACGT'), ('b', b'A')]
    """
    pieces: list[bytes] = [b"\n"]  # so that a record begins with "\n>" wherever it stands
    first, broken = True, None
    pieces_in = iter(text)
    while True:
        try:
            block = next(pieces_in)
        except StopIteration:
            break
        except BROKEN as error:
            broken = error
            break
        if b">" not in block:
            pieces.append(block)
            continue
        *whole, rest = (b"".join(pieces) + block).split(b"\n>")
        pieces = [rest]
        for one in whole:
            if first:
                yield from _before(one)
                first = False
            else:
                yield _record(one)
    rest = b"".join(pieces)
    if first:
        _no_record(source, rest, broken)
    last = _record(rest)
    if broken is not None:
        fault = f"the file breaks off inside this record: {broken}"
        last = Record(last.name, last.description, last.letters, fault)
    yield last


def _record(text: bytes) -> Record:
    header, _, body = text.partition(b"\n")
    name, _, description = decoded(header).strip().partition(" ")
    if b";" in body:  # comments, as in the oldest files
        body = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b";"))
    letters = body.translate(None, _SPACE)
    fault = None if letters else "a record without a sequence"
    return Record(name, description.strip(), letters, fault)


def _before(text: bytes) -> Iterator[Record]:
    lines = [line for line in text.split(b"\n") if line.strip() and not line.startswith(b";")]
    if lines:
        shown = decoded(lines[0][:40])
        yield Record("", "", b"", f"{len(lines)} lines before the first '>', as {shown!r}")


def _no_record(source: str, text: bytes, broken: Exception | None) -> None:
    if broken is not None:
        raise UsageError(f"{source!r} cannot be read: {broken}", "copy it again")
    if not text.strip():
        raise UsageError(f"{source!r} is empty", "a record of FASTA starts with a line '>name'")
    shown = decoded(text.strip().split(b"\n")[0][:40])
    raise UsageError(
        f"{source!r} is no FASTA: it begins with {shown!r}", "a record starts with a line '>name'"
    )


def decoded(text: bytes) -> str:
    """UTF-8, or else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
