"""Faces come out upright, at their place and at one size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.face.alignment import CHIP, MEAN_FACE, chip_of, similarity
from deepfield.toolkit.errors import BadInput


def umeyama(source, target):
    """The general method, by singular values, as the paper has it."""
    mx, my = source.mean(0), target.mean(0)
    u, d, vt = np.linalg.svd((target - my).T @ (source - mx) / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    scale = (d * sign).sum() / ((source - mx) ** 2).sum(1).mean()
    turn = scale * u @ np.diag(sign) @ vt
    return turn, my - turn @ mx


def moved(points, scale, degrees, shift):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + shift


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.sampled_from([0.0, 0.1, 1.0]))
def test_the_closed_form_is_umeyamas(seed, noise):
    rng = np.random.default_rng(seed)
    scale, degrees = rng.uniform(0.1, 300), rng.uniform(-180, 180)
    target = moved(MEAN_FACE, scale, degrees, rng.normal(0, 50, 2))
    target = target + rng.normal(0, noise, (5, 2)) * scale
    for one, two in zip(similarity(MEAN_FACE, target), umeyama(MEAN_FACE, target), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-7 * scale)


def test_points_that_were_moved_are_met():
    turn, shift = similarity(MEAN_FACE, moved(MEAN_FACE, 80, 30, [3, 5]))
    np.testing.assert_allclose(np.hypot(*turn[0]), 80)
    np.testing.assert_allclose(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])), 30)
    np.testing.assert_allclose(shift, [3, 5], atol=1e-9)


def marked(points, size=400, radius=3.0):
    """Black, with a spot at every point."""
    y, x = np.mgrid[:size, :size]
    spots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2)) for px, py in points)
    return np.repeat((np.clip(spots, 0, 1) * 255)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 20, -75, 180])
@pytest.mark.parametrize("scale", [60, 100, 230])
def test_landmarks_lie_where_the_mean_face_has_them(scale, degrees):
    middle = MEAN_FACE.mean(0)
    points = moved(MEAN_FACE - middle, scale, degrees, [200, 190])
    chip = chip_of(marked(points, radius=scale / 25), points)
    assert chip.shape == (CHIP, CHIP, 3) and chip.dtype == np.uint8
    for x, y in (0.25 + MEAN_FACE) / 1.5 * CHIP:
        column, row = round(x), round(y)
        part = chip[row - 9 : row + 10, column - 9 : column + 10, 0].astype(float)
        grid = np.arange(-9, 10)
        centre = np.array([part.sum(0) @ grid, part.sum(1) @ grid]) / part.sum()
        np.testing.assert_allclose(centre, [x - column, y - row], atol=1.0)


def test_levels_are_interpolated_between_pixels():
    ramp = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    chip = chip_of(ramp, 30 + 80 * MEAN_FACE).astype(float)
    steps = np.diff(chip[75, :, 0])
    assert set(steps) <= {0, 1} and steps.mean() == pytest.approx(80 * 1.5 / 150, abs=0.01)
    assert (chip == chip[:1]).all()


def test_what_lies_outside_is_black():
    white = np.full((100, 100, 3), 255, np.uint8)
    chip = chip_of(white, 60 + 80 * MEAN_FACE)
    assert (chip[:70, :70] == 255).all() and (chip[80:] == 0).all() and (chip[:, 80:] == 0).all()
    assert (chip_of(white, 5000 + 80 * MEAN_FACE) == 0).all()
    assert (chip_of(white, -5000 + 900 * MEAN_FACE) == 0).all()
    assert (chip_of(white[:1], 80 * MEAN_FACE) == 0).all()


def test_large_faces_are_averaged_before_they_are_shrunk():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1200, 1200, 3)).astype(np.uint8)
    chips = [chip_of(noise, 200 + scale * MEAN_FACE) for scale in (90, 190, 400, 800)]
    spread = [chip[30:120, 30:120].std() for chip in chips]
    assert spread[0] > 45 and spread[1] > 20 and spread[2] < 25 and spread[3] < 15


def test_a_grey_picture_gives_three_equal_channels():
    grey = np.random.default_rng(0).integers(0, 256, (500, 500)).astype(np.uint8)
    for scale in (90, 350):
        points = 50 + scale * MEAN_FACE
        three = chip_of(np.repeat(grey[..., None], 3, axis=2), points)
        np.testing.assert_array_equal(chip_of(grey, points), three)


def test_a_smaller_chip_can_be_asked_for():
    picture = np.zeros((300, 300, 3), np.uint8)
    assert chip_of(picture, 100 * MEAN_FACE, size=64, padding=0.0).shape == (64, 64, 3)


@pytest.mark.parametrize("points", [np.ones((5, 2)), np.full((5, 2), np.nan)])
def test_points_that_coincide_are_refused(points):
    with pytest.raises(BadInput, match="on one point"):
        chip_of(np.zeros((50, 50, 3), np.uint8), points)


@pytest.mark.parametrize(
    ("scale", "degrees", "total", "levels"),
    [
        (60, 0, 8536641, [[238, 91, 118], [234, 184, 98], [65, 241, 126]]),
        (130, 25, 8585270, [[189, 165, 120], [90, 213, 102], [80, 176, 76]]),
        (260, -40, 8548963, [[127, 113, 127], [123, 113, 119], [122, 116, 134]]),
        (500, 170, 6937522, [[0, 0, 0], [0, 121, 123], [0, 129, 0]]),
    ],
)
def test_chips_are_those_of_dlib(scale, degrees, total, levels):
    """Cut by dlib 20.0.1 out of the same noise at the same points."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3)).astype(np.uint8)
    points = np.rint(moved(MEAN_FACE - 0.5, scale, degrees, [350, 340]))
    chip = chip_of(noise, points)
    assert int(chip.sum()) == total
    assert chip[::70, ::70, 0].tolist() == levels
