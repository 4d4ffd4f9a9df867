"""Logos are pictures whose letters are where, and as high as, the numbers say."""

import io

import numpy as np
import pytest
from PIL import Image
from program import loads

from deepfield.domains.genomics.features import codes
from deepfield.domains.genomics.logos import (
    BASE_COLOURS,
    as_svg,
    contribution_figure,
    draw_letters,
    information_figure,
    stacked_letters,
    standing_letters,
    stretch_around,
)
from deepfield.domains.genomics.motifs import Motif
from deepfield.toolkit.plot_style import as_png, blank_figure


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(picture, base):
    """Return the share of the pixels in the colour of a base."""
    colour = [int(BASE_COLOURS[base][i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(picture - colour).max(axis=2) < 12).mean()


def drawn(letters, columns, low, high):
    figure = blank_figure(columns, 2, constrained=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(low, high))
    axes.set_axis_off()
    draw_letters(axes, letters)
    return pixels(as_png(figure))


def test_letters_fill_their_box_and_negative_ones_hang():
    picture = drawn([(0, "T", 0.0, 1.0), (1, "C", 0.0, -1.0)], 2, -1, 1)
    height, width = picture.shape[:2]
    ink = (picture < 250).any(axis=2)
    upright, hanging = ink[:, : width // 2], ink[:, width // 2 :]
    assert upright[: height // 2].any() and not upright[height // 2 + 2 :].any()
    assert hanging[height // 2 :].any() and not hanging[: height // 2 - 2].any()
    rows = np.flatnonzero(upright.any(axis=1))
    assert rows[0] <= 2 and rows[-1] >= height // 2 - 3  # from the axis to its height
    columns = np.flatnonzero(upright.any(axis=0))
    assert columns[0] < 0.1 * width / 2 and columns[-1] > 0.9 * width / 2


def test_a_hanging_letter_is_upside_down():
    upright = drawn([(0, "T", 0.0, 1.0)], 1, 0, 1)
    hanging = drawn([(0, "T", 0.0, -1.0)], 1, -1, 0)
    ink = [(p < 250).any(axis=2) for p in (upright, hanging)]
    assert (ink[0] == ink[1][::-1]).mean() > 0.99
    assert ink[0][:10].sum() > 3 * ink[0][-10:].sum()  # the bar of the T is on top


def test_a_letter_twice_as_high_takes_twice_the_ink():
    small, large = (drawn([(0, "G", 0.0, h)], 1, 0, 1) for h in (0.5, 1.0))
    assert share_of(large, "G") / share_of(small, "G") == pytest.approx(2, rel=0.05)


def test_stacks_grow_by_size_on_both_sides_of_the_axis():
    rng = np.random.default_rng(0)
    heights = rng.normal(size=(20, 4))
    heights[3] = 0
    placed = stacked_letters(heights)
    assert not [one for one in placed if one[0] == 3]
    for column in range(20):
        for sign in (1, -1):
            own = [(level, h) for c, _, level, h in placed if c == column and h * sign > 0]
            sizes = [abs(h) for _, h in own]
            assert sizes == sorted(sizes)
            ends = np.cumsum([0.0, *(h for _, h in own)])
            np.testing.assert_allclose([level for level, _ in own], ends[:-1])
            total = heights[column][heights[column] * sign > 0].sum()
            assert ends[-1] == pytest.approx(total)


def test_unknown_letters_are_left_out_and_mixed_ones_are_grey():
    letters = standing_letters(codes("ANR"), np.array([1.0, 1.0, -0.5]))
    assert [(c, name, h) for c, name, _, h in letters] == [(0, "A", 1.0), (2, "R", -0.5)]
    picture = drawn([(0, "R", 0.0, 1.0)], 1, 0, 1)
    assert all(share_of(picture, base) == 0 for base in "ACGT") and (picture < 250).any()


def test_the_colours_are_those_of_the_field():
    picture = drawn([(i, base, 0.0, 1.0) for i, base in enumerate("ACGT")], 4, 0, 1)
    for place, base in enumerate("ACGT"):
        quarter = np.array_split(picture, 4, axis=1)[place]
        assert share_of(quarter, base) > 0.15
        assert all(share_of(quarter, other) == 0 for other in "ACGT" if other != base)


def test_a_motif_is_drawn_the_same_each_time():
    motif = Motif("m", np.array([[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0.25, 0.25, 0.25, 0.25]]))
    first = as_png(information_figure([motif]))
    assert first == as_png(information_figure([motif]))
    picture = pixels(first)
    assert picture.shape[0] > 200 and picture.shape[1] > 400
    # A tells 2 bits, C and G share 1
    assert share_of(picture, "A") > 2 * share_of(picture, "C") > 0
    assert share_of(picture, "T") == 0
    svg = as_svg(information_figure([motif, motif]))
    assert svg.startswith(b"<?xml") and svg == as_svg(information_figure([motif, motif]))


@pytest.mark.parametrize("length", [1, 7, 100, 101, 700])
@pytest.mark.parametrize("step", [1, -1])
def test_sequences_of_any_length_are_drawn(length, step):
    rng = np.random.default_rng(length)
    sequence = rng.integers(0, 15, length)
    heights = rng.normal(0, 0.1, length)
    heights[length // 2] = 2.0
    png = as_png(
        contribution_figure(
            sequence, heights, rng.normal(size=(length, 4)), unit="log-odds of $1",
            caption="chr1 $x$ <b>", first=10_000, step=step, site=10_000 + step * (length // 2),
        )
    )  # fmt: skip
    picture = pixels(png)
    assert 400 <= picture.shape[1] <= 1600 and (picture < 250).any()


def test_nothing_but_zeros_can_be_drawn():
    blank = contribution_figure(codes("ACGT"), np.zeros(4), np.zeros((4, 4)), unit="log-odds of 1")
    assert as_png(blank).startswith(b"\x89PNG")


def test_a_long_sequence_is_shown_where_it_counts():
    heights = np.zeros(1000)
    heights[700:708] = -1
    start = stretch_around(heights, 100)
    assert start <= 660 and start + 100 >= 748  # in the middle
    assert stretch_around(heights[::-1], 2000) == 0
    for place in (0, 999):
        heights = np.zeros(1000)
        heights[place] = 5
        assert 0 <= stretch_around(heights, 100) <= place <= stretch_around(heights, 100) + 99


def test_the_module_does_not_load_matplotlib():
    loaded = loads("import deepfield.domains.genomics.logos")
    assert not {"keras", "tensorflow", "matplotlib", "scipy"} & loaded
