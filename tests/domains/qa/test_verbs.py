import io
import json
import sys

import pytest

from deepfield.domains.qa.data import READERS
from deepfield.domains.qa.features import Asked
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.domains.qa.verbs import ask, write_stories
from deepfield.toolkit.commands import Flags
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import REJECTED, NotFound, UsageError


class Loaded:
    """Stands for a trained pipeline: where somebody went last."""

    def __init__(self):
        self.settings = {}

    def predict(self, asked):
        for sample in asked:
            one = sample.data
            assert isinstance(one, Asked) and sample.row == {"question": one.question}
            who = one.question.removesuffix("?").rpartition(" ")[2]
            last = [s for s in one.sentences if s.startswith(who)]
            row = {**sample.row, "answer": None, "supporting": [], "in_domain": None}
            if not last:
                yield row | {"status": "rejected", "reason": "nobody"}
                continue
            answer = last[-1].removesuffix(".").rpartition(" ")[2]
            yield row | {"answer": answer, "probability": 0.97, "supporting": last[-1:],
                         "status": "ok", "reason": ""}  # fmt: skip


def load(name, domain, device):
    assert (name, domain) == ("mine", "qa")
    return Loaded()


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "lotr.txt"
    path.write_text("Bilbo went to the\nShire. Frodo went to Mount-Doom.")
    return str(path)


def test_a_question_is_answered_with_its_grounds(story, capsys):
    flags = Flags(story=story, model="mine")
    assert ask(QAPipeline, load, ("Where is Bilbo?", "Where is Frodo?"), flags) == 0
    assert capsys.readouterr().out == (
        "Shire  (97%)\n    Bilbo went to the Shire.\n"
        "Mount-Doom  (97%)\n    Frodo went to Mount-Doom.\n"
    )


def test_questions_are_typed_in_and_a_rejected_one_is_told(story, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where is Bilbo?\n\nWhere is Sam?\n"))
    flags = Flags(story=story, model="mine", json=True)
    assert ask(QAPipeline, load, (), flags) == REJECTED
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert one["question"] == "Where is Bilbo?" and one["answer"] == "Shire"
    assert two["reason"] == "nobody"


def test_a_story_comes_from_standard_input(capsys, monkeypatch):
    text = io.TextIOWrapper(io.BytesIO(b"Bilbo went to Bree."))
    monkeypatch.setattr(sys, "stdin", text)
    flags = Flags(story="-", model="mine")
    assert ask(QAPipeline, load, ("Where is Bilbo?",), flags) == 0
    assert capsys.readouterr().out.startswith("Bree  (97%)")


def test_what_cannot_be_asked_is_said(story, monkeypatch):
    with pytest.raises(UsageError, match="no story"):
        ask(QAPipeline, load, ("Where?",), Flags(model="mine"))
    monkeypatch.setattr(QAPipeline, "presets", ())
    with pytest.raises(NotFound, match="no prebuilt network"):
        ask(QAPipeline, load, ("Where?",), Flags(story=story))
    with pytest.raises(UsageError, match="cannot both come from standard input"):
        ask(QAPipeline, load, (), Flags(model="mine", story="-"))
    with pytest.raises(NotFound):
        ask(QAPipeline, load, ("Where?",), Flags(model="mine", story=story + "x"))


def test_simulated_stories_are_written_in_babis_form(tmp_path, capsys):
    flags = Flags(count=7, seed=3, length="5-9", questions=2, names="invented")
    assert write_stories(QAPipeline, load, flags) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "new" / "world_test.txt"
    assert write_stories(QAPipeline, load, Flags(flags | {"output": str(path)})) == 0
    assert path.read_text() == printed
    samples = list(read_source(str(path), READERS, {}))
    assert len({s.group for s in samples if s.target}) == 7
    assert max(len(s.data.sentences) for s in samples) <= 9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": "x"}, "--length 'x'"),
        ({"length": "9-5"}, "--length '9-5'"),
        ({"count": 0}, "--count 0 is too small"),
    ],
)
def test_wrong_numbers_are_named(wrong, message):
    flags = Flags(count=7, seed=3, length="5-9", questions=2, names="usual")
    with pytest.raises(UsageError, match=message):
        write_stories(QAPipeline, load, Flags(flags | wrong))
