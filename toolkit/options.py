"""Options that mean the same in every domain that has them, and which verbs take them."""

from __future__ import annotations

from deepfield.toolkit.data import Option

#: Verbs that learn, or say what would be learnt.
LEARNING = ("train", "finetune", "inspect")
#: Verbs that read what is known of samples: a class, a group.
LABELLED = (*LEARNING, "evaluate")
#: Verbs that read samples.
READING = (*LABELLED, "predict", "explain")


def label() -> Option:
    """The class of a sample."""
    return Option("label", "column that holds the class", LABELLED, reader=True)


def group(also: str = "") -> Option:
    """What is kept together: in a split, and where `evaluate` says how far figures are known.

    Args:
        also: what else than a column may be named, as a further word of the help.
    """
    told = "column whose values never straddle two parts" + (also and f"; {also}")
    return Option("group", told, LABELLED, reader=True)


def part() -> Option:
    """The part that the data themselves put a sample into; `evaluate` measures all of them."""
    return Option("part", "column that names train, valid or test", LEARNING, reader=True)


def root(*more: str) -> Option:
    """Where the paths of a table begin.

    Args:
        more: verbs of the domain's own that read tables too.
    """
    told = "folder that the paths of a table start from"
    return Option("root", told, (*READING, *more), reader=True)
