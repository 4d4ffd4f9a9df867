"""Faces are found at every size and told in pixels of the picture as it was given."""

import numpy as np
import pytest

from deepfield.domains.face import detection
from deepfield.domains.face.detection import LONGEST_SIDE, Box, find_faces


class SquareDetector:
    """Sees a bright square of 80 pixels as the network sees a face, and remembers what it saw."""

    def __init__(self):
        self.sizes = []

    def __call__(self, picture):
        assert picture.ndim == 4 and picture.dtype == np.uint8 and picture.shape[3] == 3
        rows, columns = picture.shape[1:3]
        self.sizes.append((columns, rows))
        light = np.pad(picture[0, :, :, 1] / 255.0, 100)
        total = np.pad(light.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        cells = [np.arange((side + 54 - 29) // 8 + 1) for side in (rows, columns)]
        top, left = (8 * c - 13 - 40 + 100 for c in cells)

        def inside(border):
            low, high = top - border, top + 80 + border
            a, b = left - border, left + 80 + border
            corners = total[np.ix_(high, b)] - total[np.ix_(low, b)]
            return corners - total[np.ix_(high, a)] + total[np.ix_(low, a)]

        window, around = inside(0), inside(16)
        sure = window / 6400 - (around - window) / (112**2 - 6400) - 0.75
        return sure[None, :, :, None].astype(np.float32)


def picture_of(*squares, size=(480, 640)):
    picture = np.zeros((*size, 3), np.uint8)
    for left, top, side in squares:
        picture[top : top + side, left : left + side] = 255
    return picture


def near(box, left, top, side, slack=0.12):
    found = np.array([box.left, box.top, box.right + 1, box.bottom + 1])
    return np.abs(found - [left, top, left + side, top + side]).max() <= slack * side


@pytest.mark.parametrize("side", [80, 97, 130, 200, 330])
def test_a_face_is_found_at_any_size_from_80_pixels(side):
    (box,) = find_faces(picture_of((120, 70, side)), SquareDetector())
    assert near(box, 120, 70, side) and box.confidence > 0


def test_a_face_on_the_grid_is_found_to_the_pixel():
    # a cell's middle is 8 c - 13; half of the window lies to each side
    left = 8 * 30 - 13 - 39
    (box,) = find_faces(picture_of((left, left, 80)), SquareDetector())
    assert (box.left, box.top) == (left - 0.5, left - 0.5)
    assert (box.right, box.bottom) == (left + 79 - 0.5, left + 79 - 0.5)


def test_several_faces_come_the_surest_first():
    squares = [(40, 40, 80), (300, 60, 150), (80, 260, 190)]
    boxes = find_faces(picture_of(*squares), SquareDetector())
    assert len(boxes) == 3
    assert [b.confidence for b in boxes] == sorted((b.confidence for b in boxes), reverse=True)
    assert all(any(near(b, *square) for b in boxes) for square in squares)


def test_small_faces_are_found_once_the_picture_is_enlarged():
    picture = picture_of((200, 100, 45))
    assert find_faces(picture, SquareDetector()) == []
    (box,) = find_faces(picture, SquareDetector(), enlarge=2)
    assert near(box, 200, 100, 45)


def test_a_large_picture_is_searched_at_a_bounded_size():
    detector = SquareDetector()
    picture = picture_of((1000, 800, 700), size=(3000, 4500))
    (box,) = find_faces(picture, detector)
    assert near(box, 1000, 800, 700)
    assert max(detector.sizes[0]) == LONGEST_SIDE
    detector = SquareDetector()
    (box,) = find_faces(picture, detector, enlarge=4, longest_side=900)
    assert near(box, 1000, 800, 700) and max(detector.sizes[0]) == 900


def test_every_size_is_five_sixths_of_the_last():
    detector = SquareDetector()
    find_faces(picture_of(), detector)
    assert detector.sizes[:4] == [(640, 480), (533, 400), (444, 333), (370, 277)]
    assert min(detector.sizes[-1]) >= 40 and min(detector.sizes[-1]) * 5 / 6 < 40


def test_sizes_that_were_searched_before_are_left_out():
    detector = SquareDetector()
    (box,) = find_faces(picture_of((200, 100, 45)), detector, enlarge=2, searched=1)
    assert near(box, 200, 100, 45)
    assert detector.sizes == [(1280, 960), (1066, 800), (888, 666), (740, 555)]
    detector = SquareDetector()  # a picture too long to be enlarged has been searched as it is
    assert find_faces(picture_of(), detector, enlarge=2, searched=1, longest_side=600) == []
    assert detector.sizes == []


@pytest.mark.parametrize("size", [(1, 1), (2, 500), (30, 20)])
def test_tiny_pictures_are_looked_at_once(size):
    detector = SquareDetector()
    assert find_faces(np.zeros((*size, 3), np.uint8), detector) == []
    assert detector.sizes == [size[::-1]]


def test_a_grey_picture_is_searched_like_its_three_equal_channels():
    picture = picture_of((120, 70, 130))
    assert find_faces(picture[..., 0], SquareDetector()) == find_faces(picture, SquareDetector())


def test_of_boxes_that_overlap_the_surest_stays():
    boxes = np.array(
        [
            [0, 0, 79, 79, 0.5],
            [8, 0, 87, 79, 0.9],  # shares most of the first
            [70, 70, 149, 149, 0.1],  # shares little with either
            [8, 0, 87, 79, 0.9],  # the same again
        ]
    )
    assert detection._surest(boxes) == [1, 2]
    assert detection._surest(boxes[:0]) == []


def test_many_boxes_are_thinned_soon():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 2000, (20_000, 2))
    boxes = np.column_stack([corners, corners + 79, rng.uniform(0, 1, 20_000)])
    kept = detection._surest(boxes)
    assert 100 < len(kept) < 3000


def test_a_box_is_five_numbers():
    box = Box(1.0, 2.0, 3.0, 4.0, 0.5)
    with pytest.raises(AttributeError):
        box.left = 3.0
