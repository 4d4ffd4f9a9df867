"""VCF files as lines of bytes: what is not ours to change is passed on as it came.

A file is read line by line, plain or compressed (gzip, or bgzip's blocks), and written the same
way. Nothing of a line is touched but its INFO column, and of the header only INFO lines are added.
"""

from __future__ import annotations

import codecs
import re
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError
from deepfield.toolkit.text_files import LONGEST_LINE, endless_line, is_gzipped
from deepfield.toolkit.writers import RowWriter

#: The columns that every row has, up to the one that is ours to add to.
COLUMNS = (b"CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO")
_LETTERS = re.compile(rb"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+")
_CHUNK, _PIECE = 1 << 20, 1 << 16
#: How much text goes into one block of bgzip's, which must stay below 64 kB when compressed.
_BLOCK = 0xFF00
#: The empty block that ends a file of bgzip's.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a VCF file below its header.

    Args:
        line: as it came, with its end.
        number: of the line in the file, from 1.
        contig: its name; `""` where the row has a fault.
        position: of the first letter of `reference`, from 0.
        reference: letters in upper case.
        alternatives: as they stand in the row; none for `.`.
        fault: why the row cannot be read.
    """

    line: bytes
    number: int
    contig: str = ""
    position: int = -1
    reference: str = ""
    alternatives: tuple[str, ...] = ()
    fault: str = ""


def read_row(line: bytes, number: int) -> Row:
    r"""Read one line; what cannot be read becomes a row with a fault, never an error.

    Example:
        >>> read_row(b"chr1\t7\t.\tA\tC,<DEL>\t.\t.\t.\n", 9).alternatives
        ('C', '<DEL>')
        >>> read_row(b"chr1\tseven\t.\tA\tC\t.\t.\t.\n", 9).fault
        "POS is no place of a base: 'seven'"
    """
    cells = line.rstrip(b"\r\n").split(b"\t", len(COLUMNS))
    if len(cells) < len(COLUMNS):
        had = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        return Row(line, number, fault=f"{had}, not {len(COLUMNS)} or more" if line.strip() else "")
    contig, position, _, reference, alternatives = cells[:5]
    if not position.isdigit() or not 1 <= int(position[:20]) < 1 << 40:
        return Row(line, number, fault=f"POS is no place of a base: {_shown(position)}")
    if not contig:
        return Row(line, number, fault="CHROM is empty")
    if not _LETTERS.fullmatch(reference):
        return Row(line, number, fault=f"REF is no sequence of letters: {_shown(reference)}")
    told = () if alternatives in (b".", b"") else tuple(_text(alternatives).split(","))
    at = int(position) - 1
    return Row(line, number, _text(contig), at, _text(reference).upper(), told)


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "surrogateescape")


def _shown(cell: bytes) -> str:
    text = cell.decode("utf-8", "replace")
    return repr(text if len(text) <= 30 else text[:30] + "…")


def with_info(line: bytes, values: Mapping[str, str], drop: Sequence[str] = ()) -> bytes:
    r"""A line with keys added to its INFO column; every other byte stays.

    Args:
        line: of eight columns or more, with its end.
        values: by key, written as they are.
        drop: keys that are taken out first, as those of `values` are.

    Example:
        >>> with_info(b"1\t7\t.\tA\tC\t.\t.\tDP=9;K=1\tGT\n", {"K": "2"})
        b'1\t7\t.\tA\tC\t.\t.\tDP=9;K=2\tGT\n'
    """
    cells = line.split(b"\t", len(COLUMNS))
    last = len(COLUMNS) - 1
    info = cells[last].rstrip(b"\r\n")
    end = cells[last][len(info) :]
    gone = {key.encode() for key in (*values, *drop)}
    held = [part for part in info.split(b";") if part.split(b"=", 1)[0] not in gone]
    if len(held) == info.count(b";") + 1 and not values:
        return line
    held = [] if held in ([b"."], [b""]) else held
    held += [f"{key}={value}".encode("utf-8", "surrogateescape") for key, value in values.items()]
    cells[last] = (b";".join(held) or b".") + end
    return b"\t".join(cells)


def with_header(header: Sequence[bytes], described: Mapping[str, str]) -> list[bytes]:
    """A header with INFO lines added after the last one that it has, else before its last line.

    Args:
        header: lines up to and with `#CHROM`, with their ends.
        described: by key, what the line says after its ID. A key that the header has already is
            described anew in its place.
    """
    end = b"\r\n" if header[-1].endswith(b"\r\n") else b"\n"
    lines = list(header)
    if not lines[-1].endswith(b"\n"):
        lines[-1] += end
    new = {key: f"##INFO=<ID={key},{text}>".encode() + end for key, text in described.items()}
    for place, line in enumerate(lines):
        found = re.match(rb"##INFO=<ID=([^,>]+)", line)
        own = new.pop(found[1].decode("utf-8", "replace"), None) if found else None
        lines[place] = own or line
    places = [at for at, line in enumerate(lines) if line.startswith(b"##INFO=")]
    at = places[-1] + 1 if places else len(lines) - 1
    return [*lines[:at], *new.values(), *lines[at:]]


def contig_lengths(header: Sequence[bytes]) -> dict[str, int]:
    r"""How many letters a header says that contigs have, by name.

    Example:
        >>> contig_lengths([b"##contig=<ID=chr1,length=248956422>\n", b"##contig=<ID=chr2>\n"])
        {'chr1': 248956422}
    """
    found = (re.match(rb"##contig=<(?=.*\bID=([^,>]+)).*\blength=(\d+)", line) for line in header)
    return {_text(one[1]): int(one[2]) for one in found if one}


class VCFReader:
    """The header and the rows of a VCF file, read as they are asked for.

    Args:
        source: a path, or `-` for standard input; either may be compressed.

    Raises:
        NotFound: no such file.
        UsageError: it has no `#CHROM` line.
        DeepfieldError: it is cut, or its compression is damaged. So do `rows`, after what came
            before the damage.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        #: What is to be told of the file, once it is read.
        self.warnings: list[str] = []
        self._lines = self._numbered()
        self.header: list[bytes] = []
        for number, line in self._lines:
            if number == 1:  # no program of the field reads a byte-order mark
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.startswith(b"#"):
                raise self._no_header(f"line {number} is {_shown(line.rstrip())}")
            self.header.append(line)
            if not line.startswith(b"##"):
                break
        if not self.header or not self.header[-1].startswith(b"#CHROM"):
            raise self._no_header("it ends before one" if self.header else "it is empty")

    def _no_header(self, why: str) -> UsageError:
        return UsageError(
            f"{self.source!r} has no line that begins with #CHROM: {why}",
            "a VCF file needs its header: ##fileformat=VCFv4.2, then #CHROM, POS, ID, …",
        )

    def rows(self) -> Iterator[Row]:
        """Rows in order; blank lines are rows without a contig."""
        for number, line in self._lines:
            yield read_row(line, number)

    def _numbered(self) -> Iterator[tuple[int, bytes]]:
        number, held, length = 0, [b""], 0
        for piece in self._pieces():
            held.append(piece)
            length += len(piece)
            if b"\n" not in piece:
                if length > LONGEST_LINE:
                    raise endless_line(self.source)
                continue
            *whole, rest = b"".join(held).split(b"\n")
            held, length = [rest], len(rest)
            for line in whole:
                number += 1
                yield number, line + b"\n"
        if rest := b"".join(held):
            yield number + 1, rest

    def _pieces(self) -> Iterator[bytes]:
        with self._opened() as stream:
            first = stream.read(_CHUNK)
            if not is_gzipped(first):
                while first:
                    yield first
                    first = stream.read(_CHUNK)
                return
            yield from self._unzipped(first, stream)

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if self.source == "-":
            return nullcontext(sys.stdin.buffer)
        path = Path(self.source)
        if path.is_dir():
            raise UsageError(f"{self.source!r} is a folder", "name a VCF file")
        try:
            return path.open("rb")
        except OSError as error:
            raise NotFound(
                f"cannot read {self.source!r}: {error.strerror}", "name a VCF file"
            ) from None

    def _unzipped(self, held: bytes, stream: BinaryIO) -> Iterator[bytes]:
        """The text of gzip members one after another; a fault is told after all that is sound."""
        blocks = held[3] & 4 and b"BC\x02\x00" in held[:20]
        tail, made = b"", 0
        while held:
            unzip = zlib.decompressobj(31)
            while not unzip.eof:
                try:  # not all at once: what comes before a fault is sound
                    text = unzip.decompress(held, _PIECE)
                except zlib.error as error:
                    raise self._broken(f"its compression is damaged ({error})", made) from None
                made += len(text)
                if text:
                    yield text
                left = unzip.unconsumed_tail + unzip.unused_data
                tail = (tail + held[: len(held) - len(left)])[-len(BGZF_END) :]
                if unzip.eof:
                    break
                held = left or stream.read(_CHUNK)
                if not held:
                    raise self._broken("it ends in the middle of compressed data", made)
            held = unzip.unused_data or stream.read(_CHUNK)
            if held.strip(b"\0") == b"" and held:  # padding after the last member
                held = stream.read(_CHUNK).lstrip(b"\0")
        if blocks and tail != BGZF_END:
            self.warnings.append(f"{self.source!r} lacks the mark that ends bgzip's files: cut?")

    def _broken(self, why: str, made: int) -> DeepfieldError:
        return DeepfieldError(
            f"{self.source!r} is not whole: {why}, after {made:,} bytes of text",
            "copy it again; then --resume goes on where this run ended",
        )


class VCFWriter(RowWriter):
    """Lines to a file or to standard output, atomic and resumable as `RowWriter`.

    A name that ends in `.gz` or `.bgz` is written in bgzip's blocks, which `tabix` can index.

    Args:
        output: a path, or `-`.
        identity: what the lines were made from; a resume with another one is refused.
        resume: go on with `OUT.part` if it is there. `samples` says how many lines are in it.
    """

    def __init__(
        self, output: str, identity: Mapping[str, Any] | None = None, resume: bool = False
    ) -> None:
        self.zipped = output.endswith((".gz", ".bgz"))
        super().__init__(output, "vcf", identity, resume)

    @property
    def begun(self) -> bool:
        """Whether the output holds something already."""
        return not self.to_stdout and self.stream.tell() > 0

    def write_lines(self, lines: Sequence[bytes], samples: int) -> None:
        """Add lines that complete `samples` more rows of the input."""
        text = b"".join(lines)
        if self.zipped:
            blocks = (text[at : at + _BLOCK] for at in range(0, len(text), _BLOCK))
            text = b"".join(map(bgzf_block, blocks))
        self.write([{"bytes": text}], samples)

    def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self.stream.write(row["bytes"])
        self.rows += len(rows)

    def finish(self) -> None:
        """Give the file its name; until then it is `OUT.part`."""
        if self.zipped:
            self.write([{"bytes": BGZF_END}], 0)
        super().finish()


def bgzf_block(text: bytes) -> bytes:
    """One block of bgzip's form: a gzip member that says how long it is.

    Source: SAM/BAM format specification, section 4.1.
    """
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(text) + packer.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(packed) + 25)
    return head + packed + struct.pack("<II", zlib.crc32(text), len(text))
