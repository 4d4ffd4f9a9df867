"""Pictures for reports: each function takes numbers and returns a PNG as bytes.

One style for all (`plot_style`) and no state.
Curves come as mappings from a name to its data, in the order in which they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepfield.toolkit.calibration import ece, reliability
from deepfield.toolkit.errors import shortened
from deepfield.toolkit.plot_style import (
    COLOURS,
    INK,
    LINE,
    NORMAL,
    PAPER,
    SMALL,
    SOFT,
    add_legend,
    as_png,
    blank_figure,
    colours_of,
    diagonal,
    percent_ticks,
    plain_axes,
    shown_number,
)
from deepfield.toolkit.scores import roc_auc, roc_curve

#: How tall a layer of (steps, features) is drawn, inches.
_SEQUENCE = 0.75

# -------------------------------------------------------------------------------------- curves


def reliability_diagram(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], bins: int = 15
) -> bytes:
    """Share that came true against the probability given, above how often each was given.

    Args:
        curves: name to (probabilities, targets), as `calibration.ece` takes them, for example
            before and after calibration; several tasks are pooled.
        bins: of equal width.
    """
    figure = blank_figure(4.2, 4.8)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for axes in (top, bottom):
        plain_axes(axes)
    diagonal(top)
    for colour, (name, (probabilities, targets)) in zip(
        colours_of(curves), curves.items(), strict=True
    ):
        y, p = np.asarray(targets, dtype=float), np.asarray(probabilities)
        error = ece(p, y, bins)
        if y.ndim == 2:
            y, p = y.ravel(), p.ravel()
        mean, share, count = reliability(p, y, bins)
        there = count > 0
        label = f"{name}: ECE {shown_number(error)}"
        top.plot(mean[there], share[there], "o-", ms=3.5, lw=1.5, color=colour, label=label)
        edges = np.linspace(0, 1, bins + 1)
        bottom.stairs(count / max(1, count.sum()), edges, color=colour, lw=1.2)
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that came true")
    bottom.set(xlabel="probability given", ylabel="samples", ylim=(0, None))
    bottom.yaxis.set_major_formatter(percent_ticks())
    add_legend(top, "upper left")
    return as_png(figure)


def rejection_plot(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Accuracy of the answers kept against the share refused.

    Args:
        curves: name to (rejected shares, accuracies), as `scores.rejection_curve` gives them.
    """
    figure = blank_figure(5.2, 3.4)
    axes = plain_axes(figure.subplots())
    lowest, furthest = 1.0, 0.05
    for colour, (name, (rates, accuracies)) in zip(colours_of(curves), curves.items(), strict=True):
        # The last few answers kept are too few to give a share.
        rates, accuracies = np.asarray(rates)[:-10], np.asarray(accuracies)[:-10]
        label = f"{name}: {accuracies[0]:.4g} with none refused" if len(rates) else name
        axes.step(rates, accuracies, where="post", color=colour, lw=1.6, label=label)
        lowest = min(lowest, accuracies.min(initial=1.0))
        perfect = np.flatnonzero(accuracies >= 1)
        furthest = max(furthest, rates[perfect[0]] * 1.3 if len(perfect) else 1.0)
    pad = max(1e-3, 0.06 * (1 - lowest))
    axes.set(xlim=(0, min(1.0, furthest)), ylim=(lowest - pad, 1 + pad))
    axes.set(xlabel="share of answers refused", ylabel="accuracy of the rest")
    axes.xaxis.set_major_formatter(percent_ticks())
    add_legend(axes, "lower right")
    return as_png(figure)


def roc_plot(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, log_rates: bool = False
) -> bytes:
    """True- against false-positive rate.

    Args:
        curves: name to (targets, scores), each (n,).
        log_rates: logarithmic false-positive rate, for verification.
    """
    figure = blank_figure(4.4, 4.2)
    axes = plain_axes(figure.subplots())
    rates = np.geomspace(1e-6, 1, 200)
    axes.plot(rates, rates, color=LINE, lw=1.2, zorder=1)
    smallest = 0.1
    for colour, (name, (targets, scores)) in zip(colours_of(curves), curves.items(), strict=True):
        false, true = roc_curve(targets, scores)
        label = f"{name}: {shown_number(roc_auc(targets, scores))}"
        axes.step(false, true, where="post", color=colour, lw=1.6, label=label)
        smallest = min(smallest, false[false > 0].min(initial=0.1))
    if log_rates:
        axes.set(xscale="log", xlim=(smallest, 1), ylim=(0, 1.01))
    else:
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    add_legend(axes, "lower right", "area under the curve")
    return as_png(figure)


def histogram(
    values: Mapping[str, np.ndarray],
    *,
    label: str,
    lines: Mapping[str, float] | None = None,
    bins: int = 40,
) -> bytes:
    """How values are distributed, group beside group, each as shares of its own samples.

    Args:
        values: name to (n,); what is not finite is left out.
        label: what is on the axis, with its unit.
        lines: name to a value marked by a vertical line, such as a threshold.
        bins: of equal width over all groups.
    """
    figure = blank_figure(5.2, 3.2)
    axes = plain_axes(figure.subplots())
    finite = {name: np.asarray(v, float)[np.isfinite(v)] for name, v in values.items()}
    everything = np.concatenate([*finite.values(), np.zeros(0)])
    edges = np.histogram_bin_edges(everything, bins=bins)
    for colour, (name, group) in zip(colours_of(finite), finite.items(), strict=True):
        share = np.histogram(group, edges)[0] / max(1, len(group))
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(share, edges, color=colour, lw=1.4, label=f"{name} ({len(group):,})")
    for name, at in (lines or {}).items():
        axes.axvline(at, color=INK, lw=1, ls=(0, (4, 3)), label=f"{name}: {at:.4g}")
    axes.set(xlabel=label, ylabel="share of samples", ylim=(0, None))
    axes.yaxis.set_major_formatter(percent_ticks())
    add_legend(axes, "best")
    return as_png(figure)


# ------------------------------------------------------------------------------------ pictures


def confusion_plot(matrix: np.ndarray, labels: Sequence[str]) -> bytes:
    """What was said of what is true; colour is the share of the row, on a root scale.

    Up to 15 classes the counts stand in the cells; beyond 60 only some of the names are written.

    Args:
        matrix: (classes, classes) counts, rows true, as `scores.confusion` gives them.
        labels: names of the classes.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    matrix = np.asarray(matrix)
    count = len(matrix)
    side = float(np.clip(1.6 + 0.36 * count, 3.6, 9.0))
    figure = blank_figure(side + 0.6, side)
    axes = plain_axes(figure.subplots(), grid=False)
    share = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    blues = LinearSegmentedColormap.from_list(
        "deepfield", [PAPER, "#9ecae1", COLOURS[0], "#08306b"]
    )
    shown = axes.imshow(share, cmap=blues, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    if count <= 15:
        for (row, column), number in np.ndenumerate(matrix):
            if number:
                colour = PAPER if share[row, column] > 0.35 else INK
                axes.text(
                    column,
                    row,
                    f"{number:,}",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color=colour,
                )
    step = max(1, math.ceil(count / 60))
    places = np.arange(0, count, step)
    names = [shortened(labels[int(place)], 18) for place in places]
    size = SMALL if count <= 30 else 6 if count <= 60 else 5
    upright = max((len(name) for name in names), default=0) > 2
    axes.set_xticks(places, names, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0)
    axes.set(xlabel="said", ylabel="true")
    for spine in axes.spines.values():
        spine.set(visible=True, color=LINE)
    if count > 15:
        bar = figure.colorbar(shown, ax=axes, shrink=0.6, aspect=30, ticks=[0, 0.1, 0.25, 0.5, 1])
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=SMALL, colors=SOFT, length=0)
        bar.ax.yaxis.set_major_formatter(percent_ticks())
    return as_png(figure)


def layers_plot(
    layers: Sequence[tuple[str, np.ndarray]],
    picture: np.ndarray | None = None,
    scores: Sequence[tuple[str, float]] = (),
    maps: int = 12,
) -> bytes:
    """Inside a convolutional network: the outputs of every layer, laid out horizontally.

    The input is at the bottom, the class scores are on top, and every row between is one layer:
    a picture for each feature map, brightest where it responds most.

    Args:
        layers: name and output of one sample, without the leading axis, from input to output, as
            `explain.layer_outputs` gives them: (height, width, channels), (steps, features), drawn
            with time to the right, or (units,).
        picture: the input, (height, width) or (height, width, 3).
        scores: classes with their probabilities, best first; five are shown.
        maps: feature maps a row, taken evenly.

    Source: LeCun, Bengio & Hinton 2015, "Deep learning", Nature 521, figure 2.
    """
    from matplotlib.patches import Rectangle

    left, width, gap = 1.4, 7.0, 0.14  # inches
    whole = left + width + 0.1
    rows = [_layer_row(name, np.asarray(array, float), width, maps) for name, array in layers]
    if picture is not None:
        rows.insert(0, ("input", [np.asarray(picture)], 1.2))
    top = 0.2 * min(5, len(scores)) + 0.15 if scores else 0.0
    height = sum(tall + gap for *_, tall in rows) + top + 0.2
    figure = blank_figure(whole, height, constrained=False)

    def place(x: float, y: float, wide: float, tall: float) -> Any:
        axes = figure.add_axes((x / whole, y / height, wide / whole, tall / height))
        axes.set_axis_off()
        return axes

    at = 0.1
    for label, pictures, tall in rows:
        figure.text(
            (left - 0.12) / whole, (at + tall / 2) / height, label,
            ha="right", va="center", fontsize=SMALL, color=INK, linespacing=1.4,
        )  # fmt: skip
        shape = pictures[0].shape
        wide = min(width, max(0.15 * shape[1], 1.0) if tall < 0.2 else tall * shape[1] / shape[0])
        if tall == _SEQUENCE and len(pictures) == 1:
            wide = width  # time to the right
        # One scale a layer, so that a silent map looks silent.
        scale = {"vmin": min(x.min() for x in pictures), "vmax": max(x.max() for x in pictures)}
        for column, shown in enumerate(pictures):
            axes = place(left + column * (wide + 0.05), at, wide, tall)
            axes.imshow(shown, cmap="gray", aspect="auto", interpolation="antialiased", **scale)
            # A thin edge parts a bright picture from the paper.
            edge = {"transform": axes.transAxes, "fill": False, "ec": SOFT, "lw": 0.6}
            axes.add_patch(Rectangle((0, 0), 1, 1, clip_on=False, **edge))
        at += tall + gap
    if scores:
        _score_bars(place(left, at, width, top - 0.1), list(scores)[:5])
    return as_png(figure)


def _layer_row(
    name: str, array: np.ndarray, width: float, maps: int
) -> tuple[str, list[np.ndarray], float]:
    """A layer's label, its pictures, and how tall they are."""
    size = " × ".join(map(str, array.shape))
    if array.ndim == 3:
        chosen = np.linspace(0, array.shape[2] - 1, min(maps, array.shape[2])).round()
        pictures = [array[..., channel] for channel in chosen.astype(int)]
        room = (width + 0.05) / len(pictures) - 0.05
        tall = min(0.95, max(0.25, room * array.shape[0] / array.shape[1]))
        return f"{name}\n{size}", pictures, tall
    if array.ndim == 2:
        return f"{name}\n{size}", [array.T[::-1]], _SEQUENCE
    return f"{name}  {size}", [array[None]], 0.17


def _score_bars(axes: Any, best: Sequence[tuple[str, float]]) -> None:
    places = np.arange(len(best))[::-1]
    axes.barh(places, [p for _, p in best], height=0.62, color=COLOURS[0])
    for y, (name, p) in zip(places, best, strict=True):
        axes.text(
            p + 0.01, y, f"{shortened(name, 40)}  {p:.3f}", va="center", fontsize=SMALL, color=INK
        )
    axes.set(xlim=(0, 1.45), ylim=(-0.6, len(best) - 0.4))


def saliency_plot(picture: np.ndarray, strength: np.ndarray, caption: str = "") -> bytes:
    """The input, and beside it what mattered in it.

    Args:
        picture: (height, width) or (height, width, 3), uint8 or in [0, 1].
        strength: (rows, columns), stretched to the picture. Orange spoke for the answer; where
            there are negative values, blue spoke against it.
        caption: above the right picture.
    """
    from matplotlib.colors import to_rgb
    from PIL import Image

    picture, strength = np.asarray(picture), np.asarray(strength, dtype=np.float32)
    tall, wide = picture.shape[:2]
    big = Image.fromarray(strength).resize((wide, tall), Image.Resampling.BILINEAR)
    strength = np.nan_to_num(np.asarray(big))
    strength = np.clip(strength / (np.quantile(np.abs(strength), 0.995) or 1.0), -1, 1)
    grey = picture.astype(float) / (255 if picture.dtype == np.uint8 else 1)
    grey = (grey.mean(axis=2) if grey.ndim == 3 else grey)[..., None] * 0.55 + 0.35
    colour = np.where(strength[..., None] >= 0, to_rgb(COLOURS[1]), to_rgb(COLOURS[0]))
    mixing = 0.85 * np.abs(strength)[..., None] ** 0.7
    figure = blank_figure(6.4, 3.2 * tall / wide + 0.35)
    for axes, shown, title in zip(
        figure.subplots(1, 2),
        (picture, np.clip(grey * (1 - mixing) + colour * mixing, 0, 1)),
        ("input", caption or "what mattered"),
        strict=True,
    ):
        axes.imshow(shown, cmap="gray", interpolation="nearest" if wide < 100 else "antialiased")
        axes.set_title(title, fontsize=NORMAL, color=INK, loc="left")
        axes.set_axis_off()
    return as_png(figure)


def attention_plot(
    labels: Sequence[str], shares: np.ndarray, caption: str = "", looks: Sequence[str] = ()
) -> bytes:
    """How much each of several things counted: a bar for each look at them, side by side.

    Args:
        labels: of the things, top to bottom.
        shares: (looks, things), 0 to 1.
        caption: above all.
        looks: what each is called; hop 1, hop 2, … without.
    """
    shares = np.atleast_2d(np.asarray(shares, dtype=float))
    titles = looks or [f"hop {number}" for number in range(1, len(shares) + 1)]
    places = np.arange(len(labels))
    figure = blank_figure(4.2 + 1.1 * len(shares), 0.75 + 0.22 * len(labels))
    columns = np.atleast_1d(figure.subplots(1, len(shares), sharey=True))
    for axes, share, title in zip(columns, shares, titles, strict=True):
        plain_axes(axes, grid=False)
        axes.barh(places, np.ones(len(places)), color=LINE, alpha=0.4, height=0.7)
        axes.barh(places, share, color=COLOURS[0], height=0.7)
        axes.set(xlim=(0, 1), xticks=(0, 1), ylim=(len(labels) - 0.4, -0.6))
        axes.set_title(title, fontsize=SMALL, color=SOFT)
    columns[0].set_yticks(
        places, [shortened(label, 60) for label in labels], fontsize=SMALL, color=INK
    )
    # plain text: a dollar sign in a sentence is no formula
    figure.suptitle(shortened(caption, 90), fontsize=NORMAL, color=INK, parse_math=False)
    for label in columns[0].get_yticklabels():
        label.set_parse_math(False)
    return as_png(figure)
