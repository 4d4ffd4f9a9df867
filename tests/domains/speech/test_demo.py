from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.demo import CLIP, demo
from deepfield.toolkit.console import Console
from deepfield.toolkit.report import Report


def test_the_clip_is_the_projects_own_and_is_heard_by_every_preset(monkeypatch, model):
    monkeypatch.setattr(SpeechPipeline, "presets", ("one", "two"))
    monkeypatch.setattr(SpeechPipeline, "from_preset", lambda name: SpeechPipeline.load(model))
    page = Report("demo")
    rows = demo(SpeechPipeline, page, Console(quiet=True))
    assert [(r["input"], r["model"]) for r in rows] == [(CLIP, "one"), (CLIP, "two")]
    assert page.html().count("data:image/png") == 1


def test_the_clip_is_a_recording():
    (sample,) = SpeechPipeline().read(CLIP)
    (piece,) = SpeechPipeline().expand(sample)
    assert 1.0 < len(piece.waveform) / 16000 < 4.0
