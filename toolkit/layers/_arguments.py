"""Checks of constructor arguments, whose errors say what was passed and what is expected."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any


def integer(layer: str, name: str, value: Any, least: int = 1) -> int:
    """Return `value` if it is an integer, positive or `least` at least.

    Raises:
        ValueError: it is not; the message names the layer, the argument and the value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise ValueError(f"{layer}: {name} must be {wanted}, got {value!r}")
    return value


def pair(layer: str, name: str, value: Any) -> tuple[int, int]:
    """Return two positive integers, made from one or given as two.

    Raises:
        ValueError: it is neither; the message names the layer, the argument and the value.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(values) != 2 or any(isinstance(v, bool) or not isinstance(v, int) for v in values):
        raise ValueError(f"{layer}: {name} must be an integer or a pair of them, got {value!r}")
    if min(values) < 1:
        raise ValueError(f"{layer}: {name} must be positive, got {value!r}")
    return values


def number(
    layer: str, name: str, value: Any, low: float = 0.0, high: float = float("inf")
) -> float:
    """Return `value` as a float if it lies in the open interval (low, high).

    Raises:
        ValueError: it is no number or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        raise ValueError(
            f"{layer}: {name} must be a number between {low:g} and {high:g} (exclusive), "
            f"got {value!r}"
        )
    return float(value)


def share(layer: str, name: str, value: Any, below_one: bool = False) -> float:
    """Return `value` as a float if it lies between 0 and 1, both included or 1 left out.

    Raises:
        ValueError: it is no number or lies outside.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not (0 <= value < 1 if below_one else 0 <= value <= 1):
        wanted = "be from 0 to below 1" if below_one else "lie between 0 and 1"
        raise ValueError(f"{layer}: {name} must {wanted}, got {value!r}")
    return float(value)


def choice(layer: str, name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`.

    Raises:
        ValueError: it is not; the message lists the options.
    """
    options = tuple(options)
    if value not in options:
        listed = " or ".join(map(repr, options))
        raise ValueError(f"{layer}: {name} must be {listed}, got {value!r}")
    return value
