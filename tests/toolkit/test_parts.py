"""Data are dealt again as they were for a network, which is judged as it was."""

import json
from dataclasses import replace

import numpy as np
import pytest
from held_out import held_out

import deepfield
from deepfield.domains.image.pipeline import ImagePipeline
from deepfield.toolkit import parts
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.inspection import inspect
from deepfield.toolkit.splits import Split


def test_what_a_network_never_saw_is_found_again_with_its_figures_and_interval(tiny):
    pipeline = deepfield.load(str(tiny))
    config = pipeline.bundle.config
    samples = held_out(pipeline, "digits", "test")
    assert len(samples) == config["data"]["counts"]["test"] == config["metrics"]["test"]["n"]
    seen = {s.id for s in held_out(pipeline, "digits", "train")}
    assert not seen & {s.id for s in samples + held_out(pipeline, "digits")}
    again = pipeline.evaluate(samples)
    assert again["metrics"]["accuracy"] == config["metrics"]["test"]["accuracy"]
    assert again["intervals"]["accuracy"] == pytest.approx(config["intervals"]["test"]["accuracy"])


def test_samples_without_a_label_are_told_in_a_line(tiny):
    pipeline = deepfield.load(str(tiny))
    pictures = np.zeros((99, 8, 8), np.uint8)
    for learn in (pipeline.evaluate, ImagePipeline("small_cnn").fit):
        with pytest.raises(UsageError, match="'samples'") as caught:
            learn(pictures)
        assert len(caught.value.message) < 120 and "\n" not in caught.value.message


def test_a_label_of_no_sense_is_told_who_learns_or_measures(tmp_path):
    row = {"story": "Ann left. Bob sat.", "question": "Who left?", "answer": "Ann"}
    rows = [{**row, "supporting": [1]}, {**row, "supporting": [7]}]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pipeline = deepfield.load("qa/story")
    found = pipeline.evaluate(str(path))
    assert (found["n"], found["rejected"]) == (1, 1)
    found = inspect(type(pipeline)(), str(path), timed=False)
    reason = "supporting is [7], the story has 2 sentences"
    assert found["rejects"] == [{"id": "row 2", "reason": reason}]


def test_who_has_nothing_left_to_train_on_is_told_why():
    dark, light = np.zeros((8, 8), np.uint8), np.full((8, 8), 200, np.uint8)
    copies = [
        Sample(f"{label} {part}", picture, label, part=part)
        for part in ("train", "valid")
        for label, picture in (("a", dark), ("b", light))
    ]
    with pytest.raises(UsageError, match="0 usable training samples; 2 are copies of held-out"):
        ImagePipeline("small_cnn").fit(copies)


def test_who_learns_measures_or_inspects_leaves_the_samples_as_they_are(tiny):
    pipeline = deepfield.load(str(tiny))
    read = list(pipeline.as_samples("sample:digits-folder"))
    kinds = ({"target": None}, {"label_fault": "no digit"}, {"part": "some"})
    odd = [replace(read[0], **kind) for kind in kinds]
    samples = [*read, *odd]
    assert pipeline.evaluate(samples)["rejected"] == 2
    assert inspect(ImagePipeline("small_cnn"), samples, timed=False)["rejected"] == 2
    rows = parts.deal(ImagePipeline("small_cnn"), samples, Split.parse(None)).rows()
    assert [row["reason"] for row in rows[len(read) :]] == [
        "no label",
        "no digit",
        "part 'some' is none of train, valid and test",
    ]
    assert [sample.fault for sample in samples] == [None] * len(samples)
    assert {row["status"] for row in pipeline.predict(samples)} == {"ok"}
