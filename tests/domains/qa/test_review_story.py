"""The story of the review (LeCun, Bengio, Hinton 2015), asked of the shipped network."""

import json
from itertools import chain

import numpy as np
import pytest
from program import typed

from deepfield.domains.qa.data import story_text
from deepfield.domains.qa.demo import PEOPLE as FOLK
from deepfield.domains.qa.demo import PLACES as SPOTS
from deepfield.domains.qa.demo import THINGS as GOODS
from deepfield.domains.qa.demo import other_names, renamed
from deepfield.domains.qa.features import Asked, sentences_of
from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.domains.qa.world import PEOPLE, PLACES, THINGS
from deepfield.toolkit.presets import preset_folder

STORY = (
    "Bilbo travelled to the cave. Gollum dropped the ring there. Bilbo took the ring. "
    "Bilbo went back to the Shire. Bilbo left the ring there. Frodo got the ring. "
    "Frodo journeyed to Mount-Doom. Frodo dropped the ring there. Sauron died. "
    "Frodo went back to the Shire. Bilbo travelled to the Grey-havens. The End."
)
ASKED = {
    "Where is the ring?": (
        "Mount-Doom",
        ["Frodo journeyed to Mount-Doom.", "Frodo dropped the ring there."],
    ),
    "Where is Bilbo now?": ("Grey-havens", ["Bilbo travelled to the Grey-havens."]),
    "Where is Frodo now?": ("Shire", ["Frodo went back to the Shire."]),
}

needs_preset = pytest.mark.skipif(
    not preset_folder(QAPipeline, "story").is_dir(),
    reason="the preset qa/story is not in domains/qa/presets",
)


def usual_names(seed):
    """Names that every reader knows in the place of the story's."""
    rng = np.random.default_rng(seed)
    pairs = ((FOLK, PEOPLE), (SPOTS, PLACES), (GOODS, THINGS))
    drawn = [zip(own, rng.permutation(pool)[: len(own)], strict=True) for own, pool in pairs]
    return {old: str(new) for old, new in chain(*drawn)}


RENAMINGS = {
    "as told": {"Bilbo": "Bilbo"},
    "Mary": dict(
        zip(
            (*FOLK, *SPOTS, *GOODS),
            ("Mary", "John", "Daniel", "Sandra", "kitchen", "office", "garden", "hallway",
             "football"),
            strict=True,
        )
    ),
    **{f"invented {seed}": other_names(seed) for seed in range(1, 21)},
    **{f"usual {seed}": usual_names(seed) for seed in range(1, 5)},
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline():
    return QAPipeline.from_preset("story")


def test_the_sample_is_the_story():
    assert sentences_of(story_text("sample:lotr")) == sentences_of(STORY)


def test_renaming_leaves_everything_else():
    for names in RENAMINGS.values():
        told = renamed(STORY, names)
        assert len(sentences_of(told)) == len(sentences_of(STORY))
        assert len(set(names.values())) == len(names)
        assert renamed(told, {new: old for old, new in names.items()}) == STORY


@needs_preset
@pytest.mark.parametrize("names", RENAMINGS.values(), ids=RENAMINGS)
def test_the_story_is_understood_whatever_its_names(pipeline, names):
    sentences = sentences_of(renamed(STORY, names))
    asked = [Asked(sentences, renamed(question, names)) for question in ASKED]
    for row, (answer, supporting) in zip(pipeline.predict(asked), ASKED.values(), strict=True):
        assert row["answer"] == renamed(answer, names)
        assert row["probability"] > 0.9
        assert row["supporting"] == [renamed(sentence, names) for sentence in supporting]


@needs_preset
def test_the_story_is_asked_on_the_command_line(tmp_path):
    path = tmp_path / "lotr.txt"
    path.write_text(STORY)
    run = typed("qa", "ask", "--story", str(path), "--json", *ASKED)
    assert run.code == 0, run.err
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert [row["question"] for row in rows] == [*ASKED]
    for row, (answer, supporting) in zip(rows, ASKED.values(), strict=True):
        assert row["answer"] == answer and row["probability"] > 0.9
        assert row["supporting"] == supporting
