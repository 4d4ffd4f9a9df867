"""Rewritten graphs are smaller and answer as they did."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from deepfield.toolkit import onnx_graph

X = np.arange(32, dtype=np.float32).reshape(1, 32)


def graph_of(weights, name="a/very/long/name", extra=()):
    """x * weights + the first of them, under long names."""
    nodes = [
        helper.make_node("Mul", ["x", name], [f"{name}/product"], name=f"{name}/node"),
        helper.make_node("Clip", [f"{name}/product", "", f"{name}/most"], ["y"]),
        *extra,
    ]
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 32]) for n in ("x", "y")]
    held = [
        numpy_helper.from_array(weights, name),
        numpy_helper.from_array(np.float32(50), f"{name}/most"),
    ]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(graph):
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"x": X})[0]


@pytest.mark.parametrize(
    ("weights", "stored"),
    [
        (np.arange(32), TensorProto.UINT8),
        (np.arange(32) - 16, TensorProto.INT8),
        (np.arange(32) / 8 - 1, TensorProto.FLOAT16),
        (np.arange(32) / 7, TensorProto.FLOAT),
    ],
)
def test_weights_are_stored_in_the_smallest_type_that_holds_them(weights, stored):
    graph = graph_of(weights.astype(np.float32))
    before = answer(graph)
    onnx_graph.shrink(graph)
    assert graph.graph.initializer[0].data_type == stored
    np.testing.assert_array_equal(answer(graph), before)


def test_many_zeros_and_ones_are_eight_in_a_byte():
    count = 2051
    table = np.random.default_rng(0).integers(0, 2, (32, count)).astype(np.float32)
    value = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, size])
        for n, size in (("x", 32), ("y", count))
    ]
    own = helper.make_graph(
        [helper.make_node("MatMul", ["x", "table"], ["y"])], "g", value[:1], value[1:],
        [numpy_helper.from_array(table, "table")],
    )  # fmt: skip
    graph = helper.make_model(own, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    before = answer(graph)
    onnx_graph.shrink(graph)
    onnx_graph.shorten_names(graph)
    assert graph.ByteSize() < table.size / 8 + 4000
    np.testing.assert_array_equal(answer(graph), before)


def test_names_are_shortened_but_for_inputs_and_outputs():
    graph = graph_of((np.arange(32) / 7).astype(np.float32))
    before, size = answer(graph), graph.ByteSize()
    onnx_graph.shorten_names(graph)
    np.testing.assert_array_equal(answer(graph), before)
    assert graph.ByteSize() < size and b"long" not in graph.SerializeToString()
    assert [v.name for v in (*graph.graph.input, *graph.graph.output)] == ["x", "y"]
    assert graph.graph.node[1].input[1] == ""  # what is left out stays out


def test_a_graph_with_graphs_inside_keeps_its_names():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["a/very/long/name"], ["inner"])], "inner", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [32])],
    )  # fmt: skip
    both = helper.make_node("If", ["a/condition"], ["unused"], then_branch=inner, else_branch=inner)
    graph = graph_of((np.arange(32) / 7).astype(np.float32), extra=[both])
    graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "a/condition"))
    before = graph.SerializeToString()
    onnx_graph.shorten_names(graph)
    assert graph.SerializeToString() == before
