import io

import numpy as np
import pytest
from PIL import Image

from deepfield.toolkit import matching_plots


def is_drawn(png):
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return len(np.unique(shown.reshape(-1, 3), axis=0)) > 5


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, 0.0], 200)
    return y, 1 / (1 + np.exp(-rng.normal(size=400) - 4 * (y - 0.5)))


def test_errors_and_scores_are_drawn_the_same_each_time(answers):
    y, p = answers
    png = matching_plots.det_plot({"network": (y, p), "other": (y, p**2 + y * 0.1)})
    assert is_drawn(png)
    assert png == matching_plots.det_plot({"network": (y, p), "other": (y, p**2 + y * 0.1)})
    assert is_drawn(matching_plots.score_histogram(y, p, 0.4))


@pytest.mark.parametrize("y", [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [np.nan, 1.0]])
@pytest.mark.parametrize("p", [[1.0, 0.0], [0.5, 0.5]])
def test_few_pairs_no_errors_and_one_kind_still_give_a_picture(y, p):
    y, p = np.array(y), np.array(p)
    assert is_drawn(matching_plots.det_plot({"x": (y, p)}))
    assert is_drawn(matching_plots.score_histogram(y, p, 1.0))
