"""What a text holds is told by its first lines, wherever it comes from."""

import gzip
import io

import pytest

from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.picture_files import is_picture_name
from deepfield.toolkit.text_files import open_text
from deepfield.toolkit.text_heads import (
    first_lines,
    first_of,
    head_of_stdin,
    header_cells,
    lists_paths,
)

PACKED = {"plain": bytes, "gzip": gzip.compress}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")


def test_header_cells_are_names_in_small_letters():
    assert header_cells('"Path";Label\n') == {"path", "label"}
    assert header_cells("a\tB , c") == {"a", "b", "c"}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_first_lines_are_those_that_hold_anything(tmp_path, monkeypatch, encoding, pack):
    content = pack("\n \r\nnaïve\n\nb\n".encode(encoding))
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    head, text = head_of_stdin("pipe something in")
    for lines in (first_lines(str(path), 3), first_of(text, 3)):
        assert [line.strip() for line in lines] == ["naïve", "b", ""]
    assert content.startswith(head)
    with open_text("-") as whole:  # nothing of it was taken away
        assert whole.read().split() == ["naïve", "b"]


def test_a_line_without_an_end_is_not_read_to_it(tmp_path):
    (tmp_path / "a.txt").write_text("a" * 1_000_000)
    assert len(first_lines(str(tmp_path / "a.txt"))[0]) < 100_000


@pytest.mark.parametrize("content", [b"", b"\n \n", b"sep=;\n", gzip.compress(b"\n", mtime=0)])
def test_empty_standard_input_is_told(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    with pytest.raises(UsageError, match="standard input is empty") as told:
        head_of_stdin("pipe something in")
    assert told.value.hint == "pipe something in"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x")[:12])
    with pytest.raises(UsageError, match="cannot be read"):
        first_lines(str(tmp_path / "a.txt.gz"))
    with pytest.raises(DeepfieldError, match="cannot be read"):
        first_lines(str(tmp_path))


def test_a_text_is_a_table_or_lines_of_paths_or_neither(tmp_path):
    def told(first, named=()):
        paths, others = ("path", "image"), ("label",)
        root = str(tmp_path)
        return lists_paths(
            "-", first.splitlines(), "picture", is_picture_name, paths, others, root, named
        )

    (tmp_path / "scan").touch()
    assert told("a/b.png\n") and told("scan\n") and told("gone\na.png\n")
    (tmp_path / "smith, label, x.png").touch()
    assert told("smith, label, x.png")
    assert not any(map(told, ('"Path";x', ' {"x": 1}', "path", "label,x")))
    for first, problem in (("label\n", "no picture, no table and no lines"), ("\n", "is empty")):
        with pytest.raises(UsageError, match=f"^standard input.*{problem}"):
            told(first)
    with pytest.raises(UsageError, match="holds lines of paths, without columns"):
        told("a.png", {"label"})


def test_excels_note_of_the_separator_is_no_first_line(tmp_path):
    (tmp_path / "a.csv").write_text("\nsep=;\npath;label\n")
    assert first_lines(str(tmp_path / "a.csv")) == ["path;label\n"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_slow_pipe_is_waited_for(pack, monkeypatch):
    pieces = [b"\n", b"\n\n", b"path\n", b"a.png\n"]
    if pack is gzip.compress:
        whole = pack(b"".join(pieces))
        pieces = [whole[:10], whole[10:]]

    class Slow(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            piece = pieces.pop(0) if pieces else b""
            buffer[: len(piece)] = piece
            return len(piece)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Slow())))
    _, text = head_of_stdin("pipe")
    assert first_of(text) == ["path\n"]
    assert open_text("-").read() == "\n\n\npath\na.png\n"
