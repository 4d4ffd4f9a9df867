"""Names are sorted as people expect them."""

import doctest

from deepfield.toolkit import ordering
from deepfield.toolkit.ordering import natural


def test_numbers_in_names_are_sorted_by_value():
    names = ["p10.png", "p9.png", "P1.png", "p09.png", "p.png", "p1" + "0" * 9999 + ".png"]
    found = sorted(names, key=natural)
    assert found[:4] == ["P1.png", "p09.png", "p9.png", "p10.png"] and found[5] == "p.png"


def test_letters_are_folded_where_that_is_asked_for_and_the_order_is_one():
    names = ["b.png", "A.png", "a.png", "01", "1"]
    for given in (names, names[::-1]):
        assert sorted(given, key=natural) == ["01", "1", "A.png", "a.png", "b.png"]
        folded = sorted(given, key=lambda name: natural(name, folded=True))
        assert folded == ["01", "1", "A.png", "a.png", "b.png"]
    assert sorted(["a", "B"], key=natural) == ["B", "a"]
    assert sorted(["B", "a"], key=lambda name: natural(name, folded=True)) == ["a", "B"]


def test_the_examples_are_true():
    assert doctest.testmod(ordering).failed == 0
