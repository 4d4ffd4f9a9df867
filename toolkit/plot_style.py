"""The one style of all plots: colours, axes, legends, and a figure as a PNG.

Colours stay apart for the colour-blind (Okabe & Ito 2008). Figures are made without pyplot, so
that threads and a caller's own plots are left alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

#: Of curves, in order.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F5F3F", "#444444")
INK, SOFT, LINE, PAPER = "#1d2430", "#5b6573", "#d9dee5", "#ffffff"
DOTS_PER_INCH = 160
SMALL, NORMAL = 8, 9


def blank_figure(width: float, height: float, constrained: bool = True) -> Any:
    """An empty figure, in inches; `constrained` leaves the room between axes to matplotlib."""
    from matplotlib.figure import Figure

    layout: Any = "constrained" if constrained else None
    return Figure((width, height), dpi=DOTS_PER_INCH, layout=layout, facecolor=PAPER)


def plain_axes(axes: Any, grid: bool = True) -> Any:
    """The same axes without what distracts."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(which="both", labelsize=SMALL, colors=SOFT, length=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=NORMAL, color=SOFT)
    if grid:
        axes.grid(color=LINE, lw=0.6)
        axes.set_axisbelow(True)
    return axes


def diagonal(axes: Any) -> None:
    """A thin line from (0, 0) to (1, 1)."""
    axes.plot((0, 1), (0, 1), color=LINE, lw=1.2, zorder=1)


def add_legend(axes: Any, where: str, title: str | None = None) -> None:
    """Names of the curves, without a frame."""
    legend = axes.legend(
        loc=where, fontsize=SMALL, title=title, title_fontsize=SMALL, labelcolor=INK,
        frameon=True, framealpha=0.85, edgecolor="none", facecolor=PAPER, alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(SOFT)


def percent_ticks() -> Any:
    """Shares written as percent."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=None)


def as_png(figure: Any) -> bytes:
    """The figure, the same bytes for the same numbers."""
    stream = io.BytesIO()
    # Without the version of matplotlib, equal numbers give equal bytes.
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def colours_of(curves: Mapping[str, Any]) -> list[str]:
    """A colour a curve, in their order."""
    return [COLOURS[i % len(COLOURS)] for i in range(len(curves))]


def shown_number(value: float) -> str:
    """A figure in a legend."""
    return "not defined" if math.isnan(value) else f"{value:.3f}"
