"""Names trade places where the data show that they are names, and story and answer alike."""

import numpy as np
import pytest

from deepfield.domains.qa.features import Asked, encode
from deepfield.domains.qa.names import interchangeable, traded
from deepfield.domains.qa.pipeline import QAPipeline, silent_words
from deepfield.domains.qa.vocabulary import Vocabulary
from deepfield.toolkit.data import Encoded, Sample, collate


def lesson(story, question, answer):
    return Asked(tuple(story), question), answer


def where(*told):
    """Who went where, asked of everybody: names and places by the dozen."""
    return [
        lesson([f"{who} went to the {place}." for who, place in told], f"Where is {who}?", place)
        for who, place in told
    ]


PEOPLE_AND_PLACES = [
    *where(("Mary", "attic"), ("John", "barn")),
    *where(("John", "attic"), ("Mary", "barn")),
]


def test_people_trade_with_people_and_places_with_places():
    assert interchangeable(PEOPLE_AND_PLACES) == [("attic", "barn"), ("john", "mary")]
    assert interchangeable([]) == []


def test_words_in_other_company_are_no_group():
    lessons = [
        lesson(["Mary went to the attic.", "The apple is in a box."], "Where is Mary?", "attic"),
        lesson(["Mary went to the attic.", "The apple is in a box."], "What is in a box?", "apple"),
    ]
    assert interchangeable(lessons) == []


def test_words_that_nobody_asks_for_stay():
    told = [
        lesson([f"Mary {how} went to the {place}."], "Where is Mary?", place)
        for how in ("slowly", "quickly")
        for place in ("attic", "barn")
    ]
    assert interchangeable(told) == [("attic", "barn")]
    asked = [(Asked(a.sentences, "How did Mary go?"), a.sentences[0].split()[1]) for a, _ in told]
    assert interchangeable([*told, *asked]) == [("attic", "barn"), ("quickly", "slowly")]


def test_words_that_answer_without_being_told_mean_something():
    told = [lesson([f"Mary took {n} nuts."], "How many?", n) for n in ("one", "two")]
    assert interchangeable(told) == [("one", "two")]
    counted = lesson(["Mary took one nuts.", "Mary took one nuts."], "How many?", "two")
    assert interchangeable([*told, counted]) == []


def test_words_from_which_something_follows_mean_something():
    why = [lesson([f"Sumit is {mood}."], "Why did Sumit go?", mood) for mood in ("hungry", "tired")]
    assert interchangeable(why) == [("hungry", "tired")]
    follows = [
        lesson([f"Sumit is {mood}."], "Where will Sumit go?", place)
        for mood, place in (("hungry", "kitchen"), ("tired", "bedroom"))
    ]
    assert interchangeable([*why, *follows]) == []


def test_directions_mean_something():
    def told(way, answer):
        return lesson([f"The attic is {way} of the barn."], f"What is {way} of the barn?", answer)

    assert interchangeable([told("north", "attic"), told("south", "attic")]) == [("north", "south")]
    paths = [
        lesson([f"The attic is {way} of the barn."], "How do you go from the barn?", way[0])
        for way in ("north", "south")
    ]
    assert interchangeable([told("north", "attic"), told("south", "attic"), *paths]) == []


def sizes(smaller):
    """Whether one fits in the other, told in other words; of some pairs it is always known."""
    lessons, random = [], np.random.default_rng(0)
    for turn in range(200):
        one, other = random.permutation(["chest", "crate", "trunk", "sweet"])[:2]
        fits = one == smaller or (other != smaller and bool(random.random() < 0.5))
        a, b = (one, other) if fits else (other, one)
        told = [f"Day {turn}.", f"The {a} is less than the {b}.", "The sweet is not a crate."]
        told += ["The crate is not a trunk.", "The chest is not a sweet.", "The trunk is no chest."]
        lessons.append(lesson(told, f"Does the {one} fit in the {other}?", "yes" if fits else "no"))
    return lessons


def test_words_that_the_answers_depend_on_mean_something():
    assert interchangeable(sizes("nothing")) == [("chest", "crate", "sweet", "trunk")]
    assert interchangeable(sizes("sweet")) == [("chest", "crate", "trunk")]
    # many questions on one story are no more evidence than one
    few = sizes("sweet")[:4]
    assert interchangeable(few * 100) == interchangeable(few)


def test_names_of_other_tasks_trade_where_nobody_asks_for_them():
    told = [
        lesson([f"{who} took the {what}.", f"{who} went home."], f"Where is the {what}?", "home")
        for who in ("Mary", "John")
        for what in ("apple", "pear")
    ]
    assert interchangeable(told) == [("apple", "pear")]
    assert interchangeable(told, {"mary", "john", "ann"}) == [("apple", "pear"), ("john", "mary")]
    # not where they say something else
    assert interchangeable(told, {"took", "went"}) == [("apple", "pear")]


def test_lessons_that_contradict_each_other_anyway_say_nothing_of_names():
    one, two = where(("Mary", "attic"), ("John", "barn"))
    wrong = (one[0], "barn")
    assert interchangeable([*PEOPLE_AND_PLACES, one, two, wrong])


# -- trading


LABELS = ("attic", "barn", "apple,milk", "milk,pear", "green apple", "red apple", "maybe not")
WORDS = (
    "mary",
    "john",
    "went",
    "to",
    "the",
    "attic",
    "barn",
    "apple",
    "milk",
    "pear",
    "green",
    "red",
)
VOCABULARY = Vocabulary([*WORDS, "where", "is", "maybe not"])
PEOPLE, PLACES = ("john", "mary"), ("attic", "barn")


def batch_of(lessons):
    encoded = [encode(asked, VOCABULARY)[0] for asked, _ in lessons]
    targets = np.array([LABELS.index(answer) for _, answer in lessons])
    return collate(encoded, {}), {"logits": targets}


def words_in(ids):
    return [VOCABULARY.words[i - 2] for i in ids[ids > 0]]


def trade(lessons, groups, seed=0):
    """Stories, questions and answers in words, as they were renamed."""
    vary = traded(groups, VOCABULARY, LABELS, "logits")
    rng = np.random.default_rng(seed)
    inputs, targets = vary(rng, np.arange(len(lessons)), *batch_of(lessons))
    return [
        ([words_in(row) for row in story if row.any()], words_in(question), LABELS[label])
        for story, question, label in zip(
            inputs["story"], inputs["question"], targets["logits"], strict=True
        )
    ]


def test_story_question_and_answer_are_renamed_alike():
    lessons = where(("Mary", "attic"), ("John", "barn")) * 40
    met = set()
    for story, question, answer in trade(lessons, [[PEOPLE, PLACES]] * len(lessons)):
        (one, *_, first), (two, *_, second) = story
        assert {one, two} == set(PEOPLE) and {first, second} == set(PLACES)
        assert answer == {one: first, two: second}[question[-1]]
        met.add((one, first, answer))
    assert len(met) == 8


def test_the_batch_that_was_given_stays_as_it_is():
    lessons = where(("Mary", "attic"), ("John", "barn"))
    inputs, targets = batch_of(lessons)
    before = inputs["story"].copy(), inputs["question"].copy(), targets["logits"].copy()
    vary = traded([[PEOPLE, PLACES]] * 2, VOCABULARY, LABELS, "logits")
    for seed in range(4):
        new, _ = vary(np.random.default_rng(seed), np.arange(2), inputs, targets)
        assert new["story"].dtype == np.int32 and new["question"].dtype == np.int32
    after = inputs["story"], inputs["question"], targets["logits"]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_the_generator_decides():
    lessons = where(("Mary", "attic"), ("John", "barn")) * 8
    groups = [[PEOPLE, PLACES]] * len(lessons)
    assert trade(lessons, groups, 1) == trade(lessons, groups, 1) != trade(lessons, groups, 2)


def test_every_item_trades_by_its_own_groups():
    lessons = where(("Mary", "attic"), ("John", "barn")) * 20
    groups = [[PEOPLE], []] * 20
    vary = traded(groups, VOCABULARY, LABELS, "logits")
    inputs, targets = batch_of(lessons)
    odd = np.arange(1, 40, 2)
    taken = {n: a[odd] for n, a in inputs.items()}, {n: a[odd] for n, a in targets.items()}
    new, _ = vary(np.random.default_rng(0), odd, *taken)
    np.testing.assert_array_equal(new["story"], taken[0]["story"])
    for story, _, answer in trade(lessons, groups)[::2]:
        assert [row[-1] for row in story] == ["attic", "barn"]
        assert answer == "attic"


@pytest.mark.parametrize(
    ("answer", "group", "others"),
    [
        ("apple,milk", ("apple", "pear"), {"apple,milk"}),  # no class "pear,milk"
        ("apple,milk", ("apple", "milk", "pear"), {"apple,milk", "milk,pear"}),
        ("green apple", ("green", "red"), {"green apple", "red apple"}),
        ("maybe not", ("green", "red"), {"maybe not"}),
    ],
)
def test_an_answer_of_several_words_becomes_another_class_or_nothing_is_renamed(
    answer, group, others
):
    story = ["Mary went to apple milk pear green red."]
    lessons = [lesson(story, "Where is Mary?", answer)] * 60
    before = ["mary", "went", "to", "apple", "milk", "pear", "green", "red"]
    found = trade(lessons, [[group]] * 60)
    assert {label for _, _, label in found} == others
    for (told,), _, label in found:
        names = dict(zip(before, told, strict=True))
        renamed = label.replace(",", " ").split()
        assert [names.get(w, w) for w in answer.replace(",", " ").split()] == renamed


def test_labels_that_are_written_with_the_same_words_keep_apart():
    vocabulary = Vocabulary(["attic", "barn", "no", "is", "it"])
    labels = ("no", "no!", "attic")
    vary = traded([[PLACES]] * 2, vocabulary, labels, "logits")
    story = np.array([[[2, 3]], [[3, 2]]], np.int32)
    inputs = {"story": story, "question": story[:, 0]}
    for seed in range(5):
        _, targets = vary(np.random.default_rng(seed), np.arange(2), inputs,
                          {"logits": np.array([0, 1])})  # fmt: skip
        assert targets["logits"].tolist() == [0, 1]


def test_a_group_whose_words_are_all_passed_over_trades_nothing():
    vocabulary = Vocabulary(["went", "attic"], silent=PEOPLE)
    vary = traded([[PEOPLE]], vocabulary, ("attic",), "logits")
    inputs = {"story": np.array([[[2, 3]]], np.int32), "question": np.array([[2]], np.int32)}
    new, _ = vary(np.random.default_rng(0), np.arange(1), inputs, {"logits": np.array([0])})
    np.testing.assert_array_equal(new["story"], inputs["story"])


# -- what the pipeline makes of it


def prepared(architecture="mention_network", **hyper):
    pipeline = QAPipeline(architecture)
    pipeline.hyper = hyper
    samples = [
        Sample(str(i), Asked(a.sentences, a.question, (0,), "qa1"), target=answer)
        for i, (a, answer) in enumerate(PEOPLE_AND_PLACES)
    ]
    targets = [sample.target for sample in samples]
    pipeline.task.learn(targets)
    pipeline.prepare(samples, targets)
    return pipeline, [
        Encoded(sample, *pipeline.encode(sample.data), {"logits": np.int32(0)})
        for sample in samples
    ]


def test_words_of_nearly_every_sentence_are_silent():
    def stories(task, *sentences):
        return Asked(sentences, "?", task=task)

    told = [
        stories("a", "Mary went to the attic.", "John has the ball.", "Ann saw the cat."),
        stories("b", "It rains.", "The sun sets.", "Snow falls."),
    ]
    assert silent_words(told) == ["the"]
    # "square" is in most sentences of bAbI's task 17, and tells a red square from a red sphere
    most = [f"The {what} is red." for what in ("square one", "square two", "square three", "ball")]
    assert silent_words([stories("c", *most)]) == ["is", "red", "the"]
    assert silent_words([]) == []
    # a sentence counts once, however often it is told
    again = stories("b", *["The sun sets."] * 20)
    assert silent_words([told[1], again]) == []


def test_silent_words_are_not_read():
    pipeline, items = prepared()
    assert pipeline.state["vocabulary"]["silent"] == ["the", "to", "went"]
    assert items[0].arrays["story"].shape == (2, 2)
    assert Vocabulary(**pipeline.vocabulary.state()).silent == pipeline.vocabulary.silent
    others, items = prepared("memn2n")
    assert "silent" not in others.state["vocabulary"]
    assert items[0].arrays["story"].shape == (2, 5)


def test_a_sentence_of_silent_words_alone_keeps_them():
    vocabulary = Vocabulary(["is"], slots=1, silent=["The", "to"])
    assert vocabulary.told(("To", "the")) == ("To", "the")
    assert vocabulary.told(("THE", "is", "to")) == ("is",)
    assert "the" not in vocabulary


def test_names_trade_places_in_training_unless_told_otherwise():
    pipeline, items = prepared()
    assert pipeline.variation(items) is not None
    for hyper in ({"trade": False}, {"slots": 4}):
        pipeline.hyper = hyper
        assert pipeline.variation(items) is None
    pipeline, items = prepared("memn2n")
    assert pipeline.variation(items) is None


def test_grounds_are_learnt_where_the_data_tell_them():
    pipeline, items = prepared()
    assert set(pipeline.lesson("network", items[0])[1]) == {"logits"}
    pipeline.hyper = {"grounds": True}
    _, targets = pipeline.lesson("network", items[0])
    np.testing.assert_array_equal(targets["grounds"], [1, 0])
    asked = items[0].sample.data
    silent = Sample("x", Asked(asked.sentences, asked.question, (), "qa1"), target="attic")
    untold = Encoded(silent, *pipeline.encode(silent.data), {"logits": np.int32(0)})
    assert np.isnan(pipeline.lesson("network", untold)[1]["grounds"]).all()
