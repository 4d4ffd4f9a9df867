"""Figures of texts, and what the validation part chooses."""

import json

import numpy as np
import pytest

from deepfield.domains.speech.language import Language
from deepfield.domains.speech.task import (
    Transcription,
    certainty,
    confusions,
    edits,
    letter_edits,
    right_words,
    text_of,
    words_of,
)
from deepfield.toolkit.errors import BadInput, UsageError

TEXTS = ["go left", "go right", "stop", "left right"]


@pytest.fixture
def task():
    made = Transcription({"frame_s": 0.02})
    made.learn(TEXTS)
    return made


def outputs(task, texts, frames=40, clear=9.0, seed=0, wrong=0.0):
    """Log-probabilities in which texts are heard, letter by letter."""
    rng = np.random.default_rng(seed)
    rows = []
    for text in texts:
        z = rng.normal(0, 0.5, (frames, len(task.alphabet) + 1))
        z[:, 0] += 4
        for i, symbol in enumerate(task.alphabet.symbols(text)):
            heard = rng.integers(1, z.shape[1]) if rng.random() < wrong else symbol
            z[2 * i + 1, heard] += clear if heard == symbol else clear / 2
        rows.append(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))
    return {"log_probs": np.stack(rows)}


def targets(task, texts):
    made = np.zeros((len(texts), 20), int)
    for row, text in zip(made, texts, strict=True):
        symbols = task.alphabet.symbols(text)
        row[: len(symbols)] = symbols
    return made


@pytest.mark.parametrize(
    ("truth", "said", "words", "letters"),
    [
        ("a b c", "a b c", (0, 3), (0, 5)),
        ("a b c", "a c", (1, 3), (2, 5)),
        ("a b", "a x b", (1, 2), (2, 3)),
        ("a b", "", (2, 2), (3, 3)),
        ("", "a", (1, 0), (1, 0)),
    ],
)
def test_edits_are_counted(truth, said, words, letters):
    assert edits(truth, said) == words and letter_edits(truth, said) == letters


def test_words_are_paired_with_what_was_heard():
    assert right_words("go left now", "go right now") == [True, False, True]
    assert right_words("", "go") == [False]
    pairs = confusions("go left now", "go right")
    assert pairs[0] == ("go", "go") and sorted(b for _, b in pairs[1:]) == ["", "right"]


def test_an_answer_has_words_with_times(task):
    answer = task.answer(task.predictions(outputs(task, ["go left"]), None)[0])
    assert answer["text"] == "go left"
    first, second = answer["words"]
    assert first["word"] == "go" and 0 <= first["start"] < first["end"] < second["start"] < 0.8
    assert 0 < answer["probability"] < first["probability"] <= 1
    json.dumps(answer)


def test_silence_answers_with_nothing(task):
    blank = np.full((1, 9, len(task.alphabet) + 1), -1e4)
    blank[..., 0] = 0
    answer = task.answer(task.predictions({"log_probs": blank}, None)[0])
    assert answer == {"text": "", "probability": None, "words": []}
    assert certainty({"log_probs": blank}).tolist() == [0.0]


def test_figures_are_the_fields_own(task):
    said = task.predictions(outputs(task, ["go left", "go", "stop", "left right"]), None)
    figures = task.figures(targets(task, TEXTS), said)
    assert [text_of(p) for p in said] == ["go left", "go", "stop", "left right"]
    assert figures["wer"] == pytest.approx(1 / 7)  # "right" is not heard
    assert figures["accuracy"] == 0.75 and 0 < figures["cer"] < 1 and figures["ece"] is not None
    groups = task.groups(targets(task, TEXTS), said)
    assert groups["go"] == {"n": 2, "recall": 1.0, "heard_as": ""}
    assert groups["right"]["recall"] == 0.5 and groups["right"]["heard_as"] == "nothing (1)"
    assert all(png.startswith(b"\x89PNG") for _, png in task.plots(targets(task, TEXTS), said))


def test_a_strange_letter_rejects_its_own_row(task):
    assert task.alphabet.text(task.encode("GO, Left!")["log_probs"]) == "go left"
    with pytest.raises(BadInput, match="the text has 'é'"):
        task.encode("gé")


def test_without_a_text_there_is_nothing_to_learn():
    with pytest.raises(UsageError, match="no text to learn from"):
        Transcription().learn(["", "..."])


def test_the_search_needs_a_language(task):
    with pytest.raises(UsageError, match="needs a language model"):
        task.use("search", None)


def test_the_validation_part_chooses(task):
    language = Language.of([t.split() for t in TEXTS], 2)
    task.use(None, language)
    assert task.decoder == "search"
    texts = TEXTS * 20
    heard = outputs(task, texts, wrong=0.3)
    task.tune(targets(task, texts), heard, [f"speaker {i % 6}" for i in range(len(texts))])
    assert set(task.state["search"]) == {"weight", "bonus"}
    measured = task.state["confidence_measured"]
    assert measured["greedy"]["ece_after"] < measured["greedy"]["ece_before"]
    assert len(task.state["confidence"]["greedy"]) == 4
    json.dumps(task.state)
    greedy_wer = []
    for how in ("greedy", "search"):
        task.use(how, language)
        greedy_wer.append(task.figures(targets(task, texts), task.predictions(heard, None))["wer"])
    assert greedy_wer[1] < greedy_wer[0] / 2


def test_what_is_no_number_stays_none(task):
    rows = outputs(task, ["go"])["log_probs"]
    rows[0, 3] = np.nan
    assert np.isnan(task.predictions({"log_probs": rows}, None)).all()


def test_words_of_a_prediction_carry_the_chance_of_their_letters(task):
    said = task.predictions(outputs(task, ["go left"]), None)[0]
    assert [w["word"] for w in words_of(said, 0.02)] == ["go", "left"]
