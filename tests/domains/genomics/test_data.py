"""Sequences in tables, lists, archives and on the command line: every one is there, in order."""

import gzip
import io
import sys
from collections import Counter
from itertools import pairwise

import pytest

from deepfield.domains.genomics.data import READERS, SAMPLES
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import NotFound, UsageError

A, B = "ACGTTGCAACGGTACCAT", "TTGACAGCTAGCTCAGTC"
TABLE = f"name,sequence,label\none,{A},1\ntwo,{B},0\n"


def read(source, **options):
    return list(read_source(str(source), READERS, SAMPLES, **options))


def letters(samples):
    return [s.data.letters.decode() for s in samples]


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# -------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("encode", "name"),
    [
        (lambda t: t.encode(), "a.csv"),
        (lambda t: t.encode("utf-8-sig"), "a.csv"),
        (lambda t: t.encode("utf-16"), "a.csv"),
        (lambda t: t.replace("two", "zwö").encode("latin-1"), "a.csv"),
        (lambda t: t.replace(",", "\t").encode(), "a.txt"),
        (lambda t: t.replace(",", ";").replace("\n", "\r\n").encode(), "a.csv"),
        (lambda t: gzip.compress(t.replace(",", "\t").encode()), "a.tsv.gz"),
    ],
)
def test_tables_of_every_kind_are_read(file, encode, name):
    samples = read(file(encode(TABLE), name))
    assert letters(samples) == [A, B] and [s.target for s in samples] == ["1", "0"]
    assert samples[0].id == "one" and samples[1].id in ("two", "zwö")
    assert samples[0].row == {"name": "one", "sequence": A, "label": "1"}


def test_parquet_is_read_and_its_labels_are_those_of_text(tmp_path):
    import pyarrow
    from pyarrow import parquet

    for labels, told in (([1.0, 0.0], ["1", "0"]), ([True, None], ["1", None])):
        table = pyarrow.table({"dna": [A, B], "label": labels})
        parquet.write_table(table, tmp_path / "t.parquet")
        samples = read(tmp_path / "t.parquet")
        assert letters(samples) == [A, B] and [s.target for s in samples] == told


@pytest.mark.parametrize("column", ["sequence", "SEQ", "dna", "what it is"])
def test_the_column_of_the_sequences_is_found(file, column):
    (sample,) = read(file(f"n,{column},organism\n7,{A.lower()},GATTACATTA\n"))
    assert letters([sample]) == [A.lower()] and sample.target is None


def test_columns_are_named_where_they_are_others(file):
    path = file(f"left,right,y,fold,batch\n{A},{B},EI,test,b1\n")
    (sample,) = read(path, sequence="right", label="y", part="fold", group="batch")
    assert letters([sample]) == [B]
    assert (sample.target, sample.part, sample.group) == ("EI", "test", "b1")
    with pytest.raises(UsageError, match="no column 'middle' for the sequence"):
        read(path, sequence="middle")


def test_a_chromosome_is_a_group_unless_there_is_one(file):
    (sample,) = read(file(f"chrom,sequence\nchr7,{A}\n"))
    assert sample.group == sample.data.contig == "chr7"
    (sample,) = read(file(f"chrom,sequence,group\nchr7,{A},g\n"))
    assert sample.group == "g" and sample.data.contig == "chr7"


def test_no_row_is_lost_and_none_out_of_order(file):
    text = f"sequence,label,split\n{A},1,train\n,0,valid\nhello!,1,test\n{B},0,x\n{A},1\n{A},,dev\n"
    samples = read(file(text))
    assert [s.id for s in samples] == [f"row {n}" for n in range(1, 7)]
    assert [s.fault for s in samples] == [
        None, "no sequence in column 'sequence'", None, None,
        "line 6: 2 cells between commas, the header has 3", None,
    ]  # fmt: skip
    assert letters(samples)[2] == "hello!"  # encoding says which letter is wrong, and where
    assert samples[5].target is None and samples[5].part == "valid"
    assert samples[3].part == "x"  # refused by who deals the samples, and answered all the same


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("sequence,label\n", "has a header, but no rows"),
        (f"{A},1\n{B},0\n", "has no header: its first line holds a sequence"),
        ("x,y\n1,2\n", "no column of .* holds sequences"),
    ],
)
def test_a_table_that_makes_no_sense_says_so(file, text, problem):
    with pytest.raises(UsageError, match=problem):
        read(file(text))


def test_deepbind_s_files_are_all_bound(file):
    text = f"FoldID\tEventID\tseq\tBound\nA\tseq_1_peak\t{A}\t1\nA\tseq_2_peak\t{B}\t1\n"
    path = file(gzip.compress(text.encode()), "x_AC.seq.gz")
    samples = read(path)
    assert [s.id for s in samples] == ["seq_1_peak", "seq_2_peak"] and letters(samples) == [A, B]
    assert [s.target for s in samples] == ["1", "1"]
    assert [s.target for s in read(path, negatives="shuffle")] == ["1", "0", "1", "0"]


def test_uci_s_junctions_are_read(file):
    lines = f"EI,    ATRINS-DONOR-521,               {A}\nN,X-NEG-1,  \nIE,only two\nN,Y,{B}\n"
    samples = read(file(lines, "splice.data"))
    assert [s.target for s in samples] == ["EI", "N", "IE", "N"]
    assert samples[0].id == "ATRINS-DONOR-521" and letters(samples)[::3] == [A, B]
    assert samples[1].fault == "line 2: no sequence"
    assert samples[2].fault == "line 3: 2 cells, expected class, name and sequence"
    with pytest.raises(UsageError, match="is empty"):
        read(file("", "splice.data"))


# --------------------------------------------------------------------------------------- FASTA


def test_fasta_s_headers_name_and_may_label(file):
    samples = read(
        file(f">one label=1 of mine\n{A}\n>two|x note=2;label=0\n{B}\n>one\n{A}\n", "a.fa")
    )
    assert [s.id for s in samples] == ["one", "two|x", "one (2)"]
    assert [s.target for s in samples] == ["1", "0", None]
    assert samples[2].row["name"] == "one"
    assert samples[0].row["description"] == "label=1 of mine"


def test_negatives_are_another_file_of_any_form(file, tmp_path):
    path = file(f">one\n{A}\n", "a.fa")
    others = [
        file(f">no\n{B}\n>empty\n", "b.fasta"), file(f"sequence\n{B}\n", "b.csv"),
        file(gzip.compress(f"{B}\n".encode()), "b.txt.gz"),
    ]  # fmt: skip
    for other in others:
        yes, no, *rest = read(path, negatives=str(other))
        assert (yes.target, no.target) == ("1", "0") and letters([yes, no]) == [A, B]
        assert yes.row["label"] == "1" and no.row["label"] == "0"
        assert all(s.fault for s in rest)
    with pytest.raises(NotFound, match="no such file of negatives"):
        read(path, negatives=str(tmp_path / "none.fa"))


def test_shuffled_negatives_keep_neighbours_and_follow_their_sequence(file):
    path = file(f">one\n{A}\n>flat\nAAAAAAAA\n>two\n{B}\n>none\n", "a.fa")
    samples = read(path, negatives="shuffle")
    assert samples[1].data.shuffled and not samples[0].data.shuffled
    assert [s.id for s in samples] == [
        "one", "one shuffled", "flat", "flat shuffled", "two", "two shuffled", "none"
    ]  # fmt: skip
    for i in (0, 4):
        yes, no = samples[i], samples[i + 1]
        assert (yes.target, no.target) == ("1", "0") and no.data.letters != yes.data.letters
        assert Counter(pairwise(no.data.letters)) == Counter(pairwise(yes.data.letters))
    assert samples[3].fault == "its letters have no other order with the same neighbours"
    assert letters(read(path, negatives="shuffle")) == letters(samples)
    assert letters(read(path, negatives="shuffle:7")) != letters(samples)


def test_negatives_are_refused_where_there_are_classes(file):
    with pytest.raises(UsageError, match="is of class '0'"):
        read(file(TABLE), negatives="shuffle")


# ------------------------------------------------------------- standard input, words, built-ins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f">one\n{A}\n>two\n{B}\n", [A, B]),
        (f"; old\n>one\n{A}\n", [A]),
        (TABLE, [A, B]),
        (f'{{"sequence": "{A}"}}\n', [A]),
        (f"{A}\n\n{B}", [A, B]),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_whatever_it_looks_like(monkeypatch, text, expected, pack):
    raw = io.BytesIO(pack(text.encode()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(raw)))
    assert letters(read("-")) == expected


def test_empty_standard_input_is_an_error_and_options_must_fit(monkeypatch):
    for content, options, problem in (
        (b"\n", {}, "standard input is empty"),
        (f">a\n{A}".encode(), {"sequence": "x"}, "--sequence, but '-' has no columns"),
    ):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(UsageError, match=problem):
            read("-", **options)


def test_one_sequence_is_its_own_source(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (sample,) = read(A)
    assert letters([sample]) == [A] and sample.id == A and sample.row == {"sequence": A}
    assert letters(read(A[:12] + "Q")) == [A[:12] + "Q"]  # the row will say what is wrong with it
    (long,) = read(A * 40)
    assert len(long.data) == 720 and long.id == "ACGTTGCAACGGTACCATAC… (720 letters)"
    for word in ("ACGT", "donors.fa", "accessions"):
        with pytest.raises(NotFound):
            read(word)
    (tmp_path / A).mkdir()
    with pytest.raises(UsageError, match="cannot tell what"):
        read(A)


def test_simulations_tell_what_they_planted():
    samples = read("simulate:pair:20:3")
    assert len(samples) == 20 and {s.target for s in samples} == {"0", "1"}
    assert samples[0].row["motifs"].startswith(("A", "B"))
    assert samples[0].row["sequence"] == letters(samples)[0]
    assert len(read("simulate:motif")) == 1000
    for wrong in (
        "simulate:",
        "simulate:foo",
        "simulate:pair:0",
        "simulate:pair:x",
        "simulate:pair:1:2:3",
    ):
        with pytest.raises(UsageError, match="is no simulation"):
            read(wrong)


def test_the_samples_that_ship_are_read_whole():
    for name in SAMPLES:
        if name in ("genes", "variants"):  # which `score` reads
            continue
        options = {"genome": "sample:genome"} if name == "intervals" else {}
        samples = read(f"sample:{name}", **options)
        assert samples and all(s.fault is None and len(s.data) for s in samples), name


def test_records_stream(file):
    """The first record is there before the file has ended, so that memory does not grow."""
    path = file("".join(f">r{i}\n{A * 20}\n" for i in range(20_000)), "a.fa")
    stream = read_source(str(path), READERS, SAMPLES)
    import tracemalloc

    tracemalloc.start()
    count = sum(1 for _ in stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000 and peak < 6 << 20 < path.stat().st_size


def test_several_files_of_sequences_are_read_one_after_the_other(tmp_path):
    (tmp_path / "a.fa").write_text(">one\nACGTACGTAC\n")
    (tmp_path / "b.fa").write_text(">two\nACGTACGTAA\n>one\nACGTACGTAG\n")
    (tmp_path / "c,d.fa").write_text(">three\nACGTACGTAT\n")
    both = f"{tmp_path / 'a.fa'},{tmp_path / 'b.fa'}"
    assert [s.id for s in read_source(both, READERS, SAMPLES)] == ["one", "two", "one (2)"]
    comma = str(tmp_path / "c,d.fa")
    assert [s.id for s in read_source(comma, READERS, SAMPLES)] == ["three"]
    with pytest.raises(NotFound):
        list(read_source(f"{both},{tmp_path / 'nosuch.fa'}", READERS, SAMPLES))
