"""Drawn people, a small network that knows some of them, and dlib's where its package is there."""

from pathlib import Path

import pytest
from drawn_faces import write_people
from program import once

from deepfield.domains.face import FacePipeline

SMALL = {
    "filters": [8, 16], "units": 16, "side": 32, "augment": 0.0, "dropout": 0.0, "epochs": 15,
    "batch_size": 16, "learning_rate": 0.005,
}  # fmt: skip


def _shared(tmp_path_factory, worker_id, name, make):
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent
    return once(root / "shared" / name, make)


@pytest.fixture(scope="session")
def people(tmp_path_factory, worker_id):
    """A folder per person: twelve with four pictures each."""
    made = _shared(tmp_path_factory, worker_id, "people", lambda to: write_people(to, 12, 4))
    return str(made)


@pytest.fixture(scope="session")
def small(people, tmp_path_factory, worker_id):
    """The folder of a bundle, trained on half of the people; their pictures are faces already."""

    def make(folder: Path) -> None:
        pipeline = FacePipeline("facenet_small", crop=True)
        pipeline.fit(people, out=folder, settings=SMALL, split="group:50/50/0", seed=2)

    return _shared(tmp_path_factory, worker_id, "small_face", make)


@pytest.fixture(scope="session")
def cache(tmp_path_factory, worker_id):
    """A cache of the tests' own, with dlib's networks in it."""
    try:
        from deepfield.domains.face.adopt import find_files

        find_files()
    except Exception as error:
        pytest.skip(f"the package with dlib's files is not installed: {error}")

    def make(folder: Path) -> None:
        from deepfield.domains.face.conversion import adopt_dlib

        adopt_dlib(folder / "face" / "dlib_resnet")

    return _shared(tmp_path_factory, worker_id, "face_cache", make)


@pytest.fixture
def dlib(cache, monkeypatch):
    """dlib's networks, found in that cache."""
    monkeypatch.setenv("DEEPFIELD_CACHE", str(cache))
    return FacePipeline.from_preset("dlib_resnet")
