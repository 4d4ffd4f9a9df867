import io
import sys

import numpy as np
import pytest
from PIL import Image

from deepfield.toolkit import plots, scores


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def is_drawn(png):
    return len(np.unique(picture(png).reshape(-1, 3), axis=0)) > 5


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=300)
    return np.where(rng.random(300) < 0.6, p.argmax(1), rng.integers(0, 4, 300)), p


def test_curves_of_answers_are_drawn(answers):
    y, p = answers
    assert is_drawn(plots.reliability_diagram({"before": (p**2, y), "after": (p, y)}))
    assert is_drawn(plots.rejection_plot({"net": scores.rejection_curve(y, p)}))
    binary = (y == 0).astype(float)
    assert is_drawn(
        plots.roc_plot({"a": (binary, p[:, 0]), "b": (binary, p[:, 1])}, log_rates=True)
    )
    assert is_drawn(plots.reliability_diagram({"x": (p[:, :2], np.stack([binary] * 2, 1))}))


@pytest.mark.parametrize("count", [1, 2])
def test_few_samples_and_single_classes_still_give_a_picture(count):
    y, p = np.zeros(count), np.full(count, 0.5)
    for png in (
        plots.roc_plot({"x": (y, p)}),
        plots.rejection_plot({"x": scores.rejection_curve(y, p)}),
    ):
        assert is_drawn(png)
    assert is_drawn(plots.histogram({"x": p, "none": np.array([np.nan])}, label="value"))


@pytest.mark.parametrize("classes", [2, 20, 120])
def test_confusion_stays_readable_in_size_for_any_number_of_classes(classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 500)
    table = scores.confusion(y, y, classes)
    shape = picture(plots.confusion_plot(table, [f"class {i}" for i in range(classes)])).shape
    assert max(shape[:2]) <= 1700


def test_layers_of_every_rank_are_laid_out_above_the_input():
    layers = [("conv", np.random.default_rng(0).random((8, 6, 30))), ("steps", np.eye(9, 4)),
              ("units", np.arange(5.0)), ("dead", np.zeros((4, 4, 3)))]  # fmt: skip
    few = picture(plots.layers_plot(layers[:1]))
    all_of_them = picture(plots.layers_plot(layers, np.eye(9), [("cat", 0.9), ("dog", 0.1)]))
    assert all_of_them.shape[0] > few.shape[0] and all_of_them.shape[1] == few.shape[1]


def test_saliency_is_orange_for_and_blue_against():
    strength = np.zeros((4, 4))
    strength[0, 0], strength[3, 3] = 1, -1
    shown = picture(plots.saliency_plot(np.zeros((40, 40, 3), np.uint8), strength)).astype(int)
    red, blue = shown[..., 0] - shown[..., 2], shown[..., 2] - shown[..., 0]
    orange_at = np.unravel_index(red.argmax(), red.shape)
    blue_at = np.unravel_index(blue.argmax(), blue.shape)
    assert orange_at[0] < blue_at[0] and orange_at[1] < blue_at[1]
    assert is_drawn(plots.saliency_plot(np.zeros((8, 8)), np.zeros((2, 2))))


def test_equal_numbers_give_equal_bytes_and_pyplot_is_left_alone(answers):
    y, p = answers
    loaded = "matplotlib.pyplot" in sys.modules
    curves = {"x": scores.rejection_curve(y, p)}
    assert plots.rejection_plot(curves) == plots.rejection_plot(curves)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
