import doctest

import pytest

from deepfield.toolkit import paths
from deepfield.toolkit.paths import is_file, is_file_of, is_folder, is_there, no_file


def test_what_is_there(tmp_path):
    file = tmp_path / "a"
    file.write_text("x")
    assert is_there(file) and is_file(str(file)) and not is_folder(file)
    assert is_there(tmp_path) and is_folder(str(tmp_path)) and not is_file(tmp_path)


@pytest.mark.parametrize("text", ["C" * 5000, "a\0b", "", "no such file"])
def test_what_is_no_path_is_not_there(text):
    assert not (is_there(text) or is_file(text) or is_folder(text))


def test_a_device_is_there_but_no_file(tmp_path):
    assert no_file(tmp_path).startswith("a folder, not a file: ")
    assert no_file("/dev/null") == "not a regular file: '/dev/null'"
    assert no_file("nowhere", "text") == "no such text: 'nowhere'"


def test_a_file_has_a_suffix_in_any_letters_gzipped_or_not(tmp_path):
    for name in ("A.CSV", "b.tsv.GZ"):
        (tmp_path / name).touch()
        assert is_file_of(str(tmp_path / name), (".csv", ".tsv"))
    assert not is_file_of(str(tmp_path / "A.CSV"), (".txt",))
    assert not is_file_of("none.csv", (".csv",))


def test_the_examples_run():
    assert doctest.testmod(paths).failed == 0
