import csv
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfield.domains.image.data import READERS, SAMPLES
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.pictures import decode_image


def picture(grey=0):
    stream = io.BytesIO()
    Image.new("L", (6, 5), grey % 256).save(stream, "PNG")
    return stream.getvalue()


def tree(root, *paths):
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number) if file.suffix in (".png", ".jpg") else b"text")
    return str(root)


def read(source, **options):
    return list(read_source(str(source), READERS, SAMPLES, **options))


def told(source, **options):
    return [(s.id, s.target, s.part) for s in read(source, **options)]


# -------------------------------------------------------------------------------- folders


def test_a_folder_per_class_names_the_classes(tmp_path):
    source = tree(tmp_path, "cat/a.png", "cat/b.jpg", "dog/a.png", "dog/deep/er/c.png")
    samples = read(source)
    assert [(s.id, s.target) for s in samples] == [
        ("cat/a.png", "cat"),
        ("cat/b.jpg", "cat"),
        ("dog/a.png", "dog"),
        ("dog/deep/er/c.png", "dog"),
    ]
    assert samples[0].row == {"path": "cat/a.png", "label": "cat"}
    assert samples[0].part is None and samples[0].fault is None
    assert decode_image(samples[0].data).size == (6, 5)


def test_parts_above_the_classes_are_read(tmp_path):
    source = tree(tmp_path, "Train/cat/1.png", "val/dog/2.png", "test/dog/3.png", "doc/x.txt")
    assert told(source) == [
        ("test/dog/3.png", "dog", "test"),
        ("Train/cat/1.png", "cat", "train"),
        ("val/dog/2.png", "dog", "valid"),
    ]


def test_a_class_may_be_called_like_a_part(tmp_path):
    assert told(tree(tmp_path, "test/1.png", "other/2.png")) == [
        ("other/2.png", "other", None),
        ("test/1.png", "test", None),
    ]


def test_pictures_alone_come_in_natural_order_without_labels(tmp_path):
    source = tree(tmp_path, "p10.png", "p9.png", "P1.png", "p09.png", "p.png")
    samples = read(source)
    assert [s.id for s in samples] == ["P1.png", "p09.png", "p9.png", "p10.png", "p.png"]
    assert {s.target for s in samples} == {None} and samples[0].row == {"path": "P1.png"}


def test_photos_named_by_wordnet_are_labelled(tmp_path):
    source = tree(tmp_path, "n01496331_electric_ray.jpg", "n1_x.jpg")
    assert [s.target for s in read(source)] == [None, "n01496331"]
    assert read(tmp_path / "n01496331_electric_ray.jpg")[0].target == "n01496331"


def test_what_is_no_picture_is_skipped_and_a_broken_one_kept(tmp_path):
    source = tree(tmp_path, "a/1.png", "a/Thumbs.db", "a/.DS_Store", "a/._1.png", ".git/2.png")
    (tmp_path / "a" / "2.png").write_bytes(b"broken")
    assert [s.id for s in read(source)] == ["a/1.png", "a/2.png"]


def test_columns_of_a_folder_group_and_label(tmp_path):
    source = tree(tmp_path, "train/a/7_1.png", "train/a/7_2.png", "test/b/7_3.png", "test/b/x.png")
    by_prefix = read(source, group="prefix")
    assert [s.group for s in by_prefix] == ["b/7", "b/x", "a/7", "a/7"]
    assert [s.target for s in by_prefix] == ["b", "b", "a", "a"] and by_prefix[0].part == "test"
    assert read(source, label="name")[0].target == "7_3.png"
    with pytest.raises(UsageError, match="no column 'colour'"):
        read(source, group="colour")


def test_a_folder_without_pictures_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no picture") as caught:
        read(tree(tmp_path, "a/readme.txt"))
    assert ".jpg" in caught.value.hint


def test_folders_are_read_lazily(tmp_path):
    tree(tmp_path, "a/1.png", "b/2.png")
    samples = read_source(str(tmp_path), READERS, SAMPLES)
    next(samples)
    (tmp_path / "b" / "2.png").unlink()
    assert [s.id for s in samples] == []


# -------------------------------------------------------------------------------- archives


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_is_read_like_the_folder_it_holds(tmp_path):
    members = {
        "data/train/cat/10.png": picture(1),
        "data/train/cat/9.png": picture(2),
        "data/test/dog/1.png": picture(3),
        "__MACOSX/data/train/cat/._10.png": b"x",
        "data/.hidden/1.png": b"x",
        "data/readme.txt": b"x",
    }
    source = zipped(tmp_path / "a.zip", members)
    assert told(source) == [
        ("test/dog/1.png", "dog", "test"),
        ("train/cat/9.png", "cat", "train"),
        ("train/cat/10.png", "cat", "train"),
    ]
    assert read(source)[0].data == picture(3)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a/1.png", "b/2.png"], ["a", "b"]),
        (["top/a/1.png", "top/b/2.png"], ["a", "b"]),
        (["only/1.png", "only/2.png"], ["only", "only"]),
        (["1.png", "2.png"], [None, None]),
        (["x/n01440764_t.png", "x/n01443537_g.png"], ["n01440764", "n01443537"]),
        (["train/a/1.png", "train/b/2.png"], ["a", "b"]),
        (["a\\1.png", "b\\2.png"], ["a", "b"]),
    ],
)
def test_every_form_of_folder_may_lie_in_a_zip(tmp_path, names, labels):
    source = zipped(tmp_path / "a.zip", {n: picture(i) for i, n in enumerate(names)})
    assert [s.target for s in read(source)] == labels


# ---------------------------------------------------------------------------------- tables


def table(path, rows, encoding="utf-8", delimiter=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_manifest_in_any_encoding_names_pictures(tmp_path, encoding):
    tree(tmp_path, "img/käse.png", "img/b.png")
    rows = [["Path", "Class", "split", "note"]]
    rows += [["img/käse.png", "größe", "val", "ö"], ["img/b.png", "x", "", ""]]
    samples = read(table(tmp_path / "m.csv", rows, encoding))
    assert [(s.id, s.target, s.part) for s in samples] == [
        ("img/käse.png", "größe", "valid"),
        ("img/b.png", "x", None),
    ]
    assert samples[0].row == {"Path": "img/käse.png", "Class": "größe", "split": "val", "note": "ö"}
    assert all(decode_image(s.data).size == (6, 5) for s in samples)


def test_bad_rows_of_a_manifest_are_faults(tmp_path):
    tree(tmp_path, "a.png")
    rows = [["file", "label", "split"], ["a.png", "x", "tarin"], ["b.png", "x", ""], ["", "x", ""]]
    samples = read(table(tmp_path / "m.tsv", [*rows, ["a.png"]], delimiter="\t"))
    assert samples[0].part == "tarin" and samples[0].fault is None  # it can be answered
    assert samples[1].fault == f"no such file: {tmp_path / 'b.png'}"
    assert samples[2].fault == "no path in column 'file'"
    assert "1 cell between tabs" in samples[3].fault


def test_columns_of_a_manifest_can_be_named(tmp_path):
    tree(tmp_path / "pics", "a.png", "b.png")
    rows = [["path", "label", "species", "track", "fold"]]
    rows += [["a.png", "1", "cat", "t1", "train"], ["b.png", "2", "dog", "t2", "test"]]
    source = table(tmp_path / "m.csv", rows)
    options = {"label": "species", "group": "track", "part": "fold"}
    samples = read(source, root=str(tmp_path / "pics"), **options)
    found = [(s.target, s.group, s.part, s.fault) for s in samples]
    assert found == [("cat", "t1", "train", None), ("dog", "t2", "test", None)]
    with pytest.raises(UsageError, match="no column 'specie'"):
        read(source, label="specie")
    with pytest.raises(NotFound, match="no such folder"):
        read(source, root=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no column with the paths"):
        read(table(tmp_path / "n.csv", [["x", "y"], ["1", "2"]]))


def test_json_lines_and_parquet_are_manifests_too(tmp_path):
    import pyarrow
    import pyarrow.parquet

    tree(tmp_path, "a.png", "b.png")
    rows = [{"image": "a.png", "label": 3}, {"image": "b.png", "label": None}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "m.parquet")
    (tmp_path / "m.jsonl.gz").write_bytes(gzip.compress((tmp_path / "m.jsonl").read_bytes()))
    for name in ("m.jsonl", "m.parquet", "m.jsonl.gz"):
        samples = read(tmp_path / name)
        assert [(s.id, s.target, s.fault) for s in samples] == [
            ("a.png", "3", None),
            ("b.png", None, None),
        ]
    rows = [{"image": {"bytes": picture(), "path": "a.png"}, "label": 1}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "hub.parquet")
    (sample,) = read(tmp_path / "hub.parquet")
    assert sample.data == picture() and sample.row == {"image": "a.png", "label": 1}


def test_a_text_file_may_hold_lines_of_paths(tmp_path):
    tree(tmp_path, "n01440764_a.png", "b.png")
    (tmp_path / "list.txt").write_text("n01440764_a.png\n\nb.png\nc.png\n")
    samples = read(tmp_path / "list.txt")
    assert [s.id for s in samples] == ["n01440764_a.png", "b.png", "c.png"]
    assert [bool(s.fault) for s in samples] == [False, False, True]
    assert samples[0].target == "n01440764"
    with pytest.raises(UsageError, match="without columns"):
        read(tmp_path / "list.txt", label="x")
    (tmp_path / "list.txt").write_text("\npath,label\nb.png,x\n")
    assert told(tmp_path / "list.txt") == [("b.png", "x", None)]
    (tmp_path / "list.txt").write_text("Dear all,\n")
    with pytest.raises(UsageError, match="no picture, no table and no lines of paths"):
        read(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (picture(), [["-", None, None]]),
        (b"a.png\nb.png\n", [["a.png", None, None], ["b.png", None, "no such file: b.png"]]),
        (b"path,label\na.png,x\n", [["a.png", "x", None]]),
        (gzip.compress(b"path\tlabel\na.png\tx\n", mtime=0), [["a.png", "x", None]]),
        (b'{"path": "a.png", "label": "x"}\n', [["a.png", "x", None]]),
        (gzip.compress(b"a.png\n", mtime=0), [["a.png", None, None]]),
        ("path,label\na.png,ü\n".encode("utf-16"), [["a.png", "ü", None]]),
    ],
    ids=["picture", "paths", "csv", "tsv.gz", "jsonl", "txt.gz", "utf-16"],
)
def test_standard_input_is_a_picture_lines_of_paths_or_a_table(tmp_path, given, expected):
    tree(tmp_path, "a.png")
    code = (
        "import json, sys\n"
        "from deepfield.domains.image.data import READERS\n"
        "from deepfield.toolkit.data import read_source\n"
        "print(json.dumps([[s.id, s.target, s.fault] for s in read_source('-', READERS, {})]))\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'sklearn', 'pandas', 'matplotlib', 'PIL'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stderr == b"" and json.loads(done.stdout) == expected


# ------------------------------------------------------------------------------- built in


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    bunch, samples = load_digits(), read("digits")
    expected = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    np.testing.assert_array_equal(np.stack([s.data for s in samples]), expected)
    assert [int(s.target) for s in samples] == bunch.target.tolist()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_can_be_read_and_decoded(name):
    samples = read(f"sample:{name}")
    assert samples and not any(s.fault for s in samples)
    for sample in samples[:5]:
        assert decode_image(sample.data) is not None
    if "digits" in name:
        assert {s.target for s in samples} == set("0123456789")


def test_the_samples_that_ship_are_small():
    from deepfield.domains.image import data

    folder = Path(data.__file__).with_name("samples")
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    assert len(sizes) > 10 and sum(sizes) < 100_000


def test_a_picture_is_known_by_its_content_or_its_name(tmp_path):
    (tmp_path / "scan").write_bytes(picture())
    (tmp_path / "broken.jpg").write_bytes(b"text")
    (tmp_path / "letter").write_bytes(b"text")
    assert [s.id for s in read(tmp_path / "scan")] == ["scan"]
    assert [s.id for s in read(tmp_path / "broken.jpg")] == ["broken.jpg"]
    with pytest.raises(UsageError, match="cannot tell"):
        read(tmp_path / "letter")
    with pytest.raises(NotFound):
        read(tmp_path / "none.png")
    with pytest.raises(UsageError, match="--group does not apply"):
        read(tmp_path / "scan", group="prefix")


# ------------------------------------------------------------------- TensorFlow Datasets

TFDS = """
import os, sys
import numpy as np
import tensorflow_datasets as tfds

class Base(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    def _info(self):
        features = tfds.features.FeaturesDict(self.FEATURES)
        return tfds.core.DatasetInfo(builder=self, features=features)
    def _split_generators(self, manager):
        counts = {"train": 6, "validation": 2, "extra": 1}
        return {name: self._generate_examples(n) for name, n in counts.items()}
    def _generate_examples(self, count):
        for n in range(count):
            yield n, self.example(n)

class LittleShapes(Base):
    FEATURES = {
        "image": tfds.features.Image(shape=(8, 8, 1)),
        "label": tfds.features.ClassLabel(names=["square", "circle"]),
    }
    def example(self, n):
        return {"image": np.full((8, 8, 1), 10 * n, np.uint8), "label": n % 2}

class LittleNumbers(Base):
    FEATURES = {"value": tfds.features.Scalar(np.int64)}
    def example(self, n):
        return {"value": n}

for builder in (LittleShapes, LittleNumbers):
    builder(data_dir=sys.argv[1]).download_and_prepare()
"""

ASK = """
import json
from deepfield.domains.image.data import READERS
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import DeepfieldError
from deepfield.toolkit.pictures import decode_image
import sys, numpy as np
for source in sys.argv[1:]:
    try:
        samples = read_source(source, READERS, {})
        print(json.dumps([
            [s.id, s.target, s.part, int(np.asarray(decode_image(s.data))[0, 0])] for s in samples
        ]))
    except DeepfieldError as error:
        print(json.dumps([type(error).__name__, error.message]))
"""


@pytest.mark.slow  # TensorFlow is imported twice
def test_a_tfds_set_is_read_with_its_own_splits(tmp_path):
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path), "HOME": str(tmp_path)}
    environment["PYTHONPATH"] = ":".join(filter(None, sys.path))

    def run(code, *arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
        )

    made = run(TFDS, str(tmp_path))
    assert made.returncode == 0, made.stderr
    sources = [
        "tfds:little_shapes",
        "tfds:little_shapes:1.0.0:train[:2]",
        "tfds:little_shapes:none",
    ]
    done = run(ASK, *sources, "tfds:little_numbers", "tfds:no_such_set")
    whole, sliced, wrong, numbers, missing = map(json.loads, done.stdout.splitlines())
    assert whole[0][0] == "train/0"
    assert Counter(part for _, _, part, _ in whole) == {"train": 6, "valid": 2}
    assert all(label == ("square", "circle")[grey // 10 % 2] for _, label, _, grey in whole)
    assert [row[2] for row in sliced] == ["train", "train"]
    assert wrong[0] == "NotFound"
    assert numbers[0] == "UsageError" and "not for image classification" in numbers[1]
    assert missing[0] == "NotFound" and "no TFDS set 'no_such_set'" in missing[1]
