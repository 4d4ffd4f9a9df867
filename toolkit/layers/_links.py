"""Graphs as arrays: which nodes a link joins, as products of matrices.

Links are undirected and given once, as pairs of nodes (batch, links, 2); a pair of -1 is padding.
Inside a layer every link is two: all in the order given, then all of them the other way round, so
that what runs against link i runs at place i + links, and the two halves trade places. Gathering
and summing are products with matrices of ones and zeros: exact, quick on any device, and kept as
they are by every export. A product with a row of zeros, of padding, is zero.
"""

from __future__ import annotations

from typing import Any

from keras import ops


def incidence(ends: Any, nodes: Any, dtype: Any) -> tuple[Any, Any]:
    """From where and to where each directed link runs: two (batch, 2 links, nodes) of 0 and 1."""
    ends = ops.cast(ends, "int32")
    first, second = ends[..., 0], ends[..., 1]
    place = ops.arange(nodes, dtype="int32")

    def hot(places: Any) -> Any:
        return ops.cast(ops.equal(ops.expand_dims(places, -1), place), dtype)

    return (
        hot(ops.concatenate([first, second], axis=1)),
        hot(ops.concatenate([second, first], axis=1)),
    )


def both_ways(links: Any) -> Any:
    """What is known of each link, for both of its directions: (batch, 2 links, features)."""
    return ops.concatenate([links, links], axis=1)


def reversed_links(directed: Any) -> Any:
    """What belongs to each directed link, at the one that runs against it."""
    first, second = ops.split(directed, 2, axis=1)
    return ops.concatenate([second, first], axis=1)


def to_nodes(target: Any, directed: Any) -> Any:
    """The sum over all links that end in a node: (batch, nodes, features)."""
    return ops.matmul(ops.transpose(target, (0, 2, 1)), directed)


def check_graph(layer: str, shapes: Any) -> None:
    """Raise ValueError unless the shapes are those of nodes, links and ends."""
    wanted = "a list of nodes (batch, nodes, features), links (batch, links, features) and ends"
    if not isinstance(shapes, list | tuple) or len(shapes) != 3 or any(len(s) != 3 for s in shapes):
        raise ValueError(f"{layer}: expected {wanted} (batch, links, 2), got shapes {shapes}")
    if shapes[2][-1] not in (2, None):
        raise ValueError(f"{layer}: a link has two ends, got shape {tuple(shapes[2])} for them")
