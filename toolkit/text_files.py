"""Texts as they are kept: gzipped or not, in any encoding, a file or standard input."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
from pathlib import Path
from typing import Any, TextIO

from deepfield.toolkit.errors import UsageError, called

#: Letters of a line, at most: a chromosome of ours fits.
LONGEST_LINE = 1 << 28


def open_text(source: str) -> TextIO:
    """Open a text file, gzipped or not, whatever its encoding; `-` is standard input.

    Whoever goes through its lines gets a UsageError for one longer than `LONGEST_LINE`.
    """
    raw: Any = sys.stdin.buffer if source == "-" else Path(source).open("rb")  # noqa: SIM115
    buffered = io.BufferedReader(raw) if not hasattr(raw, "peek") else raw
    if is_gzipped(buffered.peek(2)):
        buffered = io.BufferedReader(_Unzipped(fileobj=buffered))  # type: ignore[arg-type]
    utf_16 = buffered.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if utf_16 else "utf-8-sig"
    return _Text(source, buffered, encoding, errors=_LATIN_1, newline="")


class _Text(io.TextIOWrapper):
    """Whose lines are refused where they do not end: a device gives letters for ever."""

    def __init__(self, source: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.source = source

    def __next__(self) -> str:  # type: ignore[override]
        line = self.readline(LONGEST_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > LONGEST_LINE and line[-1] not in "\r\n":
            raise endless_line(self.source)
        return line


def endless_line(source: str) -> UsageError:
    """What to say of a text with a line that may have no end."""
    return UsageError(
        f"{called(source)} has a line of more than {LONGEST_LINE:,} letters",
        "give it a text, whose lines end",
    )


def is_gzipped(head: bytes) -> bool:
    """Whether a file that begins so is gzipped."""
    return head[:2] == b"\x1f\x8b"


class _Unzipped(gzip.GzipFile):
    """Hands on all that can be unpacked before it tells that the archive breaks off."""

    readinto = gzip.GzipFile.readinto1  # the other fills its buffer first, and loses it


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    # Bytes that are no UTF-8 are Latin-1, wherever in the file the first of them comes.
    if not isinstance(error, UnicodeDecodeError) or error.encoding.startswith("utf-16"):
        return "\ufffd", getattr(error, "end", 0)
    return error.object[error.start : error.end].decode("latin-1"), error.end


_LATIN_1 = "deepfield-latin-1"
codecs.register_error(_LATIN_1, _as_latin_1)
