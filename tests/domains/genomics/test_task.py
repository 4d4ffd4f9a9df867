import numpy as np
import pytest
from sklearn import metrics

from deepfield.domains.genomics.task import Function

TWO, THREE = Function({"labels": ["0", "1"]}), Function({"labels": ["EI", "IE", "N"]})


def test_of_two_classes_the_second_has_a_score_whichever_was_said():
    answer = TWO.answer(np.array([0.7, 0.3]))
    assert answer == {"label": "0", "probability": 0.7, "score": 0.3, "alternatives": {"1": 0.3}}
    assert tuple(answer) == TWO.fields
    assert "score" in TWO.fields and "score" not in THREE.fields
    assert "score" not in THREE.answer(np.array([0.2, 0.3, 0.5]))


def test_curves_of_two_classes_are_those_of_the_second():
    rng = np.random.default_rng(0)
    targets = (rng.random(300) < 0.2).astype(int)
    second = np.clip(0.3 * targets + rng.random(300) * 0.7, 0, 1)
    said = np.stack([1 - second, second], axis=1)
    figures = TWO.figures(targets, said)
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, second))
    assert figures["pr_auc"] == pytest.approx(metrics.average_precision_score(targets, second))
    assert figures["mcc"] == pytest.approx(metrics.matthews_corrcoef(targets, second >= 0.5))
    best = np.argsort(-second)[: targets.sum()]
    assert figures["top_k_accuracy"] == pytest.approx(targets[best].mean())


def test_of_three_classes_they_are_means():
    rng = np.random.default_rng(0)
    targets = np.arange(90) % 3
    said = rng.dirichlet([1, 1, 1], 90)
    expected = np.mean([metrics.roc_auc_score(targets == k, said[:, k]) for k in range(3)])
    assert THREE.figures(targets, said)["roc_auc"] == pytest.approx(expected)
