"""What a program asks about becomes samples, and these are answered in chunks."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import deepfield
from deepfield.domains import domain
from deepfield.toolkit import answering
from deepfield.toolkit.answering import in_chunks
from deepfield.toolkit.data import Encoded, Sample
from deepfield.toolkit.errors import UsageError

#: A model of every domain, and a row of a table that it reads, with labels of no sense.
ROWS = {
    "image/small_cnn_digits": {"path": "a.png", "label": "?", "split": "maybe"},
    "face/small_face": {"a": "a.png", "b": "a.png", "same": "maybe", "fold": "?"},
    "speech/digits": {"path": "a.flac", "text": 7, "speaker": "?", "part": "maybe"},
    "drug/fusion_esol": {"smiles": "CCO", "logS": "soluble", "split": "maybe"},
    "genomics/splice_uci": {"sequence": "ACGT" * 15, "label": "?", "split": "maybe"},
    "qa/story": {"story": "Ann left.", "question": "Who left?", "answer": 7, "supporting": "x"},
}


@pytest.fixture(params=ROWS)
def asked(request, tmp_path, monkeypatch):
    """A pipeline and a row that it answers, beside the files that the row names."""
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    shutil.copy(domain("speech").samples["said"](), tmp_path / "a.flac")
    monkeypatch.chdir(tmp_path)
    pipeline = deepfield.load(request.param)
    pipeline.settings["crop"] = True
    return pipeline, ROWS[request.param]


def test_a_row_is_answered_whatever_its_label_says(asked, tmp_path):
    pipeline, row = asked
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    (answer,) = pipeline.predict("t.jsonl")
    assert answer["status"] == "ok", answer["reason"]


def test_a_dictionary_is_a_row_as_a_table_holds_it(asked, tmp_path):
    pipeline, row = asked
    broken = dict.fromkeys(row)
    (tmp_path / "t.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(broken)}\n")
    told = list(pipeline.predict("t.jsonl"))
    assert [answer["status"] for answer in told] == ["ok", "rejected"]
    assert list(pipeline.predict([row, broken])) == told
    assert list(pipeline.predict(iter([broken, row]))) == told[::-1]
    assert list(pipeline.predict(row)) == told[:1]
    with pytest.raises(UsageError, match="'rows'"):
        list(pipeline.predict([{"wrong": 1, 2: "names"}]))


def test_rows_and_other_things_stand_in_one_list(asked):
    pipeline, row = asked
    one = next(pipeline.as_samples(row)).data
    told = [answer["status"] for answer in pipeline.predict([row, Sample("x", one), row, None])]
    assert told == ["ok", "ok", "ok", "rejected"]


def test_options_of_a_table_are_those_of_rows():
    pipeline = deepfield.load("drug/fusion_esol")
    (sample,) = pipeline.as_samples({"what": "CCO"}, smiles="what")
    assert sample.data == "CCO"
    with pytest.raises(UsageError, match="--question does not apply to 'rows', read as table"):
        next(deepfield.load("qa/story").predict(ROWS["qa/story"], question="Who?"))


def test_a_recording_with_its_rate_is_no_row():
    heard = {"array": np.zeros(16000, np.float32), "sampling_rate": 16000}
    (answer,) = deepfield.load("speech/digits").predict([heard])
    assert answer["id"] == "0" and answer["status"] == "ok"


@pytest.mark.parametrize("most_bytes", [64 << 20, 900])
def test_who_goes_on_at_a_multiple_gets_the_same_lists(most_bytes, monkeypatch):
    monkeypatch.setattr(answering, "_CHUNK_BYTES", most_bytes)
    rng = np.random.default_rng(0)
    items = [Encoded(Sample(str(i), None), {"x": np.zeros(rng.integers(1, 90), np.uint8)})
             for i in range(300)]  # fmt: skip
    items[70].arrays = None  # a rejected one
    whole = list(in_chunks(iter(items), 64))
    assert [item for chunk in whole for item in chunk] == items
    assert len(whole[0]) == 8
    for done in (64, 192, 256):
        behind, place = [], 0
        for chunk in whole:
            if place >= done:
                behind.append(chunk)
            place += len(chunk)
        assert list(in_chunks(iter(items[done:]), 64, early=False)) == behind
