"""Landmarks: the same as node by node, and as dlib's on a photo that ships with a dependency."""

from pathlib import Path

import numpy as np
import pytest

from deepfield.domains.face.adopt import LANDMARKS, find_file
from deepfield.domains.face.alignment import similarity
from deepfield.domains.face.detection import Box
from deepfield.domains.face.dlib_file import read_shape_predictor
from deepfield.domains.face.landmarks import Landmarks
from deepfield.toolkit.errors import NotFound, UnusableModel


def arrays(seed=0, cascades=3, trees=20, pixels=30, points=5, depth=3):
    rng = np.random.default_rng(seed)
    inner = 2**depth - 1
    return {
        "mean_shape": rng.uniform(0.2, 0.8, (points, 2)).astype(np.float32),
        "anchors": rng.integers(0, points, (cascades, pixels)).astype(np.uint16),
        "deltas": rng.normal(0, 0.2, (cascades, pixels, 2)).astype(np.float32),
        "splits": rng.integers(0, pixels, (cascades, trees, inner, 2)).astype(np.uint16),
        "thresholds": rng.normal(0, 40, (cascades, trees, inner)).astype(np.float32),
        "leaves": rng.normal(0, 0.01, (cascades, trees, inner + 1, 2 * points)).astype(np.float32),
    }


def node_by_node(a, picture, box):
    """The method as the paper says it, in loops."""
    size = np.array([box.right - box.left, box.bottom - box.top])
    corner = np.array([box.left, box.top])
    shape = a["mean_shape"].astype(np.float64)
    for t in range(len(a["leaves"])):
        turn, _ = similarity(a["mean_shape"], shape)
        grey = []
        for anchor, delta in zip(a["anchors"][t], a["deltas"][t], strict=True):
            x, y = np.floor((turn @ delta + shape[anchor]) * size + corner + 0.5).astype(int)
            inside = 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]
            grey.append(int(picture[y, x].astype(int).sum()) // 3 if inside else 0)
        for splits, thresholds, leaves in zip(
            a["splits"][t], a["thresholds"][t], a["leaves"][t], strict=True
        ):
            node = 0
            while node < len(splits):
                i, j = splits[node]
                node = 2 * node + (1 if grey[i] - grey[j] > thresholds[node] else 2)
            shape = shape + leaves[node - len(splits)].reshape(-1, 2)
    return np.floor(shape * size + corner + 0.5)


@pytest.mark.parametrize("seed", range(8))
def test_all_trees_at_once_find_what_they_find_one_by_one(seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    box = Box(10 + seed, 5, 80, 70 + 3 * seed, 1.0)  # the last ones reach out of the picture
    a = arrays(seed)
    found = Landmarks.from_arrays(a)(picture, box)
    assert found.dtype == np.float32 and found.shape == (5, 2)
    np.testing.assert_array_equal(found, node_by_node(a, picture, box))


def test_a_grey_picture_is_the_same_as_its_three_equal_channels():
    grey = np.random.default_rng(1).integers(0, 256, (90, 90)).astype(np.uint8)
    finder, box = Landmarks.from_arrays(arrays()), Box(10, 10, 70, 70, 1.0)
    three = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(finder(grey, box), finder(three, box))


def test_points_go_along_with_the_picture():
    picture = np.random.default_rng(2).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    moved = np.pad(picture, ((7, 0), (12, 0), (0, 0)))
    finder = Landmarks.from_arrays(arrays())
    one, two = finder(picture, Box(20, 20, 80, 80, 1.0)), finder(moved, Box(32, 27, 92, 87, 1.0))
    np.testing.assert_array_equal(two - one, np.tile([12, 7], (5, 1)))


def test_a_box_outside_of_the_picture_has_points_too():
    finder = Landmarks.from_arrays(arrays())
    picture = np.zeros((20, 20, 3), np.uint8)
    assert np.isfinite(finder(picture, Box(-300, -300, -200, -200, 1.0))).all()


def test_arrays_come_back():
    a = arrays()
    again = Landmarks.from_arrays(a | {"something": np.zeros(3)}).arrays()
    assert set(again) == set(a) and all(again[name] is a[name] for name in a)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leaves": None}, "lack 'leaves'"),
        ({"leaves": np.zeros((3, 20, 9, 10), "float32")}, "fit together: leaves"),
        ({"deltas": np.zeros((3, 31, 2), "float32")}, "fit together: deltas"),
        ({"splits": np.full((3, 20, 7, 2), 30, "uint16")}, "places"),
        ({"anchors": np.full((3, 30), 5, "uint16")}, "places"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change, said):
    changed = {k: v for k, v in {**arrays(), **change}.items() if v is not None}
    with pytest.raises(UnusableModel, match=said):
        Landmarks.from_arrays(changed)


def test_trees_that_are_not_whole_are_refused():
    a = arrays()
    cut = {"splits": a["splits"][:, :, :6], "thresholds": a["thresholds"][:, :, :6]}
    with pytest.raises(UnusableModel, match="thresholds"):
        Landmarks.from_arrays({**a, **cut, "leaves": a["leaves"][:, :, :7]})


def test_the_published_trees_find_the_points_that_dlib_finds():
    """On matplotlib's photo of Grace Hopper; the points were found by dlib 20.0.1."""
    import matplotlib
    from PIL import Image

    try:
        finder = Landmarks.from_arrays(read_shape_predictor(find_file(LANDMARKS)))
    except NotFound:
        pytest.skip("the package with dlib's files is not installed")
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    picture = np.asarray(Image.open(path).convert("RGB"))
    found = finder(picture, Box(190, 140, 356, 305, 1.0))
    assert found.tolist() == [[322, 189], [291, 190], [207, 195], [238, 194], [270, 252]]
