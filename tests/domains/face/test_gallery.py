"""An index of faces: searched exactly, kept whole, forgotten on request."""

import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from deepfield.domains.face.gallery import Gallery, gathered
from deepfield.toolkit.errors import DeepfieldError, NotFound, UnusableModel, UsageError


def faces(count=40, units=8, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (f"person {i % 7}", f"{i}.jpg", row.astype(np.float32))
        for i, row in enumerate(rng.normal(size=(count, units)))
    ]
    return gathered(rows, "network")


def test_the_nearest_are_those_of_all_distances_best_first():
    gallery = faces()
    asked = np.random.default_rng(5).normal(size=8)
    apart = np.linalg.norm(gallery.vectors - asked, axis=1)
    order = np.argsort(apart)
    found = gallery.nearest(asked, 6)
    assert [hit["picture"] for hit in found] == [f"{i}.jpg" for i in order[:6]]
    np.testing.assert_allclose([hit["distance"] for hit in found], apart[order[:6]], rtol=1e-5)
    assert len(gallery.nearest(asked, 1000)) == 40 and Gallery("x").nearest(asked, 3) == []
    own = gallery.nearest(gallery.vectors[3], 1)[0]
    assert (own["picture"], own["person"]) == ("3.jpg", "person 3") and own["distance"] < 1e-6


def test_a_picture_that_comes_again_replaces_itself():
    gallery = faces()
    gallery.add(np.zeros((2, 8), np.float32), ["new", "new"], ["3.jpg", "99.jpg"])
    assert len(gallery) == 41 == len(gallery.vectors) == len(gallery.people)
    assert gallery.pictures.count("3.jpg") == 1
    assert {h["picture"] for h in gallery.nearest(np.zeros(8), 2)} == {"3.jpg", "99.jpg"}


def test_a_person_or_a_picture_is_forgotten():
    gallery = faces()
    assert gallery.forget("person 2") == 6 and "person 2" not in gallery.people
    assert gallery.forget("0.jpg") == 1 and gallery.forget("nobody") == 0
    assert len(gallery) == 33 == len(gallery.vectors)
    gallery.people[:3] = ["", "", ""]
    assert gallery.forget("") == 0  # nobody's name


def test_a_name_of_several_people_is_not_forgotten():
    gallery = Gallery("n")
    people, pictures = ["Ada", "Bo", "Ada", "", ""], ["1.jpg", "1.jpg", "2.jpg", "3.jpg", "3.jpg"]
    gallery.add(np.zeros((5, 8), np.float32), people, pictures)
    for name, told in (("1.jpg", ": 1.jpg of Ada, 1.jpg of Bo"), ("3.jpg", "of nobody named")):
        with pytest.raises(UsageError, match=told):
            gallery.forget(name)
    assert len(gallery) == 5 and gallery.forget("Ada") == 2 and gallery.forget("1.jpg") == 1
    assert gallery.ending("3.jpg") == []


def test_an_index_is_kept_and_found_again(tmp_path):
    path = tmp_path / "new" / "people.index"
    gallery = faces()
    gallery.people[0] = "Zoë \N{WAVING HAND SIGN}"
    gallery.save(path)
    again = Gallery.load(path, "network")
    np.testing.assert_array_equal(again.vectors, gallery.vectors)
    assert (again.people, again.pictures) == (gallery.people, gallery.pictures)
    assert Gallery.load(path).network == "network"
    Gallery("network").save(path)
    assert len(Gallery.load(path, "network")) == 0


def test_another_network_cannot_search_it(tmp_path):
    faces().save(tmp_path / "i")
    with pytest.raises(UsageError, match="another network"):
        Gallery.load(tmp_path / "i", "other")


def test_what_is_no_index_is_refused(tmp_path):
    path = tmp_path / "i"
    with pytest.raises(NotFound, match="no index"):
        Gallery.load(path, "network")
    faces().save(path)
    whole = path.read_bytes()
    about = {"kind": "deepfield face index 1", "network": "network"}
    names = '["a"]'
    damaged = {
        "cut": whole[:200],
        "text": b"no index",
        "other": {"x": np.zeros(3, np.float32)},
        "numbers": ({"vectors": np.full((1, 2), np.nan, np.float32)}, names, names),
        "counts": ({"vectors": np.zeros((2, 2), np.float32)}, names, names),
        "names": ({"vectors": np.zeros((1, 2), np.float32)}, "[1]", names),
        "json": ({"vectors": np.zeros((1, 2), np.float32)}, "[", names),
    }
    for what, content in damaged.items():
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, dict):
            save_file(content, path)
        else:
            arrays, people, pictures = content
            save_file(arrays, path, about | {"people": people, "pictures": pictures})
        with pytest.raises(UnusableModel, match="is no index of faces"):
            Gallery.load(path, "network")
            pytest.fail(what)


def test_an_index_that_cannot_be_written_is_said():
    with pytest.raises(DeepfieldError, match="cannot write"):
        faces().save("/proc/nowhere/people.index")


@pytest.mark.slow
def test_a_hundred_thousand_faces_are_searched_in_fifty_milliseconds():
    vectors = np.random.default_rng(0).normal(size=(100_000, 128)).astype(np.float32)
    names = list(map(str, range(len(vectors))))
    gallery = Gallery("n", vectors, names, names)
    times = []
    for place in range(5):
        began = time.perf_counter()
        assert gallery.nearest(vectors[place], 5)[0]["person"] == str(place)
        times.append(time.perf_counter() - began)
    assert min(times) <= 0.05, times
