"""`score` on the command line: files, streams, what is said, how it ends, and going on."""

import gzip
import io
import sys
import types

import numpy as np
import pytest
from program import here

from deepfield.domains.genomics import verbs
from deepfield.domains.genomics.vcf import VCFWriter
from deepfield.domains.genomics.verbs import judge_of, score, settings_of
from deepfield.toolkit.bundle import pack
from deepfield.toolkit.commands import Flags
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError

LETTERS = "".join(np.random.default_rng(5).choice(list("ACGT"), 900))
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
GENES = """chr1\tX\texon\t101\t300\t.\t+\t.\tgene_id "E1"; gene_name "ABC"; transcript_id "T1";
chr1\tX\texon\t501\t800\t.\t+\t.\tgene_id "E1"; gene_name "ABC"; transcript_id "T1";
"""


class Network:
    """A network of sites that reads eleven letters, with what `score` asks of a pipeline."""

    kind, field, nothing, architecture = "site", 11, 0, "toy"
    members: tuple[str, ...] = ("model",)
    calibrator, hyper, site = None, {"context": 80}, {}

    def __init__(self, labels=("neither", "acceptor", "donor"), name="toy one"):
        self.name, self.settings = name, {}
        self.task = types.SimpleNamespace(state={"labels": list(labels)}, output="logits")
        self.bundle = types.SimpleNamespace(files={"model.onnx": {"sha256": "1"}})

    def logits(self, bases):
        windows = np.lib.stride_tricks.sliding_window_view(bases, 11, axis=1)
        score = (windows * np.linspace(-0.3, 0.4, 11)).sum(axis=-1)
        classes = [np.zeros_like(score), score, -score][: len(self.task.state["labels"])]
        return np.stack(classes, axis=-1)

    def calibrated(self, outputs):
        raised = np.exp(outputs["logits"])
        return outputs | {"prediction": raised / raised.sum(axis=-1, keepdims=True)}


class Domain:
    """What `score` asks of a pipeline's class."""

    domain, presets, samples, options = "genomics", ("toy",), {}, ()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "g.fa").write_text(f">chr1\n{LETTERS}\n")
    (tmp_path / "g.gtf").write_text(GENES)
    rows = [f"chr1\t{at + 1}\t.\t{LETTERS[at]}\t{'AC'[LETTERS[at] == 'A']}\t.\t.\t.\tGT\t0/1\n"
            for at in range(150, 780, 3)]  # fmt: skip
    (tmp_path / "in.vcf").write_text(HEADER + "".join(rows))
    return tmp_path


def flags(files, **more):
    usual = {"genome": str(files / "g.fa"), "annotation": str(files / "g.gtf"),
             "output": str(files / "out.vcf"), "quiet": False}  # fmt: skip
    return Flags(usual | more)


def ran(files, network=None, source=None, **more):
    own = network or Network()
    return score(Domain, lambda *_: own, (source or str(files / "in.vcf"),), flags(files, **more))


def test_a_file_is_written_again_with_scores_and_a_summary(files, capsys):
    assert ran(files) == 0
    before = (files / "in.vcf").read_text().splitlines()
    after = (files / "out.vcf").read_text().splitlines()
    assert len(after) == len(before) + 2 and after[0] == before[0]
    for old, new in zip(before[3:], after[5:], strict=True):
        one, other = old.split("\t"), new.split("\t")
        assert one[:7] + one[8:] == other[:7] + other[8:]
        assert other[7].startswith("deepfield_toy_one=") and other[7].count("|") == 9
    told = capsys.readouterr()
    assert told.out == "" and "210 rows, 210 alleles scored" in told.err
    assert sorted(path.name for path in files.iterdir()) == ["g.fa", "g.gtf", "in.vcf", "out.vcf"]


def test_a_network_called_spliceai_fills_its_key(files):
    assert ran(files, Network(name="spliceai")) == 0
    assert "\tSpliceAI=" in (files / "out.vcf").read_text()


def test_streams_and_archives_give_the_same_rows(files, monkeypatch, capsysbinary):
    ran(files)
    expected = (files / "out.vcf").read_bytes()
    ran(files, output=str(files / "out.vcf.gz"))
    assert gzip.decompress((files / "out.vcf.gz").read_bytes()) == expected
    packed = io.BytesIO(gzip.compress((files / "in.vcf").read_bytes()))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=packed))
    capsysbinary.readouterr()
    assert ran(files, source="-", output=None) == 0
    assert capsysbinary.readouterr().out == expected


def test_rows_with_faults_are_kept_counted_and_told_by_the_exit_code(files, capsys):
    bad = "chr1\tx\t.\tA\tC\t.\t.\t.\n"
    wrong = f"chr1\t200\t.\t{'AC'[LETTERS[199] == 'A']}\tG\t.\t.\tDP=3\n"
    (files / "in.vcf").write_text(HEADER + bad + wrong)
    assert ran(files) == 3
    text = (files / "out.vcf").read_text()
    assert bad in text and "DP=3;deepfield_unscored=G|ref_mismatch" in text
    err = capsys.readouterr().err
    assert "1 allele without a score: ref_mismatch" in err and "line 4: POS" in err


@pytest.mark.parametrize("length", [901, 900])
def test_a_genome_of_another_build_is_suspected(length, files, capsys):
    text = (files / "in.vcf").read_text()
    (files / "in.vcf").write_text(text.replace("ID=chr1>", f"length={length},ID=1>"))
    assert ran(files) == 0
    told = "1 has 901 letters in the header of" in capsys.readouterr().err
    assert told == (length == 901)
    (files / "g.fa").write_text(f">chr1\n{LETTERS[7:]}\n")
    assert ran(files) == 3 and "most REF are not what" in capsys.readouterr().err


def test_the_header_explains_the_reasons_that_stand_in_rows():
    described = settings_of(Network(), 50, False).described["deepfield_unscored"]
    assert "ref_mismatch: REF is not" in described and "malformed" not in described


def test_an_interrupted_run_goes_on_and_ends_in_the_same_file(files, monkeypatch):
    ran(files)
    expected = (files / "out.vcf").read_bytes()
    plain, calls = VCFWriter.write_lines, []

    def failing(self, lines, samples):
        calls.append(samples)
        if len(calls) == 3:
            raise KeyboardInterrupt
        plain(self, lines, samples)

    monkeypatch.setattr(VCFWriter, "write_lines", failing)
    monkeypatch.setattr("deepfield.domains.genomics.variants._WORK", 20)
    with pytest.raises(KeyboardInterrupt):
        ran(files, output=str(files / "again.vcf"))
    assert (files / "again.vcf.part").exists() and not (files / "again.vcf").exists()
    monkeypatch.setattr(VCFWriter, "write_lines", plain)
    assert ran(files, output=str(files / "again.vcf"), resume=True) == 0
    assert (files / "again.vcf").read_bytes() == expected


def test_faults_before_an_interruption_are_in_the_exit_code_of_the_rest(files, monkeypatch):
    text = (files / "in.vcf").read_text()
    (files / "in.vcf").write_text(text.replace(HEADER, HEADER + "chr1\tx\t.\tA\tC\t.\t.\t.\n"))

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VCFWriter, "finish", interrupted)  # all is written but the name
    with pytest.raises(KeyboardInterrupt):
        ran(files)
    monkeypatch.undo()
    assert ran(files, resume=True) == 3


def test_transcripts_of_no_strand_are_told(files, capsys):
    lone = GENES.splitlines()[0].replace("\t+\t", "\t.\t").replace("T1", "T2")
    (files / "g.gtf").write_text(f"{GENES}{lone}\n")
    assert ran(files) == 0
    assert "1 transcript of no strand left out" in capsys.readouterr().err


def test_of_a_cut_file_what_came_before_is_kept_for_a_resume(files):
    packed = gzip.compress((files / "in.vcf").read_bytes() * 1, mtime=0)
    (files / "cut.vcf.gz").write_bytes(packed[: len(packed) * 3 // 4])
    with pytest.raises(DeepfieldError, match="not whole"):
        ran(files, source=str(files / "cut.vcf.gz"))
    assert not (files / "out.vcf").exists()
    assert (files / "out.vcf.part").read_text().count("deepfield_toy_one=chr") == 0
    assert (files / "out.vcf.part").read_bytes().count(b"\n") > 20


@pytest.mark.parametrize(
    ("more", "why"),
    [({"genome": None}, "no genome"), ({"distance": -1}, "--distance -1"),
     ({"distance": 5_000}, "--distance 5000"), ({"annotation": None}, "none are named")],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_written(more, why, files):
    with pytest.raises(UsageError, match=why):
        ran(files, **more)
    assert not list(files.glob("out*"))


def test_missing_files_are_told(files):
    for more in ({"genome": "none.fa"}, {"annotation": "none.gtf"}):
        with pytest.raises(NotFound, match=r"none\."):
            ran(files, **more)
    with pytest.raises(NotFound, match="cannot read"):
        ran(files, source="none.vcf")


def test_a_network_of_other_classes_tells_its_largest_change(files):
    assert ran(files, Network(("0", "1")), annotation=None) == 0
    rows = [line for line in (files / "out.vcf").read_text().splitlines() if line[0] != "#"]
    cells = rows[0].split("\t")[7].removeprefix("deepfield_toy_one=").split("|")
    assert len(cells) == 8 and cells[2] in "+-" and cells[3] == "1"
    assert abs(float(cells[5]) - float(cells[4]) - float(cells[6])) < 2e-4
    with pytest.raises(UsageError, match="--mask"):
        ran(files, Network(("0", "1")), mask=True)


def test_where_the_letters_of_a_site_are_not_there_is_none():
    network = Network(("0", "1"))
    network.site = {0: "G", 1: "T"}
    bases = np.random.default_rng(0).integers(1, 5, (2, 60)).astype(np.int32)
    found = judge_of(network).chances(bases)
    network.site = {}
    plain = judge_of(network).chances(bases)
    for row, letters, own in zip(found, bases, plain, strict=True):
        there = [tuple(letters[at : at + 2]) == (3, 4) for at in range(5, 55)]
        assert any(there)
        assert np.allclose(row[there], own[there])
        assert np.array_equal(row[~np.array(there)], [[1.0, 0.0]] * there.count(False))


def test_the_distance_bounds_where_is_looked(files):
    ran(files, distance=2)
    rows = [line for line in (files / "out.vcf").read_text().splitlines() if line[0] != "#"]
    places = [int(p) for line in rows for p in line.split("\t")[7].split("|")[6:10]]
    assert max(map(abs, places)) <= 2


def test_a_residual_network_is_compared_where_it_differs():
    from deepfield.domains.genomics.comparing import ResidualJudge
    from deepfield.domains.genomics.splice_models import splice_resnet

    model = splice_resnet("site", 3, 602, context=80, filters=2)
    network = Network()
    network.architecture = "splice_resnet"
    weights = {v.path: np.asarray(v) for v in model.weights}
    network.bundle.arrays = lambda name: weights
    network.bundle.read = lambda name: pack(weights)
    judge = judge_of(network)
    assert isinstance(judge, ResidualJudge) and judge.field == 81
    assert settings_of(network, 50, False).splicing


@pytest.mark.parametrize(
    ("verb", "flag"),
    [("predict", "step"), ("predict", "width"), ("explain", "position"), ("explain", "motifs"),
     ("inspect", "length"), ("inspect", "members")],
)  # fmt: skip
def test_numbers_below_one_are_refused(verb, flag):
    run = here("genomics", verb, "sample:sites", f"--{flag}", "0")
    assert run.code == 2 and run.two_lines and f"'--{flag}': 0 is not in the range" in run.err


@pytest.mark.parametrize("wrong", ["2", "-1", "nan"])
def test_a_threshold_is_a_probability(wrong):
    run = here("genomics", "predict", "sample:contig", "--threshold", wrong)
    assert run.code == 2 and run.err == f"error: --threshold {wrong}\nhint: a probability, 0 to 1\n"


def test_who_gives_a_few_letters_is_told_how_to_give_a_sequence():
    run = here("genomics", "predict", "ACGT")
    assert run.code == 4 and run.err.startswith("error: no such file or folder: 'ACGT'\n")
    assert run.err.endswith(
        "; also: one sequence, as letters (10 or more; a shorter one in a file)\n"
    )
    assert "also: " not in here("genomics", "predict", "nosuch.fa").err


def test_the_summary_counts_in_words():
    assert verbs._count(1, "row") == "1 row" and verbs._count(1200, "row") == "1,200 rows"
