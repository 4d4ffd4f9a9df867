"""What the labels of a data set are taken for."""

import numpy as np
import pytest

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.tasks import Classification


@pytest.mark.parametrize(
    "labels",
    [range(60), [f"{i}.0" for i in range(60)], [f"gene {i}.5" for i in range(60)],
     [f"{i / 10}" for i in range(15)]],
)  # fmt: skip
def test_whole_numbers_names_and_a_few_versions_are_classes(labels):
    task = Classification()
    task.learn(list(labels))
    assert len(task.labels) == len(labels)


def test_measurements_are_no_classes():
    with pytest.raises(UsageError, match=r"60 different numbers, as 0\.0: measurements"):
        Classification().learn([i / 7 for i in range(60)])
    Classification().learn([f"{250 + i / 10:.1f}" for i in range(25)] * 10)  # codes of diagnoses
    drawn = np.random.default_rng(0).normal(50, 10, 2000)
    with pytest.raises(UsageError, match="measurements"):
        Classification().learn([f"{x:.1f}" for x in drawn])


def test_classes_are_in_natural_order():
    task = Classification()
    task.learn(["10", "9", None, "2", "9"])
    assert task.labels == ["2", "9", "10"]
    with pytest.raises(UsageError, match="one class only: 'a'"):
        task.learn(["a", "a", ""])
