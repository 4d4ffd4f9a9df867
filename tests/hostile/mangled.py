"""Files that were whole once: cut, flipped, repeated, with numbers that are far too large."""

import re

from hypothesis import strategies as st

#: Pieces that formats trip over.
PIECES = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\r", b"\t", b",", b'"', b"'", b"\\",
    b"{", b"[" * 300, b"../../etc/passwd", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"0",
    b"\xf0\x9f\x92\xa9", b"\xc3", b"%s%n", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b" " * 2000,
)  # fmt: skip
_NUMBER = re.compile(rb"\d+")


@st.composite
def mangled(draw, whole):
    """One to four changes of the bytes of a valid file."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.sampled_from(("flip", "cut", "drop", "repeat", "insert", "number", "swap")))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.sampled_from((1, 2, 4, 16, 200)))
        if how == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "drop":
            del data[at : at + size]
        elif how == "repeat":
            data[at:at] = data[at : at + size] * draw(st.sampled_from((1, 3, 50)))
        elif how == "insert":
            data[at:at] = draw(st.sampled_from(PIECES))
        elif how == "number":
            found = list(_NUMBER.finditer(bytes(data[:4000])))
            if found:
                one = found[draw(st.integers(0, len(found) - 1))]
                data[one.start() : one.end()] = draw(st.sampled_from(PIECES))
        elif how == "swap":
            data[at : at + size] = data[at : at + size][::-1]
    return bytes(data)
