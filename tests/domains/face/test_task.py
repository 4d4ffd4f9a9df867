"""What a distance means: probabilities, operating points, and figures by fold as LFW has them."""

import json

import numpy as np
import pytest

from deepfield.domains.face.task import Verification
from deepfield.toolkit import matching, scores, tables
from deepfield.toolkit.calibration import Platt
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.evaluation import evaluate_fully, report
from deepfield.toolkit.pipeline import Pipeline

# -- targets


def test_people_come_in_natural_order_and_may_be_called_anything():
    task = Verification()
    task.learn(["p10", "p2", 7, "Nan", None, {"same": 1}, " "])
    assert task.people == ["7", "Nan", "p2", "p10"]
    assert int(task.encode("p10")["person"]) == 3 and task.encode("p2")["person"].dtype == np.int32
    assert int(task.encode(7)["person"]) == 0 and int(task.encode("somebody")["person"]) == -1
    again = Verification(json.loads(json.dumps(task.state)))
    assert int(again.encode("p2")["person"]) == 2


def test_a_pair_becomes_a_score_to_reach():
    for same in (1, 0, True, "1", 1.0, np.int64(1)):
        target = Verification().encode({"same": same, "fold": "3"})["score"]
        assert target == float(same) and target.dtype == np.float32
    for odd, said in (
        (2, "expected 1 or 0"),
        ("maybe", "expected"),
        (None, "missing"),
        ([1], "exp"),
    ):
        with pytest.raises(BadInput, match=said):
            Verification().encode({"same": odd})
    for odd in (None, 0.5, [1], ""):
        with pytest.raises(BadInput, match="neither a pair nor"):
            Verification().encode(odd)


def test_what_no_network_can_learn_from_is_told():
    with pytest.raises(UsageError, match="pairs do not say") as told:
        Verification().learn([{"same": 1}, {"same": 0}])
    assert "--people" in told.value.hint
    with pytest.raises(UsageError, match="one person only: 'Ada'"):
        Verification().learn(["Ada", "Ada"])
    with pytest.raises(UsageError, match="no picture with a name"):
        Verification().learn([])


# -- answers and operating points


@pytest.fixture
def measured():
    """Pairs, their distances, a calibrator, and a task that has measured them."""
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], [800, 1500])
    distance = np.clip(rng.normal(np.where(y > 0, 0.7, 1.2), 0.12), 0, 2)
    curve = Platt.fit(-distance, y)
    task = Verification()
    task.choose(y, {"score": -distance}, curve)
    return y, distance, curve, task


def test_without_a_calibrator_the_stored_curve_is_used():
    outputs = {"score": np.array([-0.5, -0.6, -3e9], dtype=np.float32)}
    task = Verification({"curve": {"distance": 0.6, "slope": 20.0}})
    said = task.predictions(outputs, None)
    assert said.dtype == np.float64 and said[0] == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-5)
    assert said[1] == pytest.approx(0.5) and said[2] == 0
    assert task.point()["distance"] == 0.6 and task.point()["fmr"] is None
    with pytest.raises(UsageError, match="no threshold was measured"):
        task.point(0.1)


def test_points_hold_what_was_measured_and_travel_through_json(measured):
    y, distance, curve, task = measured
    task = Verification(json.loads(json.dumps(task.state)))
    assert [p["target"] for p in task.state["operating_points"]] == [None, 0.1, 0.01, 0.001]
    for target in (None, 0.1, 0.01, 0.001):
        point = task.point(target)
        said = distance <= point["distance"]
        assert point["fmr"] == said[y == 0].mean() and point["fnmr"] == (~said)[y == 1].mean()
        assert target is None or point["fmr"] <= target
        np.testing.assert_array_equal(curve.apply(-distance) >= point["probability"], said)
        # both are the same place on the curve, between pairs that were seen too
        assert curve.apply(np.array([-point["distance"]]))[0] == pytest.approx(point["probability"])
        for rate in ("fmr", "fnmr"):
            low, high = point[f"{rate}_interval"]
            assert low <= point[rate] <= high
    assert task.point()["distance"] == -matching.best_threshold(y, -distance, balanced=True)
    assert task.point()["measured_on"] == (
        "the validation part: 800 pairs of the same, 1,500 of different people"
    )


def test_a_rate_that_was_not_measured_is_refused_with_those_that_were(measured):
    *_, task = measured
    with pytest.raises(UsageError, match=r"rate of 0\.0001") as told:
        task.point(1e-4)
    assert "0.1, 0.01, 0.001" in told.value.hint and "1,500 pairs" in told.value.hint
    for odd in (0.05, 0, -1, float("nan")):
        with pytest.raises(UsageError):
            task.point(odd)


def test_the_answer_follows_the_rate_that_is_asked_for(measured):
    y, distance, curve, task = measured
    sure = curve.apply(-distance)
    edges = []
    for task.fmr in (None, 1e-1, 1e-3):
        edges.append(task.threshold)
        said = np.array([task.answer(p)["same"] for p in sure])
        assert task.score("fmr", y, sure) == said[y == 0].mean()
        assert task.score("accuracy", y, sure.astype(np.float32)) == (said == y).mean()
    assert edges[2] > edges[0] > edges[1]
    row = task.answer(sure[0])
    assert type(row["same"]) is bool and set(row) <= set(task.fields)


def test_points_that_cannot_be_measured_are_left_out():
    task = Verification({"operating_points": [{"target": None}], "measured_on": "x"})
    task.measure_points(np.ones(3), np.ones(3), np.ones(3), "one kind")
    assert "operating_points" not in task.state and task.threshold == 0.5
    y = np.array([1.0, 0, 0, np.nan])
    task.measure_points(
        y, np.array([1.0, 0.5, 0.4, 9]), np.array([0.2, 0.6, 0.7, 0.0]), "a bad net"
    )
    assert [p["target"] for p in task.state["operating_points"]] == [None]
    assert (task.point()["fmr"], task.point()["fnmr"]) == (
        0.0,
        1.0,
    )  # it takes nothing for the same
    # a calibrator that tells nothing apart: rates are those of its answers
    y, flat = np.repeat([1.0, 0.0], 20), np.full(40, 0.5)
    task.measure_points(y, np.arange(40.0), flat, "flat")
    assert [(p["target"], p["fmr"]) for p in task.state["operating_points"]] == [(None, 1.0)]


# -- figures


def test_figures_are_those_of_their_definitions(measured):
    y, distance, curve, task = measured
    sure = curve.apply(-distance)
    figures = task.figures(y, sure)
    assert list(figures) == list(Verification.metrics)
    assert figures["eer"] == matching.eer(y, sure)
    assert figures["tar_at_far_1e-2"] == matching.tar_at_far(y, sure, 0.01)
    assert figures["tar_at_far_1e-4"] is None and figures["roc_auc"] == scores.roc_auc(y, sure)
    assert set(task.figures(y, np.full(len(y), np.nan)).values()) == {None}


class Compared(Pipeline):
    """Two vectors and their distance, on the toolkit's contract."""

    domain = "toy"
    task_class = Verification
    baseline = ""

    def encode(self, item):
        a, b = item
        return {"a": a, "b": b}, None

    def forward(self, batch):
        return {"score": -np.linalg.norm(batch["a"] - batch["b"], axis=1)}


def trial(index, rng, fold, same):
    a, b = rng.normal(size=(2, 8))
    row = {"fold": fold} if fold is not None else {"a": "x"}
    data = (a, a + 0.45 * b if same else b)
    return Sample(str(index), data, {"same": int(same), "fold": fold}, row=row)


def trials(count, folds):
    rng = np.random.default_rng(1)
    return [
        trial(i, rng, str(1 + i % folds) if folds else None, (i // max(1, folds)) % 2)
        for i in range(count)
    ]


def test_with_folds_accuracy_is_lfws(tmp_path):
    pipeline = Compared()
    pipeline.task.state["curve"] = {"distance": 2.2, "slope": 4.0}
    done = evaluate_fully(pipeline, trials(400, 4))
    result = done.result
    folds = [str(1 + i % 4) for i in range(400)]
    mean, error = matching.folded_accuracy(done.targets, done.predictions, folds)
    metrics = result["metrics"]
    assert (metrics["accuracy"], metrics["accuracy_se"]) == (mean, error) and error > 0
    assert list(metrics)[:2] == ["accuracy", "accuracy_se"]
    low, high = result["intervals"]["accuracy"]
    assert low <= mean <= high and high - low < 0.1
    assert result["by"] == "fold" and list(result["groups"]) == ["1", "2", "3", "4"]
    assert np.mean([g["accuracy"] for g in result["groups"].values()]) == pytest.approx(mean)
    assert sum(g["n"] for g in result["groups"].values()) == 400 and not result["published"]
    lines = list(tables.figures_of_evaluation(result))
    assert any(line.startswith("accuracy_se") for line in lines)
    (head,) = [line for line in lines if line.lstrip().startswith("n ")]
    assert "tar_at_far_1e-1" in head and "tar_at_far_1e-2" not in head  # 50 pairs show no 1 %


def test_without_folds_it_is_decided_at_the_models_threshold():
    pipeline = Compared()
    pipeline.task.state["curve"] = {"distance": 2.2, "slope": 4.0}
    done = evaluate_fully(pipeline, trials(400, 0))
    result = done.result
    assert result["groups"] == {} and "accuracy_se" not in result["metrics"]
    said = done.predictions >= 0.5
    assert result["metrics"]["accuracy"] == (said == done.targets).mean()
    low, high = result["intervals"]["accuracy"]
    assert low <= result["metrics"]["accuracy"] <= high
    assert not any(line == "" for line in tables.figures_of_evaluation(result))  # one table


@pytest.mark.parametrize("folds", [[""], ["1"], ["1", ""]])
def test_one_fold_or_pairs_in_none_have_no_folded_accuracy(folds):
    y, p, kinds = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.1, 0.4, 0.2]), (folds * 4)[:4]
    assert Verification().folded(y, p, kinds) == ({}, {})


def test_others_stand_beside_the_folds_of_lfw():
    pipeline = Compared()
    pipeline.name = "mine"
    done = evaluate_fully(pipeline, trials(6000, 10))
    lines = list(tables.figures_of_evaluation(done.result))
    start = next(i for i, line in enumerate(lines) if line.startswith("published"))
    assert "View 2" in lines[start] and "only there" in lines[start]
    ours, human, deepface = (line.split() for line in lines[start + 2 : start + 5])
    assert ours == ["mine", f"{done.result['metrics']['accuracy']:.4f}"]
    assert human == ["human", "0.9753"] and deepface == ["DeepFace", "0.9735"]
    page = report(pipeline, done).html()
    assert "Published on LFW" in page and page.count("data:image/png") == 4
    json.dumps(done.result)


def test_plots_are_drawn_of_one_kind_of_pairs_too():
    task = Verification()
    assert len(task.plots(np.ones(3), np.array([0.2, 0.7, 1.0]))) == 2
    assert len(task.plots(np.array([1.0, 0.0]), np.array([0.2, 0.7]))) == 4
