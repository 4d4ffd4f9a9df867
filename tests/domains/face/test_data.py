import csv
import gzip
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfield.domains.face.data import READERS, SAMPLES, Pair, all_pairs
from deepfield.toolkit.data import Sample, read_source
from deepfield.toolkit.errors import BadInput, NotFound, UsageError
from deepfield.toolkit.pictures import decode_image


def picture(grey=0, form="PNG"):
    stream = io.BytesIO()
    Image.new("L", (6, 5), grey).save(stream, form)
    return stream.getvalue()


def tree(root, *paths):
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number, "PPM" if file.suffix == ".pgm" else "JPEG"))
    return root


def table(path, rows, encoding="utf-8", delimiter=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


def read(source, **options):
    return list(read_source(str(source), READERS, SAMPLES, **options))


def told(source, **options):
    return [(s.id, s.target, s.fault) for s in read(source, **options)]


# -------------------------------------------------------------------------------- folders


def test_a_folder_per_person_names_the_people(tmp_path):
    tree(tmp_path, "s10/1.pgm", "s2/10.pgm", "s2/9.pgm", "Ada King/at/home/1.jpg", "s2/notes.txt")
    samples = read(tmp_path)
    assert [(s.id, s.target) for s in samples] == [
        ("Ada King/at/home/1.jpg", "Ada King"),
        ("s2/9.pgm", "s2"),
        ("s2/10.pgm", "s2"),
        ("s10/1.pgm", "s10"),
    ]
    assert all(s.group == s.target and s.fault is None for s in samples)
    assert samples[1].row == {"path": "s2/9.pgm", "person": "s2"}
    assert decode_image(samples[1].data).size == (6, 5)
    assert [s.id for s in read(tmp_path, people=True)] == [s.id for s in samples]


def test_a_flat_folder_is_a_gallery_without_names(tmp_path):
    tree(tmp_path, "b10.jpg", "b9.jpg")
    samples = read(tmp_path)
    assert [s.id for s in samples] == ["b9.jpg", "b10.jpg"]
    assert {(s.target, s.group) for s in samples} == {(None, None)}
    assert samples[0].row == {"path": "b9.jpg"}
    tree(tmp_path, "Ada/1.jpg")
    assert Counter(s.target for s in read(tmp_path)) == {None: 2, "Ada": 1}


def test_a_folder_around_the_folders_of_people_is_no_person(tmp_path):
    tree(tmp_path, "lfw/lfw_funneled/Ada_King/Ada_King_0001.jpg", "lfw/lfw_funneled/Bo/1.jpg")
    assert [s.target for s in read(tmp_path)] == ["Ada_King", "Bo"]
    assert read(tmp_path)[0].id == "lfw/lfw_funneled/Ada_King/Ada_King_0001.jpg"
    only = tree(tmp_path / "only", "Ada/1.jpg", "Ada/2.jpg")
    assert [s.target for s in read(only)] == ["Ada", "Ada"]
    loop = tree(tmp_path / "loop", "Ada/deep/1.jpg").joinpath("Ada", "deep", "up")
    loop.symlink_to(tmp_path / "loop")
    assert len(read(tmp_path / "loop")) == 1


@pytest.mark.parametrize("inside", ["", "faces/", "backup/faces/"])
def test_a_zip_is_read_like_the_folder_in_it(tmp_path, inside):
    names = ["Ada/10.jpg", "Ada/9.jpg", "Bo/1.jpg", "__MACOSX/Ada/._9.jpg", ".git/1.jpg"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(inside + name, picture())
    samples = read(tmp_path / "a.zip")
    assert [(s.id, s.target, s.group) for s in samples] == [
        (f"{inside}Ada/9.jpg", "Ada", "Ada"),
        (f"{inside}Ada/10.jpg", "Ada", "Ada"),
        (f"{inside}Bo/1.jpg", "Bo", "Bo"),
    ]
    assert samples[0].data == picture()


def test_a_flat_zip_is_a_gallery_and_a_bad_member_a_fault(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.jpg", picture())
        archive.writestr("../2.jpg", picture())
    found = {s.id: (s.target, s.fault) for s in read(tmp_path / "a.zip")}
    assert found["1.jpg"] == (None, None) and "leads out" in found["../2.jpg"][1]


def test_broken_and_empty_pictures_stay(tmp_path):
    tree(tmp_path, "Ada/1.jpg", "Ada/2.jpg")
    (tmp_path / "Ada" / "2.jpg").write_bytes(b"\xff\xd8\xffbroken")
    (tmp_path / "Ada" / "3.jpg").touch()
    (tmp_path / "Ada" / "4.jpg").symlink_to("nowhere.jpg")
    samples = read(tmp_path)
    assert [s.id for s in samples] == ["Ada/1.jpg", "Ada/2.jpg", "Ada/3.jpg", "Ada/4.jpg"]
    for sample in samples[1:]:
        with pytest.raises(BadInput):
            decode_image(sample.data)
    with pytest.raises(NotFound, match="no picture"):
        read(tmp_path.joinpath("Ada", "none").mkdir() or tmp_path / "Ada" / "none")


# ---------------------------------------------------------------------------- tables of pairs


def test_a_table_of_pairs(tmp_path):
    tree(tmp_path, "Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg")
    rows = [["A", "b", "Same", "note", "FOLD"]]
    rows += [["Ada/1.jpg", "Ada/2.jpg", "1", "ö", "3"], ["Ada/1.jpg", "Bo/1.jpg", "0", "", "3"]]
    first, second = read(table(tmp_path / "p.csv", rows))
    assert first.id == "Ada/1.jpg Ada/2.jpg" and first.fault is None and first.group is None
    assert first.data == Pair(str(tmp_path / "Ada/1.jpg"), str(tmp_path / "Ada/2.jpg"))
    assert first.target == {"same": 1, "fold": "3"} and second.target == {"same": 0, "fold": "3"}
    assert first.row == dict(zip(rows[0], rows[1], strict=True))


@pytest.mark.parametrize(
    ("word", "same"),
    [
        *((word, 1) for word in ("1", "TRUE", "Yes", "same", "1.0", " 1 ")),
        *((word, 0) for word in ("0", "false", "no", "Different", "0.0")),
        *((word, None) for word in ("", "NA")),
    ],
)
def test_words_for_the_same_and_for_different(tmp_path, word, same):
    tree(tmp_path, "1.jpg")
    (sample,) = read(table(tmp_path / "p.csv", [["a", "b", "same"], ["1.jpg", "1.jpg", word]]))
    assert sample.fault is None
    assert sample.target == (None if same is None else {"same": same, "fold": None})


def test_bad_rows_of_pairs_are_faults_that_name_the_side(tmp_path):
    tree(tmp_path, "1.jpg")
    rows = [["a", "b", "same"], ["1.jpg", "2.jpg", "1"], ["3.jpg", "4.jpg", "1"], ["", "1.jpg", ""]]
    rows += [["1.jpg", "1.jpg", "maybe"], ["1.jpg"], ["1.jpg", "1.jpg", "1"]]
    samples = read(table(tmp_path / "p.csv", rows))
    faults = [s.fault for s in samples]
    gone = [f"no such file: {tmp_path / name}" for name in ("2.jpg", "3.jpg", "4.jpg")]
    assert faults[0] == f"b: {gone[0]}"
    assert faults[1] == f"a: {gone[1]}; b: {gone[2]}"
    assert faults[2] == "a: no path in column 'a'" and samples[2].id == "row 3"
    assert faults[3] is None and samples[3].target is None
    assert samples[3].label_fault.startswith("same is 'maybe', expected 1 or 0")
    assert "1 cell between commas, the header has 3" in faults[4]
    assert faults[5] is None and samples[5].target == {"same": 1, "fold": None}
    assert samples[0].row == {"a": "1.jpg", "b": "2.jpg", "same": "1"}
    assert samples[0].target == {"same": 1, "fold": None}


def test_rows_are_kept_as_they_are(tmp_path):
    tree(tmp_path, "1.jpg", "2.jpg")
    rows = [["a", "b", "same", "fold"], ["1.jpg", "1.jpg", "1", ""], ["1.jpg", "2.jpg", "0", "7"]]
    rows += [["1.jpg", "2.jpg", "0", "7"], ["2.jpg", "1.jpg", "1", "2"]]
    samples = read(table(tmp_path / "p.csv", rows))
    assert [s.fault for s in samples] == [None] * 4
    assert [s.target["fold"] for s in samples] == [None, "7", "7", "2"]
    assert samples[0].data.a == samples[0].data.b


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize(("delimiter", "name"), [("\t", "p.tsv"), (";", "p.csv"), (",", "p.txt")])
def test_any_encoding_and_separator(tmp_path, encoding, delimiter, name):
    tree(tmp_path, "Zoë/1.jpg", "Zoë/2.jpg")
    rows = [["a", "b", "same"], ["Zoë/1.jpg", "Zoë/2.jpg", "1"]]
    (sample,) = read(table(tmp_path / name, rows, encoding, delimiter))
    assert sample.fault is None and sample.id == "Zoë/1.jpg Zoë/2.jpg"


def test_the_root_and_whole_paths(tmp_path):
    tree(tmp_path / "pics", "1.jpg", "2.jpg")
    rows = [["a", "b"], ["1.jpg", str(tmp_path / "pics" / "2.jpg")]]
    source = table(tmp_path / "p.csv", rows)
    (sample,) = read(source, root=str(tmp_path / "pics"))
    assert sample.fault is None and sample.target is None
    assert read(source)[0].fault.startswith("a: no such file")
    with pytest.raises(NotFound, match="no such folder"):
        read(source, root=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("header", "renamed"),
    [
        (["path_a", "path_b", "same"], "'path_a' to a, 'path_b' to b"),
        (["Image1", "Image2", "match"], "'Image1' to a, 'Image2' to b, 'match' to same"),
        (["a", "second"], "'second' to b"),
        (["a", "b", "is_same"], "'is_same' to same"),
        (["a", "b", "label"], "'label' to same"),
        (["a", "b", "smae"], "'smae' to same"),
        (["a", "b", "same", "folds"], "'folds' to fold"),
    ],
)
def test_a_header_that_is_nearly_right_is_told(tmp_path, header, renamed):
    source = table(tmp_path / "p.csv", [header, ["1.jpg"] * len(header)])
    with pytest.raises(UsageError) as caught:
        read(source)
    assert caught.value.hint == f"rename {renamed}"


def test_other_headers(tmp_path):
    with pytest.raises(UsageError, match="no columns with the paths") as caught:
        read(table(tmp_path / "p.csv", [["a", "who"], ["1.jpg", "x"]]))
    assert "pairs: a, b[, same[, fold]]" in caught.value.hint
    tree(tmp_path, "1.jpg")
    extra = [["a", "b", "same", "name", "old", "left"], ["1.jpg", "1.jpg", "1", "x", "y", "z"]]
    assert read(table(tmp_path / "q.csv", extra))[0].fault is None
    boxes = [["path", "left", "right", "person"], ["1.jpg", "3", "4", "Ada"]]
    assert told(table(tmp_path / "r.csv", boxes)) == [("1.jpg", "Ada", None)]
    with pytest.raises(UsageError, match=r"s.csv' has a header, but no rows"):
        read(table(tmp_path / "s.csv", [["a", "b", "same"]]))


def test_json_lines_and_parquet(tmp_path):
    import pyarrow
    import pyarrow.parquet

    tree(tmp_path, "1.jpg", "2.jpg")
    rows = [{"a": "1.jpg", "b": "2.jpg", "same": True, "fold": 2}]
    rows += [{"a": "1.jpg", "b": "2.jpg", "same": None, "fold": None}]
    (tmp_path / "p.jsonl").write_text("{broken\n" + "\n".join(map(json.dumps, rows)))
    broken, *samples = read(tmp_path / "p.jsonl")
    assert "not JSON" in broken.fault and isinstance(broken.data, Pair)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    for found in (samples, read(tmp_path / "p.parquet")):
        assert [s.target for s in found] == [{"same": 1, "fold": "2"}, None]
        assert [s.fault for s in found] == [None, None]
    (tmp_path / "q.jsonl").write_text('{"a": "1.jpg", "b": "2.jpg"}\n' + json.dumps(rows[0]))
    assert [s.target for s in read(tmp_path / "q.jsonl")] == [None, {"same": 1, "fold": "2"}]
    sides = [{"bytes": picture(n), "path": f"Ada/{n}.png"} for n in (1, 2)]
    hub = pyarrow.Table.from_pylist([{"a": sides[0], "b": sides[1], "same": 1.0, "fold": 3.0}])
    pyarrow.parquet.write_table(hub, tmp_path / "hub.parquet")
    (sample,) = read(tmp_path / "hub.parquet")
    assert sample.data == Pair(picture(1), picture(2)) and sample.target == {"same": 1, "fold": "3"}
    assert sample.row == {"a": "Ada/1.png", "b": "Ada/2.png", "same": 1.0, "fold": 3.0}
    people = read(tmp_path / "hub.parquet", people=True)
    assert [(s.id, s.target, s.data) for s in people] == [
        ("Ada/1.png", "Ada", picture(1)),
        ("Ada/2.png", "Ada", picture(2)),
    ]


def test_pictures_without_a_path_are_no_ones(tmp_path):
    import pyarrow
    import pyarrow.parquet

    cells = {"a": {"bytes": picture(1), "path": None}, "b": {"bytes": None, "path": "Ada/1.jpg"}}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([cells]), tmp_path / "p.parquet")
    tree(tmp_path, "Ada/1.jpg")
    (sample,) = read(tmp_path / "p.parquet")
    assert sample.id == "row 1" and sample.fault is None
    assert sample.data == Pair(picture(1), str(tmp_path / "Ada/1.jpg"))
    assert sample.row == {"a": "row 1 (a)", "b": "Ada/1.jpg"}
    nobody, ada = read(tmp_path / "p.parquet", people=True)
    assert "names no person" in nobody.fault and (ada.target, ada.fault) == ("Ada", None)


def test_a_long_table_is_read_lazily(tmp_path):
    tree(tmp_path, "1.jpg")
    source = tmp_path / "p.csv"
    source.write_text("a,b,same,fold\n" + "1.jpg,1.jpg,1,1\n" * 100_000)
    samples = read_source(str(source), READERS, SAMPLES)
    tracemalloc.start()
    count = sum(1 for _ in islice(samples, 5000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000  # the file has 1.6 million bytes
    assert count + sum(1 for _ in samples) == 100_000


def test_people_of_a_table_of_pairs(tmp_path):
    tree(tmp_path, "Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg", "x.jpg")
    rows = [["a", "b", "same"], ["Ada/1.jpg", "Ada/2.jpg", "1"], ["Bo/1.jpg", "Ada/1.jpg", "?"]]
    rows += [["Bo/2.jpg", "Ada/2.jpg", "0"], ["x.jpg", "", "0"]]
    samples = read(table(tmp_path / "p.csv", rows), people=True)
    assert [(s.id, s.target, s.group) for s in samples] == [
        ("Ada/1.jpg", "Ada", "Ada"),
        ("Ada/2.jpg", "Ada", "Ada"),
        ("Bo/1.jpg", "Bo", "Bo"),
        ("Bo/2.jpg", "Bo", "Bo"),
        ("x.jpg", None, None),
        ("row 4 (b)", None, None),
    ]
    assert samples[0].row == {"path": "Ada/1.jpg", "person": "Ada"}
    assert samples[0].data == str(tmp_path / "Ada/1.jpg")
    faults = [s.fault for s in samples]
    assert faults[:3] == [None] * 3 and faults[3].startswith("no such file")
    assert "names no person" in faults[4] and faults[5] == "b: no path in column 'b'"


# ------------------------------------------------------------------------- tables of pictures


def test_a_table_of_pictures(tmp_path):
    tree(tmp_path, "1.jpg", "2.jpg")
    rows = [["Path", "Person", "split"], ["1.jpg", "Ada", "train"], ["2.jpg", "", ""]]
    rows += [["3.jpg", "Bo", "tset"]]
    samples = read(table(tmp_path / "m.csv", rows))
    assert [(s.id, s.target, s.group, s.part) for s in samples] == [
        ("1.jpg", "Ada", "Ada", "train"),
        ("2.jpg", None, None, None),
        ("3.jpg", "Bo", "Bo", "tset"),
    ]
    assert samples[0].row == {"Path": "1.jpg", "Person": "Ada", "split": "train"}
    assert samples[2].fault.startswith("no such file")
    rows[3][0] = "1.jpg"
    assert read(table(tmp_path / "n.csv", rows))[2].fault is None  # it can be answered


def test_lines_of_paths(tmp_path):
    tree(tmp_path, "1.jpg")
    (tmp_path / "list.txt").write_text("1.jpg\n\n2.jpg\n")
    assert told(tmp_path / "list.txt") == [
        ("1.jpg", None, None),
        ("2.jpg", None, f"no such file: {tmp_path / '2.jpg'}"),
    ]
    (tmp_path / "list.txt").write_text("Dear all,\n")
    with pytest.raises(UsageError, match="no picture, no table and no lines of paths"):
        told(tmp_path / "list.txt")


def test_an_empty_line_above_all_others_is_passed_over(tmp_path):
    tree(tmp_path, "1.jpg", *PEOPLE)
    (tmp_path / "pictures.txt").write_text("\npath,person\n1.jpg,Ada\n")
    assert told(tmp_path / "pictures.txt") == [("1.jpg", "Ada", None)]
    (tmp_path / "pairs.txt").write_text("\n".join(["", "1", *SAME[:1], *OTHER[:1]]))
    assert [(s.target["same"], s.fault) for s in read(tmp_path / "pairs.txt")] == [
        (1, None),
        (0, None),
    ]


# ---------------------------------------------------------------------------------------- LFW

PEOPLE = [f"{name}/{name}_{n:04d}.jpg" for name in ("Ada_King", "Bo") for n in (1, 2, 12)]
SAME = ["Ada_King\t1\t2", "Bo\t1\t12"]
OTHER = ["Ada_King\t1\tBo\t2", "Bo\t1\tAda_King\t12"]


@pytest.mark.parametrize("place", ["", "lfw", "lfw_funneled", "lfw-deepfunneled/lfw-deepfunneled"])
def test_lfws_pairs_are_numbered_by_fold(tmp_path, place):
    tree(tmp_path / place, *PEOPLE)
    (tmp_path / "pairs.txt").write_text("\n".join(["2\t2", *SAME, *OTHER, *SAME, *OTHER]))
    samples = read(tmp_path / "pairs.txt")
    assert len(samples) == 8 and not any(s.fault for s in samples)
    assert [s.target["same"] for s in samples] == [1, 1, 0, 0] * 2
    assert [s.target["fold"] for s in samples] == ["1"] * 4 + ["2"] * 4
    second = Path(place) / "Bo" / "Bo_0012.jpg"
    assert samples[1].data.b == str(tmp_path / second)
    assert samples[1].row == {
        "a": (Path(place) / "Bo" / "Bo_0001.jpg").as_posix(),
        "b": second.as_posix(),
        "same": "1",
        "fold": "1",
    }


@pytest.mark.parametrize("head", [["2"], []])
def test_lfws_view_1_has_no_folds(tmp_path, head):
    tree(tmp_path / "pics", *PEOPLE)
    (tmp_path / "pairsDevTrain.txt").write_text("\r\n".join([*head, *SAME, *OTHER, ""]))
    samples = read(tmp_path / "pairsDevTrain.txt", root=str(tmp_path / "pics"))
    assert [s.target for s in samples] == [{"same": n, "fold": None} for n in (1, 1, 0, 0)]
    people = read(tmp_path / "pairsDevTrain.txt", root=str(tmp_path / "pics"), people=True)
    assert Counter(s.target for s in people) == {"Ada_King": 3, "Bo": 3}


def test_bad_lines_and_cut_lists_of_lfw_are_faults(tmp_path):
    tree(tmp_path, *PEOPLE)
    lines = ["2 2", "Ada_King 1 2", "Bo one 2", "", "Cy 1 Bo 1", "Bo 1 Ada_King 1", "Bo 1 2"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines))
    samples = read(tmp_path / "pairs.txt")
    assert [bool(s.fault) for s in samples] == [False, True, True, False, False, True]
    assert samples[1].fault.startswith("line 3: neither") and "'Bo one 2'" in samples[1].fault
    assert samples[2].fault == f"a: no such file: {tmp_path / 'Cy' / 'Cy_0001.jpg'}"
    assert samples[4].target == {"same": 1, "fold": "2"}
    assert samples[5].fault == "the list breaks off: 5 of 8 pairs"
    (tmp_path / "long.txt").write_text("\n".join(["1", *SAME, *OTHER]))
    assert [bool(s.fault) for s in read(tmp_path / "long.txt")] == [False, False, True, True]
    names = [b"Bo %d %d" % (n, m) for n in range(90) for m in range(90)]
    cut = gzip.compress(b"\n".join(names))[:-2000]
    (tmp_path / "cut.txt.gz").write_bytes(cut)
    assert "breaks off after line" in read(tmp_path / "cut.txt.gz")[-1].fault
    (tmp_path / "no.txt.gz").write_bytes(cut[:12])
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "no.txt.gz")


# ----------------------------------------------------------------------------- standard input


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        (picture(), {}, [["-", None, None]]),
        (b"a,b,same\n1.jpg,1.jpg,1\n", {}, [["1.jpg 1.jpg", {"same": 1, "fold": None}, None]]),
        (gzip.compress(b"path\tperson\n1.jpg\tAda\n", mtime=0), {}, [["1.jpg", "Ada", None]]),
        (b"1.jpg\n", {}, [["1.jpg", None, None]]),
        (b"Bo\t1\t2\n", {"root": "lfw", "people": True},
         [[f"Bo/Bo_000{n}.jpg", "Bo", None] for n in (1, 2)]),
    ],
    ids=["picture", "pairs", "people", "paths", "lfw"],
)  # fmt: skip
def test_standard_input(tmp_path, given, options, expected):
    tree(tmp_path, "1.jpg", "lfw/Bo/Bo_0001.jpg", "lfw/Bo/Bo_0002.jpg")
    code = (
        "import json, sys\n"
        "from deepfield.domains.face.data import READERS\n"
        "from deepfield.toolkit.data import read_source\n"
        f"samples = read_source('-', READERS, {{}}, **{options!r})\n"
        "print(json.dumps([[s.id, s.target, s.fault] for s in samples]))\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'PIL'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert done.stderr == b"" and json.loads(done.stdout) == expected


def test_a_single_picture(tmp_path):
    tree(tmp_path, "who.jpg")
    (sample,) = read(tmp_path / "who.jpg")
    assert (sample.id, sample.target, sample.row) == ("who.jpg", None, {"path": "who.jpg"})
    with pytest.raises(UsageError, match="--people does not apply"):
        read(tmp_path / "who.jpg", people=True)
    with pytest.raises(UsageError, match="--root does not apply"):
        read(tmp_path, root=".")


# ----------------------------------------------------------------------------- pairs of people


def people(*counts):
    return [
        Sample(f"{who}/{n}", f"{who}/{n}", target=f"p{who}")
        for who, count in enumerate(counts)
        for n in range(count)
    ]


def test_all_pairs_of_people():
    samples = people(3, 1, 2)
    samples.insert(1, Sample("flat.jpg", "flat.jpg"))
    samples.insert(2, Sample("bad.jpg", None, target="p0", fault="broken"))
    found = list(all_pairs(samples))
    kinds = Counter(pair.target["same"] for pair, _, _ in found)
    assert kinds == {1: 3 + 0 + 1, 0: 3 * 1 + 3 * 2 + 1 * 2}
    assert len({frozenset((one.id, two.id)) for _, one, two in found}) == len(found)
    for pair, one, two in found:
        assert pair.target == {"same": int(one.target == two.target), "fold": None}
        assert pair.data == Pair(one.data, two.data) and pair.fault is None
        assert pair.row == {"a": one.id, "b": two.id, "same": pair.target["same"]}
    assert list(all_pairs([])) == list(all_pairs(people(1))) == []


def test_all_pairs_do_not_depend_on_the_order_of_people():
    samples = people(3, 4)
    mixed = [samples[i] for i in np.random.default_rng(0).permutation(7)]
    sets = [{frozenset((a.id, b.id)) for _, a, b in all_pairs(s)} for s in (samples, mixed)]
    assert sets[0] == sets[1] and len(sets[0]) == 21


def test_a_draw_of_pairs_is_seeded_even_and_bounded():
    samples = people(*[20] * 200)  # 38,000 same, 7,960,000 different
    drawn = [[pair.id for pair, _, _ in all_pairs(samples, 500, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 1000
    found = list(all_pairs(samples, 500))
    assert Counter(pair.target["same"] for pair, _, _ in found) == {1: 500, 0: 500}
    assert all((a.target == b.target) == pair.target["same"] for pair, a, b in found)
    seconds = [int(b.target[1:]) for pair, _, b in found if not pair.target["same"]]
    assert 120 < np.mean(seconds) < 146  # of two random people the later one: 2/3 of 200
