"""The tables that the command line is made of."""

import pytest

from deepfield.toolkit import commands, verbs


def test_every_shared_verb_has_its_function():
    assert set(commands.RUN) == set(verbs.VERBS)


def test_the_list_of_verbs_is_the_designs():
    assert list(verbs.VERBS) == [
        "inspect", "train", "finetune", "evaluate", "predict", "explain", "export", "describe"
    ]  # fmt: skip
    assert list(verbs.PROGRAM_VERBS) == ["demo", "doctor", "models"]


def test_names_and_letters_of_flags_are_given_once():
    names = [flag.name for flag in verbs.FLAGS]
    letters = [flag.short for flag in verbs.FLAGS if flag.short]
    assert len(names) == len(set(names)) and len(letters) == len(set(letters))


@pytest.mark.parametrize("flag", verbs.FLAGS, ids=lambda flag: flag.name)
def test_a_flag_is_of_known_verbs_and_says_what_it_is(flag):
    assert flag.verbs and set(flag.verbs) <= set(verbs.VERBS)
    assert flag.help and flag.name == flag.name.lower() and "-" not in flag.name
    assert flag.type is bool or flag.metavar or flag.choices


def test_a_domains_own_verb_takes_the_flags_it_names_and_those_of_all():
    names = {flag.name for flag in verbs.flags_of("transcribe", ("model", "output"))}
    assert names == {"model", "output", "config", "quiet", "verbose", "debug"}
