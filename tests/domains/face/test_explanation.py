"""What is covered and moves two faces apart speaks for the same person."""

from pathlib import Path

import numpy as np
import pytest

from deepfield.domains.face import FacePipeline
from deepfield.domains.face.data import Pair
from deepfield.domains.face.explanation import PARTS, explain
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput


@pytest.fixture(scope="module")
def pipeline(small):
    return FacePipeline.load(small)


def pair(people, one, two):
    sides = [str(Path(people) / f"person_{who}" / f"{n}.png") for who, n in (one, two)]
    return Sample("pair", Pair(*sides), row={"a": sides[0], "b": sides[1]})


@pytest.fixture(scope="module")
def explanation(pipeline, people):
    return explain(pipeline, pair(people, (1, 1), (1, 2)))


def test_both_faces_have_a_map_and_their_parts_a_figure(explanation):
    assert [m.shape for m in explanation.maps] == [(150, 150)] * 2
    assert all(np.isfinite(m).all() and m.any() for m in explanation.maps)
    assert set(explanation.parts) == set(PARTS)
    sizes = [abs(value) for value in explanation.parts.values()]
    assert sizes == sorted(sizes, reverse=True)
    rows, columns = PARTS["mouth"]
    mean = np.mean([m[rows, columns].mean() for m in explanation.maps])
    assert explanation.parts["mouth"] == pytest.approx(mean)


def test_a_network_that_sees_one_corner_is_caught(pipeline, people, monkeypatch):
    def corner(chips):
        return chips[:, :30, :30].astype(np.float64).mean(axis=(1, 2))

    monkeypatch.setattr(pipeline, "embeddings", corner)
    pipeline.__dict__.pop("_vector", None)
    found = explain(pipeline, pair(people, (1, 1), (1, 1)))
    for seen in found.maps:
        # a cover reaches 36 pixels from where it starts
        assert np.abs(seen[:30, :30]).min() > 0 and not seen[70:, :].any()
    assert found.parts["chin"] == 0
    pipeline.__dict__.pop("_vector", None)


def test_it_is_told_and_drawn(explanation):
    lines = list(explanation.lines())
    assert lines[0].split()[0] == "same" and len(lines) == 7 + 1 + len(PARTS)
    facts = explanation.facts()
    assert facts["answer"]["status"] == "ok" and set(facts["parts"]) == set(PARTS)
    assert explanation.png().startswith(b"\x89PNG")
    page = explanation.report().html()
    assert page.count("data:image/png") == 2 and "orange speaks for the same person" in page


def test_what_cannot_be_compared_cannot_be_explained(pipeline, people):
    with pytest.raises(BadInput, match="takes a pair"):
        explain(pipeline, Sample("one", b"x"))
    with pytest.raises(BadInput, match="b: "):
        explain(
            pipeline, Sample("two", Pair(str(Path(people, "person_1", "1.png")), b"no picture"))
        )
