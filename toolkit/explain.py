"""Why a network said what it said: what its layers put out, and which part of the input mattered.

`layer_outputs`, `grad_cam`, `integrated_gradients` and `input_gradient` look into a Keras model;
`occlusion` asks any function from arrays to outputs, an exported network as well. Keras and
TensorFlow are imported when they are called.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deepfield.toolkit.errors import DeepfieldError, UsageError

#: Layers that only pass on, move or prepare values: nothing to see in their outputs.
_QUIET = frozenset({
    "Cropping1D", "Cropping2D", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise",
    "Identity", "InputLayer", "Masking", "Normalization", "Permute", "RandomLight2D",
    "RandomWarp2D", "Rescaling", "Reshape", "SpatialDropout1D", "SpatialDropout2D",
    "ZeroPadding1D", "ZeroPadding2D",
})  # fmt: skip

#: Layers whose output stands for the layer before them, as a ReLU's does for its convolution.
_FOLLOWING = frozenset({
    "Activation", "BatchNormalization", "ELU", "GroupNormalization", "LayerNormalization",
    "LeakyReLU", "PReLU", "ReLU", "ScaledTanh",
})  # fmt: skip


def layer_outputs(
    model: Any, arrays: Mapping[str, np.ndarray] | np.ndarray, most: int | None = None
) -> list[tuple[str, np.ndarray]]:
    """What the layers put out for an input, from one forward pass, in the order of computation.

    Layers that change nothing (dropout, flattening, padding) are left out; a normalisation or an
    activation right behind a layer is shown in its place, under its name.

    Args:
        model: a functional or sequential `keras.Model`, on any back end.
        arrays: the input (n, ...) by name; of a model with one input also the bare array.
        most: how many layers, spread evenly from the first to the last; None for all.

    Returns:
        Pairs of the layer's name and its float output: (n, height, width, channels), (n, steps,
        features) or (n, units).

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="hidden")])
        >>> [(name, array.shape) for name, array in layer_outputs(model, np.ones((1, 4)))]
        [('hidden', (1, 3))]
    """
    seen: list[tuple[str, Any]] = []

    def visit(operation: Any, inputs: list[Any], output: Any) -> Any:
        kind = type(operation).__name__
        for tensor in _flat(output):
            if kind in _QUIET or not _is_float(tensor) or len(tensor.shape) < 2:
                continue
            if kind in _FOLLOWING and seen and any(t is seen[-1][1] for t in inputs):
                seen[-1] = (seen[-1][0], tensor)
            else:
                seen.append((operation.name, tensor))
        return output

    _run(model, _tensors(model, arrays), visit)
    if most is not None and len(seen) > most:
        places = np.linspace(0, len(seen) - 1, max(1, most)).round().astype(int)
        seen = [seen[place] for place in places]
    return [(name, _numpy(tensor)) for name, tensor in seen]


def grad_cam(
    model: Any,
    arrays: Mapping[str, np.ndarray] | np.ndarray,
    output_index: int,
    layer: str | None = None,
) -> np.ndarray:
    r"""Where a layer saw what speaks for one output: $\mathrm{ReLU}(\sum_k \alpha_k A^k)$.

    $\alpha_k$ is the mean over positions of the gradient of the output with respect to channel k.

    Args:
        model: a functional or sequential `keras.Model` on TensorFlow.
        arrays: the input (n, ...) by name, or the bare array.
        output_index: along the last axis of the (first) output, best logits.
        layer: a layer with an output (n, height, width, channels) or (n, steps, features); by
            default the last one, the deepest that still has positions.

    Returns:
        float32 (n, height, width) or (n, steps) at the layer's own resolution, not negative.

    Raises:
        UsageError: no layer of that name, or none with positions.
        DeepfieldError: Keras does not run on TensorFlow.

    Example:
        >>> import keras
        >>> from keras.layers import Conv2D, Dense, Flatten
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), Conv2D(2, 3), Flatten(), Dense(2)])
        >>> grad_cam(model, np.ones((1, 8, 8, 1), np.float32), output_index=1).shape
        (1, 6, 6)

    Source: Selvaraju et al. 2017, eq. 1 and 2.
    """
    tf = _tensorflow()
    tensors = _tensors(model, arrays)
    positions: list[tuple[str, int]] = []  # layers with positions, and how many

    def note(operation: Any, inputs: list[Any], output: Any) -> Any:
        tensor = _flat(output)[0]
        if _is_float(tensor) and len(tensor.shape) in (3, 4):
            positions.append((operation.name, int(np.prod(tensor.shape[1:-1]))))
        return output

    _run(model, tensors, note)
    names = [name for name, _ in positions]
    if layer is None:  # not the pooled 1 x 1 before the head
        layer = next((name for name, size in reversed(positions) if size > 1), None)
    if layer not in names:
        raise UsageError(
            f"no layer {layer!r} with positions to look at" if layer else "no layer has positions",
            f"layers with positions: {', '.join(dict.fromkeys(names)) or 'none'}",
        )
    with tf.GradientTape() as tape:
        found: list[Any] = []

        def watch(operation: Any, inputs: list[Any], output: Any) -> Any:
            if operation.name == layer:
                found.append(_flat(output)[0])
                tape.watch(found[-1])
            return output

        score = _score(_run(model, tensors, watch), output_index)
    gradient = tape.gradient(score, found[-1])
    if gradient is None:
        raise UsageError(f"the output does not depend on layer {layer!r}", "choose another layer")
    values, gradient = _numpy(found[-1]).astype(np.float32), _numpy(gradient).astype(np.float32)
    weights = gradient.mean(axis=tuple(range(1, gradient.ndim - 1)), keepdims=True)
    return np.maximum((weights * values).sum(axis=-1), 0)


def integrated_gradients(
    model: Any,
    arrays: Mapping[str, np.ndarray] | np.ndarray,
    output_index: int,
    baseline: np.ndarray | float | None = None,
    steps: int = 32,
    input_name: str | None = None,
) -> np.ndarray:
    r"""How much every input value added to one output, compared with a baseline.

    $(x - x') \odot \int_0^1 \nabla F(x' + \alpha (x - x'))\, d\alpha$, by the midpoint rule.
    The sum over all values is $F(x) - F(x')$ (completeness), up to the error of the rule.

    An input of whole numbers (pixels, token ids) has no gradient: there the path runs between the
    first float tensors computed from x and from x', such as rescaled pixels or embeddings. If
    several are computed from it, the path takes the first and the others stay at x.

    Args:
        model: a functional or sequential `keras.Model` on TensorFlow.
        arrays: the input (n, ...) by name, or the bare array.
        output_index: along the last axis of the (first) output, best logits.
        baseline: the input x' that says nothing, broadcast to the input; by default 0 (black,
            silence, padding).
        steps: points on the path.
        input_name: which input; by default the first.

    Returns:
        float32 of the shape of the input, or of the first float tensor (n, ...).

    Raises:
        UsageError: no such input, or nothing float is computed from it.
        DeepfieldError: Keras does not run on TensorFlow.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [-1.0]]), np.zeros(1)])
        >>> integrated_gradients(model, np.array([[2.0, 2.0]]), output_index=0).round(3).tolist()
        [[6.0, -2.0]]

    Source: Sundararajan et al. 2017, eq. 1 and 3. Deviation: midpoints in place of right ends.
    """
    tf = _tensorflow()
    tensors = _tensors(model, arrays)
    names, at = _input_names(model), _place_of(model, input_name)
    empty = np.broadcast_to(0 if baseline is None else baseline, tensors[at].shape)
    base = list(tensors)
    base[at] = tf.constant(empty.astype(tensors[at].dtype.as_numpy_dtype))

    if _is_float(tensors[at]):
        start, end = base[at], tensors[at]
    else:
        start, end = _first_float(model, base, at), _first_float(model, tensors, at)
    total = tf.zeros(end.shape, tf.float32)
    several = 8  # points a pass: more would only cost memory
    points = (np.arange(steps) + 0.5) / steps
    for some in np.split(points, range(several, steps, several)):
        count = len(some)
        weights = np.repeat(some, end.shape[0]).reshape(-1, *[1] * (len(end.shape) - 1))
        weights = tf.constant(weights, end.dtype)
        path = _tile(tf, start, count) * (1 - weights) + _tile(tf, end, count) * weights
        tiled = [_tile(tf, tensor, count) for tensor in tensors]
        with tf.GradientTape() as tape:
            tape.watch(path)
            if _is_float(tensors[at]):
                tiled[at] = path
                outputs = _run(model, tiled)
            else:
                outputs = _run(model, tiled, _replace_first_float(tiled[at], path))
            score = _score(outputs, output_index)
        gradient = tape.gradient(score, path)
        if gradient is None:
            raise UsageError(
                f"the output does not depend on the input {names[at]!r}", "choose another input"
            )
        gradient = tf.cast(tf.reshape(gradient, (count, *end.shape)), tf.float32)
        total += tf.reduce_sum(gradient, axis=0)
    difference = tf.cast(end, tf.float32) - tf.cast(start, tf.float32)
    return (difference * total / steps).numpy()


def input_gradient(
    model: Any,
    arrays: Mapping[str, np.ndarray] | np.ndarray,
    output_index: int,
    input_name: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The input as numbers, and the gradient of one output with respect to it.

    Their product is the saliency called gradients times input. An input of whole numbers has no
    gradient: the first float tensor computed from it takes its place, such as one-hot letters.

    Args:
        model: a functional or sequential `keras.Model` on TensorFlow.
        arrays: the input (n, ...) by name, or the bare array.
        output_index: along the last axis of the (first) output, best logits; outputs at several
            positions are added up.
        input_name: which input; by default the first.

    Returns:
        The values and the gradient, float32 of equal shape (n, ...).

    Raises:
        UsageError: no such input, or the output does not depend on it.
        DeepfieldError: Keras does not run on TensorFlow.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [-1.0]]), np.zeros(1)])
        >>> values, gradient = input_gradient(model, np.array([[2.0, 2.0]]), output_index=0)
        >>> gradient.tolist()
        [[3.0, -1.0]]

    Source: Shrikumar et al. 2016, section 3.1.
    """
    tf = _tensorflow()
    tensors = _tensors(model, arrays)
    at = _place_of(model, input_name)
    with tf.GradientTape() as tape:
        if _is_float(tensors[at]):
            values = tensors[at]
            tape.watch(values)
            outputs = _run(model, tensors)
        else:
            values = _first_float(model, tensors, at)
            tape.watch(values)
            outputs = _run(model, tensors, _replace_first_float(tensors[at], values))
        score = _score(outputs, output_index)
    gradient = tape.gradient(score, values)
    if gradient is None:
        name = _input_names(model)[at]
        raise UsageError(f"the output does not depend on the input {name!r}", "choose another")
    return _numpy(values).astype(np.float32), _numpy(gradient).astype(np.float32)


def occlusion(
    run: Callable[[dict[str, np.ndarray]], np.ndarray],
    arrays: Mapping[str, np.ndarray],
    output_index: int,
    *,
    input_name: str | None = None,
    window: int | Sequence[int] = 8,
    stride: int | Sequence[int] | None = None,
    fill: float | np.ndarray | None = None,
    axes: int | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """How far an output falls when a window of the input is covered.

    Args:
        run: from arrays by name (m, ...) to outputs (m, outputs): ONNX, Keras, anything.
        arrays: one input, with a leading axis of 1.
        output_index: along the last axis of the outputs.
        input_name: which input is covered; by default the first.
        window: side of the covered window along the positions, one number or one an axis.
        stride: step from window to window; by default half the window.
        fill: what covers, broadcast to the input; by default the mean over the positions.
        axes: how many axes behind the first are positions; by default all but the last (2 of
            a picture (1, height, width, channels)), and one of (1, samples).
        batch_size: covered inputs a call.

    Returns:
        float32 of the shape of the positions: the mean fall over the windows that cover each;
        positive where the input speaks for the output.

    Example:
        >>> def first_minus_last(arrays):
        ...     return arrays["x"][:, :1] - arrays["x"][:, 3:]
        >>> x = np.array([[4.0, 1.0, 1.0, 2.0]])
        >>> occlusion(first_minus_last, {"x": x}, 0, window=1, stride=1, fill=0.0).tolist()
        [4.0, 0.0, 0.0, -2.0]

    Source: Zeiler & Fergus 2014, section 4.2. Deviation: overlapping windows are averaged.
    """
    name = input_name if input_name is not None else next(iter(arrays))
    given = np.asarray(arrays[name])
    if given.shape[0] != 1:
        raise UsageError(f"occlusion of {given.shape[0]} inputs at once", "give one at a time")
    axes = max(1, given.ndim - 2) if axes is None else axes
    shape = given.shape[1 : 1 + axes]
    windows = np.minimum(np.broadcast_to(window, axes), shape)
    strides = np.maximum(1, windows // 2) if stride is None else np.broadcast_to(stride, axes)
    if fill is None:
        fill = given.mean(axis=tuple(range(1, 1 + axes)), keepdims=True)
    cover = np.broadcast_to(np.asarray(fill).astype(given.dtype), given.shape)[0]

    def starts(size: int, wide: int, step: int) -> list[int]:
        # The last window ends with the input, so that every position is covered.
        return [*range(0, size - wide, step), size - wide]

    corners = list(itertools.product(*map(starts, shape, windows, strides)))
    whole = float(np.asarray(run(dict(arrays)))[0, ..., output_index].sum())
    fall, covers = np.zeros(shape), np.zeros(shape)
    for first in range(0, len(corners), batch_size):
        some = corners[first : first + batch_size]
        places = [tuple(map(slice, c, np.add(c, windows))) for c in some]
        batch = {k: np.repeat(np.asarray(v), len(some), axis=0) for k, v in arrays.items()}
        for row, place in zip(batch[name], places, strict=True):
            row[place] = cover[place]
        scores = np.asarray(run(batch), dtype=float)[..., output_index].reshape(len(some), -1)
        for place, score in zip(places, scores.sum(axis=1), strict=True):
            fall[place] += whole - score
            covers[place] += 1
    return (fall / np.maximum(covers, 1)).astype(np.float32)


# ----------------------------------------------------------------------------- walking the graph

Visit = Callable[[Any, list[Any], Any], Any]


def _run(model: Any, tensors: list[Any], visit: Visit | None = None) -> Any:
    # Run the model operation by operation, models within it too; `visit(operation, inputs, output)`
    # sees every output and returns what takes its place. Keras has the walk, but no public name.
    graph = _graph(model)

    def hooked(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if _walkable(operation):
                return _run(operation, _flat(args), visit)
            output = operation(*args, **kwargs)
            return visit(operation, _flat((args, kwargs)), output) if visit else output

        return call

    outputs = graph._run_through_graph(tensors, operation_fn=hooked)
    return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs


def _walkable(model: Any) -> Any:
    # The functional model behind a model, None behind any other layer.
    graph = getattr(model, "_functional", None) or model  # a Sequential holds one
    return graph if hasattr(graph, "_run_through_graph") else None


def _graph(model: Any) -> Any:
    graph = _walkable(model)
    if graph is None:
        raise UsageError(
            f"{type(model).__name__} is not a functional model, its layers cannot be seen",
            "build it from keras.Input, or as a keras.Sequential that starts with one",
        )
    return graph


def _input_names(model: Any) -> list[str]:
    return [tensor.name for tensor in _graph(model).inputs]


def _place_of(model: Any, input_name: str | None) -> int:
    names = _input_names(model)
    if input_name is not None and input_name not in names:
        raise UsageError(f"no input named {input_name!r}", f"inputs: {', '.join(names)}")
    return names.index(input_name) if input_name is not None else 0


def _tensors(model: Any, arrays: Mapping[str, np.ndarray] | np.ndarray) -> list[Any]:
    from keras import ops

    inputs = _graph(model).inputs
    if not isinstance(arrays, Mapping):
        arrays = {inputs[0].name: arrays}
    missing = [tensor.name for tensor in inputs if tensor.name not in arrays]
    if missing:
        raise UsageError(f"the model's input {missing[0]!r} is missing", f"given: {list(arrays)}")
    return [ops.convert_to_tensor(arrays[t.name], dtype=t.dtype) for t in inputs]


def _replace_first_float(
    source: Any, replacement: Any = None, found: list[Any] | None = None
) -> Visit:
    # A visitor that finds the first float tensor made from `source`, and may put another there.
    derived = [source]
    done: list[bool] = []

    def visit(operation: Any, inputs: list[Any], output: Any) -> Any:
        if done or not any(t is d for t in inputs for d in derived):
            return output
        if isinstance(output, list | tuple | dict) or not _is_float(output):
            derived.extend(_flat(output))
            return output
        done.append(True)
        if found is not None:
            found.append(output)
        if replacement is None:
            return output
        mask = getattr(output, "_keras_mask", None)
        if mask is not None:  # padding stays padding along the path
            replacement._keras_mask = mask
        return replacement

    return visit


def _first_float(model: Any, tensors: list[Any], at: int) -> Any:
    found: list[Any] = []
    _run(model, tensors, _replace_first_float(tensors[at], found=found))
    if not found:
        name = _input_names(model)[at]
        raise UsageError(f"nothing float is computed from the input {name!r}", "choose another")
    return found[0]


def _score(outputs: Any, output_index: int) -> Any:
    # One number a batch: samples do not see each other, so its gradient is theirs, side by side.
    from keras import ops

    first = _flat(outputs)[0]
    return ops.sum(first[..., output_index])


def _tile(tf: Any, tensor: Any, count: int) -> Any:
    return tf.tile(tensor, [count, *[1] * (len(tensor.shape) - 1)])


def _tensorflow() -> Any:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise DeepfieldError(
            f"gradients are taken with TensorFlow, but Keras runs on {keras.backend.backend()}",
            "set KERAS_BACKEND=tensorflow, or use occlusion, which works anywhere",
        )
    import tensorflow as tf

    return tf


def _flat(structure: Any) -> list[Any]:
    from keras import tree

    return [leaf for leaf in tree.flatten(structure) if hasattr(leaf, "shape")]


def _is_float(tensor: Any) -> bool:
    from keras import backend

    return backend.standardize_dtype(tensor.dtype).startswith(("float", "bfloat"))


def _numpy(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor))
