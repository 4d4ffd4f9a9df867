"""What the verbs do with their flags."""

import csv
import json
import os
import re
import shutil

import pytest
from program import here, typed

from deepfield.domains import domain
from deepfield.domains.image.data import SAMPLES
from deepfield.toolkit.commands import Flags, command_line, options_of, settings_of
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.writers import RowWriter


def test_settings_are_read_as_json_or_as_words():
    pairs = ("dropout=0.5", "filters=4", "jit=true", "schedule=cosine", "a=[1, 2]", "b=x=y")
    assert settings_of(Flags(set=pairs, epochs=3)) == {
        "dropout": 0.5, "filters": 4, "jit": True, "schedule": "cosine", "a": [1, 2], "b": "x=y",
        "epochs": 3,
    }  # fmt: skip
    with pytest.raises(UsageError, match="NAME=VALUE"):
        settings_of(Flags(set=("dropout",)))


def test_the_recorded_command_is_the_one_given():
    cls = domain("image")
    flags = Flags(output="m", set=("a=1", "b=x y"), quiet=True, resume=True, seed=7, epochs=None)
    line = command_line(cls, "train", "my data", flags)
    assert line == "deepfield image train 'my data' --output m --set a=1 --set 'b=x y' --seed 7"


def test_options_of_a_domain_go_to_the_reader_or_to_the_pipeline():
    cls = domain("image")
    flags = Flags(label="species", size=32, root=None)
    assert options_of(cls, "train", flags, reader=True) == {"label": "species"}
    assert options_of(cls, "train", flags, reader=False) == {"size": 32}


def table(path, encoding, delimiter=","):
    digit = SAMPLES["digit"]()
    rows = [["path", "größe", "label", "status"], [digit, "käse", "5", "mine"]]
    rows += [["nothing.png", "x", "", ""], [digit, "y"], [digit, "z", "5", ""]]
    with path.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    return rows


def test_a_run_that_would_fail_again_leaves_no_part(tiny, tmp_path):
    table(tmp_path / "in.csv", "utf-8")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    answer = ("image", "predict", str(tmp_path / "in.csv"), "-m", str(tiny))
    answer += ("-o", str(tmp_path / "out.csv"))
    assert here(*answer, "--on-error", "fail").code == 1
    assert here(*answer, str(tmp_path / "other.csv")).code == 2
    assert sorted(os.listdir(tmp_path)) == ["in.csv", "other.csv"]


def test_a_resumed_run_counts_what_was_rejected_before(tiny, tmp_path, monkeypatch):
    rows = table(tmp_path / "in.csv", "utf-8")
    out = tmp_path / "out.csv"
    answer = ("image", "predict", str(tmp_path / "in.csv"), "-m", str(tiny), "-o", str(out))
    assert here(*answer).code == 3
    whole = out.read_bytes()

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(RowWriter, "finish", interrupted)  # all is written but the name
    assert here(*answer).code == 130
    monkeypatch.undo()
    run = here(*answer, "--resume")
    assert run.code == 3 and f"after {len(rows) - 1} of an earlier run, 2 rejected" in run.err
    assert out.read_bytes() == whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_table_keeps_its_rows_in_order_with_columns_added(tiny, tmp_path, encoding):
    rows = table(tmp_path / "in.csv", encoding, ";")
    out = tmp_path / "out.csv"
    run = here("image", "predict", str(tmp_path / "in.csv"), "-m", str(tiny), "-o", str(out))
    assert run.code == 3 and "2 rejected" in run.err and not run.out
    with out.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [row["path"] for row in found] == [row[0] for row in rows[1:]]
    assert [row["größe"] for row in found] == ["käse", "x", "y", "z"]
    assert found[0]["given_label"] == "5" and found[0]["given_status"] == "mine"
    assert [row["status"] for row in found] == ["ok", "rejected", "rejected", "ok"]
    assert found[0]["label"] and not found[1]["label"] and found[1]["probability"] == ""
    assert "no such file" in found[1]["reason"] and "2 cells" in found[2]["reason"]
    assert {row["model"] for row in found} == {"tiny"}


def test_rejected_rows_can_be_left_out_or_stop_the_run(tiny, tmp_path):
    table(tmp_path / "in.csv", "utf-8")
    arguments = ("image", "predict", str(tmp_path / "in.csv"), "-m", str(tiny), "--json")
    skipped = here(*arguments, "--on-error", "skip")
    assert skipped.code == 3 and len(skipped.out.splitlines()) == 2
    failed = here(*arguments, "--on-error", "fail")
    assert failed.code == 1 and failed.two_lines and "nothing.png" in failed.err


def test_every_line_of_json_is_one_object(tiny):
    run = here("image", "predict", "digits", "-m", str(tiny), "--json")
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert run.code == 0 and len(rows) == 1797
    assert {"path", "label", "probability", "in_domain", "status", "reason", "model"} <= set(
        rows[0]
    )


def test_several_sources_follow_each_other(tiny):
    run = here("image", "predict", "sample:china", "sample:digits-zip", "-m", str(tiny))
    head, first, second, *_ = run.out.splitlines()
    assert run.code == 0 and head.startswith("path,given_label,label,")
    assert first.startswith("china.jpg,,") and second.startswith("0/")


def test_python_and_the_program_answer_alike(tiny):
    import deepfield

    run = here("image", "predict", "sample:digits-folder", "-m", str(tiny), "--json")
    rows = [json.loads(line) for line in run.out.splitlines()]
    pipeline = deepfield.load(str(tiny))
    assert json.loads(json.dumps(list(pipeline.predict("sample:digits-folder")))) == rows


def test_evaluation_is_a_table_for_a_person(tiny):
    run = here("image", "evaluate", "digits", "-m", str(tiny))
    head, first, *_ = run.out.splitlines()
    assert run.code == 0 and "95 % interval" in head and first.startswith("accuracy")
    assert len({len(line) for line in run.out.splitlines()}) == 1
    assert "1,797 answered" in run.err


def test_rows_of_an_evaluation_go_to_a_file_and_plots_to_a_page(tiny, tmp_path):
    rows, page = tmp_path / "rows.jsonl", tmp_path / "page.html"
    run = here(
        "image", "evaluate", "sample:digits-csv", "-m", str(tiny), "--json",
        "-o", str(rows), "--html", str(page),
    )  # fmt: skip
    assert run.code == 0 and json.loads(run.out)["n"] == 40
    assert len(rows.read_text().splitlines()) == 40 and "</html>" in page.read_text()
    assert sorted(os.listdir(tmp_path)) == ["page.html", "rows.jsonl"]


@pytest.mark.slow
def test_every_verb_runs_and_talks_on_standard_error_alone(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "m")

    def run(*arguments):
        done = typed("image", *arguments, cwd=tmp_path)
        assert done.code == 0 and "Traceback" not in done.err + done.out, done
        return done

    assert "1,797 of them labelled" in run("inspect", "digits").out
    assert json.loads(run("describe", "m", "--json").out)["total"]["parameters"] > 1000
    assert "of several" not in run("explain", "sample:digit", "-m", "m", "-o", "why.png").err
    told = run("explain", "sample:digits-folder", "-m", "m", "-o", "why.png").err
    assert re.search(r"of several samples the first: \S+\.png\n", told)
    run("explain", "sample:digit", "-m", "m", "-o", "why.html")
    for name in ("m.onnx", "m.tflite"):
        assert json.loads(run("export", "-m", "m", "-o", name, "--json").out)["bytes"] > 1000
    tuned = run(
        "finetune", "sample:digits-folder", "--from", "m", "-o", "f", "--epochs", "1", "--json"
    )
    assert json.loads(tuned.out)["metrics"]
    names = ["f", "m", "m.onnx", "m.tflite", "why.html", "why.png"]
    assert sorted(os.listdir(tmp_path)) == names


@pytest.mark.slow
def test_training_counts_what_it_cannot_read(tmp_path):
    from PIL import Image

    for shade in (0, 200):
        (tmp_path / "data" / str(shade)).mkdir(parents=True)
        for index in range(10):
            file = tmp_path / "data" / str(shade) / f"{index}.png"
            Image.new("L", (16, 16), shade + index).save(file)
    (tmp_path / "data" / "0" / "broken.png").write_bytes(b"no picture")
    run = typed(
        "image", "train", "data", "-o", "m", "--epochs", "1", "--set", "filters=4", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert run.code == 0 and json.loads(run.out)["rejected"] == 1 and "broken.png" in run.err, run


@pytest.mark.slow
def test_settings_that_make_no_sense_are_two_lines(tmp_path):
    for pair, said in (
        ("filter=4", "did you mean filters"), ("filters=abc", "whole number"),
        ("epochs=1.5", "whole number"), ("optimizer=5", "a word"),
    ):  # fmt: skip
        out = str(tmp_path / "m")
        run = typed("image", "train", "digits", "-o", out, "--set", pair, cwd=tmp_path)
        assert run.code == 2 and run.two_lines and said in run.err, run
    assert not os.listdir(tmp_path)
