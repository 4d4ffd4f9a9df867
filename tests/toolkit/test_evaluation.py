"""An evaluation has one shape, and says what it was made on."""

import json

import pytest
from program import here

import deepfield
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.evaluation import evaluate_fully, report

KEYS = ["model", "data", "n", "rejected", "seconds", "metrics", "intervals", "baseline",
        "by", "groups", "published"]  # fmt: skip


def test_the_json_has_the_shape_that_everything_hangs_on(tiny):
    run = here("image", "evaluate", "sample:digits-idx", "-m", str(tiny), "--json")
    assert run.code == 0 and len(run.out.splitlines()) == 1
    result = json.loads(run.out)
    assert list(result) == KEYS
    assert result["model"] == "tiny" and result["n"] == 500 and result["rejected"] == 0
    assert list(result["metrics"]) == ["accuracy", "top5_accuracy", "ece"]
    low, high = result["intervals"]["accuracy"]
    assert 0 <= low <= result["metrics"]["accuracy"] <= high <= 1
    assert result["baseline"]["test"]["n"] and len(result["groups"]) == 10
    assert sum(group["support"] for group in result["groups"].values()) == 500


def test_what_cannot_be_judged_is_counted_with_its_reason(tiny):
    pipeline = deepfield.load(str(tiny))
    good = list(pipeline.read("sample:digits-folder"))
    bad = [Sample("x", None, target="5", fault="broken"), Sample("y", good[0].data)]
    bad += [Sample("z", good[0].data, target="zebra")]
    rows = []
    done = evaluate_fully(pipeline, [*bad, *good], row=rows.append)
    assert done.result["n"] == len(good) and done.result["rejected"] == 3 and len(rows) == 43
    assert [row["reason"] for row in rows[:2]] == ["broken", "no label"]
    assert "zebra" in rows[2]["reason"] and "</html>" in report(pipeline, done).html()


def test_labels_of_another_data_set_are_refused(tiny):
    pipeline = deepfield.load(str(tiny))
    sample = next(pipeline.read("sample:digit"))
    with pytest.raises(UsageError, match="zebra"):
        pipeline.evaluate([Sample("a", sample.data, target="zebra")])
    with pytest.raises(UsageError, match="empty"):
        pipeline.evaluate([])


def test_figures_are_divided_by_a_column_where_the_task_names_one(tiny):
    pipeline = deepfield.load(str(tiny))
    samples = list(pipeline.read("sample:digits-folder"))
    for index, sample in enumerate(samples):
        sample.row["hand"] = ["h2", "h10"][index % 2]
    whole = pipeline.evaluate(samples)["metrics"]
    pipeline.task.column = "hand"
    pipeline.task.summary = lambda groups: {"hands": float(len(groups))}
    result = pipeline.evaluate(samples)
    assert list(result["groups"]) == ["h2", "h10"]
    assert sum(group["n"] for group in result["groups"].values()) == result["n"]
    mean = sum(group["n"] * group["accuracy"] for group in result["groups"].values()) / result["n"]
    assert mean == pytest.approx(whole["accuracy"])
    assert result["metrics"] == whole | {"hands": 2.0}
