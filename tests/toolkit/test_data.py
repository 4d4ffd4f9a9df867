"""Reading tables, batching, and what is kept of a row."""

import csv
import gzip
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit import data
from deepfield.toolkit.data import (
    Reader,
    Sample,
    batches_by_length,
    batches_that_fit,
    collate,
    numbered,
    own_columns,
    read_rows,
    read_source,
)  # fmt: skip
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError

CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\x85")
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packed=st.booleans(),
)
def test_a_good_row_is_never_lost(tmp_path_factory, rows, delimiter, encoding, packed):
    text = io.StringIO()
    table = csv.writer(text, delimiter=delimiter)
    table.writerows([("path", "note", "name"), *rows])
    content = text.getvalue().encode(encoding)
    path = tmp_path_factory.mktemp("t") / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = list(read_rows(str(path)))
    assert [tuple(row.values()) for row, _ in found] == rows
    assert {fault for _, fault in found} == {None}
    assert list(found[0][0]) == ["path", "note", "name"]


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_are_rows_or_one_of_our_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(content)
    try:
        for row, fault in read_rows(str(path)):
            assert isinstance(row, dict) and (fault is None or fault)
    except UsageError:
        pass


def test_latin_1_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes("path,größe\nkäse.png,1\n".encode("latin-1"))
    assert list(read_rows(str(tmp_path / "t.csv"))) == [({"path": "käse.png", "größe": "1"}, None)]
    late = "path\n" + "a.png\n" * 100_000 + "käse.png\n"
    (tmp_path / "t.csv").write_bytes(late.encode("latin-1"))
    assert list(read_rows(str(tmp_path / "t.csv")))[-1] == ({"path": "käse.png"}, None)


def test_a_bad_row_keeps_its_place(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n4,5,6\n\n7,8\n")
    found = list(read_rows(str(tmp_path / "t.csv")))
    assert [fault is None for _, fault in found] == [True, False, False, True]
    assert "line 3: 1 cell between commas, the header has 2" in found[1][1] and found[2][0] == {
        "a": "4",
        "b": "5",
    }


@pytest.mark.parametrize(
    ("text", "names", "faulty"),
    [
        ('name,y\na,1\n"b,2\nc,3\nd,4\n', ["a", '"b', "c", "d"], {3}),
        ('y,name\n1,a\n2,"b\n3,c\n4,d\n', ["a", '"b', "c", "d"], {3}),
        ('name,y\n"a,1\n"b,2\nc,3\n', ['"a', '"b', "c"], {2, 3}),
        ('name,y\n"a,1\n' + "b,2\n" * 50_000, ['"a', *["b"] * 50_000], {2}),
        ('name,y\n"a\n, b",1\nc,2\n', ["a\n, b", "c"], set()),
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_row(tmp_path, text, names, faulty):
    (tmp_path / "t.csv").write_text(text)
    found = list(read_rows(str(tmp_path / "t.csv")))
    assert [row["name"] for row, _ in found] == names
    assert [fault for _, fault in found if fault] == [
        f"line {line}: a quote is opened and never closed" for line in sorted(faulty)
    ]


def test_an_empty_line_is_an_empty_cell_where_there_is_one_column(tmp_path):
    (tmp_path / "t.csv").write_text("\n\na\n1\n\n\n2\n\n")
    assert [row["a"] for row, _ in read_rows(str(tmp_path / "t.csv"))] == ["1", "", "", "2"]
    (tmp_path / "t.csv").write_text("\na,b\n1,2\n\n3\n")
    (_, fine), (_, fault) = read_rows(str(tmp_path / "t.csv"))
    assert fine is None and fault.startswith("line 5: 1 cell between commas")


def test_columns_without_a_name_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text("a,,\n1,2,3\n")
    assert list(read_rows(str(tmp_path / "t.csv"))) == [
        ({"a": "1", "column 2": "2", "column 3": "3"}, None)
    ]


def test_bad_lines_of_json_are_faults(tmp_path):
    lines = ['{"a": 1}', "{", "[1]", "", '{"a": 2}', "[" * 100_000]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    faults = [fault for _, fault in read_rows(str(tmp_path / "t.jsonl"))]
    assert [f is None for f in faults] == [True, False, False, True, False]


def test_what_is_no_table_is_said(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    for name in ("empty.csv", "twice.csv", "x.parquet"):
        with pytest.raises(UsageError):
            list(read_rows(str(tmp_path / name)))
    with pytest.raises(NotFound) as caught:
        list(read_rows(str(tmp_path / "twise.csv")))
    assert "twice.csv" in caught.value.hint


def test_rows_before_the_end_of_a_cut_gzip_are_read(tmp_path):
    whole = gzip.compress(b"".join(b"%d,2\n" % i for i in range(100_000)), mtime=0)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n", mtime=0) + whole[: len(whole) // 2])
    *rows, (_, last) = read_rows(str(path))
    assert len(rows) > 1000 and {fault for _, fault in rows[:-1]} == {None}
    assert "breaks off" in last
    short = gzip.compress(b"".join(b"%d,2\n" % i for i in range(500)), mtime=0)
    path.write_bytes(gzip.compress(b"a,b\n", mtime=0) + short[: len(short) // 2])
    *rows, (_, last) = read_rows(str(path))
    assert len(rows) > 100 and "breaks off" in last
    path.write_bytes(whole[:20])
    with pytest.raises(UsageError):
        list(read_rows(str(path)))


def test_options_go_to_the_reader_that_has_them():
    def read(source, label=None):
        yield Sample("1", source, target=label)

    reader = Reader("word", "a word", lambda s: s == "w", read, ("label",))
    assert next(read_source("w", [reader], {}, label="x", group=None)).target == "x"
    assert next(read_source("sample:s", [reader], {"s": lambda: "w"})).data == "w"
    with pytest.raises(UsageError, match="--group"):
        read_source("w", [reader], {}, group="x")
    for source in ("", "  ", "a\0b", "no:such"):
        with pytest.raises(UsageError):
            read_source(source, [reader], {})
    with pytest.raises(NotFound):
        read_source("sample:t", [reader], {"s": lambda: "w"})
    with pytest.raises(UsageError, match="nothing is fetched"):
        read_source("https://example.org/a.png", [reader], {})


def test_nothing_of_a_row_is_lost_to_the_answer():
    sample = Sample("1", None, row={"label": "a", "given_label": "b", "note": "c"})
    assert list(own_columns(sample, {"label": "x"}).values()) == ["a", "b", "c"]
    assert "label" not in own_columns(sample, {"label": "x"})
    assert own_columns(Sample("7", None), {"label": "x"}) == {"id": "7"}


def test_a_made_up_set_has_a_number_and_a_seed():
    assert numbered("world", 200) == ("world", 200, 0, "")
    assert numbered("world::3", 200) == ("world", 200, 3, "")
    assert numbered("world:5:3:babi:x", 200) == ("world", 5, 3, "babi:x")
    for wrong in ("world:0", "world:x", "world:5:-1", "world:5:y"):
        assert numbered(wrong, 200) is None


@given(
    sizes=st.lists(st.integers(0, 500), max_size=200),
    batch_size=st.integers(1, 32),
)
def test_every_index_is_in_one_batch(sizes, batch_size):
    batches = batches_by_length(sizes, batch_size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        inside = [sizes[i] for i in batch]
        assert len(batch) <= batch_size and max(inside) <= 1.25 * max(1, min(inside))


@given(
    shapes=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 900)), max_size=40),
    batch_size=st.integers(1, 20),
)
def test_padded_batches_stay_small(shapes, batch_size):
    items = [{"x": np.broadcast_to(np.int32(0), shape)} for shape in shapes]
    batches = batches_that_fit(items, batch_size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(shapes)))
    for batch in batches:
        rows, columns = (max(shapes[i][axis] for i in batch) for axis in (0, 1))
        assert len(batch) <= batch_size
        assert len(batch) == 1 or len(batch) * rows * columns * 4 * 16 <= 8 << 20


def test_few_long_rows_are_not_padded_to_many_short_ones():
    items = [{"x": np.zeros(s, np.int32)} for s in [(2, 900), (900, 2)] * 20]
    assert all(len({i % 2 for i in batch}) == 1 for batch in batches_that_fit(items, 40))


@given(
    shapes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6),
    value=st.integers(-5, 5),
)
def test_padding_is_at_the_end_and_of_the_value_asked_for(shapes, value):
    items = [{"x": np.full(shape, 9, np.int32)} for shape in shapes]
    batch = collate(items, {"x": value})["x"]
    for place, shape in zip(batch, shapes, strict=True):
        assert (place[: shape[0], : shape[1]] == 9).all()
        assert (place == 9).sum() == shape[0] * shape[1] and set(np.unique(place)) <= {9, value}


def test_json_rows_keep_their_types(tmp_path):
    row = {"a": 1, "b": None, "c": [1], "d": "ä"}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    assert next(read_rows(str(tmp_path / "t.jsonl"))) == (row, None)


def test_a_file_that_the_system_keeps_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("a\n1\n")

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(data, "open_text", forbidden)  # as root nothing is forbidden
    with pytest.raises(DeepfieldError, match="cannot be read: Permission denied") as told:
        list(read_rows(str(tmp_path / "a.csv")))
    assert "permissions" in told.value.hint and told.value.exit_code == 1


def test_a_link_that_leads_nowhere_is_told_as_one(tmp_path):
    (tmp_path / "a.csv").symlink_to("gone.csv")
    with pytest.raises(NotFound) as told:
        list(read_rows(str(tmp_path / "a.csv")))
    assert told.value.hint == "it is a link to 'gone.csv', which leads nowhere"


def test_a_header_alone_is_told_as_one(tmp_path):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text("path,label\n\n")
    parquet.write_table(pyarrow.table({"path": []}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(UsageError, match=f"{name}' has a header, but no rows"):
            list(read_rows(str(tmp_path / name)))


def test_excels_note_of_the_separator_is_no_header(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\nsmiles;y\nCCO;1,5\n")
    assert list(read_rows(str(tmp_path / "a.csv"))) == [({"smiles": "CCO", "y": "1,5"}, None)]


def test_a_workbook_is_to_be_saved_as_csv(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="is a workbook") as raised:
        read_source(str(tmp_path / "a.xlsx"), (), {})
    assert raised.value.hint == "save its sheet as CSV"
