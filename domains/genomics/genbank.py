"""GenBank's flat files: the sequence of every record, and what it is called."""

from __future__ import annotations

from collections.abc import Iterator

from deepfield.domains.genomics.fasta import Record, blocks, decoded, opened
from deepfield.toolkit.errors import BROKEN, UsageError

_NO_LETTERS = b" 0123456789\n"


def read_genbank(source: str) -> Iterator[Record]:
    """The records of a GenBank file: name (VERSION, or else LOCUS), DEFINITION and letters.

    Features are not read. A record whose sequence is elsewhere (CONTIG) is faulty, and so is the
    one in which the file breaks off.

    Args:
        source: a file, gzipped or not; `-` is standard input.

    Raises:
        NotFound: no such file.
        UsageError: it holds no record.
    """
    broken: Exception | None = None
    rest, found = b"\n", False
    with opened(source) as stream:
        held: list[bytes] = [rest]
        pieces = blocks(stream)
        while True:
            try:
                block = next(pieces)
            except StopIteration:
                break
            except BROKEN as error:
                broken = error
                break
            if b"\n//" not in block and not block.startswith((b"/", b"\n")):
                held.append(block)
                continue
            *whole, rest = (b"".join(held) + block).split(b"\n//\n")
            held = [b"\n" + rest]
            for one in whole:
                found = True
                yield _record(one, None)
    rest = b"".join(held).rstrip(b"\n")
    ended = rest.endswith(b"\n//")
    rest = rest.removesuffix(b"\n//")
    if not found and b"\nLOCUS" not in rest:
        why = f"cannot be read: {broken}" if broken else "is no GenBank file: it has no LOCUS"
        raise UsageError(f"{source!r} {why}", "expected LOCUS … ORIGIN … //")
    if rest.strip() or broken is not None:
        why = f": {broken}" if broken else ""
        yield _record(rest, None if ended else f"the file breaks off inside this record{why}")


def _record(text: bytes, fault: str | None) -> Record:
    head, _, body = text.partition(b"\nORIGIN")
    body = body.partition(b"\n")[2]
    letters = body.translate(None, _NO_LETTERS)
    locus = _field(head, b"LOCUS").split()
    version = _field(head, b"VERSION").split()
    name = (version or locus or [""])[0]
    if not letters:
        where = ": it is put together of others (CONTIG)" if b"\nCONTIG" in head else ""
        fault = fault or f"a record without a sequence{where}"
    return Record(name, _field(head, b"DEFINITION"), letters, fault)


def _field(head: bytes, name: bytes) -> str:
    """A field of the head, its lines joined."""
    _, there, rest = head.partition(b"\n" + name + b" ")
    if not there:
        return ""
    first, *more = rest.split(b"\n", 8)
    lines = [first]
    for line in more[:7]:
        if not line.startswith(b"            "):
            break
        lines.append(line)
    return " ".join(decoded(line).strip() for line in lines)
