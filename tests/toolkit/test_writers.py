"""Rows reach the disk whole, in order, and can be taken up again."""

import csv
import errno
import json
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.writers import (
    FORMATS,
    RowWriter,
    format_of,
    in_samples,
    refuse_input,
    write_whole,
)

ROWS = [{"id": str(i), "n": i, "x": i / 3, "d": {"a": i}} for i in range(10)]


def write(path, rows, form, step=3, **settings_):
    writer = RowWriter(str(path), form, {"model": "m"}, **settings_)
    for at in range(writer.samples, len(rows), step):
        writer.write(rows[at : at + step], len(rows[at : at + step]))
    return writer


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_appears_when_it_is_whole(tmp_path, form):
    path = tmp_path / "deep" / f"a.{form}"
    writer = write(path, ROWS, form)
    assert not path.exists()
    writer.finish()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("torn", [b"", b"half a li"])
def test_a_resumed_file_is_byte_equal(tmp_path, form, torn):
    write(tmp_path / f"a.{form}", ROWS, form).finish()
    write(tmp_path / f"b.{form}", ROWS[:6], form).close()
    with (tmp_path / f"b.{form}.part").open("ab") as part:
        part.write(torn)
    write(tmp_path / f"b.{form}", ROWS, form, resume=True).finish()
    assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()


def test_a_killed_run_goes_on_from_its_last_note_of_which_there_are_few(tmp_path):
    write(tmp_path / "a.csv", ROWS, "csv").finish()
    killed = write(tmp_path / "b.csv", ROWS[:6], "csv", step=2)  # neither finished nor closed
    noted = json.loads((tmp_path / "b.csv.part.journal").read_text())
    assert noted["samples"] == 2 < killed.samples
    killed.stream.close()  # as the system does
    write(tmp_path / "b.csv", ROWS, "csv", resume=True).finish()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_two_runs_do_not_write_one_file(form, tmp_path):
    name = tmp_path / f"a.{form}"
    first = write(name, ROWS, form)
    for resume in (False, True):
        with pytest.raises(UsageError, match=f"another run is writing '.*a.{form}'"):
            write(name, ROWS[:1], form, resume=resume)
    first.finish()
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{form}"]
    write(name, ROWS[:1], form).finish()  # the next one may


@pytest.mark.skipif(os.name == "nt", reason="other rights")
def test_who_may_read_a_file_may_read_the_one_in_its_place(tmp_path):
    name = tmp_path / "a.csv"
    name.touch(mode=0o600)
    write(name, ROWS, "csv").finish()
    assert name.stat().st_mode & 0o777 == 0o600
    write_whole(name, b"x")
    assert name.stat().st_mode & 0o777 == 0o600


def test_what_none_can_go_on_with_is_taken_away(tmp_path):
    writer = RowWriter(str(tmp_path / "a.csv"), "csv")  # of no identity
    writer.write(ROWS, len(ROWS))
    writer.close()
    write(tmp_path / "b.csv", ROWS, "csv").discard()
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_knows_how_many_rows_were_rejected_before(tmp_path):
    writer = RowWriter(str(tmp_path / "a.csv"), "csv", {"model": "m"})
    writer.write(ROWS, len(ROWS), rejected=2)
    writer.close()
    resumed = RowWriter(str(tmp_path / "a.csv"), "csv", {"model": "m"}, resume=True)
    assert resumed.rejected == 2
    resumed.close()


def test_a_run_of_another_model_is_not_resumed(tmp_path):
    write(tmp_path / "a.csv", ROWS[:3], "csv").close()
    with pytest.raises(UsageError, match="another model"):
        RowWriter(str(tmp_path / "a.csv"), "csv", {"model": "other"}, resume=True)


@pytest.mark.parametrize("journal", ["", "{", "[]", '{"identity": {}}', "null"])
def test_a_broken_journal_is_said(tmp_path, journal):
    write(tmp_path / "a.csv", ROWS[:3], "csv").close()
    (tmp_path / "a.csv.part.journal").write_text(journal)
    with pytest.raises(UsageError, match="belong together"):
        RowWriter(str(tmp_path / "a.csv"), "csv", {"model": "m"}, resume=True)


def test_a_part_that_was_cut_is_not_resumed(tmp_path):
    write(tmp_path / "a.csv", ROWS[:3], "csv").close()
    (tmp_path / "a.csv.part").write_text("id")
    with pytest.raises(UsageError, match="belong together"):
        RowWriter(str(tmp_path / "a.csv"), "csv", {"model": "m"}, resume=True)


def test_a_first_row_without_columns_costs_the_others_none(tmp_path):
    rows = [{"id": "line 1", "label": None}, {"name": "x", "label": "a"}]
    write(tmp_path / "a.csv", rows, "csv").finish()
    with (tmp_path / "a.csv").open() as stream:
        assert list(csv.DictReader(stream)) == [
            {"id": "line 1", "name": "", "label": ""}, {"id": "", "name": "x", "label": "a"}
        ]  # fmt: skip


def test_columns_that_come_too_late_are_told(tmp_path):
    writer = write(tmp_path / "a.csv", [{"a": 1}, {"a": 1, "b": 2}], "csv", step=1)
    assert writer.left_out == {"b"}


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None))


@settings(max_examples=60, deadline=None)
@given(values=st.lists(JSON, min_size=1, max_size=8), form=st.sampled_from(FORMATS))
@example(values=[(1 << 53) + 1, 0.0], form="parquet")
def test_any_value_can_be_written(tmp_path_factory, values, form):
    path = tmp_path_factory.mktemp("w") / f"a.{form}"
    write(path, [{"v": v} for v in values], form).finish()
    if form == "jsonl":
        rows = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
        assert len(rows) == len(values)
    if form == "parquet":
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(path).num_rows == len(values)


def test_a_device_is_written_to_and_a_link_stays_one(tmp_path):
    (tmp_path / "null.csv").symlink_to("/dev/null")
    write(tmp_path / "null.csv", ROWS, "csv").finish()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write(tmp_path / "link.csv", ROWS, "csv").finish()
    write_whole(tmp_path / "null.csv", b"x")
    assert (tmp_path / "null.csv").is_symlink() and (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("id,n,x,d\n")


def test_a_link_in_a_circle_is_no_output(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="leads to itself"):
        RowWriter(str(tmp_path / "a.csv"), "csv")
    with pytest.raises(UsageError, match="leads to itself"):
        write_whole(tmp_path / "b.csv", b"x")


def test_a_full_disk_is_said(tmp_path):
    (tmp_path / "full.csv").symlink_to("/dev/full")
    with pytest.raises(DeepfieldError, match="disk is full"):
        write(tmp_path / "full.csv", ROWS, "csv").finish()
    with pytest.raises(DeepfieldError, match="disk is full"):
        write_whole(tmp_path / "full.csv", b"x")


@pytest.mark.parametrize(
    ("identity", "hint"), [({"model": "m"}, "with --resume"), (None, "same command again")]
)
def test_whoever_can_go_on_when_there_is_room_again_is_told_how(tmp_path, identity, hint):
    writer = RowWriter(str(tmp_path / "a.csv"), "csv", identity)

    class Full:
        closed = False

        def write(self, _):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))  # what this user may have

        close = flush = lambda self: None

    writer.stream = Full()
    with pytest.raises(DeepfieldError, match="disk is full") as told:
        writer.write(ROWS, len(ROWS))
    assert told.value.hint.endswith(hint)


def test_the_format_is_told_by_suffix_or_by_name(tmp_path):
    assert [format_of(n, None) for n in ("-", "a.CSV", "a.ndjson", "a.txt")] == [
        "csv", "csv", "jsonl", "tsv"
    ]  # fmt: skip
    assert format_of("a.dat", "csv") == "csv" and format_of("a.txt", "jsonl") == "jsonl"
    for output, given_ in (
        ("a.dat", None),
        ("a.json", None),
        ("a.csv", "jsonl"),
        ("a.csv", "xls"),
        (tmp_path, None),
    ):
        with pytest.raises(UsageError):
            format_of(str(output), given_)
    with pytest.raises(UsageError, match="standard output"):
        RowWriter("-", "parquet")
    with pytest.raises(UsageError, match="resume"):
        RowWriter("-", "csv", resume=True)


def test_pairs_are_grouped_by_whole_samples():
    class Item:
        def __init__(self, sample):
            self.sample = sample

    samples = [object() for _ in range(1500)]
    pairs = [(Item(s), n) for s in samples for n in range(2)]
    groups = list(in_samples(iter(pairs)))
    assert [p for done, _ in groups for p in done] == pairs
    assert sum(count for _, count in groups) == 1500 and len(groups) > 3


def test_a_sample_with_very_many_rows_is_written_before_its_end(tmp_path):
    class Item:
        def __init__(self, sample):
            self.sample = sample

    one, two = object(), object()
    pairs = [(Item(s), n) for s, count in ((one, 9000), (two, 2)) for n in range(count)]
    groups = list(in_samples(iter(pairs)))
    assert [p for done, _ in groups for p in done] == pairs
    assert [count for _, count in groups] == [0, 0, 1, 1] and max(len(d) for d, _ in groups) < 5000
    writer = RowWriter(str(tmp_path / "a.csv"), "csv", {"data": "d"})
    writer._next_note = 0.0
    writer.write([{"n": 0}], 1)
    writer._next_note = 0.0
    writer.write([{"n": 1}, {"n": 2}], 0)
    writer.close()
    resumed = RowWriter(str(tmp_path / "a.csv"), "csv", {"data": "d"}, resume=True)
    assert (resumed.samples, resumed.rows) == (1, 1)  # half a sample is done again
    resumed.close()


def test_nothing_is_written_over_what_it_is_read_from(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    for output in ("a.csv", "link.csv"):
        with pytest.raises(UsageError, match="is what is read, and would be lost"):
            refuse_input(str(tmp_path / output), "sample:x", str(tmp_path / "a.csv"))
    refuse_input(str(tmp_path / "b.csv"), str(tmp_path / "a.csv"))
    refuse_input("-", "-", str(tmp_path))


def test_nothing_is_written_into_a_model(tiny, tmp_path):
    for name in ("card.md", "config.json", "answers.csv"):
        with pytest.raises(UsageError, match=f"{name}' lies in the model"):
            refuse_input(str(tiny / name))
    (tmp_path / "config.json").write_text('{"name": "another program"}')
    (tmp_path / "rows.csv").touch()
    refuse_input(str(tmp_path / "rows.csv"))
