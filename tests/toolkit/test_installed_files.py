import sys
from pathlib import Path

import pytest

from deepfield.toolkit.errors import NotFound
from deepfield.toolkit.installed_files import installed


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
