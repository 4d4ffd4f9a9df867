"""VCF files go through unharmed: every byte that is not ours, whatever the file is like."""

import codecs
import gzip
import io
import sys
import types

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfield.domains.genomics import vcf
from deepfield.domains.genomics.vcf import (
    BGZF_END,
    VCFReader,
    VCFWriter,
    bgzf_block,
    read_row,
    with_header,
    with_info,
)
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError

HEADER = [b"##fileformat=VCFv4.2\n", b"##INFO=<ID=DP,Number=1>\n", b"##contig=<ID=1>\n",
          b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"]  # fmt: skip
ROWS = [f"1\t{at}\t.\tA\tC\t.\tPASS\tDP={at}\n".encode() for at in range(1, 2000)]


def written(path, content):
    path.write_bytes(content)
    return str(path)


def lines_of(source):
    reader = VCFReader(source)
    return reader.header, [row.line for row in reader.rows()], reader.warnings


# ------------------------------------------------------------------------------------- reading


def bgzf(content):
    blocks = [bgzf_block(content[at : at + 5_000]) for at in range(0, len(content), 5_000)]
    return b"".join(blocks) + BGZF_END


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzf])
def test_every_line_is_read_whatever_the_compression(pack, tmp_path):
    source = written(tmp_path / "in.vcf", pack(b"".join(HEADER + ROWS)))
    assert lines_of(source) == (HEADER, ROWS, [])


def test_several_gzip_members_are_one_file(tmp_path):
    source = written(
        tmp_path / "x.vcf.gz", gzip.compress(b"".join(HEADER)) + gzip.compress(b"".join(ROWS))
    )
    assert lines_of(source)[1] == ROWS


def test_standard_input_is_read(monkeypatch):
    packed = io.BytesIO(gzip.compress(b"".join(HEADER + ROWS)))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=packed))
    assert lines_of("-") == (HEADER, ROWS, [])


def test_a_line_without_an_end_is_refused(monkeypatch):
    class Endless:
        def read(self, size):
            nonlocal given
            given += size
            assert given < 10_000_000, "it is read to the end of memory"
            return b"#" * size

    given = 0
    monkeypatch.setattr(vcf, "LONGEST_LINE", 100_000)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=Endless()))
    with pytest.raises(UsageError, match="standard input has a line of more than"):
        VCFReader("-")


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    content = b"".join(HEADER + ROWS)
    for pack in (bytes, gzip.compress):
        source = written(tmp_path / "in.vcf", pack(codecs.BOM_UTF8 + content))
        assert lines_of(source) == (HEADER, ROWS, [])


@pytest.mark.parametrize("pack", [gzip.compress, bgzf])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_file_cut_in_the_middle_gives_what_is_sound_and_then_says_so(pack, share, tmp_path):
    content = b"".join(HEADER + [bytes(row) for row in ROWS * 20])
    packed = pack(content)
    source = written(tmp_path / "cut.vcf.gz", packed[: int(len(packed) * share)])
    reader, found = VCFReader(source), []
    if pack is bgzf and packed[: int(len(packed) * share)].endswith(BGZF_END):
        return
    with pytest.raises(DeepfieldError, match="not whole: it ends in the middle"):
        for row in reader.rows():
            found.append(row.line)
    assert len(found) > 100 and found == (ROWS * 20)[: len(found)]


def test_damaged_compression_is_told_apart_from_a_cut(tmp_path):
    packed = bytearray(gzip.compress(b"".join(HEADER + ROWS * 30)))
    packed[len(packed) // 2] ^= 0xFF
    reader = VCFReader(written(tmp_path / "bad.vcf.gz", bytes(packed)))
    with pytest.raises(DeepfieldError, match="not whole: its compression is damaged"):
        list(reader.rows())


def test_a_file_of_blocks_without_its_last_one_is_suspected(tmp_path):
    source = written(tmp_path / "x.vcf.gz", bgzf(b"".join(HEADER + ROWS))[: -len(BGZF_END)])
    _, rows, warnings = lines_of(source)
    assert rows == ROWS and "cut?" in warnings[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it is empty"), (ROWS[0], "line 1 is"), (HEADER[0], "it ends before one"),
     (HEADER[0] + ROWS[0], "line 2 is"), (b"\x89PNG\r\n\x1a\n\0\0", "line 1 is"),
     (b"#chrom\tpos\n" + ROWS[0], "it ends before one")],
)  # fmt: skip
def test_a_file_without_a_header_is_refused(content, why, tmp_path):
    with pytest.raises(UsageError, match="no line that begins with #CHROM") as caught:
        VCFReader(written(tmp_path / "in.vcf", content))
    assert why in caught.value.message and "##fileformat" in caught.value.hint


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(NotFound, match="No such file"):
        VCFReader(str(tmp_path / "none.vcf"))
    with pytest.raises(UsageError, match="is a folder"):
        VCFReader(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "fault"),
    [(b"1\t5\t.\tA\tC\n", "5 columns, not 8 or more"), (b"word\n", "1 column, not"),
     (b"1\t0\t.\tA\tC\t.\t.\t.\n", "POS is no place"), (b"1\t-3\t.\tA\tC\t.\t.\t.\n", "POS is no"),
     (b"1\t1e3\t.\tA\tC\t.\t.\t.\n", "POS is no"), (b"\t3\t.\tA\tC\t.\t.\t.\n", "CHROM is empty"),
     (b"1\t" + b"9" * 400 + b"\t.\tA\tC\t.\t.\t.\n", "POS is no"),
     (b"1\t3\t.\t<A>\tC\t.\t.\t.\n", "REF is no sequence"),
     (b"1\t3\t.\t\tC\t.\t.\t.\n", "REF is no sequence")],
)  # fmt: skip
def test_a_row_that_cannot_be_read_has_a_fault(line, fault):
    row = read_row(line, 7)
    assert fault in row.fault and row.line == line and row.number == 7


def test_a_blank_line_is_no_fault():
    assert read_row(b"\n", 3).fault == "" and read_row(b"", 3).contig == ""


cells = st.binary(max_size=12).map(lambda own: own.replace(b"\t", b"").replace(b"\n", b""))
hostile = st.lists(cells, max_size=12).map(b"\t".join)


@given(hostile, st.sampled_from([b"\n", b"\r\n", b""]))
def test_no_line_whatever_is_an_error_or_changed(text, end):
    row = read_row(text + end, 1)
    assert row.line == text + end
    if not row.fault and row.contig:
        changed = with_info(row.line, {"KEY": "1,2"})
        before, after = text.rstrip(b"\r").split(b"\t"), changed.split(b"\t")
        assert after[:7] == before[:7] and len(after) >= len(before)
        assert b"KEY=1,2" in after[7] and changed.endswith(end)
        assert b"KEY" not in with_info(changed, {}, ("KEY",)).split(b"\t")[7].replace(
            before[7], b""
        )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(hostile, max_size=30), st.booleans(), st.booleans())
def test_any_body_comes_through_byte_for_byte(tmp_path, body, packed, blocks):
    content = b"".join(HEADER) + b"\n".join(body)
    name = "out.vcf.gz" if blocks else "out.vcf"
    source = written(tmp_path / "in.vcf", gzip.compress(content) if packed else content)
    reader = VCFReader(source)
    writer = VCFWriter(str(tmp_path / name))
    writer.write_lines(reader.header, 0)
    for row in reader.rows():
        writer.write_lines([row.line], 1)
    writer.finish()
    raw = (tmp_path / name).read_bytes()
    assert (gzip.decompress(raw) if blocks else raw) == content
    assert not blocks or raw.endswith(BGZF_END)


# -------------------------------------------------------------------------------------- writing


def test_info_is_added_to_and_nothing_else_is_touched():
    line = b"1\t7\trs1\tA\tC\t.\tPASS\tDP=9;DB\tGT:PL\t0/1:3\r\n"
    assert with_info(line, {"K": "a|1"}) == line.replace(b"DP=9;DB", b"DP=9;DB;K=a|1")
    assert with_info(b"1\t7\t.\tA\tC\t.\t.\t.\r\n", {"K": "1"}).endswith(b"\tK=1\r\n")
    assert with_info(b"1\t7\t.\tA\tC\t.\t.\t", {"K": "1"}).endswith(b"\tK=1")
    assert with_info(line, {}) == line and with_info(line, {}, ("DBX",)) == line
    assert b"\tDP=9\t" in with_info(line, {}, ("DB",))
    assert with_info(b"1\t7\t.\tA\tC\t.\t.\tK=3", {}, ("K",)).endswith(b"\t.")


def test_header_lines_go_behind_those_of_info_or_before_the_columns():
    added = with_header(HEADER, {"K": "Number=1"})
    assert added[2] == b"##INFO=<ID=K,Number=1>\n" and added[:2] + added[3:] == HEADER
    bare = with_header([HEADER[0], HEADER[-1]], {"K": "Number=1"})
    assert bare == [HEADER[0], b"##INFO=<ID=K,Number=1>\n", HEADER[-1]]


def test_a_key_that_is_known_is_described_anew_in_its_place():
    assert with_header(HEADER, {"DP": "Number=2"})[1] == b"##INFO=<ID=DP,Number=2>\n"
    assert len(with_header(HEADER, {"DP": "Number=2"})) == len(HEADER)


def test_line_ends_of_the_header_are_kept():
    crlf = [line.replace(b"\n", b"\r\n") for line in HEADER]
    assert all(line.endswith(b"\r\n") for line in with_header(crlf, {"K": "Number=1"}))
    assert with_header([HEADER[-1].rstrip()], {})[-1].endswith(b"\n")


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_an_interrupted_file_goes_on_where_it_ended(name, tmp_path):
    out = str(tmp_path / name)
    first = VCFWriter(out, {"data": "x"})
    first.write_lines(HEADER, 0)
    first.write_lines(ROWS[:100], 100)
    first.close()
    with (tmp_path / f"{name}.part").open("ab") as stream:
        stream.write(b"half a li")
    assert not (tmp_path / name).exists()
    again = VCFWriter(out, {"data": "x"}, resume=True)
    assert again.begun and again.samples == 100
    again.write_lines(ROWS[100:], len(ROWS) - 100)
    again.finish()
    assert lines_of(out) == (HEADER, ROWS, [])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(UsageError, match="another data"):
        other = VCFWriter(out, {"data": "x"})
        other.write_lines(HEADER, 1)
        other.close()
        VCFWriter(out, {"data": "y"}, resume=True)


def test_blocks_are_as_bgzip_makes_them(tmp_path):
    text = bytes(range(256)) * 100
    block = bgzf_block(text)
    assert gzip.decompress(block) == text
    assert int.from_bytes(block[16:18], "little") + 1 == len(block)
    assert gzip.decompress(BGZF_END) == b""
