"""Genes are found by place, whatever form their file has."""

import codecs
import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfield.domains.genomics.annotation import Annotation, Gene, same_contig
from deepfield.toolkit.errors import NotFound, UsageError

TABLE = (
    "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"
    "TUBB8\t10\t-\t92827\t95178\t92827,94054,94555,94996,\t94054,94163,94665,95178,\n"
)
GTF = """##description: made up
chr1\tX\tgene\t101\t900\t.\t+\t.\tgene_id "E1"; gene_name "ABC";
chr1\tX\ttranscript\t101\t900\t.\t+\t.\tgene_id "E1"; transcript_id "T1"; gene_name "ABC";
chr1\tX\texon\t101\t200\t.\t+\t.\tgene_id "E1"; transcript_id "T1"; gene_name "ABC"; exon_number 1;
chr1\tX\texon\t801\t900\t.\t+\t.\tgene_id "E1"; transcript_id "T1"; gene_name "ABC"; exon_number 2;
chr1\tX\texon\t51\t150\t.\t+\t.\tgene_id "E1"; transcript_id "T2"; gene_name "ABC"; exon_number 1;
chr1\tX\tCDS\t10\t20\t.\t+\t0\tgene_id "E1"; transcript_id "T2"; gene_name "ABC";
chr2\tX\tCDS\t11\t40\t.\t-\t0\tgene_id "E2"; transcript_id "T3";
"""
GFF = """##gff-version 3
1\tX\tgene\t101\t900\t.\t-\t.\tID=gene:E1;Name=ABC
1\tX\tmRNA\t101\t900\t.\t-\t.\tID=T1;Parent=gene:E1;tag=Ensembl canonical
1\tX\texon\t101\t200\t.\t-\t.\tParent=T1
1\tX\texon\t801\t900\t.\t-\t.\tParent=T1
1\tX\tmRNA\t51\t150\t.\t-\t.\tID=T2;Parent=gene:E1
1\tX\texon\t51\t150\t.\t-\t.\tParent=T2
1\tX\tgene\t2001\t2300\t.\t+\t.\tID=gene-b1;Name=thrL
1\tX\tCDS\t2001\t2300\t.\t+\t0\tID=cds-1;Parent=gene-b1;Name=NP_1
##FASTA
>1
ACGT
"""


def read(tmp_path, text, name="genes"):
    (tmp_path / name).write_text(text)
    return Annotation.read(str(tmp_path / name))


def facts(gene):
    return gene.name, gene.contig, gene.strand, gene.start, gene.stop, gene.ends.tolist()


@pytest.mark.parametrize("sign", [".", "?"])
@pytest.mark.parametrize("text", [GTF, GFF])
def test_transcripts_of_no_strand_are_left_out_and_counted(text, sign, tmp_path):
    whole = read(tmp_path, text)
    lone = "chr7\tX\texon\t5\t60\t.\t{}\t.\t" + (
        'gene_id "S1"; transcript_id "S1.1";\n' if text == GTF else "Parent=S1.1\n"
    )
    head, rest = text.split("\n", 1)
    found = read(tmp_path, f"{head}\n{lone.format(sign) * 2}{rest}")
    assert [facts(gene) for gene in found.genes] == [facts(gene) for gene in whole.genes]
    assert (whole.strandless, found.strandless) == (0, 1)
    with pytest.raises(UsageError, match="no gene whose strand is known"):
        read(tmp_path, lone.format(sign))


def test_a_table_is_read_as_spliceai_reads_it(tmp_path):
    (gene,) = read(tmp_path, TABLE).genes
    assert facts(gene)[:5] == ("TUBB8", "10", "-", 92827, 95178)
    # its positions from 1 are exon starts + 1 and exon ends: ours count from 0
    assert set(gene.ends + 1) == {92828, 94055, 94556, 94997, 94054, 94163, 94665, 95178}
    assert gene.nearest_end(94076) == 94054 - 94076


def test_the_first_and_last_bases_belong_to_a_gene(tmp_path):
    genes = read(tmp_path, TABLE)
    inside = [bool(genes.at("chr10", at)) for at in (92826, 92827, 95177, 95178)]
    assert inside == [False, True, True, False]


def test_a_gtf_without_tags_unites_the_transcripts_of_a_gene(tmp_path):
    genes = read(tmp_path, GTF)
    assert facts(genes.genes[0]) == ("ABC", "chr1", "+", 50, 900, [50, 100, 149, 199, 800, 899])
    assert facts(genes.genes[1]) == ("E2", "chr2", "-", 10, 40, [10, 39])


def test_a_tagged_transcript_stands_for_its_gene(tmp_path):
    tagged = GTF.replace('"ABC"; exon_number 1', '"ABC"; tag "basic"; tag "MANE_Select"', 1)
    assert facts(read(tmp_path, tagged).genes[0])[3:] == (100, 900, [100, 199, 800, 899])


def test_a_gff3_goes_up_to_the_gene(tmp_path):
    genes = read(tmp_path, GFF).genes
    assert facts(genes[0]) == ("ABC", "1", "-", 100, 900, [100, 199, 800, 899])
    assert facts(genes[1]) == ("thrL", "1", "+", 2000, 2300, [2000, 2299])


def test_names_are_read_whatever_they_are_written_in(tmp_path):
    """A byte-order mark, Latin-1, and GFF3's percent signs."""
    (tmp_path / "genes").write_bytes(codecs.BOM_UTF8 + TABLE.replace("TUBB8", "β8").encode())
    assert Annotation.read(str(tmp_path / "genes")).genes[0].name == "β8"
    (tmp_path / "genes").write_bytes(codecs.BOM_UTF8 + GTF.replace("ABC", "ä").encode("latin-1"))
    assert Annotation.read(str(tmp_path / "genes")).genes[0].name == "ä"
    told = GFF.replace("Name=ABC", "Name=A%2CC%3Bä").replace("gene:E1", "gene%3AE1")
    assert [gene.name for gene in read(tmp_path, told).genes] == ["A,C;ä", "thrL"]


def test_a_gzipped_file_is_read_and_a_cut_one_is_told(tmp_path):
    packed = gzip.compress(GTF.encode())
    (tmp_path / "g.gtf.gz").write_bytes(packed)
    assert len(Annotation.read(str(tmp_path / "g.gtf.gz")).genes) == 2
    (tmp_path / "cut.gtf.gz").write_bytes(packed[:-30])
    with pytest.raises(UsageError, match="is not whole"):
        Annotation.read(str(tmp_path / "cut.gtf.gz"))


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "holds no gene"), ("#only\n#comments\n", "holds no gene"),
     ("a,b,c\n", "1 columns, not 9"), (TABLE.replace("STRAND", "WAY"), "lacks the column STRAND"),
     (TABLE.replace("\t-\t", "\t?\t"), "strand '?'"), (TABLE.replace("92827", "x"), "invalid"),
     (TABLE.replace("94163,", ""), "argument 2 is shorter"),
     (GTF.replace("801\t900", "900\t801"), "line 5 is no gene"),
     (GTF.replace("51\t150", "one\t150"), "line 6 is no gene")],
)  # fmt: skip
def test_what_makes_no_sense_is_told_with_its_line(text, why, tmp_path):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert why in caught.value.message


def test_a_missing_file_and_a_missing_package_are_told(tmp_path, monkeypatch):
    with pytest.raises(NotFound, match="no such file"):
        Annotation.read(str(tmp_path / "none.gtf"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotFound) as caught:
        Annotation.read("grch38")
    assert caught.value.hint == 'pip install "deepfield[spliceai]"'


@pytest.mark.parametrize(
    ("asked", "there", "found"),
    [("chr1", ["1"], "1"), ("1", ["chr1"], "chr1"), ("MT", ["chrM"], "chrM"),
     ("chrM", ["MT"], "MT"), ("X", ["X", "chrX"], "X"), ("c", ["chrc"], "chrc"), ("2", [], None)],
)  # fmt: skip
def test_names_of_contigs_are_reconciled(asked, there, found):
    assert same_contig(asked, there) == found


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=30),
    st.integers(-5, 100),
)
def test_every_gene_that_holds_a_base_is_found_in_order(spans, at):
    ends = np.zeros(0, np.int64)
    genes = [Gene(str(i), "c", "+", a, a + n, ends) for i, (a, n) in enumerate(spans)]
    found = [gene.name for gene in Annotation(genes).at("c", at)]
    assert found == [gene.name for gene in genes if gene.start <= at < gene.stop]


@given(st.lists(st.integers(0, 50), min_size=1, unique=True), st.integers(0, 50))
def test_of_two_ends_equally_near_the_left_one_counts(ends, at):
    gene = Gene("", "", "+", 0, 99, np.array(sorted(ends)))
    assert gene.nearest_end(at) == min((end - at for end in sorted(ends)), key=abs)
