"""The drawings that ship as samples: made once, whole, and of people who can be told apart."""

import os
from pathlib import Path

import numpy as np
import pytest
from drawn_faces import draw_face, write_people

from deepfield.domains.face import drawn
from deepfield.domains.face.data import READERS, SAMPLES
from deepfield.domains.face.features import pixels_of
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import NotFound
from deepfield.toolkit.pictures import decode_image


def read(source, **options):
    return list(read_source(str(source), READERS, SAMPLES, **options))


# ----------------------------------------------------------------------------------- built in


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "face" / "samples"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_can_be_read_and_decoded(cache, name):
    for sample in read(f"sample:{name}"):
        sides = (sample.data.a, sample.data.b) if name == "pairs" else (sample.data,)
        assert sample.fault is None
        assert all(decode_image(side).size >= (150, 150) for side in sides)


def test_samples_are_made_once_and_stay_what_they_are(cache):
    first = [(s.id, s.target["same"]) for s in read("sample:pairs")]
    assert first == [("grace_hopper.jpg mirrored.jpg", 1), ("grace_hopper.jpg china.jpg", 0)]
    before = {p.name: p.stat().st_mtime_ns for p in cache.iterdir()}
    assert set(before) == {"grace_hopper.jpg", "mirrored.jpg", "china.jpg", "pairs.csv"}
    read("sample:pairs"), read("sample:mirrored")
    assert before == {p.name: p.stat().st_mtime_ns for p in cache.iterdir()}
    portrait, other = (np.asarray(decode_image(cache / n), float)
                       for n in ("grace_hopper.jpg", "mirrored.jpg"))  # fmt: skip
    assert np.abs(0.8 * portrait[:, ::-1] - other).mean() < 4


def test_a_sample_that_cannot_be_made_leaves_nothing(cache, monkeypatch):
    def fail(*_):
        raise NotFound("no package", "install it")

    monkeypatch.setattr("deepfield.domains.face.data.installed", fail)
    with pytest.raises(NotFound):
        SAMPLES["mirrored"]()
    assert os.listdir(cache) == []


# -------------------------------------------------------------------------------- drawn faces


def test_the_drawn_people_are_made_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path))
    monkeypatch.setattr(drawn, "PEOPLE", 2)
    people = list(read_source("sample:people", READERS, SAMPLES))
    assert [s.target for s in people] == ["person_1"] * 5 + ["person_2"] * 5
    before = Path(people[0].data).stat().st_mtime_ns
    (asked,) = read_source("sample:person_3", READERS, SAMPLES)
    assert pixels_of(asked.data).shape == (150, 150, 3)
    again = next(iter(read_source("sample:people", READERS, SAMPLES)))
    assert Path(again.data).stat().st_mtime_ns == before
    assert sorted(p.name for p in (tmp_path / "face" / "samples").iterdir()) == [
        "people", "person_3.png",
    ]  # fmt: skip


def test_drawn_faces_are_the_same_for_equal_seeds_and_differ_by_shot(tmp_path):
    face = draw_face(3, 1)
    assert face.shape == (150, 150, 3) and face.dtype == np.uint8
    assert (face == draw_face(3, 1)).all() and (face != draw_face(3, 2)).mean() > 0.5
    assert draw_face(3, 1, 96).shape == (96, 96, 3)
    samples = read(write_people(tmp_path, 3, 2, size=40))
    assert [s.id for s in samples][:3] == ["person_1/1.png", "person_1/2.png", "person_2/1.png"]


def test_drawn_people_are_told_apart_better_than_by_chance_and_not_by_pixels_alone():
    faces = np.array([[draw_face(p, s, 30) for s in range(4)] for p in range(20)], float)
    flat = faces.mean(-1).reshape(80, -1)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    alike = flat @ flat.T - 2 * np.eye(80)
    right = np.mean(alike.argmax(1) // 4 == np.arange(80) // 4)
    assert 0.15 < right < 0.9  # by chance 0.04
