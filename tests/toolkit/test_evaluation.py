"""An evaluation has one shape, and says what it was made on."""

import json

import numpy as np
import pytest
from program import here

import deepfield
from deepfield.toolkit import tables
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.evaluation import evaluate_fully, report
from deepfield.toolkit.tasks import Classification

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
    many = result | {"groups": {f"h{i}": result["groups"]["h2"] for i in range(103)}}
    lines = list(tables.figures_of_evaluation(many))
    assert lines[-1] == "and 3 more: --html or --json has them" and "h99" in lines[-2]


def test_figures_that_want_all_folds_at_once_stand_in_for_the_others(tiny):
    pipeline = deepfield.load(str(tiny))
    samples = list(pipeline.read("sample:digits-folder"))
    for index, sample in enumerate(samples):
        sample.row["hand"] = ["h2", "h10"][index % 2]

    def folded(truth, said, kinds):  # of what is drawn again, its own hands
        right = said.argmax(axis=1) == truth
        own = {str(k): {"accuracy": float(right[np.array(kinds) == k].mean())} for k in set(kinds)}
        return {"accuracy": float(np.mean([f["accuracy"] for f in own.values()])), "se": 0.1}, own

    pipeline.task.column, pipeline.task.folded = "hand", folded
    pipeline.task.published_together = lambda groups: {
        "others": {"metrics": {"accuracy": 0.5, "se": None}, "on": f"on {len(groups)} hands"}
    }
    done = evaluate_fully(pipeline, samples)
    result = done.result
    assert list(result["metrics"])[:2] == ["accuracy", "se"]
    mean = np.mean([group["accuracy"] for group in result["groups"].values()])
    assert result["metrics"]["accuracy"] == mean
    low, high = result["intervals"]["accuracy"]
    assert 0 < low < mean < high <= 1
    assert result["published"]["others"]["groups"] == {}
    lines = list(tables.figures_of_evaluation(result))
    at = lines.index("published on 2 hands")
    assert [line.split()[0] for line in lines[at + 1 :]] == ["accuracy", "tiny", "others"]
    assert "Published on 2 hands" in report(pipeline, done).html()


def test_without_the_column_nothing_is_divided(tiny):
    pipeline = deepfield.load(str(tiny))
    samples = list(pipeline.read("sample:digits-folder"))
    usual = pipeline.evaluate(samples)
    pipeline.task.column = "hand"
    pipeline.task.published = lambda group: {"others": {"accuracy": 1.0}}
    result = pipeline.evaluate(samples)
    assert result["by"] == "class" and result["groups"] == usual["groups"]
    assert result["metrics"] == usual["metrics"] and result["published"] == {}


def test_whole_groups_are_drawn_for_an_interval_and_certainty_has_none():
    task = Classification({"labels": ["no", "yes"]})
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    right = np.repeat(rng.random(20) < 0.7, 10)  # of a group all or none
    said = np.eye(2)[np.where(right, truth, 1 - truth)]
    groups = [f"g{i // 10}" for i in range(200)]
    low, high = task.intervals(truth, said)["accuracy"]
    wide = task.intervals(truth, said, groups)["accuracy"]
    assert low < right.mean() < high and wide[1] - wide[0] > 2 * (high - low)
    alone = task.intervals(truth, said, [None, *groups[1:]])["accuracy"]  # one on its own
    assert alone[0] < right.mean() < alone[1]
    assert task.intervals(truth, np.eye(2)[truth]) == {"accuracy": [None, None]}
    result = {"metrics": {"accuracy": 1.0}, "intervals": {"accuracy": [None, None]}, "baseline": {}}
    result |= {"by": "class", "groups": {}, "published": {}}
    assert [line.split() for line in tables.figures_of_evaluation(result)] == [
        ["value"],
        ["accuracy", "1.0000"],
    ]
