"""What mends a preset, and what is known of one that is not there."""

import shlex
import sys
from importlib import metadata

import pytest
from toys import Toy

from deepfield.toolkit import presets
from deepfield.toolkit.errors import DeepfieldError, NotFound, UnusableModel


class Told:
    """An installed distribution that says where it came from."""

    version = "1.2.3"

    def __init__(self, origin):
        self.origin = origin

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.origin


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (None, "deepfield==1.2.3"),
        ('{"url": "file:///a/deepfield.whl", "archive_info": {}}', "file:///a/deepfield.whl"),
        ('{"url": "file:///a", "dir_info": {}}', "file:///a"),
        ('{"url": "file:///a", "dir_info": {"editable": true}}', "deepfield==1.2.3"),
    ],
)
def test_what_is_installed_again_is_what_was_installed(origin, wanted, monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "distribution", lambda name: Told(origin))
    monkeypatch.setattr(presets, "_ROOT", tmp_path)
    monkeypatch.setattr(Toy, "presets", ("own",))
    command = shlex.split(presets.mend(Toy, "own"))
    assert command[0] == sys.executable and command[-1] == wanted
    with pytest.raises(NotFound) as caught:
        presets.preset_bundle(Toy, "own")
    assert shlex.split(caught.value.hint) == command


def test_a_file_too_many_is_the_one_that_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "preset_folder", lambda cls, name: tmp_path)
    (tmp_path / "a b").touch()
    (tmp_path / "b").mkdir()
    for name, command in (("a b", ["rm"]), ("b", ["rm", "-r"])):
        error = UnusableModel(f"bundle is damaged: {name} does not belong to it", "copy it again")
        told = shlex.split(presets.mend(Toy, "own", error))
        assert told == [*command, str(tmp_path / name)]


def test_a_network_of_our_own_lacks_nothing(monkeypatch):
    assert presets.adopted_facts(Toy, "own") == {}
    assert presets.lacking(Toy, "own") == ""
    monkeypatch.setattr(Toy, "adopted", {"own": "nowhere:adopt"})
    assert presets.lacking(Toy, "own") == ""  # of which nothing is told


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_converted(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(DeepfieldError, match="the published weights are converted into") as caught:
        presets.begin_conversion("own", tmp_path / "file" / "toy" / "own")
    assert "export DEEPFIELD_CACHE" in caught.value.hint and not capsys.readouterr().err
    presets.begin_conversion("own", tmp_path / "toy" / "own")("a step")
    assert capsys.readouterr().err == ("own: converting the published weights, once\n  a step\n")
