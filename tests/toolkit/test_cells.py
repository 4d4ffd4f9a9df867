"""Cells and columns of tables mean the same in every domain."""

import doctest
import json

import pytest

from deepfield.domains import domain
from deepfield.toolkit import cells
from deepfield.toolkit.cells import find_column, is_missing, looked_at
from deepfield.toolkit.errors import UsageError


def test_the_examples_run():
    assert doctest.testmod(cells).failed == 0


def test_columns_are_found_by_name_or_by_habit():
    row = {"Path": 1, "Class": 2}
    assert find_column(row, None, ("file", "path"), "the path") == "Path"
    assert find_column(row, None, ("smiles",), "x") is None
    with pytest.raises(UsageError, match="Clas"):
        find_column(row, "Clas", (), "the label")
    assert [is_missing(v) for v in (None, "", " NA ", float("nan"), 0, "0", False)] == [
        True, True, True, True, False, False, False
    ]  # fmt: skip


def test_good_rows_tell_the_columns_and_no_row_is_lost():
    rows = [({}, "not JSON"), ({"a": 1}, None), ({"x": 0}, "odd"), ({"b": 2}, None)]
    names, good, told = looked_at(rows)
    assert list(names) == ["a", "b"] and good == [{"a": 1}, {"b": 2}] and list(told) == rows
    names, good, told = looked_at(iter(rows), 1)
    assert list(names) == ["a"] and good == [{"a": 1}] and list(told) == rows
    taken = iter(range(5))
    looked_at((({"a": i}, None) for i in taken), 2)
    assert next(taken) == 2


def put(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.parametrize(
    ("wing", "thing", "column", "field"),
    [
        ("image", {"path": "a.png"}, "label", "target"),
        ("face", {"path": "a.png"}, "person", "target"),
        ("speech", {"path": "a.wav"}, "speaker", "group"),
        ("drug", {"smiles": "CCO"}, "group", "group"),
        ("genomics", {"sequence": "ACGTTGCAACGG"}, "label", "target"),
    ],
)
def test_a_label_is_the_same_in_every_domain(tmp_path, wing, thing, column, field):
    # a column that the first row lacks, and numbers as spreadsheets and Parquet write them
    values = (4.0, 4, "4", True, " x ")
    source = put(tmp_path / "t.jsonl", thing, *({**thing, column: value} for value in values))
    samples = list(domain(wing)().read(source))
    yes = "1" if wing == "genomics" else "True"  # bound, or spliced: 1
    assert [getattr(s, field) for s in samples] == [None, "4", "4", "4", yes, "x"]


@pytest.mark.parametrize(
    ("wing", "thing"),
    [
        ("image", {"path": "a.png"}),
        ("face", {"path": "a.png"}),
        ("speech", {"path": "a.wav"}),
        ("drug", {"smiles": "CCO"}),
        ("genomics", {"sequence": "ACGTTGCAACGG"}),
    ],
)
def test_the_part_stands_in_the_same_column_in_every_domain(tmp_path, wing, thing):
    source = put(tmp_path / "t.jsonl", {**thing, "part": "2", "split": "dev"})
    assert [s.part for s in domain(wing)().read(source)] == ["valid"]


def test_lines_that_are_no_rows_are_passed_over():
    rows = [({}, "no JSON")] * 150 + [({"path": "a.png"}, None)]
    names, _, again = looked_at(rows)
    assert list(names) == ["path"] and list(again) == rows
