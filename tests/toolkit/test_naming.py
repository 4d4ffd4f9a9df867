"""Samples of several folders have names of their own."""

import zipfile
from pathlib import Path

import pytest

from deepfield.toolkit.data import Sample
from deepfield.toolkit.naming import place_of, prefixed, prefixes


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("s1/1.pgm", "s10/1.pgm", "a/s1/1.pgm", "b/s1/1.pgm"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"P5 1 1 255\n0")
    for table in ("t.csv", "m.json", "a/list"):
        Path(table).write_text("path\ns1/1.pgm\n")
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.write("s1/1.pgm", "1.pgm")
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["s1"], [""]),
        (["s1", "s10"], ["s1", "s10"]),
        (["s1/", "./s10"], ["s1", "s10"]),
        (["a/s1", "b/s1", "s10"], ["a/s1", "b/s1", "s10"]),
        (["s1/1.pgm", "s10/1.pgm"], ["s1", "s10"]),
        (["s1/1.pgm", "s1/1.pgm", "s1"], ["", "", ""]),
        (["s1", "t.csv", "-"], ["", "", ""]),
        (["s1", "t.csv", "z.zip"], ["s1", "", "z"]),
    ],
)
def test_a_prefix_is_as_short_as_tells_folders_apart(here, sources, expected):
    assert prefixes(sources) == expected


def test_the_folder_where_one_stands_has_its_name(here, monkeypatch):
    monkeypatch.chdir("s1")
    assert prefixes([".", "../s10"]) == ["s1", "s10"]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("a/s1/", "a/s1"),
        ("s1/1.pgm", "s1"),
        ("z.zip", "z"),
        ("t.csv", None),
        ("-", None),
        ("m.json", None),
    ],
)
def test_where_the_samples_of_a_source_lie(here, source, place):
    assert place_of(source) == (None if place is None else Path(place))


def test_only_a_name_that_is_a_path_inside_the_source_gets_the_place_before_it(here):
    samples = [Sample("1.pgm", 0, row={"path": "1.pgm"}), Sample("row 2", 0, row={"path": "x"})]
    for source, prefix, wanted in (
        ("a/s1", None, "a/s1/1.pgm"), ("z.zip", None, "z/1.pgm"), ("t.csv", None, "1.pgm"),
        ("a/s1", "s1", "s1/1.pgm"), ("a/s1", "", "1.pgm"), ("s1/1.pgm", None, "s1/1.pgm"),
        ("a/list", None, "1.pgm"), ("a/list", "a", "1.pgm"),
    ):  # fmt: skip
        found = list(prefixed(source, samples, prefix))
        assert [s.id for s in found] == [wanted, "row 2"]
        assert [s.row["path"] for s in found] == [wanted, "x"]
    assert samples[0].id == "1.pgm"
