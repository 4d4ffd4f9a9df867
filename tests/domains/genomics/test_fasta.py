"""FASTA and GenBank as they come: every record is there, in order, or its fault is."""

import gzip
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.genomics.fasta import blocks, read_fasta, records
from deepfield.domains.genomics.genbank import read_genbank
from deepfield.domains.genomics.simulated import genome
from deepfield.domains.genomics.simulated_files import genbank_text
from deepfield.toolkit.errors import NotFound, UsageError

TEXT = ">one first record\nACGT\nacgn\n\n>two\nTTTT\n"
LETTERS = [b"ACGTacgn", b"TTTT"]


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.fa"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: t.encode(),
        lambda t: t.encode("utf-8-sig"),
        lambda t: t.encode("utf-16"),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.replace("\n", "\r").encode(),
        lambda t: t.removesuffix("\n").encode(),
        lambda t: t.replace("T\n", "T \t\n").encode(),
        lambda t: b"\n\n; a remark\n" + t.encode(),
        lambda t: t.replace("first", "é").encode("latin-1"),
        lambda t: gzip.compress(t.encode()),
    ],
)
def test_files_of_every_kind_are_read(file, encode):
    found = list(read_fasta(file(encode(TEXT))))
    assert [r.letters for r in found] == LETTERS
    assert [r.name for r in found] == ["one", "two"]
    assert found[0].description in ("first record", "é record") and not found[1].description
    assert all(r.fault is None for r in found)


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    size = 1

    def read1(self, count=-1):
        return self.read(self.size)


HEADERS = st.text("ab>; |=", max_size=8)
MADE = st.tuples(HEADERS, st.text("ACGTacgtN", min_size=1, max_size=30), st.integers(1, 12))


@settings(deadline=None)
@given(st.lists(MADE, min_size=1, max_size=8), st.integers(1, 9), st.booleans())
def test_records_do_not_depend_on_how_a_file_is_wrapped_or_cut_into_pieces(made, size, windows):
    text = ""
    for header, letters, width in made:
        lines = [letters[i : i + width] for i in range(0, len(letters), width)]
        text += f">x{header}\n" + "\n".join(lines) + "\n"
    data = (text.replace("\n", "\r\n") if windows else text).encode()
    stream = Slow(data)
    stream.size = size
    found = list(records(blocks(stream), "x"))
    assert [r.letters.decode() for r in found] == [letters for _, letters, _ in made]
    assert [r.name for r in found] == [("x" + header).split(" ")[0] for header, _, _ in made]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_there_are_no_letter_is_lost(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("x") / "a.fa"
    path.write_bytes(b">a\nACGT\n" + data)
    found = list(read_fasta(str(path)))
    assert found[0].name == "a" and found[0].letters.startswith(b"ACGT")
    starts = (b"\n" + data.replace(b"\r", b"\n")).count(b"\n>")
    assert len(found) == 1 + starts


def test_text_before_the_first_record_is_told_and_the_rest_is_read(file):
    before, *found = read_fasta(file("Sequences of mine\nfrom 2019\n" + TEXT))
    assert before.fault == "2 lines before the first '>', as 'Sequences of mine'"
    assert [r.letters for r in found] == LETTERS


def test_a_record_without_a_sequence_keeps_its_place(file):
    found = list(read_fasta(file(">a\n>b\nAC\n>\nGG\n>c\n")))
    assert [(r.name, r.letters, r.fault) for r in found] == [
        ("a", b"", "a record without a sequence"), ("b", b"AC", None), ("", b"GG", None),
        ("c", b"", "a record without a sequence"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"name,sequence\n1,ACGT\n", "is no FASTA: it begins with 'name,sequence'"),
        (b"\x1f\x8b\x08", "cannot be read"),
        (gzip.compress(b"ACGT" * 9, mtime=0)[:20], "cannot be read"),
    ],
)
def test_a_file_without_records_is_an_error(file, content, problem):
    with pytest.raises(UsageError, match=problem):
        list(read_fasta(file(content)))


def test_a_file_that_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        list(read_fasta("nowhere.fa"))


def test_of_an_archive_that_breaks_off_all_before_the_break_is_there(file):
    letters = ["".join(random.Random(i).choices("ACGT", k=900)) for i in range(300)]
    text = "".join(f">r{i}\n{one}\n" for i, one in enumerate(letters))
    packed = gzip.compress(text.encode())
    *whole, last = read_fasta(file(packed[: len(packed) // 2], "a.fa.gz"))
    assert len(whole) > 100 and all(r.fault is None for r in whole)
    assert [r.letters.decode() for r in whole] == letters[: len(whole)]
    assert last.name == f"r{len(whole)}" and "the file breaks off inside" in last.fault
    assert letters[len(whole)].startswith(last.letters.decode())


def test_one_damaged_byte_in_an_archive_is_told(file):
    packed = bytearray(gzip.compress(TEXT.encode()))
    packed[-6] ^= 1  # of the checksum
    *_, last = read_fasta(file(bytes(packed)))
    assert "the file breaks off inside" in last.fault


# ------------------------------------------------------------------------------------ GenBank

CONTIGS, GENES = genome(20_000, seed=4)
ONE = genbank_text("chr1", CONTIGS["chr1"], [g for g in GENES if g.contig == "chr1"])
TWO = genbank_text("chr2", CONTIGS["chr2"], [])


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_genbank_is_read_record_by_record(file, ends, pack):
    path = file(pack((ONE + TWO).replace("\n", ends).encode()), "a.gb")
    first, second = read_genbank(path)
    assert (first.name, first.description) == ("chr1.1", "A simulated contig.")
    assert first.letters.upper() == CONTIGS["chr1"] and second.letters.upper() == CONTIGS["chr2"]
    assert first.fault is second.fault is None


def test_genbank_that_breaks_off_or_has_no_letters_says_so(file):
    whole, cut = read_genbank(file(ONE + TWO[:-500], "a.gb"))
    assert whole.fault is None and cut.fault == "the file breaks off inside this record"
    empty = ONE.partition("ORIGIN")[0] + "CONTIG      join(X1:1..9)\n//\n"
    one, two = read_genbank(file(empty + TWO, "b.gb"))
    assert "without a sequence: it is put together of others" in one.fault and two.fault is None
    *_, last = read_genbank(file(gzip.compress((ONE * 9).encode())[:-3000], "c.gb.gz"))
    assert "breaks off inside this record: Compressed file ended" in last.fault
    for text in ("", "nothing of the kind", TEXT):
        with pytest.raises(UsageError, match="no GenBank file"):
            list(read_genbank(file(text, "d.gb")))
