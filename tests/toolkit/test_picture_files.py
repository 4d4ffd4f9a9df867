import contextlib
import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.picture_files import (
    MOST_MEMBER_BYTES,
    accepts_picture,
    accepts_table,
    accepts_zip,
    open_zip,
    picture_in,
    rows_of_pictures,
    unpacked,
)


def picture(grey=0):
    stream = io.BytesIO()
    Image.new("L", (6, 5), grey % 256).save(stream, "PNG")
    return stream.getvalue()


def tree(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture())
    return root


def test_a_source_is_known_by_its_name_or_its_content(tmp_path):
    (tmp_path / "scan").write_bytes(picture())
    (tmp_path / "broken.jpg").write_bytes(b"text")
    (tmp_path / "letter").write_bytes(b"text")
    (tmp_path / "m.csv.gz").write_bytes(b"")
    zipped(tmp_path / "archive", {"a.png": picture()})
    kinds = (accepts_picture, accepts_zip, accepts_table)
    found = {p.name: [kind(str(p)) for kind in kinds] for p in tmp_path.iterdir()}
    assert found == {
        "scan": [True, False, False],
        "broken.jpg": [True, False, False],
        "letter": [False, False, False],
        "m.csv.gz": [False, False, True],
        "archive": [False, True, False],
    }
    assert not any(kind(str(tmp_path / "none.csv")) for kind in kinds)


# -------------------------------------------------------------------------------- archives


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def unzipped(path):
    with open_zip(str(path)) as (archive, members):
        return {names: unpacked(archive, info) for names, info in members}


def test_a_hostile_zip_costs_its_own_members_only(tmp_path):
    path = tmp_path / "a.zip"
    zeros = b"\0" * (MOST_MEMBER_BYTES + 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/good.png", picture())
        archive.writestr("a/../../../out.png", picture())
        archive.writestr("/a/root.png", picture())
        archive.writestr("a/bomb.png", zeros)
        archive.writestr("b/flipped.png", b"flip this" * 9)
        archive.writestr("b/locked.png", picture())
        archive.writestr("b/odd.png", picture())
    raw = bytearray(path.read_bytes())
    info = {i.filename: i for i in zipfile.ZipFile(path).infolist()}
    raw[info["b/flipped.png"].header_offset + 30 + len("b/flipped.png") + 3] ^= 0xFF
    for name, at, value in (("b/locked.png", 8, 1), ("b/odd.png", 10, 99)):
        central = raw.rindex(name.encode()) - 46
        raw[central + at : central + at + 2] = struct.pack("<H", value)
        raw[info[name].header_offset + at - 2] = value
    path.write_bytes(raw)
    faults = {names[-1]: fault or "" for names, (_, fault) in unzipped(path).items()}
    assert faults.pop("good.png") == ""
    assert "leads out" in faults.pop("out.png") and "leads out" in faults.pop("root.png")
    assert "268,435,457 bytes" in faults.pop("bomb.png")
    assert "encrypted" in faults.pop("locked.png")
    assert "broken" in faults.pop("flipped.png") and "broken" in faults.pop("odd.png")
    assert not faults and not (tmp_path / "out.png").exists()


def test_a_zip_that_lies_about_its_sizes_is_not_unpacked_further(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.png": b"\0" * 10_000_000}, compression=8)
    raw = bytearray(path.read_bytes())
    central = raw.rindex(b"PK\1\2")
    raw[central + 24 : central + 28] = struct.pack("<I", 10)
    path.write_bytes(raw)
    ((data, fault),) = unzipped(path).values()
    assert fault or len(data) <= 10


def test_a_broken_or_empty_zip_is_told(tmp_path):
    whole = zipped(tmp_path / "a.zip", {"a.png": picture()}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    with pytest.raises(UsageError, match="not a readable zip"):
        unzipped(tmp_path / "cut.zip")
    with pytest.raises(NotFound, match="no picture"):
        unzipped(zipped(tmp_path / "b.zip", {"a.txt": b"x"}))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_no_altered_zip_does_more_than_fail(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    zipped(path, {"a/1.png": picture(1), "b/2.png": picture(2)}, compression=8)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with contextlib.suppress(UsageError, NotFound):
        assert all(fault or isinstance(it, bytes) for it, fault in unzipped(path).values())


# ---------------------------------------------------------------------------------- tables


def test_a_cell_is_a_path_or_bytes_or_both(tmp_path):
    tree(tmp_path, "a.png")
    there, gone = str(tmp_path / "a.png"), str(tmp_path / "b.png")

    def told(cell, base):
        name, data, row, wrong = picture_in({"x": cell}, "x", base, "row 1")
        assert row["x"] in (name, "row 1") or data is None
        return name, data, wrong

    assert told("a.png", tmp_path) == ("a.png", there, None)
    assert told(there, Path("elsewhere")) == (there, there, None)
    assert told("b.png", tmp_path) == ("b.png", gone, f"no such file: {gone}")
    for nothing in ("", " ", None, float("nan"), {"bytes": None, "path": None}):
        assert told(nothing, tmp_path) == (None, None, "no path in column 'x'")
    assert told(b"GIF8", tmp_path) == (None, b"GIF8", None)
    assert told({"bytes": b"GIF8", "path": "z"}, tmp_path) == ("z", b"GIF8", None)


def test_a_table_is_read_row_by_row_from_its_own_folder_or_the_root(tmp_path):
    tree(tmp_path / "pics", "a.png")
    table = tmp_path / "m.csv"
    table.write_text("File,label\na.png,1\n,2\n")
    base = tmp_path / "pics"
    first, second = rows_of_pictures(str(table), str(base))
    assert first == ("a.png", str(base / "a.png"), {"File": "a.png", "label": "1"}, None)
    assert second[0] == "row 2" and second[3] == "no path in column 'File'"
    assert next(rows_of_pictures(str(table)))[3].startswith("no such file")
    given = rows_of_pictures(str(table), str(base), [({"image": "a.png"}, "odd")])
    assert next(given)[3] == "odd"
    with pytest.raises(NotFound, match="no such folder"):
        next(rows_of_pictures(str(table), str(tmp_path / "none")))
    with pytest.raises(UsageError, match="no column with the paths"):
        next(rows_of_pictures(str(table), rows=[({"x": "1"}, None)]))
