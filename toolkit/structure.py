"""What a network is made of: parameters and connections, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers as kl

_CONV = (kl.Conv1D, kl.Conv2D, kl.Conv3D)
_POOL = (
    kl.AveragePooling1D,
    kl.AveragePooling2D,
    kl.AveragePooling3D,
    kl.MaxPooling1D,
    kl.MaxPooling2D,
    kl.MaxPooling3D,
)
_GLOBAL_POOL = (
    kl.GlobalAveragePooling1D,
    kl.GlobalAveragePooling2D,
    kl.GlobalAveragePooling3D,
    kl.GlobalMaxPooling1D,
    kl.GlobalMaxPooling2D,
    kl.GlobalMaxPooling3D,
)


def parameters(layer: keras.layers.Layer) -> int:
    """Count a layer's free parameters, nested ones included.

    Free are those that training can move, also while the layer is frozen; moving statistics and
    fixed centres are not.
    """
    seen = {
        id(variable): math.prod(variable.shape)
        for part in layer._flatten_layers()
        # not `trainable_weights`, which is empty while a layer is frozen
        for variable in part._trainable_variables
    }
    return sum(seen.values())


def connections(layer: keras.layers.Layer, input_shape: tuple) -> int | None:
    """Count a layer's connections for one sample, as LeCun did.

    Every output unit counts its inputs and, if it has one, its bias; inputs in the padding count.
    A layer of our own says it by its method `connections`.

    Args:
        layer: a built layer.
        input_shape: with the batch axis first; of a layer with several inputs a list of them.

    Returns:
        The number; 0 for a layer without weights that is no pooling; `None` where the count is
        not defined (free sizes, recurrence, attention, embedding, normalisation).

    Example:
        >>> import keras
        >>> from deepfield.toolkit.structure import connections
        >>> conv = keras.layers.Conv2D(6, 5)
        >>> conv.build((None, 32, 32, 1))
        >>> connections(conv, (None, 32, 32, 1))
        122304
    """
    if isinstance(layer, keras.Model):
        return _total(row["connections"] for row in layer_table(layer)["layers"])
    if None in input_shape[1:]:
        return None if layer.weights or isinstance(layer, _POOL + _GLOBAL_POOL) else 0
    if hasattr(layer, "connections"):
        return layer.connections(input_shape)
    if isinstance(layer, _GLOBAL_POOL):
        return math.prod(input_shape[1:])
    if not isinstance(layer, (kl.Dense, *_CONV, *_POOL, *_DEPTHWISE, *_SEPARABLE)):
        return None if layer.weights else 0
    units = math.prod(layer.compute_output_shape(input_shape)[1:])
    if isinstance(layer, _POOL):
        return units * math.prod(layer.pool_size)
    bias = int(layer.use_bias)
    if isinstance(layer, _DEPTHWISE):
        return units * (math.prod(layer.kernel_size) + bias)
    if isinstance(layer, _SEPARABLE):  # a depthwise convolution, then a 1x1 one with the bias
        *window, channels, multiplier = layer.depthwise_kernel.shape
        filtered = units // layer.filters * channels * multiplier
        return filtered * math.prod(window) + units * (channels * multiplier + bias)
    # a kernel holds, for each unit of its last axis, that unit's inputs (one group's only)
    return units * (math.prod(layer.kernel.shape[:-1]) + bias)


_DEPTHWISE = (kl.DepthwiseConv1D, kl.DepthwiseConv2D)
_SEPARABLE = (kl.SeparableConv1D, kl.SeparableConv2D)


def layer_table(model: keras.Model, all: bool = False) -> dict[str, Any]:
    """List a network's layers with their parameters and connections.

    Args:
        model: functional or sequential, built.
        all: also list weight-free glue (input, padding, rescaling, activation ...) and, under
            `layer/part`, the layers nested inside others; these do not count twice in the total,
            and their shape is `None` where only the outer layer knows it.

    Returns:
        `{"layers": [{"name", "type", "output_shape", "parameters", "connections"}, ...],
        "total": {"parameters", "connections"}}`, ready for JSON. Shapes are without the batch
        axis, free sizes `None`; see `parameters` and `connections` for what is counted. The total
        of connections leaves out the layers where they are `None`.

    Example:
        >>> from deepfield.domains.image.models import lenet5
        >>> from deepfield.toolkit.structure import layer_table
        >>> layer_table(lenet5((28, 28, 1), 10))["total"]
        {'parameters': 60000, 'connections': 340908}
    """
    rows = []
    shown = []
    for layer in model.layers:
        shapes = _calls(model, layer)
        counts = [connections(layer, inputs) for inputs, _ in shapes]
        row = {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": shapes[0][1] if shapes else None,
            "parameters": parameters(layer),
            "connections": None if None in counts else _total(counts) or 0,
        }
        rows.append(row)
        if all or row["parameters"] or row["connections"] != 0:
            shown.append(row)
        if all:
            shown += [
                {
                    "name": f"{layer.name}/{part.name}",
                    "type": type(part).__name__,
                    "output_shape": None,
                    "parameters": parameters(part),
                    "connections": None,
                }
                for part in layer._flatten_layers(include_self=False)
            ]
    total = {
        "parameters": parameters(model),
        "connections": _total(row["connections"] for row in rows) or 0,
    }
    return {"layers": shown, "total": total}


def _total(counts: Any) -> int | None:
    """Add up what is known; `None` if nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _calls(model: keras.Model, layer: keras.layers.Layer) -> list[tuple[Any, Any]]:
    """Return (input shape, output shape without batch) of each call of a layer in a model."""
    function = getattr(model, "_functional", None) or model  # a Sequential wraps a functional one
    mine = {id(node) for nodes in function._nodes_by_depth.values() for node in nodes}
    calls = []
    for node in layer._inbound_nodes:
        if id(node) not in mine:
            continue
        outputs = [list(tensor.shape[1:]) for tensor in node.outputs]
        given = node.arguments.args
        if isinstance(given[0] if given else None, list | tuple):  # masks are no inputs
            inputs = [tuple(tensor.shape) for tensor in given[0]]
        else:  # the input layer has none
            inputs = (*node.input_tensors, node.outputs[0])[0].shape
        calls.append((inputs, outputs[0] if len(outputs) == 1 else outputs))
    return calls
