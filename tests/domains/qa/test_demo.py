"""The demonstration, the samples that ship, and what a mention network shows of its looks."""

import numpy as np
import pytest
from untrained_qa import STORY, bundle_of

from deepfield.domains.qa import demo as told
from deepfield.domains.qa.data import story_text
from deepfield.domains.qa.features import Asked, sentences_of
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import NotFound
from deepfield.toolkit.report import Report


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An untrained network to which every name is a slot."""
    folder = tmp_path_factory.mktemp("demo") / "story"
    return bundle_of("mention_network", folder, slots=24, grounds=True, hops=2)


def test_the_samples_are_read():
    pipeline = QAPipeline()
    (one,) = pipeline.read("sample:lotr", question="Where is the ring?")
    assert len(one.data.sentences) == 12 and one.target is None
    every = list(pipeline.read("sample:babi"))
    assert len({s.group for s in every}) == 2
    for sample in every:
        assert sample.fault is None and sample.data.supporting
        last = sample.data.sentences[sample.data.supporting[0]]
        assert sample.data.question.endswith("?") and last
    with pytest.raises(NotFound, match="no sample named 'nosuch'"):
        story_text("sample:nosuch")


def test_every_name_of_the_story_is_replaced():
    text = story_text(told.STORY)
    names = told.other_names(3)
    again = told.renamed(text, names)
    assert not any(name in again for name in names if name != "ring")
    assert len(sentences_of(again)) == len(sentences_of(text))


def test_the_demonstration_asks_the_story_twice(bundle, monkeypatch, capsys):
    monkeypatch.setattr(QAPipeline, "from_preset", classmethod(lambda cls, _: cls.load(bundle)))
    page = Report("page")
    rows = QAPipeline.demo(page, Console(False))
    assert [row["model"] for row in rows] == ["story"] * 6 + [*QAPipeline.presets[1:]]
    for row in rows[6:]:
        assert row["input"] == "sample:babi" and row["answer"].endswith(" of 6 right")
    # a network that knows none of the names cannot tell the tellings apart
    assert [row["probability"] for row in rows[:3]] == [row["probability"] for row in rows[3:6]]
    names = told.other_names(0)
    for one, two in zip(rows[:3], rows[3:6], strict=True):
        assert told.renamed(one["answer"], names) == two["answer"]
    assert "3 of 3 answers" in capsys.readouterr().err
    assert "supporting sentences" in page.html() and "data:image/png" in page.html()


def test_a_missing_preset_is_said(monkeypatch, capsys):
    def missing(cls, name):
        raise NotFound(f"the preset qa/{name} is missing", "reinstall deepfield")

    monkeypatch.setattr(QAPipeline, "from_preset", classmethod(missing))
    rows = QAPipeline.demo(Report("page"), Console(False))
    assert [row["model"] for row in rows] == [*QAPipeline.presets]
    assert {row["answer"] for row in rows} == {"reinstall deepfield"}
    assert "story: the preset qa/story is missing" in capsys.readouterr().err


def test_a_mention_network_shows_its_looks_and_its_grounds(bundle):
    pipeline = QAPipeline.load(bundle)
    explanation = pipeline.explain(Sample("one", Asked(STORY, "Where is Ann?")))
    assert explanation.method.startswith("attention") and "grounds" in explanation.method
    np.testing.assert_allclose(explanation.attention.sum(axis=1), 1, atol=1e-4)
    sentences = explanation.facts()["sentences"]
    assert all(0 <= s["grounds"] <= 1 and len(s["hops"]) == 2 for s in sentences)
    (row,) = pipeline.predict([Asked(STORY, "Where is Ann?")])
    assert row["supporting"] == [s["text"] for s in sentences if s["grounds"] > 0.5]
    lines = list(explanation.lines())
    assert lines[2].split() == ["hop", "1", "hop", "2", "grounds"]
    assert explanation.png().startswith(b"\x89PNG")
    assert "grounds" in explanation.report().html()
