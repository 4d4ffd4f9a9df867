"""From Keras to ONNX and LiteRT, with the agreement measured, not assumed."""

from __future__ import annotations

import contextlib
import functools
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError
from deepfield.toolkit.golden import TOLERANCE, disagreement
from deepfield.toolkit.layers import _recurrence

__all__ = ["TOLERANCE", "disagreement", "keras_network", "litert_network", "to_litert", "to_onnx"]


def to_onnx(model: Any) -> bytes:
    """Convert a Keras model; weights that half precision holds exactly are stored in it.

    Each such weight is stored as a half-precision initializer behind a `Cast`, so the file is half
    as large and everything is still computed in single precision. Inputs and outputs keep Keras'
    names; axes that Keras leaves open stay open.

    Raises:
        DeepfieldError: the network holds an operation that does not convert.
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            with _unfused(), _recurrence.exporting(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signature = [keras.tree.map_structure(_spec, model._inputs_struct)]
                model.export(str(path), format="onnx", verbose=False, input_signature=signature)
        except Exception as error:
            raise DeepfieldError(
                f"the network does not convert to ONNX: {str(error).strip()[:300]}",
                "replace the layer that it names",
            ) from error
        graph = onnx.load(path)
    _rename_outputs(graph, list(model.output_names))
    _recurrence.in_onnx(graph)
    _one_layer_normalization(graph)
    _without_last_axis_of_one(graph)
    _halve(graph)
    return graph.SerializeToString()


def _spec(tensor: Any) -> Any:
    return keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


@contextlib.contextmanager
def _unfused() -> Iterator[None]:
    """Keep batch normalisation apart from the convolution before it, and layers' in one piece.

    TensorFlow and tf2onnx multiply its scale into the kernel, and the products are no longer half
    precision numbers. As an operator of its own it survives both; ONNX Runtime then fuses the two
    when it loads the file, so nothing is lost.
    """
    from keras.src.backend.tensorflow import nn
    from keras.src.ops import nn as nn_ops
    from tf2onnx.optimizer import back_to_back_optimizer

    table = back_to_back_optimizer._func_map
    fusion = table.pop(("Conv", "BatchNormalization"), None)
    plain, plain_layer = nn.batch_normalization, nn_ops._layer_normalization
    nn.batch_normalization = functools.partial(_one_operator, plain)
    nn_ops._layer_normalization = functools.partial(_marked_layer_normalization, plain_layer)
    try:
        yield
    finally:
        nn.batch_normalization, nn_ops._layer_normalization = plain, plain_layer
        if fusion is not None:
            table["Conv", "BatchNormalization"] = fusion


def _one_operator(
    plain: Callable[..., Any], x: Any, mean: Any, variance: Any, axis: int,
    offset: Any = None, scale: Any = None, epsilon: float = 1e-3,
) -> Any:  # fmt: skip
    import tensorflow as tf

    rank = len(x.shape)
    if rank not in (3, 4) or axis not in (-1, rank - 1) or x.dtype != tf.float32:
        return plain(x, mean, variance, axis, offset=offset, scale=scale, epsilon=epsilon)
    y = tf.raw_ops.FusedBatchNormV3(
        x=x if rank == 4 else tf.expand_dims(x, 1),
        scale=tf.ones_like(mean) if scale is None else tf.convert_to_tensor(scale),
        offset=tf.zeros_like(mean) if offset is None else tf.convert_to_tensor(offset),
        mean=tf.convert_to_tensor(mean),
        variance=tf.convert_to_tensor(variance),
        epsilon=epsilon,
        is_training=False,
    ).y
    return y if rank == 4 else tf.squeeze(y, 1)


_LAYER_NORMALIZATION = "deepfield_layer_normalization"


def _marked_layer_normalization(
    plain: Callable[..., Any], x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1,
    epsilon: float | None = None, rms_scaling: bool = False,
) -> Any:  # fmt: skip
    """Two operations whose names `_one_layer_normalization` knows, in place of ten."""
    import tensorflow as tf

    usual = not rms_scaling and gamma is not None and beta is not None and x.dtype == tf.float32
    if not usual or axis not in (-1, [-1], len(x.shape) - 1, [len(x.shape) - 1]):
        return plain(x, gamma, beta, axis, epsilon, rms_scaling)
    scaled = tf.pow(x, gamma, name=f"{_LAYER_NORMALIZATION}_scale")
    tiny = keras.config.epsilon() if epsilon is None else epsilon
    return tf.pow(scaled, beta, name=f"{_LAYER_NORMALIZATION}_{tiny!r}_")


def _one_layer_normalization(graph: Any) -> None:
    """Make of each marked pair the one operator that ONNX has since version 17."""
    import onnx
    from onnx import helper

    mark = re.compile(rf"{_LAYER_NORMALIZATION}_([\d.e-]+)_")
    inner = {
        node.output[0]: node
        for node in graph.graph.node
        if f"{_LAYER_NORMALIZATION}_scale" in node.name and node.op_type == "Pow"
    }
    if not inner:
        return
    nodes = []
    for node in graph.graph.node:
        found = mark.search(node.name) if node.op_type == "Pow" else None
        if found is not None:
            x, gamma = inner[node.input[0]].input
            node = helper.make_node(
                "LayerNormalization", [x, gamma, node.input[1]], [node.output[0]],
                name=node.name, axis=-1, epsilon=float(found[1]),
            )  # fmt: skip
        elif node.output[0] in inner:
            continue
        nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    graph.graph.ClearField("node")
    graph.graph.node.extend(nodes)
    for opset in graph.opset_import:
        if opset.domain == "":
            opset.version = max(opset.version, 17)


def _rename_outputs(graph: Any, names: list[str]) -> None:
    from onnx import helper

    for output, name in zip(graph.graph.output, names, strict=True):
        if output.name != name:
            graph.graph.node.append(helper.make_node("Identity", [output.name], [name]))
            output.name = name


def _without_last_axis_of_one(graph: Any) -> None:
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
    axis, nodes = "last_axis", []
    for node in graph.graph.node:
        arrays = [name for name in node.input if name not in scalars]
        slow = node.op_type in ("Add", "Sub", "Mul", "Div") and len(arrays) == 1
        if not slow or [d.dim_value for d in dims.get(arrays[0], ())][1:][-1:] != [1]:
            nodes.append(node)
            continue
        name = node.output[0]
        before, after = f"{name}/before", f"{name}/after"
        inputs = [before if given == arrays[0] else given for given in node.input]
        nodes += [
            helper.make_node("Squeeze", [arrays[0], axis], [before]),
            helper.make_node(node.op_type, inputs, [after], name=node.name),
            helper.make_node("Unsqueeze", [after, axis], [name]),
        ]
    if len(nodes) > len(graph.graph.node):
        graph.graph.initializer.append(numpy_helper.from_array(np.array([-1]), axis))
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        graph.graph.ClearField("node")
        graph.graph.node.extend(nodes)


def _halve(graph: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        full = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = full.astype(np.float16)
        if full.size < 16 or not np.array_equal(half.astype(np.float32), full):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}/half"))
        casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    for node in reversed(casts):
        graph.graph.node.insert(0, node)


def to_litert(model: Any, path: Path) -> None:
    """Write the network for LiteRT (formerly TensorFlow Lite).

    Raises:
        DeepfieldError: the network does not convert (recurrent layers need TensorFlow there).
    """
    try:
        model.export(str(path), format="litert", verbose=False)
    except Exception as error:
        raise DeepfieldError(
            f"the network does not convert to LiteRT: {str(error).strip()[:300]}", "use ONNX"
        ) from error


def litert_network(path: Path) -> Callable[[Arrays], Arrays]:
    """A LiteRT file as a function from a batch of arrays to arrays, to measure agreement with."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    signatures = interpreter.get_signature_list()
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    inputs = next(iter(signatures.values()))["inputs"]

    def run(arrays: Arrays) -> Arrays:
        names = (
            dict(zip(sorted(inputs), sorted(arrays), strict=True))
            if len(inputs) == 1
            else {name: name for name in inputs}
        )
        return dict(runner(**{given: arrays[name] for given, name in names.items()}))

    return run


def keras_network(model: Any) -> Callable[[Arrays], Arrays]:
    """A Keras model as a function from a batch of arrays to arrays by output name."""
    names = list(model.output_names)

    def run(arrays: Arrays) -> Arrays:
        inputs = {tensor.name: arrays[tensor.name] for tensor in model.inputs}
        fed = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        outputs = model.predict_on_batch(fed)
        if isinstance(outputs, dict):
            return {name: np.asarray(outputs[name]) for name in outputs}
        listed = outputs if isinstance(outputs, list | tuple) else [outputs]
        return {n: keras.ops.convert_to_numpy(o) for n, o in zip(names, listed, strict=True)}

    return run
