"""What is kept is made once; where nothing can be written, in a folder that passes."""

import os

import pytest

from deepfield.domains.genomics.genome import Genome
from deepfield.toolkit.cache import cache_folder, kept, passing, place_for, unwritable
from deepfield.toolkit.console import keep_out_of_home


@pytest.fixture
def barred(tmp_path, monkeypatch):
    """A cache in which nothing can be written, whoever asks."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "file" / "cache"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_kept_is_made_once(own):
    made = []

    def make(path):
        made.append(path)
        path.write_text("x")

    first = kept("a/b", "c.txt", make)
    assert first == kept("a/b", "c.txt", make) == str(own / "a" / "b" / "c.txt")
    assert len(made) == 1 and made[0].name != "c.txt"  # whole, or not at all


def test_where_nothing_can_be_written_it_passes_with_the_process(barred):
    assert place_for("a") == passing() / "a"
    assert kept("a", "c.txt", lambda path: path.write_text("x")) == str(passing() / "a" / "c.txt")


def test_asking_whether_a_folder_can_be_written_need_not_make_it(own, tmp_path):
    assert unwritable(cache_folder(), make=False) == ""
    assert not own.exists()
    assert unwritable(own) == "" and own.is_dir()
    (tmp_path / "file").touch()
    for below in ("", "cache", "cache/of/mine"):
        for make in (False, True):
            assert unwritable(tmp_path / "file" / below, make)


def test_libraries_write_into_the_folder_that_passes(barred, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("MPLCONFIGDIR", "mine")
    keep_out_of_home()
    assert os.environ["KERAS_HOME"] == str(passing() / "keras")
    assert os.environ["MPLCONFIGDIR"] == "mine"


def test_a_genome_is_indexed_where_neither_its_folder_nor_the_cache_can_be_written(
    barred, tmp_path, monkeypatch
):
    monkeypatch.setattr("deepfield.domains.genomics.genome._MOST_WHOLE", 0)
    monkeypatch.setattr("deepfield.domains.genomics.genome.os.access", lambda *_: False)
    source = tmp_path / "g.fa"
    source.write_text(">one\nACGTACGT\n")
    assert Genome(str(source)).fetch("one", 2, 4) == b"GT"
    assert not (tmp_path / "g.fa.fai").exists() and list((passing() / "genomes").glob("*.fai"))
