"""Errors in two lines, whose second one helps."""

import pytest

from deepfield.domains import domain, load
from deepfield.toolkit.errors import NotFound


@pytest.mark.parametrize(
    ("name", "where", "first"),
    [("splice_foo", "genomics", "did you mean splice_uci"), ("stori", None, "did you mean qa/sto"),
     ("genomics/splice_donor", None, "did you mean genomics/splice_donor_human")],
)  # fmt: skip
def test_an_unknown_model_is_told_the_near_names_first(name, where, first):
    with pytest.raises(NotFound) as told:
        load(name, where)
    assert told.value.hint.startswith(first)


def test_inside_a_domain_its_own_presets_are_told():
    with pytest.raises(NotFound) as told:
        load("nosuch", "genomics")
    assert told.value.hint == f"there are {', '.join(domain('genomics').presets)}"
