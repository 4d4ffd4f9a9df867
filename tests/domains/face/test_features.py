"""From a picture to the face that is meant, or to the reason why there is none."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drawn_faces import draw_face
from PIL import Image

from deepfield.domains.face.alignment import CHIP, MEAN_FACE
from deepfield.domains.face.detection import Box
from deepfield.domains.face.features import (
    Face,
    FaceFinder,
    Remembered,
    chosen,
    content_hash,
    cropped,
    pixels_of,
    same_source,
    tilt_of,
)
from deepfield.toolkit.errors import BadInput


def box(left, side):
    return Box(left, 0.0, left + side, side, 1.0)


# -- which face


def test_the_only_face_is_taken_whatever_was_said():
    for choice in ("clear", "largest", "only"):
        assert chosen([box(3, 80)], choice) == box(3, 80)


def test_of_several_faces_the_clearly_largest_is_meant():
    small, large, larger = box(0, 80), box(200, 110), box(400, 120)
    assert chosen([small, larger], "clear") == larger
    with pytest.raises(BadInput, match="2 faces, 120, 110 pixels wide: which is meant"):
        chosen([large, larger], "clear")
    assert chosen([large, larger], "largest") == larger
    with pytest.raises(BadInput, match="2 faces"):
        chosen([small, larger], "only")


def test_no_face_is_said():
    with pytest.raises(BadInput, match="no face found"):
        chosen([], "largest")


def test_the_tilt_is_that_of_the_eyes():
    points = 100 * MEAN_FACE
    assert abs(tilt_of(points)) < 1
    for degrees in (-60, 20, 90):
        turn = np.deg2rad(degrees)
        rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        assert tilt_of(points @ rotation) == pytest.approx(degrees, abs=1)


def test_small_and_turned_faces_are_doubted():
    chip = draw_face(1, 1)
    assert Face(chip).doubt == "" and Face(chip, box(0, 100), 1, 10.0).doubt == ""
    assert "40 pixels" in Face(chip, box(0, 40), 1).doubt
    assert "turned by -50 degrees" in Face(chip, box(0, 100), 1, -50.0).doubt
    light = Face(chip, box(0, 40), 2, 5.0).without_chip()
    assert not light.chip.size and light.faces == 2 and "40 pixels" in light.doubt


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_on_its_side_is_said_to_be(quarters):
    picture = np.zeros((200, 160, 3), np.uint8)
    picture[:20] = 255  # a face wherever the sky is above

    def detector(given):
        rows, columns = -(-given.shape[1] // 8), -(-given.shape[2] // 8)
        sure = np.full((1, rows, columns, 1), -1.0, np.float32)
        sure[0, -1, -1] = given[0, 2].mean() - 0.8 * 255
        return sure

    finder = FaceFinder(detector, landmarks=None)
    assert finder.found(picture) and not finder.found(np.rot90(picture, quarters))
    with pytest.raises(BadInput, match=f"turned by {360 - 90 * quarters} degrees: turn the pic"):
        finder(np.rot90(picture, quarters))
    assert finder.turned(np.zeros_like(picture)) == 0


def test_a_large_picture_is_not_searched_at_one_size_twice():
    seen = []

    def detector(given):
        seen.append(given.shape[1:3])
        return np.zeros((1, -(-given.shape[1] // 8), -(-given.shape[2] // 8), 1), np.float32)

    assert FaceFinder(detector, landmarks=None).found(np.zeros((60, 2200, 3), np.uint8)) == []
    assert seen and len(set(seen)) == len(seen)


def test_where_nothing_is_found_small_faces_are_looked_for():
    seen = []

    def detector(picture):
        seen.append(picture.shape[1:3])
        rows, columns = -(-picture.shape[1] // 8), -(-picture.shape[2] // 8)
        sure = np.full((1, rows, columns, 1), -1.0, np.float32)
        if picture.shape[2] >= 400:  # enlarged twice
            sure[0, 20, 25] = 1.0
        return sure

    picture = np.full((160, 200, 3), 90, np.uint8)
    find = FaceFinder(detector, lambda picture, box: box.left + 40 * MEAN_FACE)
    face = find(picture)
    assert seen[0] == (160, 200) and (320, 400) in seen
    assert face.faces == 1 and face.box.right - face.box.left == pytest.approx(40, abs=1)
    assert face.chip.shape == (CHIP, CHIP, 3) and "pixels" in face.doubt
    with pytest.raises(BadInput, match="no face"):
        FaceFinder(detector, None)(np.zeros((90, 90, 3), np.uint8))


# -- pictures


def test_a_picture_that_is_a_face_becomes_a_chip():
    face = cropped(draw_face(1, 1, size=90))
    assert face.chip.shape == (CHIP, CHIP, 3) and face.faces is None and not face.doubt
    assert "20 pixels" in cropped(draw_face(1, 1, size=20)).doubt
    whole = draw_face(1, 1)
    np.testing.assert_array_equal(cropped(whole).chip, whole)
    grey = cropped(whole[..., 0]).chip
    assert grey.shape == (CHIP, CHIP, 3) and (grey[..., 0] == grey[..., 2]).all()


def test_what_is_no_picture_is_said(tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    for source in (str(torn), b"no picture", str(tmp_path / "none.png"), None):
        with pytest.raises(BadInput):
            pixels_of(source)
        with pytest.raises(BadInput):
            Remembered(pixels_of)(source)


# -- remembering


def test_a_picture_is_looked_at_once_and_its_fault_is_remembered():
    asked = []

    def look(source):
        asked.append(source)
        if source == b"bad":
            raise BadInput("no face found")
        return len(source)

    known = Remembered(look, most=2)
    assert [known(b"a"), known(b"a"), known(b"bb")] == [1, 1, 2] and len(asked) == 2
    for _ in range(2):
        with pytest.raises(BadInput, match="no face found"):
            known(b"bad")
    assert isinstance(known.remember(b"bad"), BadInput) and len(asked) == 3
    known(b"a")  # was forgotten, two others came since
    assert asked == [b"a", b"bb", b"bad", b"a"]


def test_many_threads_may_ask_at_once():
    known = Remembered(lambda source: source[0], most=3)
    sources = [bytes([i % 7]) for i in range(500)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(known, sources)) == [s[0] for s in sources]
    assert len(known.known) <= 3


def test_a_file_that_was_changed_is_another_picture(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(draw_face(1, 1)).save(path)
    before = same_source(path), content_hash(path)
    assert (same_source(str(path)), content_hash(str(path))) == before
    Image.fromarray(draw_face(2, 1)).save(path)
    assert same_source(path) != before[0] and content_hash(path) != before[1]


def test_files_bytes_and_pixels_are_the_same_only_if_they_hold_the_same(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    Image.fromarray(draw_face(1, 1)).save(one)
    two.write_bytes(one.read_bytes())
    assert content_hash(one) == content_hash(two) == content_hash(one.read_bytes())
    assert same_source(one) != same_source(two)
    pixels = np.zeros((4, 6, 3), np.uint8)
    assert content_hash(pixels) == content_hash(pixels.copy())
    assert content_hash(pixels) != content_hash(pixels.reshape(6, 4, 3))
    assert content_hash(Image.fromarray(pixels)) == content_hash(Image.fromarray(pixels))
    assert same_source(str(tmp_path / "none")) == str(tmp_path / "none")
    with pytest.raises(BadInput, match="cannot be read"):
        content_hash(str(tmp_path / "none"))
