"""Pictures of verification: the trade between its two errors, and the scores behind it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from deepfield.toolkit.matching import det_curve, eer
from deepfield.toolkit.plot_style import (
    LINE,
    add_legend,
    as_png,
    blank_figure,
    colours_of,
    plain_axes,
    shown_number,
)
from deepfield.toolkit.plots import histogram

_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)
#: Probabilities nearer than this to 0 or 1 are drawn at it: single precision tells no more apart.
_CERTAIN = 1e-7


def det_plot(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """FNMR against FMR on normal deviates, where a system with Gaussian scores is a straight line.

    Drawn is what lies within rates that were measured: neither 0 nor 1. The thin line is where
    both errors are equal.

    Args:
        curves: name to (targets, scores), each (n,), as `matching.det_curve` takes them.

    Source: Martin et al. 1997, "The DET curve in assessment of detection task performance".
    """
    figure = blank_figure(4.4, 4.2)
    axes = plain_axes(figure.subplots())
    lowest = 0.02
    for colour, (name, (targets, scores)) in zip(colours_of(curves), curves.items(), strict=True):
        fmr, fnmr = det_curve(targets, scores)
        fewest = np.append(fmr[1:] != fmr[:-1], np.ones(len(fmr[:1]), bool))  # the corners below
        seen = fewest & (fmr > 0) & (fmr < 1) & (fnmr > 0) & (fnmr < 1)
        x, y = _deviates(fmr[seen]), _deviates(fnmr[seen])
        label = f"{name}: {shown_number(eer(targets, scores))}"
        axes.step(x, y, where="post", color=colour, lw=1.6, label=label)
        lowest = min(lowest, fmr[seen].min(initial=lowest), fnmr[seen].min(initial=lowest))
    ticks = [rate for rate in _TICKS if rate >= lowest / 2]
    ends = _deviates(np.array([lowest / 1.3, 0.6]))
    axes.plot(ends, ends, color=LINE, lw=1.2, zorder=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_deviates(np.array(ticks)), [f"{100 * rate:.4g} %" for rate in ticks])
    axes.set(xlim=ends, ylim=ends, xlabel="false match rate", ylabel="false non-match rate")
    add_legend(axes, "upper right", "equal error rate")
    return as_png(figure)


def score_histogram(targets: Any, probabilities: Any, threshold: float) -> bytes:
    """How sure the answers are of pairs of the same and of different things, as log-odds.

    Args:
        targets: (n,) 1 or 0; NaN is left out.
        probabilities: (n,) of being the same.
        threshold: the probability from which a pair is taken for the same.
    """
    y, p = np.asarray(targets, dtype=float), np.asarray(probabilities, dtype=float)
    p = np.clip(p, _CERTAIN, 1 - _CERTAIN)
    odds = np.log(p / (1 - p))
    edge = float(np.clip(threshold, _CERTAIN, 1 - _CERTAIN))
    return histogram(
        {"different": odds[y < 0.5], "same": odds[y > 0.5]},
        label="log-odds of being the same",
        lines={"threshold": float(np.log(edge / (1 - edge)))},
    )


def _deviates(rates: np.ndarray) -> np.ndarray:
    inverse = NormalDist().inv_cdf
    return np.array([inverse(float(rate)) for rate in rates])
