"""Tables, SD files and lists of SMILES as chemists have them: every row is there, in order."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from deepfield.domains.drug.data import READERS, SAMPLES, Candidates, Descriptors
from deepfield.domains.drug.molecules import MolBlock
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import NotFound, UsageError

TABLE = "name,smiles,logS,toxic\naspirin,CC(=O)Oc1ccccc1C(=O)O,-1.7,0\nethanol,CCO,1.1,1\n"


def read(source, **options):
    return list(read_source(str(source), READERS, SAMPLES, **options))


@pytest.fixture
def file(tmp_path):
    def write(content, name="molecules.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("encode", "name"),
    [
        (lambda t: t.encode(), "a.csv"),
        (lambda t: t.encode("utf-8-sig"), "a.csv"),
        (lambda t: t.encode("utf-16"), "a.csv"),
        (lambda t: t.replace("ethanol", "éthanol").encode("latin-1"), "a.csv"),
        (lambda t: t.replace(",", "\t").encode(), "a.tsv"),
        (lambda t: t.replace(",", ";").encode(), "a.csv"),
        (lambda t: t.replace("\n", "\r\n").encode(), "a.csv"),
        (lambda t: gzip.compress(t.encode()), "a.csv.gz"),
    ],
)
def test_tables_of_every_kind_are_read(file, encode, name):
    samples = read(file(encode(TABLE), name), targets=["logS", "toxic"])
    assert [s.data for s in samples] == ["CC(=O)Oc1ccccc1C(=O)O", "CCO"]
    assert samples[1].id in ("ethanol", "éthanol")
    assert samples[1].target == {"logS": "1.1", "toxic": "1"}
    assert not isinstance(samples[1].target, Candidates) and samples[1].fault is None


def test_parquet_is_read(tmp_path):
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"SMILES": ["CCO", None], "y": [1.5, 2.0]})
    parquet.write_table(table, tmp_path / "t.parquet")
    good, empty = read(tmp_path / "t.parquet", targets=["y"])
    assert good.data == "CCO" and good.target == {"y": 1.5}
    assert empty.fault == "no SMILES in column 'SMILES'"


@pytest.mark.parametrize(
    ("header", "cell"),
    [("smiles", "CCO"), ("Canonical_SMILES", "CCO"), ("mol", "CCO"), ("what it is", "c1ccccc1O"),
     ("SMILES (parent)", "CCO junk")],
)  # fmt: skip
def test_the_column_of_the_structures_is_found(file, header, cell):
    (sample,) = read(file(f"n,{header}\n7,{cell}\n"))
    assert sample.data == cell


def test_targets_are_chosen_by_name_by_pattern_and_by_commas(file):
    path = file('smiles,a1,a2,"b, c"\nC,1,2,3\n')
    assert list(read(path, targets=["a*"])[0].target) == ["a1", "a2"]
    assert list(read(path, targets=["a2,b, c"])[0].target) == ["a2", "b, c"]
    assert list(read(path, targets=["*"])[0].target) == ["a1", "a2", "b, c"]
    assert isinstance(read(path)[0].target, Candidates)
    with pytest.raises(UsageError, match="no column 'a3'"):
        read(path, targets=["a3"])


def test_empty_cells_are_missing_labels(file):
    path = file("smiles,a,b\nC,1,\nCC,,\nCCC,NA,2\n")
    assert [s.target for s in read(path, targets=["a", "b"])] == [
        {"a": "1", "b": ""}, None, {"a": "NA", "b": "2"},
    ]  # fmt: skip


def test_no_row_is_lost_and_none_out_of_order(file):
    path = file("smiles,y\nCCO,1\n,2\nnot a molecule,3\nC1CC,4\nCC,5,6,7\n[Pt],8\n" + "C" * 5000)
    samples = read(path, targets=["y"])
    assert [s.id for s in samples] == [f"row {n}" for n in range(1, 8)]
    assert samples[1].fault == "no SMILES in column 'smiles'"
    assert samples[4].fault == "line 6: 4 cells between commas, the header has 2"
    assert [s.id for s in samples if s.fault is None] == ["row 1", "row 3", "row 4", "row 6"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("smiles,y\n", "has a header, but no rows"),
        ("smiles,y,y\nC,1,2\n", "y"),
        ("x,y\n1,2\n", "no column of .* holds SMILES"),
        ("c1ccccc1O,3\nCCO,4\n", "has no header: its first line holds a molecule"),
        ("C1CC,3\nCCO,4\nCC,5\n", "has no header: its first line holds a molecule"),
    ],
)
def test_a_table_that_makes_no_sense_says_so(file, text, problem):
    with pytest.raises(UsageError, match=problem):
        read(file(text))


def test_parts_groups_and_times_are_read(file):
    path = file(
        "smiles,y,split,series,when\nC,1,train,a,2001\nCC,2,Validation,b,2002\nCCC,3,x,b,\n"
    )
    first, second, third = read(path, targets=["y"], group="series", time="when")
    assert (first.part, second.part) == ("train", "valid")
    assert (first.group, second.group) == ("a", "b")
    assert (first.time, second.time, third.time) == (2001.0, 2002.0, None)
    assert third.part == "x" and third.fault is None  # it can be answered


def test_lines_of_smiles_carry_names(file):
    samples = read(file("# mine\nCCO ethanol\nC\tmethane gas\n\nCC\n", "a.smi"))
    assert [(s.data, s.id) for s in samples] == [
        ("CCO", "ethanol"), ("C", "methane gas"), ("CC", "line 5"),
    ]  # fmt: skip


def test_sd_files_are_read_record_by_record(file):
    blocks = []
    for name, smiles in (("ethanol", "CCO"), ("methane", "C")):
        mol = Chem.MolFromSmiles(smiles)
        mol.SetProp("_Name", name)
        blocks.append(Chem.MolToMolBlock(mol) + f"> <logS>\n{len(smiles)}\n\n$$$$\n")
    path = file("".join(blocks), "a.sdf")
    first, second = read(path, targets=["logS"])
    assert isinstance(first.data, MolBlock) and (first.id, second.id) == ("ethanol", "methane")
    assert (first.target, second.target) == ({"logS": "3"}, {"logS": "1"})
    cut = file("".join(blocks)[: len(blocks[0]) + 60], "b.sdf")
    assert [s.fault for s in read(cut)] == [
        None,
        "the file ends inside this record: a record without `M  END`",
    ]
    cut = file("".join(blocks).removesuffix("$$$$\n"), "c.sdf")
    assert [s.fault for s in read(cut)] == [None, None]


def sd_file():
    blocks = []
    for year, smiles in ((1999, "CCO"), (2005, "C")):
        block = Chem.MolToMolBlock(Chem.MolFromSmiles(smiles))
        fields = {"logS": -1, "measured": year, "split": "train", "series": "a"}
        told = "".join(f"> <{name}>\n{value}\n\n" for name, value in fields.items())
        blocks.append(f"{block}{told}$$$$\n")
    return "".join(blocks)


def test_parts_groups_and_times_stand_in_sd_files_too(file):
    (options,) = (r.options for r in READERS if r.name == "SD file")
    assert {"part", "group", "time"} <= set(options)
    first, second = read(file(sd_file(), "a.sdf"), time="measured", group="series")
    assert (first.time, second.time) == (1999.0, 2005.0)
    assert (first.part, first.group) == ("train", "a") and first.target == {"logS": "-1"}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"CCO ethanol\nCC ethane\n", ["CCO", "CC"]),
        (b"C1CC broken\nCCO ethanol\n", ["C1CC", "CCO"]),
        (b"C1CC\n", ["C1CC"]),
        (b"# mine\nCCO ethanol\n", ["CCO"]),
        (b"SMILES Name\nCCO ethanol\n", ["CCO"]),
        (gzip.compress(b"CCO ethanol\nCC ethane\n", mtime=0), ["CCO", "CC"]),
        (gzip.compress(TABLE.encode(), mtime=0), ["CC(=O)Oc1ccccc1C(=O)O", "CCO"]),
        ("smiles,y\nCCO,1\n".encode("utf-16"), ["CCO"]),
        (b"IC50\tfound\n3\tCCO\n4\tCC\n", ["CCO", "CC"]),
        (b'{"smiles": "CCO"}\n', ["CCO"]),
        (sd_file().encode(), [MolBlock] * 2),
        (gzip.compress(sd_file().encode(), mtime=0), [MolBlock] * 2),
    ],
)
@pytest.mark.parametrize("slowly", [False, True])
def test_anything_comes_through_a_pipe(monkeypatch, content, wanted, slowly):
    class Pipe(io.BytesIO):  # a pipe gives what is there: here, a few bytes at a time
        def readinto(self, buffer):
            return super().readinto(memoryview(buffer)[: 7 if slowly else None])

    raw = io.BufferedReader(Pipe(content))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))
    found = [sample.data for sample in read("-")]
    assert [type(d) if isinstance(d, MolBlock) else d for d in found] == wanted


def test_one_molecule_is_its_own_source():
    (sample,) = read("CC(=O)Oc1ccccc1C(=O)O")
    assert sample.data == "CC(=O)Oc1ccccc1C(=O)O"
    assert read("CCO ethanol")[0].id == "ethanol"
    for broken in ("C1CC(=O", "C1CC"):  # the row will say what is wrong with it
        assert read(broken)[0].data == broken
    with pytest.raises(NotFound):
        read("molecules.csv")


def test_tables_of_descriptors_need_no_structures(file):
    path = file("MOLECULE,Act,D_1,D_2,D_3\nM_1,2.5,0,3,0\nM_2,1.5,1,0,x\n")
    good, bad = read(path, targets=["Act"])
    assert good.data == Descriptors({"D_2": 3.0}) and good.target == {"Act": "2.5"}
    assert good.id == "M_1" and "D_2" not in good.row
    assert bad.fault == "descriptor D_3 is 'x', expected a number"


def test_a_corpus_is_every_molecule_once_with_what_can_be_computed_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tables"
    (folder / "more").mkdir(parents=True)
    (folder / "a.csv").write_text(TABLE)
    (folder / "more" / "b.csv").write_text("smiles\nCCO\nC1CC\nCCN\nc1ccccc1\n")
    (folder / "c.csv").write_text("x,y\n1,2\n")
    samples = read(f"structures:{folder}")
    assert [s.data for s in samples] == ["CC(=O)Oc1ccccc1C(=O)O", "CCO", "CCN", "c1ccccc1"]
    values = [s.target["MolLogP"] for s in samples]
    from rdkit import Chem
    from rdkit.Chem import Crippen

    exact = [Crippen.MolLogP(Chem.MolFromSmiles(s.data)) for s in samples]
    np.testing.assert_allclose(values, np.sign(exact) * np.log1p(np.abs(exact)), rtol=1e-5)
    with pytest.raises(UsageError, match="no table with molecules"):
        read(f"structures:{tmp_path / 'cache'}")


def test_the_samples_that_ship_are_read_whole():
    for name in SAMPLES:
        samples = read(f"sample:{name}")
        assert samples and all(s.fault is None and s.data for s in samples), name


@pytest.mark.parametrize("name", ["drugs.smi", "drugs.sdf"])
def test_of_an_archive_that_breaks_off_what_is_whole_is_read(file, name):
    whole = read(f"sample:{name.replace('.', '-')}")
    content = gzip.compress(Path(SAMPLES[name.replace(".", "-")]()).read_bytes() * 40, 0)
    found = read(file(content[: len(content) // 2], f"cut.{name[-3:]}.gz"))
    assert "breaks off after line" in found[-1].fault
    assert len(found) > 10 * len(whole) and not any(s.fault for s in found[:-1])


def test_values_of_an_sd_file_may_begin_as_its_fields_do(file):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    text = f"{block}>  <ic50>\n>10\n\n>  <note>\ntwo\n> lines\n\n>  <mass>\n46\n\n$$$$\n"
    (sample,) = read(file(text, "a.sdf"))
    assert sample.row["ic50"] == ">10" and sample.row["note"] == "two\n> lines"
    assert sample.row["mass"] == "46"
    close = f"{block}>  <ic50>\n>10\n>  <mass>\n46\n$$$$\n"  # no blank lines
    (sample,) = read(file(close, "b.sdf"))
    assert (sample.row["ic50"], sample.row["mass"]) == (">10", "46")
    dense = f"{block}>25 <A>\n1\n\n>(3) <B>\n2\n$$$$\n"
    (sample,) = read(file(dense, "d.sdf"))
    assert (sample.row["A"], sample.row["B"]) == ("1", "2")
    odd = f"{block}>  <ic50>\n>50 <20%>\n> DT12\n2\n$$$$\n"
    (sample,) = read(file(odd, "c.sdf"))
    assert sample.row["ic50"] == ">50 <20%>"


def test_of_names_that_differ_in_case_alone_the_first_is_meant(file):
    (sample,) = read(file("smiles,SMILES,Y,y\nCCO,CCN,1,2\n"))
    assert sample.data == "CCO"


def test_a_name_behind_one_molecule_is_kept():
    (sample,) = read("CCO ethanol")
    assert sample.row == {"smiles": "CCO", "name": "ethanol"}
