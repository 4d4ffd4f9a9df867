"""Sums over a moving window, by the logarithm of its width."""

from __future__ import annotations

from typing import Any

from keras import ops


def running_sum(x: Any, width: int) -> Any:
    """$y_t = x_t + x_{t+1} + ... + x_{t+w-1}$ along the second axis, as far as all of it is there.

    Windows of 1, 2, 4 and so on are added up, so that w steps take 2 log w additions. Every sum is
    made in the same order wherever its window lies, so that pieces of a stream answer as the whole.
    """
    count = ops.shape(x)[1] - width + 1
    total, start, size = None, 0, 1
    while True:
        if width & size:
            part = x[:, start : start + count]
            total = part if total is None else total + part
            start += size
        if 2 * size > width:
            return total
        x = x[:, :-size] + x[:, size:]
        size *= 2
