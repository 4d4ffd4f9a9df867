"""What others report on bAbI stands beside our figures, task by task."""

import pytest
from program import here

from deepfield.domains.qa.published import ERRORS, number


def test_means_and_failed_tasks_are_those_that_the_papers_print():
    printed = {"MemN2N": (4.2, 3), "DMN+": (2.8, 1), "EntNet": (0.5, 0)}
    for name, errors in ERRORS.items():
        assert len(errors) == 20
        mean, failed = sum(errors) / 20, sum(error > 5 for error in errors)
        assert (round(mean, 1), failed) == printed[name]


@pytest.mark.parametrize(
    ("task", "place"), [("qa1", 1), ("QA20_agents", 20), ("qa0_x", 0), ("q1_x", 0), ("qa1x", 0)]
)
def test_tasks_of_babi_are_known_by_their_names(task, place):
    assert number(task) == place


def test_evaluate_prints_a_row_a_task_and_the_published_errors(tmp_path):
    story = "1 Mary went to the park.\n2 Where is Mary? \tpark\t1\n"
    for task in ("qa1_one", "qa17_two", "own"):
        (tmp_path / f"{task}_test.txt").write_text(story)
    run = here("qa", "evaluate", str(tmp_path), "--model", "story", "--quiet")
    assert run.code == 0
    table = run.out.split("\n\n")[1].splitlines()
    rows = {line.split()[0]: line.split() for line in table[1:]}
    assert list(rows) == ["own", "qa1_one", "qa17_two", "error", "failed_tasks"]
    assert rows["qa17_two"][-3:] == ["0.1860", "0.0420", "0.0050"]
    assert rows["error"][-3:] == ["0.0930", "0.0210", "0.0025"]
    assert rows["failed_tasks"][-3:] == ["1.0000", "0.0000", "0.0000"]
    assert len(rows["own"]) == len(rows["qa1_one"]) - 3
