import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit.report import Report

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (800).to_bytes(4, "big") * 2
VOID = {"meta", "img"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed in order; gathers text and attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text, self.tags = [], "", []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def full():
    page = Report("A <title> & more").section("Part <1>").text("one\n\ntwo <script>x</script>")
    page.metrics({"accuracy": 0.98765, "n": 12345, "none": None, "baseline": {"rmse": np.nan}})
    page.table([{"name": "<b>", "f1": 0.5}, {"name": "dog", "f1": None}])
    return page.table([["a", 1], ["b", 2]], ["letter", "count"]).picture(PNG, 'a "quoted" <one>')


def test_the_page_is_well_formed_and_shows_everything_as_text():
    page = Balanced(full().html())
    for part in ("A <title> & more", "Part <1>", "<script>x</script>", "<b>", "12,345", "0.9877"):
        assert part in page.text
    assert "baseline rmse" in page.text and "nan" not in page.text.lower()
    assert not {"script", "b", "one", "link"} & {tag for tag, _ in page.tags}


def test_the_page_needs_no_network_and_fits_phones_and_dark_screens():
    page = full().html()
    assert not re.search(r"https?://|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page and "width=device-width" in page
    images = [a for tag, a in Balanced(page).tags if tag == "img"]
    assert images[0]["src"].startswith("data:image/png;base64,")
    assert images[0]["width"] == "400" and images[0]["alt"] == 'a "quoted" <one>'


def test_chapters_are_linked_at_the_head_and_hold_sections():
    assert "<nav>" not in full().html()
    inner = Report("").chapter("Two & more").section("part")
    page = Balanced(Report("x").chapter("One").then(inner).html())
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert links == [f"#{a['id']}" for tag, a in page.tags if tag == "h2"] == ["#one", "#two-more"]
    assert [tag for tag, _ in page.tags].count("h3") == 1


def test_only_png_pictures_are_taken():
    with pytest.raises(ValueError, match="not a PNG"):
        Report("x").picture(b"GIF89a")


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_no_text_breaks_the_page(text):
    page = Report(text).chapter(text).section(text).text(text).metrics({text: text})
    page.table([{text: text}]).picture(PNG, text)
    Balanced(page.html()).text.encode("utf-8")


def test_a_row_of_many_columns_names_its_cells_where_there_is_no_room():
    many = Report("").table([{"a": 1, "b": 2, "c": 3, "d": 4, 'e"<': None}]).html()
    assert 'class="wide"' in many and '<td class="number" data-of="a">1</td>' in many
    assert '<td data-of="e&quot;&lt;">–</td>' in many
    few = Report("").table([{"a": 1, "b": 2, "c": 3, "d": 4}]).html()
    assert 'class="wide"' not in few and "data-of=" not in few
