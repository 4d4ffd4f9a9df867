"""Every command block of README.md and docs/ runs as it stands."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _refresh():
    spec = importlib.util.spec_from_file_location("docs_refresh", ROOT / "docs" / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


refresh = _refresh()
PAGES = [p for p in refresh.pages() if refresh.BLOCK.search(p.read_text())]


def test_the_pages_hold_commands():
    assert {"README.md", "image.md"} <= {p.name for p in PAGES}


def test_no_page_names_a_machine():
    for page in refresh.pages():
        text = page.read_text()
        for own in ("/work/", "/root/", "/home/", "/tmp/"):
            assert own not in text, f"{page.name} holds {own}"


def test_a_command_may_go_over_several_lines():
    assert refresh.commands("$ a \\\n  b\nout\n$ c\n") == ["a \\\n  b", "c"]


def test_a_failed_block_is_left_as_it_is(tmp_path):
    page = "<!-- refresh -->\n```console\n$ exit 5\nold\n```\n```console\n$ echo new\nold\n```\n"
    faults = []
    text = "".join(refresh.refreshed(page, tmp_path, faults))
    assert "$ exit 5\nold\n" in text and "$ echo new\nnew\n" in text
    assert len(faults) == 1 and "exit code 5" in faults[0]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_of_a_page_runs(page):
    assert refresh.run_page(page, write=False) == []
