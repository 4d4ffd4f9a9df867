"""Intervals of a genome: the right letters, on the right strand, or why not."""

import gzip

import pytest

from deepfield.domains.genomics import genome as genome_module
from deepfield.domains.genomics.bed import opposite_strand
from deepfield.domains.genomics.data import READERS, SAMPLES
from deepfield.domains.genomics.genome import Genome
from deepfield.domains.genomics.splits import chromosome
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import BadInput, NotFound, UsageError

ONE, TWO = "ACGTACGTAAccggttNNAC", "TTTTCCCCGGGGAAAA"
FASTA = f">chr1 the first\n{ONE[:10]}\n{ONE[10:]}\n>chrM\n{TWO[:10]}\n{TWO[10:]}\n"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(FASTA)
    return str(path)


@pytest.fixture
def read(tmp_path, genome):
    def read_bed(text, name="a.bed", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_source(str(path), READERS, SAMPLES, genome=genome, **options))

    return read_bed


def test_letters_are_those_of_the_interval_along_its_strand(read):
    text = "# mine\ntrack name=x\nchr1\t2\t12\tone\t5\t+\nchr1\t2\t12\ttwo\t5\t-\nMT\t0\t4\n"
    plus, minus, third = read(text)
    assert plus.data.letters.decode() == ONE[2:12]
    assert minus.data.letters.decode() == "ggTTACGTAC" and minus.data.strand == "-"
    assert (minus.data.contig, minus.data.start, minus.id) == ("chr1", 2, "two")
    assert third.data.letters == b"TTTT" and third.id == "MT:0-4"
    assert plus.row["strand"] == "+" and plus.target is None and plus.group is None


@pytest.mark.parametrize("encode", [
    lambda t: gzip.compress(t.encode()), lambda t: t.replace("\n", "\r\n").encode(),
    lambda t: t.replace("\t", "  ").encode(), lambda t: t.encode("utf-8-sig"),
])  # fmt: skip
def test_files_of_every_kind_are_read(read, encode):
    found = read(encode("chr1\t0\t4\nchr1\t4\t8\n"), "a.bed.gz")
    assert [s.data.letters for s in found] == [b"ACGT", b"ACGT"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("chr1\t15\t25", "runs off the contig, which has 20 letters in genome.fa: a genome of"),
        ("chr9\t0\t4", "no contig 'chr9' in genome.fa (it has chrM, chr1)"),
        ("chr1\t-1\t4", "is no interval"),
        ("chr1\t4\t4", "is no interval"),
        ("chr1\tx\t4", "'x' to '4' is no interval of numbers"),
        ("chr1\t4", "2 columns, expected contig, start and end"),
    ],
)
def test_an_interval_that_is_not_there_costs_its_own_row(read, line, reason):
    before, wrong, after = read(f"chr1\t0\t4\n{line}\nchr1\t4\t8\n")
    assert wrong.fault.startswith("line 2: ") and reason in wrong.fault
    assert wrong.row["chromosome"] == line.split("\t")[0]
    assert before.fault is after.fault is None


def test_windows_lie_about_the_middle_on_either_strand(read):
    lines = [f"chrM\t6\t{stop}\tx\t0\t{strand}" for stop in (8, 9) for strand in "+-"]
    for width in range(1, 20):
        for sample, line in zip(read("\n".join(lines), width=width), lines, strict=True):
            start, stop, strand = int(line.split()[1]), int(line.split()[2]), line[-1]
            contig = TWO if strand == "+" else opposite_strand(TWO.encode()).decode()
            if strand == "-":
                start, stop = len(TWO) - stop, len(TWO) - start
            first = start + (stop - start - 1) // 2 - (width - 1) // 2
            padded = "N" * 40 + contig + "N" * 40
            assert sample.data.letters.decode() == padded[40 + first : 40 + first + width]
            own = sample.data.start
            assert sample.data.contig == "chrM" and (own == first) | (strand == "-")


def test_labels_are_a_column_by_name_or_number(read):
    text = "chr1\t0\t4\tenhancer\t1\t+\nchr1\t4\t8\tnone\t0\t+\n"
    assert [s.target for s in read(text, label="name")] == ["enhancer", None]
    assert [s.target for s in read(text, label="5")] == ["1", "0"]
    with pytest.raises(UsageError, match="no column 'class'"):
        read(text, label="class")


def test_rows_may_have_more_columns_than_the_first(read):
    short, long = read("chr1\t0\t4\nchr1\t4\t8\tname\t0\t-\tmore\n")
    assert list(short.row.values()) == ["chr1", "0", "4"]
    assert long.row | {"name": "name", "strand": "-", "column 7": "more"} == long.row


def test_shuffled_negatives_lie_where_their_peak_does(read):
    yes, no = read("chr1\t0\t10\n", negatives="shuffle")
    assert (yes.data.contig, no.data.contig) == ("chr1", "chr1")
    assert chromosome([yes, no]).keys == ["chr1", "chr1"]


def test_negatives_of_a_bed_are_intervals_or_its_letters_shuffled(read, tmp_path):
    other = tmp_path / "other.bed"
    other.write_text("chrM\t0\t8\nchr1\t0\t99\n")
    yes, no, beyond = read("chr1\t0\t8\n", negatives=str(other))
    assert (yes.target, no.target) == ("1", "0") and no.data.letters == b"TTTTCCCC"
    assert "runs off" in beyond.fault
    yes, no = read("chr1\t0\t10\n", negatives="shuffle")
    assert sorted(no.data.letters) == sorted(yes.data.letters) != no.data.letters


def test_a_bed_without_a_genome_or_intervals_is_an_error(read, tmp_path):
    (tmp_path / "b.bed").write_text("chr1\t0\t4\n")
    with pytest.raises(UsageError, match="holds places, no letters"):
        list(read_source(str(tmp_path / "b.bed"), READERS, SAMPLES))
    with pytest.raises(NotFound, match="no such genome"):
        list(read_source(str(tmp_path / "b.bed"), READERS, SAMPLES, genome="x.fa"))
    for text in ("", "# only this\n"):
        with pytest.raises(UsageError, match="holds no interval"):
            read(text)
    with pytest.raises(UsageError, match="--width 0"):
        read("chr1\t0\t4\n", width=0)


def test_a_bed_that_breaks_off_says_so(read):
    packed = gzip.compress(
        "".join(f"chr1\t{i % 9}\t{i % 9 + 4}\tn{i}\n" for i in range(5000)).encode()
    )
    *whole, last = read(packed[: len(packed) // 2], "a.bed.gz")
    assert len(whole) > 100 and all(s.fault is None for s in whole)
    assert "breaks off after line" in last.fault


@pytest.mark.parametrize("indexed", [False, True])
def test_a_genome_gives_letters_by_place(genome, monkeypatch, indexed):
    if indexed:
        monkeypatch.setattr(genome_module, "_MOST_WHOLE", 0)
    found = Genome(genome)
    assert found.lengths == {"chr1": 20, "chrM": 16}
    assert found.fetch("chr1", 8, 14) == b"AAccgg" and found.fetch("1", 0, 20) == ONE.encode()
    assert found.fetch("MT", -2, 3) == b"NNTTT" and found.fetch("chrM", 14, 18) == b"AANN"
    assert found.fetch("chrM", 20, 22) == b"NN" and found.fetch("chrM", 3, 3) == b""
    assert found.name_of("M") == "chrM"
    with pytest.raises(BadInput, match="no contig 'chr2'"):
        found.fetch("chr2", 0, 1)


def test_genomes_that_make_no_sense_are_an_error(tmp_path, monkeypatch):
    path = tmp_path / "twice.fa"
    path.write_text(">a\nAC\n>a\nGT\n")
    with pytest.raises(UsageError, match="two contigs 'a'"):
        Genome(str(path))
    monkeypatch.setattr(genome_module, "_MOST_WHOLE", 0)
    for text in (">a\nAC\n>a\nGT\n", ">a\nACGT\nACGTACGT\nAC\n"):
        other = tmp_path / "ragged.fa"
        other.write_text(text)
        (tmp_path / "ragged.fa.fai").unlink(missing_ok=True)
        with pytest.raises(UsageError, match="cannot be indexed"):
            Genome(str(other))


def test_the_intervals_that_ship_are_donor_sites():
    options = {"genome": "sample:genome", "width": 40}
    found = list(read_source("sample:intervals", READERS, SAMPLES, **options))
    assert {s.data.letters[19:21] for s in found} == {b"GT"} and len(found) == 24
    assert {s.data.strand for s in found} == {"+", "-"}
