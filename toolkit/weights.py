"""The weights of a network in its bundle: each of them once.

An exported network holds nearly all of them already, some with their axes in another order. A
member's `.safetensors` part holds the rest, and its metadata say where the others are: for each
path `{"in": place among the initializers, "axes": order of its axes there, "shape": of the
weight}`. (Names of initializers may differ between two runs that are otherwise the same.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepfield.toolkit.bundle import Bundle
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import UnusableModel

_ELSEWHERE = "elsewhere"
#: Smaller weights cost less than saying where they are.
_LEAST = 64


def pack_weights(weights: Mapping[str, np.ndarray], network: bytes) -> bytes:
    """The bytes of a safetensors file of the weights that an ONNX network does not hold.

    Args:
        weights: by variable path.
        network: the ONNX network of the same member.
    """
    from safetensors.numpy import save

    there = {_key(array): place for place, array in enumerate(_initializers(network))}
    own: Arrays = {}
    elsewhere: dict[str, Any] = {}
    for path, weight in weights.items():
        orders = _orders(weight.ndim) if weight.size >= _LEAST else ()
        for axes in orders:
            place = there.get(_key(weight.transpose(axes)))
            if place is not None:
                elsewhere[path] = {"in": place, "axes": axes, "shape": weight.shape}
                break
        else:
            own[path] = np.asarray(weight, order="C")
    told = json.dumps(elsewhere, separators=(",", ":"))
    return save(own, {_ELSEWHERE: told} if elsewhere else None)


def weights_of(bundle: Bundle, member: str) -> Arrays:
    """All the weights of a member by variable path, as they are stored.

    Raises:
        UnusableModel: the part is damaged, or a weight is not where it is said to be, or holds a
            number that is not finite.
    """
    part = f"{member}.safetensors"
    weights = bundle.arrays(part)
    told = _metadata(bundle.read(part)).get(_ELSEWHERE)
    if told is None:
        return weights
    try:
        network = _initializers(bundle.read(f"{member}.onnx"))
        for path, place in json.loads(told).items():
            weights[path] = _back(network[place["in"]], place["axes"], place["shape"])
            if weights[path].dtype.kind not in "fiub" or not np.isfinite(weights[path]).all():
                raise ValueError(f"{path!r} holds values that are not finite")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnusableModel(
            f"bundle {str(bundle.path)!r} is damaged: {part} does not say where its weights are"
            f" ({error})",
            "copy it again, or train it again",
        ) from None
    return weights


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Orders of axes in which exported networks hold weights."""
    axes = tuple(range(count))
    yield axes
    if count > 1:
        yield axes[::-1]
    if count > 2:  # kernels of convolutions: output and input channels first
        yield (count - 1, count - 2, *axes[:-2])


def _key(array: np.ndarray) -> tuple[str, bytes]:
    return array.dtype.str, array.tobytes()


def _back(stored: np.ndarray, axes: list[int], shape: list[int]) -> np.ndarray:
    there = stored.reshape([shape[axis] for axis in axes])
    return np.ascontiguousarray(there.transpose(np.argsort(axes)))


def _initializers(network: bytes) -> list[np.ndarray]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load_model_from_string(network).graph
    except DecodeError as error:
        raise ValueError(f"the network is no ONNX: {error}") from None
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        raise ValueError("the network names files outside the bundle")
    return [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]


def _metadata(content: bytes) -> dict[str, str]:
    """What a safetensors file says of itself, which its own package reads from files alone."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]).get("__metadata__") or {}
