"""From Keras to ONNX and LiteRT, with the agreement measured, not assumed."""

from __future__ import annotations

import contextlib
import copy
import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepfield.toolkit import onnx_graph
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError
from deepfield.toolkit.golden import TOLERANCE, disagreement
from deepfield.toolkit.layers import _recurrence

__all__ = [
    "TOLERANCE",
    "converts",
    "disagreement",
    "keras_network",
    "litert_network",
    "to_litert",
    "to_onnx",
]


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
            with (
                _unfused(), _lstms() as lstms, _recurrence.exporting(), copied_once(),
                warnings.catch_warnings(),
            ):  # fmt: skip
                warnings.simplefilter("ignore")
                signature = [keras.tree.map_structure(_spec, model._inputs_struct)]
                model.export(str(path), format="onnx", verbose=False, input_signature=signature)
        except Exception as error:
            raise DeepfieldError(
                f"the network does not convert to ONNX: {str(error).strip()[:300]}",
                "replace the layer that it names",
            ) from error
        graph = onnx.load(path)
    onnx_graph.rename_outputs(graph, list(model.output_names))
    onnx_graph.recurrences(graph)
    onnx_graph.lstms(graph, lstms)
    onnx_graph.layer_normalizations(graph)
    onnx_graph.without_last_axis_of_one(graph)
    onnx_graph.shrink(graph)
    onnx_graph.shorten_names(graph)
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


def _marked_layer_normalization(
    plain: Callable[..., Any], x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1,
    epsilon: float | None = None, rms_scaling: bool = False,
) -> Any:  # fmt: skip
    """Two operations whose names `onnx_graph` knows, in place of ten."""
    import tensorflow as tf

    usual = not rms_scaling and gamma is not None and beta is not None and x.dtype == tf.float32
    if not usual or axis not in (-1, [-1], len(x.shape) - 1, [len(x.shape) - 1]):
        return plain(x, gamma, beta, axis, epsilon, rms_scaling)
    scaled = tf.pow(x, gamma, name=f"{onnx_graph.LAYER_NORMALIZATION}_scale")
    tiny = keras.config.epsilon() if epsilon is None else epsilon
    return tf.pow(scaled, beta, name=f"{onnx_graph.LAYER_NORMALIZATION}_{tiny!r}_")


@contextlib.contextmanager
def copied_once() -> Iterator[None]:
    """Let tf2onnx copy a graph once.

    It goes through a graph dozens of times and copies it before each, in case one fails: a quarter
    of all time. Here the passes are tried without copies, and with them only after one has failed.
    Behind each pass it also writes all constants into their protocol buffers anew, which give
    nothing back: gigabytes, where trees are large. It writes them once more at the end in any case.
    """
    from tf2onnx import optimizer
    from tf2onnx.graph import Graph

    plain, write = optimizer.optimize_graph, Graph.update_proto

    def optimize(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        spare = copy.deepcopy(graph)
        Graph.update_proto = lambda *arguments, **named: None
        try:
            return plain(graph, catch_errors=False, optimizers=optimizers)
        except Exception:
            return plain(spare, catch_errors, optimizers)
        finally:
            Graph.update_proto = write

    optimizer.optimize_graph = optimize
    try:
        yield
    finally:
        optimizer.optimize_graph = plain


@contextlib.contextmanager
def _lstms() -> Iterator[dict[str, Any]]:
    """The LSTMs of a network, each by the name of the operation that stands for it meanwhile.

    It is a matrix product, because that has the right shape, and its power where there is a mask.
    LSTMs with states from elsewhere, with other functions than usual or with one output for all
    steps stay Keras' own loops. A mask must hide steps at the end alone.
    """
    import tensorflow as tf

    found: dict[str, Any] = {}
    plain = keras.layers.LSTM.call

    def call(
        layer: Any, sequences: Any, initial_state: Any = None, mask: Any = None,
        training: bool = False,
    ) -> Any:  # fmt: skip
        usual = (
            initial_state is None and layer.use_bias and layer.return_sequences
            and (mask is None or layer.zero_output_for_mask)
            and not (layer.stateful or layer.return_state)
            and layer.activation is keras.activations.tanh
            and layer.recurrent_activation is keras.activations.sigmoid
            and sequences.dtype == tf.float32
        )  # fmt: skip
        if not usual:
            return plain(layer, sequences, initial_state, mask, training)
        name = f"{onnx_graph.LSTM}_{len(found)}_"
        # each another one, or the two directions of one sequence are taken for one operation
        kernel = np.full((sequences.shape[-1], layer.units), len(found) + 1, np.float32)
        found[name] = layer
        heard = tf.matmul(sequences, kernel, name=name)
        if mask is not None:
            steps = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1)
            heard = tf.pow(heard, steps[:, None, None], name=name)
        return tf.reverse(heard, [1]) if layer.go_backwards else heard

    keras.layers.LSTM.call = call
    try:
        yield found
    finally:
        keras.layers.LSTM.call = plain


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


def converts() -> bool:
    """Whether Keras runs on TensorFlow, of whose graphs alone ONNX files are made."""
    return bool(keras.backend.backend() == "tensorflow")


def keras_network(model: Any) -> Callable[[Arrays], Arrays]:
    """A Keras model as a function from a batch of arrays to arrays by output name."""
    names = list(model.output_names)
    answer = _traced(model) if converts() else model.predict_on_batch

    def run(arrays: Arrays) -> Arrays:
        inputs = {tensor.name: arrays[tensor.name] for tensor in model.inputs}
        fed = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        outputs = answer(fed)
        if not isinstance(outputs, dict):
            listed = outputs if isinstance(outputs, list | tuple) else [outputs]
            outputs = dict(zip(names, listed, strict=True))
        return {n: keras.ops.convert_to_numpy(o) for n, o in outputs.items()}

    return run


def _traced(model: Any) -> Callable[[Any], Any]:
    """The model as one graph for batches of any shape.

    `predict_on_batch` traces a small network anew for the first shapes that it meets, which takes
    longer than all the answers.
    """
    import tensorflow as tf

    specs = {t.name: tf.TensorSpec(t.shape, t.dtype, t.name) for t in model.inputs}
    signature = specs if len(specs) > 1 else next(iter(specs.values()))

    @tf.function(input_signature=[signature], autograph=False)
    def answer(inputs: Any) -> Any:
        return model(inputs, training=False)

    def cast(array: Any, spec: Any) -> Any:
        return np.asarray(array, spec.dtype.as_numpy_dtype)

    return lambda inputs: answer(tf.nest.map_structure(cast, inputs, signature))
