"""Several quantities at once: numbers, yes or no, and gaps."""

import json
import math

import numpy as np
import pytest

from deepfield.toolkit import scores
from deepfield.toolkit.calibration import Conformal, Platt, cross_fit, ece, from_config
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.quantities import Quantities, QuantityCalibration

RNG = np.random.default_rng(0)
TARGETS = [
    {"logS": "-1.5", "toxic": 1},
    {"logS": "", "toxic": "0"},
    {"logS": -3.5, "toxic": None},
    {"logS": "nan", "toxic": 1.0},
]


def learnt(targets=TARGETS, **state):
    task = Quantities(state)
    task.learn(targets)
    return task


def test_what_is_yes_or_no_is_found_by_its_targets():
    task = learnt()
    assert task.names == ["logS", "toxic"] and task.binary == (False, True)
    assert task.shallow == ("regression", "multilabel")
    assert task.metrics[0] == "roc_auc" and "rmse" in task.metrics
    assert learnt([{"a": 0}, {"a": 1}]).metrics[-1] == "ece"
    assert learnt([1.5, 2.5]).metrics[0] == "rmse"


def test_targets_are_standardised_and_come_back_in_their_own_units():
    task = learnt()
    rows = np.stack([task.encode(t)["quantities"] for t in TARGETS])
    np.testing.assert_allclose(rows[[0, 2], 0], [1, -1])
    np.testing.assert_array_equal(np.isnan(rows), [[0, 0], [1, 0], [0, 1], [1, 0]])
    answer = task.answer(np.array([[1.0, 0.0, math.inf], [0.75, 0.5, 0.9]]))
    assert answer == {
        "logS": -1.5, "logS_low": -2.5, "logS_high": None,
        "toxic": 0.75, "toxic_low": 0.5, "toxic_high": 0.9,
    }  # fmt: skip


def test_of_yes_or_no_both_are_counted_and_numbers_that_are_there():
    told = [{"logS": "-1.5", "toxic": "1", "none": None}, {"logS": "?", "toxic": 0.0}]
    found = Quantities().contents([*told, {"logS": "", "toxic": "1"}, {"logS": -3, "toxic": "nan"}])
    assert found == {"logS": 2, "toxic = 0": 1, "toxic = 1": 2, "none": 0}
    assert Quantities().contents([1.0, 2.0])["mean"] == 1.5


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"logS": "high", "toxic": 1}, "logS is 'high', expected a number"),
        ({"logS": 1, "toxic": 2}, "toxic is 2, expected 0 or 1"),
        ({"logS": math.inf}, "logS is inf, expected a finite number"),
        ({"logS": "", "toxic": None}, "no label"),
        ({"other": 1, "third": 2}, "no label: no logS, toxic"),
    ],
)
def test_a_label_that_cannot_be_says_why(target, reason):
    with pytest.raises(BadInput, match=reason):
        learnt().encode(target)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([{"y": 2}, {"y": "2.0"}, {"y": None}], "'y' is always 2 in training"),
        ([{"y": None}], "'y' has no value at all in training \\(--targets"),
        ([{"y": "low"}], "no row of training can be learnt from: y is 'low', expected a number"),
        ([{"y": 1, "z": "low"}, {"y": 2, "z": "high"}], "learnt from: z is 'low'"),
        (
            [{"y": 1, "z": "low"}, {"y": 2}, {"y": 3}],
            "'z' has no value at all in training; of 1 rejected row the first: z is",
        ),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(targets, message):
    with pytest.raises(UsageError, match=message):
        learnt(targets)


def test_one_quantity_may_be_called_as_it_likes():
    task = learnt([{"exp": 1.0}, {"exp": 2.0}])
    assert task.encode({"measured": 1.5})["quantities"] == [0]


def test_figures_are_means_over_the_quantities_that_they_are_for():
    task = learnt()
    n = 60
    truth = np.column_stack([RNG.normal(size=n), RNG.integers(0, 2, n)])
    truth[:5] = np.nan
    said = np.stack([truth + RNG.normal(0, 0.5, (n, 2))] * 3, axis=-1)
    said[..., 1] -= 1
    said[..., 2] += 1
    found = task.figures(truth, np.nan_to_num(said))
    own = np.nan_to_num(said[..., 0])
    assert found["rmse"] == pytest.approx(scores.rmse(truth[:, 0], own[:, 0]))  # scale 1 by chance
    assert found["roc_auc"] == scores.roc_auc(truth[:, 1], own[:, 1])
    assert 0.8 < found["coverage_90"] <= 1
    groups = task.groups(truth, np.nan_to_num(said))
    assert groups["toxic"]["roc_auc"] == found["roc_auc"] and "rmse" not in groups["toxic"]
    assert groups["logS"]["n"] == 55


def test_calibration_is_platts_and_conformal_column_by_column():
    n = 400
    z = RNG.normal(size=(n, 2))
    yes = RNG.random(n) < 1 / (1 + np.exp(-3 * z[:, 1]))
    truth = np.column_stack([z[:, 0] + RNG.normal(0, 0.3, n), yes])
    truth[::7, 0], truth[::5, 1] = np.nan, np.nan
    start = QuantityCalibration((False, True))
    made = start.fit(z, truth)
    p = made.apply(z)
    np.testing.assert_allclose(p[:, 1, 0], Platt.fit(z[:, 1], truth[:, 1]).apply(z[:, 1]))
    low, high = Conformal.fit(z[:, 0], truth[:, 0]).apply(z[:, 0])
    np.testing.assert_allclose(p[:, 0], np.stack([z[:, 0], low, high], axis=-1))
    assert np.isinf(p[:, 1, 1:]).all()  # one member: no interval
    again = from_config(json.loads(json.dumps(made.config())))
    np.testing.assert_array_equal(again.apply(z), p)
    few = start.fit(z[:9], truth[:9])  # 7 of them are known
    assert made.doubt == "" and "no intervals: 9 known" in few.doubt
    folded = cross_fit(start, z, truth)
    assert ece(folded[:, 1, 0], truth[:, 1]) < ece(start.apply(z)[:, 1, 0], truth[:, 1])
    assert scores.coverage(truth[:, 0], folded[:, 0, 1:]) == pytest.approx(0.9, abs=0.04)


def test_where_members_disagree_the_interval_is_wider():
    n = 500
    spread = RNG.uniform(0.1, 2, n)
    members = RNG.normal(size=(n, 1, 8)) * spread[:, None, None]
    truth = RNG.normal(size=(n, 1)) * spread[:, None]
    made = QuantityCalibration((False,)).fit(members, truth)
    value, low, high = np.moveaxis(made.apply(members)[:, 0], -1, 0)
    np.testing.assert_allclose(value, members[:, 0] @ made.weights)
    assert np.corrcoef(high - low, spread)[0, 1] > 0.8
    sure = QuantityCalibration((True,)).apply(members)[:, 0]
    assert (sure[:, 1] < sure[:, 0]).all() and (sure[:, 0] < sure[:, 2]).all()


def test_too_few_samples_leave_outputs_as_they_are():
    z = RNG.normal(size=(20, 2))
    made = QuantityCalibration((True, False)).fit(z[:5], np.round(abs(z[:5])) % 2)
    p = made.apply(z)
    np.testing.assert_allclose(p[:, 0, 0], 1 / (1 + np.exp(-z[:, 0])))
    assert np.isinf(p[:, 1, 1:]).all()


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 3)])
def test_a_single_validation_sample_has_no_interval_but_an_answer(shape):
    found = cross_fit(QuantityCalibration((False, False)), np.ones(shape), np.ones((1, 2)))
    assert found[..., 0] == pytest.approx(1, abs=1e-3) and np.isinf(found[..., 1:]).all()


def test_members_that_tell_more_are_listened_to_more():
    from deepfield.toolkit.quantities import member_weights

    random = np.random.default_rng(0)
    truth = random.normal(size=(200, 2))
    noise = random.normal(size=(200, 2, 3)) * [0.1, 1.0, 1.0]
    weights = member_weights(truth[..., None] + noise, truth, (False, False))
    assert weights[0] > 0.9 and abs(sum(weights) - 1) < 1e-3
    yes = (truth > 0).astype(float)
    yes[::3, 1] = np.nan
    logits = 4 * truth[..., None] + 8 * noise
    weights = member_weights(logits, yes, (True, True))
    assert weights[0] > max(weights[1:]) > 0
    few = member_weights(truth[:3, :, None] + noise[:3], truth[:3], (False, False))
    assert max(few) < 0.9
    assert member_weights(truth, truth, (False, False)) == ()


def test_chances_are_pooled_not_logits_and_numbers_as_they_are():
    from deepfield.toolkit.quantities import pooled

    outputs = np.array([[[1.0, -2.0, 4.0], [2.0, 3.0, -1e8]]])
    value, spread = pooled(outputs, (False, True), (0.5, 0.25, 0.25))
    chance = 0.5 / (1 + np.exp(-2.0)) + 0.25 / (1 + np.exp(-3.0)) + 0.25 / (1 + np.exp(10.0))
    np.testing.assert_allclose(value, [[1.0, np.log(chance / (1 - chance))]])
    apart = np.array([2.0, 3.0, -10.0]) - value[0, 1]
    expected = [[np.sqrt(0.25 * 9 + 0.25 * 9), np.sqrt(apart**2 @ [0.5, 0.25, 0.25])]]
    np.testing.assert_allclose(spread, expected)
    alone, one = pooled(outputs[..., 2], (False, True))
    np.testing.assert_array_equal(alone, outputs[..., 2].clip(-1e6))
    np.testing.assert_array_equal(one, 1)


def test_the_calibration_keeps_and_uses_the_weights():
    from deepfield.toolkit.quantities import QuantityCalibration

    random = np.random.default_rng(1)
    truth = random.normal(size=(100, 1))
    outputs = np.stack([truth, -truth], axis=-1) + 0.1 * random.normal(size=(100, 1, 2))
    fitted = QuantityCalibration((False,)).fit(outputs, truth)
    assert np.corrcoef(fitted.apply(outputs)[:, 0, 0], truth[:, 0])[0, 1] > 0.95
    settings = fitted.config()
    assert settings.pop("kind") == "quantities"
    np.testing.assert_array_equal(
        QuantityCalibration(**settings).apply(outputs), fitted.apply(outputs)
    )


def test_a_member_is_heard_of_one_sample_more_than_of_another():
    from deepfield.toolkit.quantities import member_weights, pooled

    told = np.array([[[1.0, 3.0]], [[1.0, 3.0]], [[1.0, 3.0]]])
    heard = np.array([[[1.0, 1.0]], [[2.0, 1.0]], [[1.0, 0.0]]])
    outputs = np.stack([told, heard], axis=-1)
    value, spread = pooled(outputs, (False,), (0.25, 0.75))
    np.testing.assert_allclose(value[:, 0], [2.5, (0.5 + 0.75 * 3) / 1.25, 1.0])
    # who is not heard still tells that there is doubt
    np.testing.assert_allclose(spread[2, 0], np.sqrt(0.75 * 4))
    yes, _ = pooled(outputs[2:], (True,))
    np.testing.assert_allclose(yes, 1.0)
    # a member is judged by those samples of which it is heard
    random = np.random.default_rng(0)
    truth = random.normal(size=(200, 1))
    said = np.stack([truth + random.normal(size=truth.shape), truth, truth], axis=-1)
    said[:100, :, 2] = 50.0
    heard = np.ones_like(said)
    heard[:100, :, 2] = 0.0
    weights = member_weights(np.stack([said, heard], axis=-1), truth, (False,))
    assert weights[0] < 0.1 and weights[2] > 0.2
    fitted = QuantityCalibration((False,)).fit(np.stack([said, heard], axis=-1), truth)
    found = fitted.apply(np.stack([said, heard], axis=-1))
    assert np.sqrt(np.mean((found[..., 0] - truth) ** 2)) < 0.1


def test_of_both_kinds_a_figure_is_told_with_its_interval():
    task = learnt([{"y": 0.5, "z": 1}, {"y": 2.5, "z": 0}])
    assert task.headlines == ("roc_auc", "rmse") and task.divided_by == "target"
    rng = np.random.default_rng(0)
    truth = np.column_stack([rng.normal(size=60), rng.integers(0, 2, 60)])
    said = np.stack([truth + rng.normal(0, 0.8, (60, 2))] * 3, axis=-1)
    found = task.intervals(truth, said)
    assert list(found) == ["roc_auc", "rmse"]
    for name, (low, high) in found.items():
        assert low < task.figures(truth, said)[name] < high
    assert learnt([{"y": 0.5}, {"y": 2.5}]).headlines == ("rmse",)
