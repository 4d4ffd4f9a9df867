"""Whom a network may have heard before it is measured."""

import pytest

from deepfield.domains.speech.splits import SPLITS
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import Split


def test_speakers_are_kept_apart_unless_clips_are_asked_for():
    samples = [Sample(str(i), None, "go", f"speaker {i % 10}") for i in range(100)]
    parts = Split.parse(None).deal(samples, SPLITS)
    who = {part: {samples[i].group for i in dealt} for part, dealt in parts.items()}
    assert not who["train"] & who["valid"] and not who["train"] & who["test"]
    parts = Split.parse("clip:80/10/10").deal(samples, SPLITS)
    assert {samples[i].group for i in parts["train"]} == set(
        who["train"] | who["valid"] | who["test"]
    )


def test_takes_divide_what_all_speakers_said():
    samples = [Sample(f"{t}", None, "one", "ann", row={"take": t}) for t in range(5, 50)]
    parts = Split.parse("take:80/10/10").deal(samples, SPLITS)
    takes = {part: [samples[i].row["take"] for i in dealt] for part, dealt in parts.items()}
    assert max(takes["test"]) < min(takes["valid"]) < min(takes["train"])
    with pytest.raises(UsageError, match="no sample has a take"):
        Split.parse("take").deal([Sample("a", None, "x")], SPLITS)
