"""Sequence logos: letters as high as what they count for. Matplotlib is imported when one is drawn.

Bases have the colours of the field, A green, C blue, G orange and T red, in the shades that stay
apart for the colour-blind (Okabe & Ito 2008).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from deepfield.domains.genomics.features import LETTERS
from deepfield.domains.genomics.motifs import Motif
from deepfield.toolkit.plot_style import (
    COLOURS,
    INK,
    LINE,
    NORMAL,
    PAPER,
    SMALL,
    SOFT,
    blank_figure,
    plain_axes,
)

#: Of the bases; a letter that may be several is grey.
BASE_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_BROAD, _LETTER = 10.0, 0.11  # inches: of a whole figure, and of a letter in a logo
_IN_A_ROW = 10  # letters whose sum says where a long sequence counts most
_ROUND = tuple(n * 10**k for k in range(9) for n in (1, 2, 5))  # between two ticks
_MOST_TICKS = 10
_DASHES = (0, (4, 3))
_GAP = 0.04  # between two letters, in letters

#: A letter of a logo: column, which letter, where it begins and how high; negative ones hang.
Letter = tuple[int, str, float, float]


def stacked_letters(heights: np.ndarray) -> list[Letter]:
    """Where each base of every column goes: positive ones stand on the axis, the largest on top,
    negative ones hang from it, the largest at the bottom.

    Args:
        heights: (columns, 4) of A, C, G, T.

    Example:
        >>> stacked_letters(np.array([[0.5, -1.0, 1.5, 0.0]]))
        [(0, 'A', 0.0, 0.5), (0, 'G', 0.5, 1.5), (0, 'C', 0.0, -1.0)]
    """
    placed: list[Letter] = []
    for column, row in enumerate(np.asarray(heights, dtype=float)):
        for sign in (1, -1):
            level = 0.0
            for base in np.argsort(sign * row, kind="stable"):
                if sign * row[base] > 0:
                    placed.append((column, "ACGT"[base], level, float(row[base])))
                    level += float(row[base])
    return placed


def standing_letters(sequence: np.ndarray, heights: np.ndarray) -> list[Letter]:
    """One letter a column: that of the sequence, in its own height. N is left out.

    Args:
        sequence: (columns,) codes.
        heights: (columns,), negative where the letter hangs upside down.
    """
    return [
        (column, LETTERS[code], 0.0, float(height))
        for column, (code, height) in enumerate(zip(sequence, heights, strict=True))
        if code and height
    ]


def draw_letters(axes: Any, letters: Sequence[Letter], first: float = 0.0) -> None:
    """Draw letters into matplotlib axes, column c over `first + c`; those that hang are upside
    down.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    for column, name, level, height in letters:
        shape = Affine2D().scale(1 - _GAP, height).translate(first + column - (1 - _GAP) / 2, level)
        axes.add_patch(
            PathPatch(
                _glyph(name).transformed(shape), lw=0, color=BASE_COLOURS.get(name, SOFT),
                alpha=1 if height > 0 else 0.6,
            )
        )  # fmt: skip


@cache
def _glyph(letter: str) -> Any:
    """The outline of a letter that fills the square from (0, 0) to (1, 1)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    # the font that matplotlib brings along: the same letters everywhere
    path = TextPath((0, 0), letter, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    fit = Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height)
    return path.transformed(fit)


# ----------------------------------------------------------------------------------- of a motif


def information_figure(motifs: Sequence[Motif], titles: Sequence[str] = ()) -> Any:
    r"""Motifs below one another; a column is as high as the bits it tells, shared by frequency.

    A letter is $p_b I$ high, I the information of the column (`Motif.information`).

    Source: Schneider & Stephens 1990. Deviation: no correction for few sites.
    """
    wide = max((len(motif) for motif in motifs), default=1)
    titles = list(titles) or [motif.name for motif in motifs]
    figure = blank_figure(max(3.0, 1.0 + 0.32 * wide), 0.2 + 1.4 * max(1, len(motifs)))
    rows = np.ravel(figure.subplots(max(1, len(motifs)), 1, squeeze=False))
    for axes, motif, title in zip(rows, motifs, titles, strict=False):
        plain_axes(axes, grid=False)
        told = motif.information
        draw_letters(axes, stacked_letters(motif.probabilities * told[:, None]), first=1)
        axes.set(xlim=(0.4, wide + 0.6), ylim=(0, max(2.0, float(told.max()) * 1.02)))
        axes.set_xticks(range(1, len(motif) + 1))
        axes.set_ylabel("bits")
        axes.set_title(title, fontsize=SMALL, color=INK, loc="left", parse_math=False)
    return figure


# ------------------------------------------------------------------------------- of a sequence


def contribution_figure(
    sequence: np.ndarray,
    contributions: np.ndarray,
    changes: np.ndarray,
    *,
    unit: str,
    caption: str = "",
    first: int = 1,
    step: int = 1,
    site: int | None = None,
    overview: np.ndarray | None = None,
    before: int = 0,
    zoom: int = 100,
) -> Any:
    """A sequence whose letters are as high as what they add, and below it what every other base
    would change. Of a long one, the stretch that counts most, and a line of the whole above it.

    Args:
        sequence: (letters,) codes.
        contributions: (letters,), of the letters that stand there.
        changes: (letters, 4), of the answer with each base in a letter's place.
        unit: of both.
        caption: above all.
        first: position of the first letter, as people count.
        step: to the position of the next letter: 1, or -1 on the other strand.
        site: a position to be marked.
        overview: values of the line above; by default the contributions.
        before: letters of the overview that come before the first letter of the sequence.
        zoom: letters that are shown at once.
    """
    start = stretch_around(contributions, zoom)
    shown = slice(start, start + zoom)
    letters, heights = sequence[shown], contributions[shown]
    first += step * start
    marked = None if site is None else (site - first) * step
    line = contributions if overview is None else overview
    count, whole = len(letters), len(line) > len(letters)
    ratios = [*([0.8] if whole else []), 1.9, 0.55]
    broad = _BROAD if whole else max(4.5, 1.2 + _LETTER * count)
    figure = blank_figure(min(_BROAD, broad), 0.5 + 1.05 * sum(ratios))
    rows = np.ravel(figure.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False))
    for axes in rows:
        plain_axes(axes, grid=False)
    if whole:
        _draw_line(rows[0], line, before + start, count, first, step, marked)
    logo, map_ = rows[-2:]
    logo.axhline(0, color=LINE, lw=0.8, zorder=0)
    draw_letters(logo, standing_letters(letters, heights))
    low, high = min(0.0, heights.min(initial=0)), max(0.0, heights.max(initial=0))
    room = 0.06 * (high - low) or 1.0
    logo.set(ylim=(low - room, high + room), ylabel=unit)
    _draw_changes(figure, map_, changes[shown])
    for axes in (logo, map_):
        axes.set_xlim(-0.6, count - 0.4)
        _count_positions(axes, 0, count, first, step)
        if marked is not None:
            axes.axvline(marked, color=INK, lw=0.7, ls=_DASHES, zorder=0)
    map_.set_xlabel("position" if step > 0 else "position (- strand)")
    figure.suptitle(caption, fontsize=NORMAL, color=INK, parse_math=False)
    return figure


def _draw_line(
    axes: Any, line: np.ndarray, seen: int, count: int, first: int, step: int, site: int | None
) -> None:
    """The whole above the letters: `seen` values come before the `count` that are letters below."""
    places = np.arange(len(line)) - seen
    axes.axvspan(-0.5, count - 0.5, color=LINE, alpha=0.6, lw=0)
    axes.fill_between(places, line, step="mid", color=COLOURS[0], alpha=0.9, lw=0)
    axes.axhline(0, color=LINE, lw=0.8)
    if site is not None:
        axes.axvline(site, color=INK, lw=0.7, ls=_DASHES)
    axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    _count_positions(axes, int(places[0]), int(places[-1]) + 1, first, step)
    axes.set_title("the whole; grey: the letters below", fontsize=SMALL, color=SOFT, loc="left")


def _draw_changes(figure: Any, axes: Any, changes: np.ndarray) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    limit = float(np.abs(changes).max(initial=0)) or 1.0
    colours = LinearSegmentedColormap.from_list("change", [COLOURS[0], PAPER, COLOURS[1]])
    painted = axes.imshow(
        changes.T, cmap=colours, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    axes.set_yticks(range(4), list("ACGT"))
    bar = figure.colorbar(painted, ax=axes, aspect=6, pad=0.01)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, colors=SOFT, length=0)


def _count_positions(axes: Any, start: int, stop: int, first: int, step: int) -> None:
    """Ticks at round positions, of which the letter at 0 has the first."""
    places = np.arange(start, stop)
    positions = first + step * places
    apart = next(n for n in _ROUND if (stop - start) / n <= _MOST_TICKS or n == _ROUND[-1])
    round_ = positions % apart == 0
    axes.set_xticks(places[round_], [f"{position:,}" for position in positions[round_]])


def stretch_around(contributions: np.ndarray, width: int) -> int:
    """Where a stretch of letters begins in whose middle the highest ten in a row stand."""
    if len(contributions) <= width:
        return 0
    sums = np.convolve(np.abs(contributions), np.ones(_IN_A_ROW), "valid")
    middle = int(np.argmax(sums)) + _IN_A_ROW // 2
    return int(np.clip(middle - width // 2, 0, len(contributions) - width))


def as_svg(figure: Any) -> bytes:
    """The figure as SVG, the same bytes for the same numbers."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "deepfield"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
