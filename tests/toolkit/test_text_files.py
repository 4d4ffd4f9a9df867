"""Texts are read in any encoding, gzipped or not, and no further than a line may be long."""

import gzip
import io

import pytest

from deepfield.toolkit import text_files
from deepfield.toolkit.data import read_rows
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.found_files import lines_of_paths
from deepfield.toolkit.text_files import open_text


class Endless(io.RawIOBase):
    """As a device: some lines, then the same letter for ever."""

    def __init__(self, lines: bytes, letter: bytes) -> None:
        self.lines, self.letter, self.given = lines, letter, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.given += len(buffer)
        assert self.given < 1_000_000, "it is read to the end of memory"
        some = self.lines[: len(buffer)] or self.letter * len(buffer)
        self.lines = self.lines[len(some) :]
        buffer[: len(some)] = some
        return len(some)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_read_as_they_are(tmp_path, pack, encoding, end):
    lines = [f"naïve{end}", end, "no end"]
    (tmp_path / "a").write_bytes(pack("".join(lines).encode(encoding)))
    with open_text(str(tmp_path / "a")) as text:
        assert list(text) == lines


@pytest.mark.parametrize("letter", [b"\0", b"C"])
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read_rows, id="table"),
        pytest.param(lambda source: lines_of_paths(source, None), id="paths"),
    ],
)
@pytest.mark.parametrize("lines", [b"", b"smiles\nCC\n"])
def test_a_line_without_an_end_is_refused(monkeypatch, letter, read, lines):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 50_000)
    stdin = io.TextIOWrapper(io.BufferedReader(Endless(lines, letter)))
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(UsageError, match="standard input has a line of more than 50,000 letters"):
        list(read("-"))


def test_a_line_may_be_as_long_as_lines_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 6)
    (tmp_path / "a").write_text("abcdef\nabcdef")
    assert list(open_text(str(tmp_path / "a"))) == ["abcdef\n", "abcdef"]
    (tmp_path / "a").write_text("abcdefg\n")
    with pytest.raises(UsageError, match="a line of more than 6 letters") as told:
        list(open_text(str(tmp_path / "a")))
    assert "whose lines end" in told.value.hint
