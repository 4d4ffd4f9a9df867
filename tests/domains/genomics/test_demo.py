from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.demo import SHOWN, demo
from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report


def test_the_presets_answer_look_through_a_contig_and_say_why():
    page = Report("demo")
    rows = demo(GenomicsPipeline, page, Console(quiet=True))
    assert len(rows) == len(SHOWN) + 1
    assert any("places in" in str(row["answer"]) for row in rows)
    html = page.html()
    assert html.count("<img") == 1 and all(name in html for name in SHOWN)
