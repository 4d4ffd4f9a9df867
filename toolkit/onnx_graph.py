"""What is rewritten in an ONNX graph after Keras and tf2onnx have made it.

Each function changes a graph in place and leaves what it computes as it was. Operations that have
no TensorFlow operation of their own arrive as a `Pow` whose name is a mark; see `export.py` and
`layers/_recurrence.py` for who leaves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deepfield.toolkit.layers._recurrence import MARK, OPEN

#: Name of the operations that stand for a layer normalisation: the first scales, the second shifts.
LAYER_NORMALIZATION = "deepfield_layer_normalization"
#: And of the products that stand for LSTMs.
LSTM = "deepfield_lstm"
_MANY_BITS = 1 << 16  # zeros and ones that are worth packing


def replace(graph: Any, rewrite: Callable[[Any], Sequence[Any] | None]) -> bool:
    """Put the nodes that `rewrite` returns in the place of a node; None leaves it as it is.

    Returns:
        Whether anything was replaced.
    """
    import onnx

    nodes: list[Any] = []
    replaced = False
    for node in graph.graph.node:
        instead = rewrite(node)
        replaced |= instead is not None
        nodes += [node] if instead is None else instead
    if replaced:
        # copies: to clear the field is to empty the nodes that lie in it
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        graph.graph.ClearField("node")
        graph.graph.node.extend(nodes)
    return replaced


def marked(node: Any, mark: str) -> re.Match[str] | None:
    """The mark in the name of a node that stands for another operation."""
    return re.search(mark, node.name) if node.op_type == "Pow" else None


def rename_outputs(graph: Any, names: Sequence[str]) -> None:
    """Call the outputs of a graph by these names."""
    from onnx import helper

    for output, name in zip(graph.graph.output, names, strict=True):
        if output.name != name:
            graph.graph.node.append(helper.make_node("Identity", [output.name], [name]))
            output.name = name


def recurrences(graph: Any) -> None:
    """h_t = keep_t h_(t-1) + fresh_t, in place of each marked operation, as one `Scan`.

    With a second mark before it, what each step hears: m_t = opened_t h_(t-1), where
    h_t = keep_t m_t + fresh_t. Three operations a step, on all rows of a batch.
    """
    from onnx import helper

    opened = {n.output[0]: n.input for n in graph.graph.node if marked(n, OPEN)}

    def rewrite(node: Any) -> list[Any] | None:
        if node.output[0] in opened:
            return []
        found = marked(node, rf"{MARK}_(forward|reverse)_(\d+)_(\d+)_")
        if found is None:
            return None
        keep, fresh = reversed(node.input) if found[1] == "reverse" else node.input
        sequences = [keep, fresh]
        if keep in opened:
            sequences = [opened[keep][0], fresh, opened[keep][1]]
        name, way = node.name, [int(found[1] == "reverse")]
        step = _step(keep in opened, gates=int(found[2]), units=int(found[3]))

        return [
            helper.make_node("Shape", [fresh], [f"{name}/shape"], start=1, end=3),
            helper.make_node("ConstantOfShape", [f"{name}/shape"], [f"{name}/zeros"]),
            helper.make_node(
                "Scan",
                [f"{name}/zeros", *sequences],
                [f"{name}/last", node.output[0]],
                body=step,
                num_scan_inputs=len(sequences),
                scan_input_directions=way * len(sequences),
                scan_output_directions=way,
            ),
        ]

    if replace(graph, rewrite):
        _at_least(graph, 15)  # Shape from one axis to another


def _step(opened: bool, gates: int, units: int) -> Any:
    """One step of a recurrence: from h and the step's inputs to the next h and the output."""
    from onnx import TensorProto, helper

    def value(name: str, features: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, features])

    inputs = [value("before", units), value("keep", gates), value("fresh", units)]
    heard, output = "before", "h"
    nodes = []
    if opened:
        inputs.append(value("opened", 1))
        heard = output = "heard"
        nodes.append(helper.make_node("Mul", ["before", "opened"], ["heard"]))
    nodes += [
        helper.make_node("Mul", ["keep", heard], ["kept"]),
        helper.make_node("Add", ["kept", "fresh"], ["after"]),
    ]
    if not opened:  # the state and the output must be two
        nodes.append(helper.make_node("Identity", ["after"], ["h"]))
    return helper.make_graph(nodes, "step", inputs, [value("after", units), value(output, units)])


def lstms(graph: Any, layers: Mapping[str, Any]) -> None:
    """The operator `LSTM` in place of each product that stands for one, or of its power.

    Weights are stored as Keras has them, and brought into ONNX's form when the file is loaded.

    Args:
        graph: the network.
        layers: Keras' LSTMs by the names of the products.
    """
    from onnx import numpy_helper

    def mark(node: Any) -> str | None:
        found = re.search(rf"{LSTM}_\d+_", node.name) if node.op_type in ("MatMul", "Pow") else None
        return found[0] if found else None

    products = {mark(n): n for n in graph.graph.node if mark(n) and n.op_type == "MatMul"}
    masked = {mark(n) for n in graph.graph.node if mark(n) and n.op_type == "Pow"}
    stored: dict[str, np.ndarray] = {}

    def rewrite(node: Any) -> list[Any] | None:
        name = mark(node)
        if name is None:
            return None
        if node.op_type == "MatMul" and name in masked:
            return []
        steps = node.input[1] if node.op_type == "Pow" else None
        layer, x = layers[name], products[name].input[0]
        stored.update(_lstm_weights(name, layer))
        return _lstm(name, layer.units, layer.go_backwards, x, steps, node.output[0])

    if replace(graph, rewrite):
        used = {name for node in graph.graph.node for name in node.input}
        kept = [t for t in graph.graph.initializer if t.name in used]
        kept += [numpy_helper.from_array(array, name) for name, array in stored.items()]
        kept = [type(t).FromString(t.SerializeToString()) for t in kept]
        graph.graph.ClearField("initializer")
        graph.graph.initializer.extend(kept)


def _lstm_weights(name: str, layer: Any) -> dict[str, np.ndarray]:
    """What `_lstm` refers to; all LSTMs of a width share the order of the gates."""
    gates = np.arange(4 * layer.units, dtype=np.int32).reshape(4, layer.units)
    return {
        # Keras: input, forget, new, output; ONNX: input, output, forget, new
        f"{LSTM}/{layer.units}/order": gates[[0, 3, 1, 2]].ravel(),
        f"{LSTM}/first": np.array([0]),
        f"{LSTM}/second": np.array([1]),
        f"{LSTM}/flat": np.array([-1]),
        f"{name}/kernel": np.asarray(layer.cell.kernel),
        f"{name}/recurrent": np.asarray(layer.cell.recurrent_kernel),
        f"{name}/bias": np.asarray(layer.cell.bias),
        f"{LSTM}/{layer.units}/none": np.zeros(4 * layer.units, np.float32),
    }


def _lstm(
    name: str, units: int, backwards: bool, x: str, steps: str | None, output: str
) -> list[Any]:
    """An LSTM's nodes: from (batch, steps, features) to the same; zeros behind a row's `steps`."""
    from onnx import TensorProto, helper

    order, nodes = f"{LSTM}/{units}/order", []
    for kind in ("kernel", "recurrent"):  # (features, gates) to (1, gates, features)
        given = f"{name}/{kind}"
        nodes += [
            helper.make_node("Gather", [given, order], [f"{given}/ordered"], axis=1),
            helper.make_node("Transpose", [f"{given}/ordered"], [f"{given}/turned"]),
            helper.make_node("Unsqueeze", [f"{given}/turned", f"{LSTM}/first"], [f"{given}/onnx"]),
        ]
    bias, lengths = f"{name}/bias", ""
    both = [f"{bias}/ordered", f"{LSTM}/{units}/none"]
    if steps:
        lengths = f"{name}/lengths"
        nodes += [
            helper.make_node("Reshape", [steps, f"{LSTM}/flat"], [f"{name}/steps"]),
            helper.make_node("Cast", [f"{name}/steps"], [lengths], to=TensorProto.INT32),
        ]
    weights = [f"{name}/{kind}/onnx" for kind in ("kernel", "recurrent", "bias")]
    return [
        *nodes,
        helper.make_node("Gather", [bias, order], [both[0]]),
        helper.make_node("Concat", both, [f"{bias}/both"], axis=0),
        helper.make_node("Unsqueeze", [f"{bias}/both", f"{LSTM}/first"], [f"{bias}/onnx"]),
        helper.make_node("Transpose", [x], [f"{name}/x"], perm=(1, 0, 2)),
        helper.make_node(
            "LSTM",
            [f"{name}/x", *weights, lengths],
            [f"{name}/y"],
            hidden_size=units,
            direction="reverse" if backwards else "forward",
        ),
        helper.make_node("Squeeze", [f"{name}/y", f"{LSTM}/second"], [f"{name}/h"]),
        helper.make_node("Transpose", [f"{name}/h"], [output], perm=(1, 0, 2)),
    ]


def layer_normalizations(graph: Any) -> None:
    """The one operator that ONNX has since version 17, in place of each marked pair."""
    from onnx import helper

    scaled = {n.output[0]: n for n in graph.graph.node if marked(n, f"{LAYER_NORMALIZATION}_scale")}

    def rewrite(node: Any) -> list[Any] | None:
        if node.output[0] in scaled:
            return []
        found = marked(node, rf"{LAYER_NORMALIZATION}_([\d.e-]+)_")
        if found is None:
            return None
        x, gamma = scaled[node.input[0]].input
        inputs = [x, gamma, node.input[1]]
        return [
            helper.make_node(
                "LayerNormalization", inputs, node.output, node.name,
                axis=-1, epsilon=float(found[1]),
            )
        ]  # fmt: skip

    if replace(graph, rewrite):
        _at_least(graph, 17)


def _at_least(graph: Any, version: int) -> None:
    for opset in graph.opset_import:
        if opset.domain == "":
            opset.version = max(opset.version, version)


def without_last_axis_of_one(graph: Any) -> None:
    """Take the last axis away where a scalar meets an array with only one element along it.

    Grey pictures are such arrays. ONNX Runtime would go through them element by element, fifty
    times slower: an eighth of the time of a small network.
    """
    import onnx
    from onnx import helper, numpy_helper

    inferred = onnx.shape_inference.infer_shapes(graph).graph
    dims = {
        value.name: value.type.tensor_type.shape.dim
        for value in (*inferred.value_info, *graph.graph.input)
    }
    scalars = {tensor.name for tensor in graph.graph.initializer if not tensor.dims}

    def rewrite(node: Any) -> list[Any] | None:
        arrays = [name for name in node.input if name not in scalars]
        slow = node.op_type in ("Add", "Sub", "Mul", "Div") and len(arrays) == 1
        if not slow or [d.dim_value for d in dims.get(arrays[0], ())][1:][-1:] != [1]:
            return None
        name = node.output[0]
        before, after = f"{name}/before", f"{name}/after"
        inputs = [before if given == arrays[0] else given for given in node.input]
        return [
            helper.make_node("Squeeze", [arrays[0], "last_axis"], [before]),
            helper.make_node(node.op_type, inputs, [after], name=node.name),
            helper.make_node("Unsqueeze", [after, "last_axis"], [name]),
        ]

    if replace(graph, rewrite):
        graph.graph.initializer.append(numpy_helper.from_array(np.array([-1]), "last_axis"))


def shrink(graph: Any) -> None:
    """Store weights in the smallest type that holds them exactly, behind a `Cast`; many zeros and
    ones are stored eight in a byte.
    """
    from onnx import TensorProto, helper, numpy_helper

    smaller = {
        TensorProto.FLOAT: (np.uint8, np.int8, np.float16),
        TensorProto.INT32: (np.uint8, np.int16),
    }
    casts: list[Any] = []  # the last ones first
    for tensor in list(graph.graph.initializer):
        full = numpy_helper.to_array(tensor)
        if tensor.data_type not in smaller or full.size < 16:
            continue
        for dtype in smaller[tensor.data_type]:
            with np.errstate(over="ignore", invalid="ignore"):
                small = full.astype(dtype)
            if np.array_equal(small.astype(full.dtype), full):
                name, kind = tensor.name, tensor.data_type
                tensor.CopyFrom(numpy_helper.from_array(small, f"{name}/{small.dtype}"))
                casts.append(helper.make_node("Cast", [tensor.name], [name], to=kind))
                packs = small.dtype == np.uint8 and small.size % 8 == 0
                if packs and small.size >= _MANY_BITS and small.max() <= 1:
                    casts += _unpacked(graph, tensor, small)
                break
    for node in casts:
        graph.graph.node.insert(0, node)


def _unpacked(graph: Any, tensor: Any, bits: np.ndarray) -> list[Any]:
    """Put packed bits into an initializer; the nodes that make bits of them, the last one first."""
    from onnx import TensorProto, helper, numpy_helper

    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(np.packbits(bits), f"{name}/packed"))
    table = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    graph.graph.initializer.extend([
        numpy_helper.from_array(table, f"{name}/table"),
        numpy_helper.from_array(np.array(bits.shape), f"{name}/shape"),
    ])  # fmt: skip
    return [
        helper.make_node("Reshape", [f"{name}/rows", f"{name}/shape"], [name]),
        helper.make_node("Gather", [f"{name}/table", f"{name}/places"], [f"{name}/rows"]),
        helper.make_node("Cast", [tensor.name], [f"{name}/places"], to=TensorProto.INT32),
    ]


def shorten_names(graph: Any) -> None:
    """Call what only this graph knows by a letter and a number: long names can be a quarter of it.

    A graph with graphs inside is left as it is: those use its names.
    """
    from onnx import AttributeProto

    inside = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    if any(own.type in inside for node in graph.graph.node for own in node.attribute):
        return
    told = {value.name: value.name for value in (*graph.graph.input, *graph.graph.output)}
    told[""] = ""  # an input that is left out

    def short(name: str) -> str:
        return told.setdefault(name, f"t{len(told)}")

    graph.graph.ClearField("value_info")
    for tensor in graph.graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.graph.node:
        node.ClearField("name")
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
