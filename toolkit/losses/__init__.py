"""Losses: one public thing a file, for Keras on any back end."""

from __future__ import annotations

import inspect
from typing import Any

from deepfield.toolkit.losses.contrastive import Contrastive
from deepfield.toolkit.losses.ctc import Ctc
from deepfield.toolkit.losses.masked_binary_crossentropy import MaskedBinaryCrossentropy
from deepfield.toolkit.losses.masked_quantities import MaskedQuantities
from deepfield.toolkit.losses.sparse_crossentropy import SparseCrossentropy
from deepfield.toolkit.losses.triplet import Triplet
from deepfield.toolkit.registry import Registry

LOSSES = Registry("loss")
LOSSES.add("categorical_crossentropy", SparseCrossentropy)
LOSSES.add("contrastive", Contrastive)
LOSSES.add("ctc", Ctc)
LOSSES.add("masked_binary_crossentropy", MaskedBinaryCrossentropy)
LOSSES.add("masked_quantities", MaskedQuantities)
LOSSES.add("triplet", Triplet)

__all__ = [
    "LOSSES",
    "Contrastive",
    "Ctc",
    "MaskedBinaryCrossentropy",
    "MaskedQuantities",
    "SparseCrossentropy",
    "Triplet",
    "get",
]


def get(name: str, **settings: Any) -> Any:
    """A loss by name, with those of the settings that it takes.

    Raises:
        deepfield.toolkit.errors.UsageError: no such loss.

    Example:
        >>> loss = get("triplet", margin=0.3, label_smoothing=0.1)  # a triplet is not smoothed
        >>> loss.margin
        0.3
    """
    loss = LOSSES[name]
    known = inspect.signature(loss).parameters
    return loss(**{k: v for k, v in settings.items() if k in known})
