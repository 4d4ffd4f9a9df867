"""What a program asks about becomes samples, and these are answered in chunks."""

import io
import json
import shutil
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import deepfield
from deepfield.domains import domain
from deepfield.toolkit import answering
from deepfield.toolkit.answering import in_chunks
from deepfield.toolkit.data import Encoded, Sample
from deepfield.toolkit.errors import BadInput, UsageError

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
    with pytest.raises(UsageError, match=r"no column.* the rows") as wrong:
        list(pipeline.predict([{"wrong": 1, 2: "names"}]))
    assert "'" not in wrong.value.message and "--" not in wrong.value.hint
    assert wrong.value.hint.endswith("its columns: wrong, 2")


def test_rows_and_other_things_stand_in_one_list(asked):
    pipeline, row = asked
    one = next(pipeline.as_samples(row)).data
    told = [answer["status"] for answer in pipeline.predict([row, Sample("x", one), row, None])]
    assert told == ["ok", "ok", "ok", "rejected"]


def test_a_row_that_tells_nothing_costs_itself_alone_beside_whatever(asked):
    pipeline, row = asked
    (one,) = pipeline.as_samples(row)
    wrong = {"wrong": 1}
    for data in ([row, wrong, row], [wrong, row], [one, wrong, row], [wrong, one, wrong, wrong]):
        told = list(pipeline.predict(data))
        right = [thing is not wrong for thing in data]
        assert [answer["status"] == "ok" for answer in told] == right, data
        assert all(len(answer["reason"]) < 100 for answer in told)
        assert len(list(pipeline.predict(iter(data), on_error="skip"))) == sum(right)
        with pytest.raises(BadInput):
            list(pipeline.predict(data, on_error="fail"))


def test_a_row_is_numbered_by_its_place_among_all_things(asked):
    pipeline, row = asked
    (one,) = pipeline.as_samples(row)
    empty = dict.fromkeys(row)
    told = [s.id for s in pipeline.as_samples([one, empty, one, empty, empty, one, {"wrong": 1}])]
    assert told == [one.id, "row 2", one.id, "row 4", "row 5", one.id, "row 7"]


def test_many_rows_that_tell_nothing_are_told_of_at_once():
    pipeline, wrong = deepfield.load("drug/fusion_esol"), {"wrong": 1}
    with pytest.raises(UsageError, match="no column of the rows holds SMILES"):
        next(pipeline.as_samples(repeat(wrong)))
    samples = pipeline.as_samples(chain(["CCO"], repeat(wrong)))
    assert [s.fault is None for s in islice(samples, 300)] == [True] + [False] * 299


def test_the_names_of_columns_may_be_numbers():
    (sample,) = deepfield.load("drug/fusion_esol").as_samples([{1: "CCO"}])
    assert sample.data == "CCO"


@pytest.mark.parametrize(("row", "columns"), [({"CCO": 1}, "CCO"), ({}, "none")])
def test_rows_without_columns_that_fit_are_not_told_of_files(row, columns):
    with pytest.raises(UsageError) as told:
        next(deepfield.load("drug/fusion_esol").predict(row))
    assert told.value.message == "no column of the rows holds SMILES"
    assert told.value.hint == f"call it smiles; its columns: {columns}"


def test_options_of_a_table_are_those_of_rows():
    pipeline = deepfield.load("drug/fusion_esol")
    (sample,) = pipeline.as_samples({"what": "CCO"}, smiles="what")
    assert sample.data == "CCO"
    with pytest.raises(UsageError, match="question does not apply to the rows, read as table"):
        next(deepfield.load("qa/story").predict(ROWS["qa/story"], question="Who?"))


def test_a_recording_with_its_rate_is_no_row():
    heard = {"array": np.zeros(16000, np.float32), "sampling_rate": 16000}
    (answer,) = deepfield.load("speech/digits").predict([heard])
    assert answer["id"] == "0" and answer["status"] == "ok"
    (answer,) = deepfield.load("speech/digits").predict([{"array": heard["array"]}])
    assert answer["status"] == "rejected" and len(answer["reason"]) < 100


PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)
ENCODED = io.BytesIO()
Image.fromarray(PIXELS).save(ENCODED, "png")


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS,
        Image.fromarray(PIXELS),
        ENCODED.getvalue(),
        {"path": None, "bytes": ENCODED.getvalue()},
    ],
    ids=["array", "Pillow", "bytes", "both"],
)
def test_a_cell_may_hold_a_picture(picture):
    images, faces = deepfield.load("image/small_cnn_digits"), deepfield.load("face/small_face")
    faces.settings["crop"] = True
    row = {"image": picture, "label": np.int64(3)}
    (sample,) = images.as_samples(row)
    assert (sample.id, sample.target) == ("row 1", "3")
    (answer,) = images.predict(row)
    assert answer["status"] == "ok" and answer["image"] == "row 1"
    (answer,) = faces.predict({"a": picture, "b": picture, "same": True})
    assert answer["status"] == "ok" and answer["a"] == "row 1 (a)"


def test_a_cell_may_hold_a_recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = Path(domain("speech").samples["said"]()).read_bytes()
    heard, rate = soundfile.read(io.BytesIO(said), dtype="float32")
    pipeline = deepfield.load("speech/digits")
    (expected,) = pipeline.predict([(heard, rate)])
    cells = [
        {"path": "a.wav", "array": heard, "sampling_rate": rate},
        {"path": "a.wav", "bytes": said},
        {"path": None, "bytes": said},
        (heard, rate),
        said,
    ]
    for cell in cells:
        row = {"audio": cell, "text": "seven"}
        (sample,) = pipeline.as_samples(row)
        assert sample.target == "seven"
        (answer,) = pipeline.predict([sample])
        named = isinstance(cell, dict) and cell["path"]
        assert answer["audio"] == sample.id == (named or "row 1")
        (answer,) = pipeline.predict({"audio": cell})
        assert (answer["status"], answer["text"]) == ("ok", expected["text"])


@pytest.mark.parametrize("cell", [7, True, [[0] * 999] * 999, {}, {"array": np.zeros(9999)}, b"x"])
def test_a_cell_of_another_kind_is_rejected_in_a_few_words(cell):
    for name, columns in (("image/small_cnn_digits", ["image"]), ("speech/digits", ["audio"]),
                          ("face/small_face", "ab")):  # fmt: skip
        (answer,) = deepfield.load(name).predict(dict.fromkeys(columns, cell))
        assert answer["status"] == "rejected" and len(answer["reason"]) < 250, answer["reason"]


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
