import pytest

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.registry import Registry, names_in


@pytest.fixture
def networks():
    table = Registry("architecture")

    @table.register()
    def lenet5():
        return 5

    @table.register("small_cnn")
    def anything():
        return 1

    return table


def test_a_function_is_found_by_its_own_or_the_given_name(networks):
    assert networks["lenet5"]() == 5 and networks["small_cnn"]() == 1


def test_names_come_in_the_order_of_registration(networks):
    assert networks.names() == list(networks) == ["lenet5", "small_cnn"]
    assert len(networks) == 2 and "lenet5" in networks and "lenet" not in networks


def test_a_taken_name_is_an_error(networks):
    with pytest.raises(ValueError, match="the architecture 'lenet5' is taken by"):
        networks.add("lenet5", print)
    assert networks["lenet5"]() == 5


def test_an_unknown_name_lists_the_near_ones(networks):
    with pytest.raises(UsageError) as caught:
        networks["lenet"]
    assert caught.value.message == "no architecture 'lenet'"
    assert caught.value.hint == "did you mean lenet5? there is: lenet5, small_cnn"


def test_a_far_name_lists_all_without_a_guess(networks):
    with pytest.raises(UsageError) as caught:
        networks["transformer"]
    assert caught.value.hint == "there is: lenet5, small_cnn"


def test_names_are_read_out_of_a_modules_text():
    text = """
import keras_that_takes_seconds
OTHERS, ARCHITECTURES = Registry("other"), Registry("architecture")
ARCHITECTURES.add("first", elsewhere)

@ARCHITECTURES.register()
@silently(1)
def second(): ...

@silently(1)
@ARCHITECTURES.register("third", )
def another(): ...

@OTHERS.register()
def fourth():
    ARCHITECTURES.add("fifth", later)

print("sixth")
"""
    assert names_in(text) == ["first", "second", "third"]
    assert names_in(text, "OTHERS") == ["fourth"]


def test_the_decorator_returns_the_function_itself(networks):
    def builder():
        return None

    assert networks.register()(builder) is builder
