import numpy as np
import pytest

from deepfield.domains.qa.features import Asked, Reading
from deepfield.domains.qa.pipeline import QAPipeline, grounds
from deepfield.domains.qa.task import Answers
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.testing_pipelines import check_pipeline

BAD = Sample("broken", Asked((), "Where?"), row={"id": "broken"})
SMALL = {"epochs": 30, "batch_size": 16, "units": 32, "hops": 1, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """Who went where: stories that are learnt in seconds."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "qa1_where.txt"
    with path.open("w") as file:
        for _ in range(250):
            line, at = 0, {}
            for _ in range(int(random.integers(1, 4))):
                for _ in range(2):
                    who = random.choice(["Ann", "Bob", "Cid"])
                    line, at[who] = line + 1, (random.choice(["attic", "barn", "cave"]), line + 1)
                    file.write(f"{line} {who} went {'back ' * (line % 2)}to the {at[who][0]}.\n")
                who = random.choice(list(at))
                line += 1
                file.write(f"{line} Where is {who}?\t{at[who][0]}\t{at[who][1]}\n")
    return str(path)


@pytest.mark.parametrize(
    "architecture", [pytest.param("query_reduction", marks=pytest.mark.slow), "memn2n"]
)
def test_it_keeps_the_contract(architecture, stories, tmp_path):
    check_pipeline(
        lambda: QAPipeline(architecture),
        stories,
        BAD,
        tmp_path,
        learnt=("accuracy", 0.9),
        settings=SMALL,
        split="group:70/15/15",
        verbs=("inspect", "evaluate", "predict", "explain", "export", "describe"),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small network on invented names, and its bundle."""
    folder = tmp_path_factory.mktemp("qa") / "model"
    QAPipeline("query_reduction").fit(
        "world:300:2:invented",
        out=folder,
        settings={"slots": 20, "epochs": 12, "units": 32, "learning_rate": 0.01},
        split="group:80/20/0",
    )
    return QAPipeline.load(folder)


def test_names_that_were_never_seen_are_answers(trained):
    story = ("Qux travelled to the Zlork.", "Qux got the wimble there.", "Vax went to Plumm.")
    rows = list(trained.predict([Asked(story, "Where is Vax?"), Asked(story, "Where is Qux?")]))
    assert {"Zlork", "Plumm"} & {row["answer"] for row in rows}
    for row in rows:
        assert row["status"] == "ok" and 0 < row["probability"] <= 1
        assert set(row["supporting"]) <= set(story)
        assert set(row["alternatives"]) <= {"Qux", "Zlork", "wimble", "Vax", "Plumm"}


def test_renaming_changes_no_probability(trained):
    story = ("Qux travelled to the Zlork.", "Qux got the wimble there.", "Vax went to Plumm.")
    other = tuple(
        s.replace("Qux", "Мария").replace("Zlork", "北").replace("wimble", "x1") for s in story
    )
    one, two = trained.predict([Asked(story, "Where is Qux?"), Asked(other, "Where is Мария?")])
    assert one["probability"] == pytest.approx(two["probability"], abs=1e-5)


def test_too_many_unknown_words_are_said(trained):
    story = tuple(f"Name{i} went to the Place{i}." for i in range(20))
    (row,) = trained.predict([Asked(story, "Where is Name1?")])
    assert row["in_domain"] is False
    assert row["in_domain_reason"].startswith("words that the network does not know: ")


def test_evaluation_has_a_row_a_task(trained):
    result = trained.evaluate("world:40:9:invented")
    assert set(result["groups"]) == {"before", "where_person", "where_thing"}
    errors = [figures["error"] for figures in result["groups"].values()]
    assert result["metrics"]["error"] == pytest.approx(np.mean(errors))
    assert result["metrics"]["failed_tasks"] == sum(error > 0.05 for error in errors)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (None, "not a story with a question"),
        ("Ann left.".split, "not a story with a question"),
        (Asked((), "Where?"), "the story is empty"),
        (Asked(("Ann left.",), ""), "no question"),
        (Asked(("Ann left.",), None), "no question"),
    ],
)
def test_what_cannot_be_asked_is_rejected(trained, item, reason):
    (row,) = trained.predict([item])
    assert row["status"] == "rejected" and row["reason"] == reason
    with pytest.raises(BadInput):
        trained.encode(item)


def test_a_text_is_a_story_and_one_question_is_no_list(trained):
    told, question = ("Qux went to the Hall.", "Qux sat."), "Where is Qux?"
    (expected,) = trained.predict([Asked(told, question)])
    for story in (list(told), " ".join(told)):
        assert list(trained.predict(Asked(story, question))) == [expected]
        (row,) = trained.predict({"story": story, "question": question})
        answer = {name: value for name, value in expected.items() if name != "id"}
        assert row == {"story": story, "question": question, **answer}


def test_a_story_of_thousands_of_sentences_is_answered(trained):
    story = tuple(f"Qux went to the Place{i % 5}." for i in range(10_000))
    (row,) = trained.predict([Asked(story, "Where is Qux?")])
    assert row["status"] == "ok"


@pytest.mark.parametrize("architecture", ["query_reduction", "memn2n"])
def test_finetuning_keeps_the_words_that_the_network_had(architecture, tmp_path, monkeypatch):
    def lines(places, people):
        told = [(who, where) for who in people for where in places] * 4
        return "".join(
            f"1 {who} went to the {where}.\n2 Where is {who}?\t{where}\t1\n" for who, where in told
        )

    old, new = tmp_path / "qa1_old.txt", tmp_path / "qa1_new.txt"
    old.write_text(lines(["attic", "barn"], ["Ann", "Zoe"]))
    new.write_text(lines(["barn", "cave"], ["Bob", "Zoe"]))
    settings, split = {"epochs": 2, "units": 8}, "group:80/20/0"
    base = QAPipeline(architecture)
    base.fit(str(old), out=tmp_path / "base", settings=settings, split=split)
    base = QAPipeline.load(tmp_path / "base")
    monkeypatch.setattr("deepfield.toolkit.training.fit", lambda *_, **__: [])
    base.finetune(str(new), out=tmp_path / "fine", settings={"epochs": 1}, split=split)
    fine = QAPipeline.load(tmp_path / "fine")
    before, after = base.vocabulary, fine.vocabulary
    assert after.words[: len(before.words)] == before.words
    assert {"bob", "cave"} <= set(after.words) - set(before.words)
    for layer in (x.name for x in base.model.layers if x.name.startswith("words")):
        kept, grown = (np.array(p.model.get_layer(layer).embeddings) for p in (base, fine))
        assert len(grown) == len(after) > len(kept) == len(before)
        np.testing.assert_array_equal(grown[: len(kept)], kept)


@pytest.mark.parametrize(
    ("preset", "said"), [("story", "up to 64 others in a story"), ("babi_1k", "with no other")]
)
def test_the_card_says_what_was_learnt_from_and_what_is_beyond_it(preset, said):
    pipeline = QAPipeline.from_preset(preset)
    text = pipeline.card_text(pipeline.bundle.config)
    assert said in text and pipeline.bundle.config["data_name"] in text
    assert "Free prose" in text and "always answers" in text


def test_none_is_an_answer_and_words_joined_by_commas_are_one():
    task = Answers()
    task.learn(["none", "one", "n,w", "none"])
    assert task.labels == ["n,w", "none", "one"]
    assert int(task.encode("none")["logits"]) == 1
    with pytest.raises(BadInput, match="'two' is no answer"):
        task.encode("two")
    with pytest.raises(UsageError, match="1 different answers"):
        Answers().learn(["yes"])


def test_empty_slots_are_no_answers():
    task = Answers({"labels": ["no"], "slots": 3})
    assert int(task.encode(("slot", 2))["logits"]) == 3
    found = task.named(np.array([0.1, 0.2, 0.3, 0.4]), Reading(slots=("Ann", "Bob")))
    assert found == {"answer": "Bob", "probability": 0.3, "alternatives": {"Ann": 0.2, "no": 0.1}}


def test_grounds_are_the_sentences_that_a_hop_looked_at():
    attention = np.array([[0.1, 0.0, 0.8, 0.1, 0.0], [0.5, 0.2, 0.1, 0.2, 0.9]])
    assert grounds({"attention": attention}, Reading(("a", "b", "c", "d"))) == [0, 1, 2, 3]
    assert grounds({"attention": attention[:1]}, Reading(("a", "b", "c"))) == [2]
    assert grounds({}, Reading(("a",))) == []


def test_a_story_with_its_question_is_encoded_as_a_dictionary_too():
    pipeline = QAPipeline.from_preset("story")
    told = {"story": "Ann left. Bob sat.", "question": "Who left?"}
    arrays, read = pipeline.encode(told)
    assert read.sentences == ("Ann left.", "Bob sat.")
    expected = pipeline.encode(next(pipeline.as_samples(told)).data)[0]
    assert all((arrays[name] == expected[name]).all() for name in expected)
    for wrong in ({**told, "story": 7}, {**told, "question": None}, {"story": "Ann left."}):
        with pytest.raises(BadInput):
            pipeline.encode(wrong)
