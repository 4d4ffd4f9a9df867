"""How a network is trained, and which settings are refused."""

import json

import numpy as np
import pytest

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.recipe import Recipe, check_setting, plain


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "rmsprop"), ("schedule", "step"), ("keep", "all"), ("class_weight", "yes"),
        ("precision", "float16"), ("epochs", 0), ("batch_size", 0), ("learning_rate", -1.0),
        ("learning_rate", float("nan")), ("patience", -1),
    ],
)  # fmt: skip
def test_an_impossible_recipe_is_refused_with_the_value(field, value):
    with pytest.raises(UsageError, match=field) as raised:
        Recipe(**{field: value})
    assert raised.value.hint


def test_settings_that_are_not_the_recipes_are_passed_over():
    assert Recipe().with_settings({"epochs": 3, "filters": 9}) == Recipe(epochs=3)


def test_few_items_are_learnt_for_more_epochs_unless_their_number_was_named():
    recipe = Recipe(epochs=40, batch_size=32, least_steps=2000)
    assert [recipe.for_items(n).epochs for n in (0, 640, 1600, 9000)] == [120, 100, 40, 40]
    patient = Recipe(epochs=40, batch_size=32, least_steps=2000, patience=12)
    assert [patient.for_items(n).patience for n in (640, 9000)] == [30, 12]
    assert recipe.with_settings({"epochs": 5}).for_items(33).epochs == 5
    assert recipe.with_settings({"epochs": 5, "least_steps": 20}).for_items(33).epochs == 10


@pytest.mark.parametrize(
    ("value", "usual"),
    [
        (True, False),
        (1, 0.5),
        ("max", "mean"),
        ([24, 48], (1, 2, 3)),
        ([], ()),
        ([0, 0.5], (0.25, 0.1)),
        (8, None),
    ],
)
def test_settings_of_the_kind_of_their_default_pass(value, usual):
    check_setting("it", value, usual)


@pytest.mark.parametrize(
    ("value", "usual", "kind"),
    [
        (1, False, "true or false"), (True, 1, "a whole number"), ("much", 0.5, "a number"),
        (3, "mean", "a word"), ("24,48", (1, 2), "whole numbers"), (24, (1, 2), "whole numbers"),
        ([24, 0.5], (1, 2), "whole numbers"), ([24, 0], (1, 2), "whole numbers"),
        ([], (1, 2), "whole numbers"), ([True, 4], (1, 2), "whole numbers"),
        ([True], (0.5,), "numbers"),
    ],
)  # fmt: skip
def test_settings_of_another_kind_are_refused_with_what_is_usual(value, usual, kind):
    with pytest.raises(UsageError, match=kind) as told:
        check_setting("it", value, usual)
    assert str(list(usual) if isinstance(usual, tuple) else usual) in told.value.hint


def test_epochs_are_whole():
    for odd in (2.5, 3.0, float("nan")):
        with pytest.raises(UsageError, match="whole number"):
            check_setting("epochs", odd, 40)


def test_numbers_of_numpy_are_pythons():
    given = {"a": np.int64(3), "b": np.float32(0.5), "c": [np.int64(8), 16], "d": np.arange(1, 3)}
    made = {name: plain(value) for name, value in given.items()}
    assert json.loads(json.dumps(made)) == {"a": 3, "b": 0.5, "c": [8, 16], "d": [1, 2]}
    for name, usual in (("a", 40), ("b", 0.1), ("c", (1, 2)), ("d", (1, 2))):
        check_setting(name, made[name], usual)
