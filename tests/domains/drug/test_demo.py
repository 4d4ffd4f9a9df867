"""The demonstration: every preset that ships answers, and what is missing is told."""

import pytest

from deepfield.domains.drug import DrugPipeline
from deepfield.domains.drug.demo import demo, told
from deepfield.toolkit.console import Console
from deepfield.toolkit.presets import preset_folder
from deepfield.toolkit.report import Report


@pytest.mark.parametrize(
    ("answer", "said", "probability"),
    [
        ({"value": -1.234, "low": -2, "high": 0.5}, "-1.23 (-2.00 to 0.50)", None),
        ({"probability": 0.8}, "yes", 0.8),
        ({"probability": 0.2}, "no", 0.2),
        ({"a": 0.1, "a_low": 0, "b": 0.3}, "likeliest of 2: b", 0.3),
    ],
)
def test_an_answer_in_words(answer, said, probability):
    assert told(["a", "b"], answer) == (said, probability)


def test_every_preset_answers_or_says_what_is_missing():
    page = Report("demo")
    rows = demo(DrugPipeline, page, Console(quiet=True))
    models = {row["model"] for row in rows}
    assert models == set(DrugPipeline.presets) - {"encoder"}
    shipped = [m for m in models if preset_folder(DrugPipeline, m).is_dir()]
    for model in shipped:
        own = [row for row in rows if row["model"] == model]
        assert len(own) == 3 and own[0]["input"] == "aspirin" and own[0]["ms"]
    assert not shipped or "known drugs" in page.html()
