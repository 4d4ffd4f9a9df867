"""What `fusion` holds beside its networks: fitted to the training molecules without gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepfield.domains.drug.models import scaled
from deepfield.toolkit.data import Arrays, Encoded
from deepfield.toolkit.parts import stacked_targets
from deepfield.toolkit.shallow import (
    Trees,
    chosen_references,
    chosen_share,
    fit_kernel_machine,
    grow_boosted,
    grow_forests,
)

_AT_ONCE = 1024
_AS_MANY = 200  # descriptors of unit variance that all of a table's together stand for
_NARROW = 0.3  # where features count by relevance: share of the median squared distance


def settle(
    model: Any, items: Sequence[Encoded], binary: Sequence[bool], output: str, counts: bool
) -> None:
    """Fit the scale of the descriptors, the forest, the kernel machine, and boosted trees that mend
    what it says, to training molecules.

    Counts keep the scale that they have: what is rare would drown the rest.
    """
    targets = stacked_targets(items, output).astype(np.float64)
    arrays = [item.arrays or {} for item in items]
    given = np.stack([own["descriptors"] for own in arrays])
    seen = (np.sign(given) * np.log1p(np.abs(given))).astype(np.float32)
    scale = model.get_layer("scale")
    if np.allclose(scale.moving_variance, 1):  # else of the network this one is fine-tuned from
        scale.moving_mean.assign(seen.mean(axis=0))
        scale.moving_variance.assign(np.ones(seen.shape[1]) if counts else seen.var(axis=0))
    described = np.asarray(scaled(scale(seen)))
    if "fingerprint" in arrays[0]:
        seen = np.concatenate([seen, np.stack([own["fingerprint"] for own in arrays])], axis=1)
    names = {layer.name for layer in model.layers}
    relevance = start = None
    if "forest" in names:
        relevance = _settle_forest(model, seen, targets, binary, counts)
    if "relevance" in names and relevance is not None:
        _settle_relevance(model.get_layer("relevance"), described, relevance)
    if "kernel" in names:
        start = _settle_kernel(model, described, arrays, targets, binary, relevance)
    if "boosted" in names:
        own = model.get_layer("boosted")
        grown = grow_boosted(seen, targets, binary, trees=own.trees, depth=own.depth, start=start)
        _set_trees(model, "boosted", grown)


def _settle_relevance(layer: Any, described: np.ndarray, relevance: np.ndarray) -> None:
    """Descriptors of a table enter the networks as large as the forest found them relevant; but
    networks that have learnt keep what they have learnt with.
    """
    if not np.allclose(layer.moving_variance, 1):
        return
    shown = (described.var(axis=0) * relevance).sum() / _AS_MANY
    layer.moving_variance.assign(shown / np.maximum(relevance, 1e-4 * relevance.max()))


def _settle_forest(
    model: Any, seen: np.ndarray, targets: np.ndarray, binary: Sequence[bool], counts: bool
) -> np.ndarray | None:
    """Grow the forest; how relevant it found what it saw, if anything."""
    own = model.get_layer("forest")
    grown = grow_forests(
        seen, targets, binary, trees=own.trees, leaves=(own.nodes + 1) // 2, depth=own.depth,
        sparse=counts,
    )  # fmt: skip
    _set_trees(model, "forest", grown)
    told = [one.relevance for one in grown if one.relevance is not None]
    relevance = np.mean(told, axis=0) if told else np.zeros(1)
    return relevance if relevance.max() > 0 else None


def _set_trees(model: Any, kind: str, grown: Sequence[Trees]) -> None:
    for quantity, one in enumerate(grown):
        model.get_layer(kind).set_trees(one.trees, one.start, quantity)


def _settle_kernel(
    model: Any, described: np.ndarray, arrays: Sequence[Arrays], targets: np.ndarray,
    binary: Sequence[bool], relevance: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Fit the weights of the similarities: by descriptors alone, or mixed with those of sets.

    Returns:
        What each molecule would be told were its own targets not known.
    """
    near, weighed = model.get_layer("near"), model.get_layer("kernel")
    chosen = chosen_references(targets, binary, near.references)
    known = described[chosen]
    if near.weighted and relevance is not None:
        counted = np.sqrt(relevance / relevance.max())
        width = _NARROW * _width(known * counted)
        near.set_references(_filled(known, near.references), width, counted)
    else:
        near.set_references(_filled(known, near.references), _width(known))
    similarity = _similarities(near, described)[:, : len(chosen)]
    shares = [1.0]
    if any(layer.name == "alike" for layer in model.layers):
        alike = model.get_layer("alike")
        sets = np.stack([own["sets"] for own in arrays])
        alike.set_references(_filled(sets[chosen], alike.references))
        by_sets = _similarities(alike, sets)[:, : len(chosen)]
        share = chosen_share(by_sets[chosen], similarity[chosen], targets[chosen], binary)
        similarity = (1 - share) * by_sets + share * similarity
        shares = [1 - share, share]
    machine = fit_kernel_machine(similarity, chosen, targets, binary)
    weights = _filled(machine.weights, near.references)
    weighed.kernel.assign(np.concatenate([share * weights for share in shares]))
    weighed.bias.assign(machine.offsets)
    return machine.left_out


def _width(vectors: np.ndarray) -> float:
    """The median squared distance between some of the vectors."""
    some = vectors[: 2 * _AT_ONCE : 2] if len(vectors) > _AT_ONCE else vectors
    squares = (some**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * some @ some.T
    return float(max(np.median(apart), 1e-6))


def _similarities(layer: Any, given: np.ndarray) -> np.ndarray:
    parts = (given[at : at + _AT_ONCE] for at in range(0, len(given), _AT_ONCE))
    return np.concatenate([np.asarray(layer(part)) for part in parts])


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """As many rows as there is room for, zeros behind those there are."""
    found = np.zeros((count, *rows.shape[1:]), rows.dtype)
    found[: len(rows)] = rows
    return found
