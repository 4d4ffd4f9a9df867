"""What a data set holds is found and told."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from program import here, typed

from deepfield.domains.image.data import SAMPLES
from deepfield.domains.image.pipeline import ImagePipeline
from deepfield.toolkit import tables
from deepfield.toolkit.inspection import inspect
from deepfield.toolkit.parts import deal
from deepfield.toolkit.splits import Split


@pytest.fixture
def messy(tmp_path):
    root = Path(shutil.copytree(SAMPLES["digits-folder"](), tmp_path / "d"))
    first = sorted((root / "0").iterdir())[0]
    shutil.copy(first, root / "0" / "copy.png")
    shutil.copy(first, root / "1" / "wrong.png")
    (root / "2" / "broken.png").write_bytes(b"\x89PNG no")
    return root


def test_everything_is_counted(messy):
    run = here("image", "inspect", str(messy), "--no-timing", "--json")
    found = json.loads(run.out)
    assert run.code == 3 and found["n"] == 43 and found["rejected"] == 1
    assert found["rejects"][0]["id"] == "2/broken.png" and found["duplicates"]["count"] == 1
    assert found["contradicting_labels"]["count"] == 1 and found["targets"]["0"] == 5
    assert sum(found["parts"].values()) == 42 == sum(found["targets"].values())


def test_the_parts_are_those_of_training(tmp_path):
    root = shutil.copytree(SAMPLES["digits-folder"](), tmp_path / "d")
    for digit in range(5):
        (root / str(digit) / "0.png").write_bytes(b"\x89PNG no")  # the first of its folder
    found = inspect(ImagePipeline("small_cnn"), root, timed=False)
    parts = deal(ImagePipeline("small_cnn"), root, Split.parse(None)).parts
    assert found["rejected"] == 5
    assert found["parts"] == {part: len(places) for part, places in parts.items()}


def test_what_has_no_label_contradicts_none(messy):
    shutil.move(messy / "1" / "wrong.png", messy / "stray.png")
    found = inspect(ImagePipeline("small_cnn"), messy, timed=False)
    assert found["unlabelled"] == 1 and found["contradicting_labels"]["count"] == 0


@pytest.mark.parametrize(("other", "count"), [("2.50", 0), ("2.6", 1)])
def test_a_label_that_is_written_otherwise_contradicts_none(other, count, tmp_path):
    rows = ["smiles,y", "CCO,2.5", f"CCO,{other}", *(f"{'C' * n},{n}" for n in range(3, 12))]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    run = here("drug", "inspect", str(tmp_path / "t.csv"), "--no-timing", "--json")
    found = json.loads(run.out)
    assert found["duplicates"]["count"] == 1 and found["contradicting_labels"]["count"] == count


def test_a_test_part_alone_is_looked_at(tmp_path):
    shutil.copytree(SAMPLES["digits-folder"](), tmp_path / "test")
    run = here("image", "inspect", str(tmp_path), "--no-timing")
    assert run.code == 0 and "40 of them labelled" in run.out
    assert "none: no sample is in the training part" in run.out
    run = here("image", "inspect", str(tmp_path), "--no-timing", "--split", "source")
    assert run.code == 2


def test_the_outline_is_for_a_person(messy):
    run = here("image", "inspect", str(messy), "--no-timing")
    assert run.code == 3 and "{" not in run.out and "[" not in run.out
    assert "contradicting labels" in run.out and "2/broken.png: " in run.out
    assert max(map(len, run.out.splitlines())) <= 120


def test_copies_across_the_parts_of_a_table_are_leakage(tmp_path):
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        digits = sorted(Path(SAMPLES["digits-folder"]()).rglob("*.png"))
        rows = [["path", "label", "split"], *([p, p.parent.name, "train"] for p in digits)]
        csv.writer(stream).writerows([*rows, [digits[0], digits[0].parent.name, "test"]])
    run = here("image", "inspect", str(tmp_path / "t.csv"), "--no-timing", "--json")
    assert json.loads(run.out)["leakage"]["exact"]["count"] == 1


def test_long_lists_of_classes_are_cut():
    found = {
        "n": 900, "rejected": 0, "unlabelled": 0, "columns": ["a"], "shapes": {}, "rejects": [],
        "targets": {f"class {i}": 30 - i for i in range(30)},
        **{k: {"count": 0, "examples": []} for k in
           ("duplicates", "near_duplicates", "contradicting_labels")},
    }  # fmt: skip
    text = "\n".join(tables.contents(found))
    assert "and 10 more, down to class 29 with 1" in text
    found["targets"] = {"few = 1": 3} | dict.fromkeys(map(str, range(20)), 7) | {"last": 9}
    assert "and 2 more, down to 19 with 7" in "\n".join(tables.contents(found))
    assert "target    mean 1.5000" in "\n".join(tables.contents(found | {"targets": {"mean": 1.5}}))


@pytest.mark.slow
def test_the_time_of_a_training_is_measured():
    run = typed("image", "inspect", "digits", "--epochs", "2", "--set", "filters=4", "--json")
    timing = json.loads(run.out)["training"]
    assert run.code == 0 and timing["epochs"] == 2 and 0 < timing["seconds_per_epoch"] < 60
