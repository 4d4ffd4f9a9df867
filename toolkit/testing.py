"""What every layer and every pipeline must keep, asked in one call each."""

from __future__ import annotations

import functools
import inspect
import json
import operator
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

Arrays = np.ndarray | list[np.ndarray]


def check_layer(
    layer_class: type[keras.layers.Layer],
    arguments: dict[str, Any],
    inputs: Arrays,
    reference: Callable[[Any, dict[str, np.ndarray]], Arrays] | None = None,
    *,
    mask: np.ndarray | None = None,
    training_only: bool = False,
    tolerance: float = 1e-5,
    half_tolerance: float = 0.05,
    onnx: bool = True,
) -> None:
    """Assert all that DESIGN section 5 asks of a layer.

    In this order: every constructor argument is in the config; neither build nor call changes the
    config; a twin made from the config (through JSON) with the same weights answers the same;
    the static output shape is the true one; the answer agrees with a reference; graph and eager
    agree; a sample's answer does not depend on its batch, nor on what stands in its padding; every
    trainable weight gets a finite, non-zero gradient; half precision works; the ONNX export agrees.
    All weights are moved off their initial values first, so that a forgotten bias shows.

    Args:
        layer_class: the class, registered with Keras under `deepfield`.
        arguments: for its constructor; choose values that are not the defaults.
        inputs: one array, or a list for a layer that takes a list; the first axis is the batch,
            at least 2.
        reference: `reference(inputs, weights)` computes the answer in NumPy from the paper's
            formula; `weights` are keyed by path inside the layer (`kernel`, `conv1/kernel`).
        mask: (batch, steps), true at valid steps, which come first; passed as `mask=`. Exports are
            then made with free length.
        training_only: the layer acts in training alone (augmentation): instead of the gradient
            it is asked to leave the input as it is at prediction, and to change it in training.
        tolerance: for float32, relative to max(1, |value|); the ONNX export is allowed 1e-4.
        half_tolerance: for mixed_float16 and mixed_bfloat16, relative to max(1, largest value).
        onnx: whether the layer promises to be exported (TensorFlow only).

    Raises:
        AssertionError: says what differed, where and by how much.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import ScaledTanh
        >>> from deepfield.toolkit.testing import check_layer
        >>> x = np.linspace(-2, 2, 6).reshape(2, 3).astype("float32")
        >>> check_layer(ScaledTanh, {"slope": 0.5}, x, lambda x, _: 1.7159 * np.tanh(x / 2))
    """
    subject = layer_class.__name__
    layer = layer_class(**arguments)
    before = _config(layer)
    _check_arguments(layer_class, layer)

    _run(layer, inputs, mask)
    _check(_config(layer) == before, f"{subject}: build or call changed the config", before)
    _move_weights(layer)
    answer = _run(layer, inputs, mask)
    for part in answer:
        _check(np.isfinite(part).all(), f"{subject}: the output is not finite", part)

    twin = keras.layers.deserialize(json.loads(json.dumps(keras.layers.serialize(layer))))
    _run(twin, inputs, mask)
    twin.set_weights(layer.get_weights())
    _close(f"{subject}: twin from the config", _run(twin, inputs, mask), answer, tolerance)

    _check_static_shape(layer, inputs, answer)
    if reference is not None:
        expected = _list(reference(inputs, _weights(layer)))
        _close(f"{subject}: reference", answer, expected, tolerance)

    model = _model(layer, inputs, mask)
    fed = _feed(inputs, mask)
    graph = [
        np.asarray(part)
        for part in keras.tree.flatten(model.predict_on_batch(fed if len(fed) > 1 else fed[0]))
    ]
    _close(f"{subject}: graph and eager", graph, answer, tolerance)
    _check_samples(layer, inputs, mask, answer, tolerance)
    if training_only:
        _check_training(layer, inputs)
    else:
        _check_gradients(twin, inputs, mask, answer)
    _check_half_precision(layer, inputs, mask, answer, half_tolerance)
    if onnx and keras.backend.backend() == "tensorflow":
        exported = _run_onnx(model, fed)
        _close(f"{subject}: ONNX Runtime and Keras", exported, answer, max(1e-4, tolerance))


# -- the parts of check_layer ----------------------------------------------------------------------


def _check_arguments(layer_class: type[keras.layers.Layer], layer: keras.layers.Layer) -> None:
    """Every argument of the constructor is kept in the config, and the class is registered."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    taken = {
        name
        for name, parameter in inspect.signature(layer_class.__init__).parameters.items()
        if name != "self" and parameter.kind not in variadic
    }
    lost = sorted(taken - set(layer.get_config()))
    _check(not lost, f"{layer_class.__name__}: constructor arguments not in get_config", lost)
    registered = keras.saving.get_registered_name(layer_class)
    _check(registered.startswith("deepfield>"), "not registered under deepfield", registered)


def _check_static_shape(layer: keras.layers.Layer, inputs: Arrays, answer: list) -> None:
    """`compute_output_shape` says what the call gives; of whole numbers `compute_output_spec`."""
    shapes = [tuple(x.shape) for x in _list(inputs)]
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        told = layer.compute_output_spec(
            _map(inputs, lambda x: keras.KerasTensor(x.shape, x.dtype))
        )
        said = [part.shape for part in keras.tree.flatten(told)]
    else:
        said = layer.compute_output_shape(shapes if isinstance(inputs, list) else shapes[0])
    said = [tuple(said)] if len(answer) == 1 and not isinstance(said, list) else list(said)
    is_one = len(said) == len(answer) == 1
    true = [part.shape for part in answer]
    _check(
        said == true or (is_one and said[0] == true[0]),
        f"{layer.name}: compute_output_shape and the output's shape differ",
        (said, true),
    )


def _check_samples(
    layer: keras.layers.Layer,
    inputs: Arrays,
    mask: np.ndarray | None,
    answer: list[np.ndarray],
    tolerance: float,
) -> None:
    """Each sample alone, cut to its own length, gets the answer that it gets in the batch."""
    what = f"{type(layer).__name__}: sample by itself and in its batch"
    count = len(_list(inputs)[0])
    if mask is None:
        for i in range(count):
            one = slice(i, i + 1)
            alone = _run(layer, _map(inputs, operator.itemgetter(one)), None)
            _close(what, alone, [part[one] for part in answer], tolerance)
        return
    steps = mask.shape[1]
    noise = np.random.default_rng(1)

    def fill(x: np.ndarray) -> np.ndarray:  # whatever stands in the padding must not matter
        if x.shape[1] != steps:
            return x
        other = noise.permutation(x.reshape(-1)).reshape(x.shape)
        return np.where(mask.reshape(*mask.shape, *[1] * (x.ndim - 2)), x, other)

    def cut(x: np.ndarray, i: int, length: int) -> np.ndarray:  # one sample without its padding
        has_steps = x.ndim > 1 and x.shape[1] == steps
        return x[i : i + 1, :length] if has_steps else x[i : i + 1]

    padded = _run(layer, _map(inputs, fill), mask)
    for i, length in enumerate(mask.sum(axis=1)):
        own = functools.partial(cut, i=i, length=length)
        alone = _run(layer, _map(inputs, own), own(mask))
        _close(f"{what} (padding leaks)", alone, [own(part) for part in padded], tolerance)


def _check_training(layer: keras.layers.Layer, inputs: Arrays) -> None:
    """Prediction leaves the input as it is; training changes it, each time in another way."""
    subject = type(layer).__name__
    given = [np.asarray(x, "float32") for x in _list(inputs)]
    _close(f"{subject}: the input at prediction", _run(layer, inputs, None), given, 1e-6)
    first = _run(layer, inputs, None, training=True)
    second = _run(layer, inputs, None, training=True)
    for a, b, x in zip(first, second, given, strict=True):
        _check(a.shape == x.shape, f"{subject}: training changes the shape", (a.shape, x.shape))
        _check(np.isfinite(a).all(), f"{subject}: training gives what is not finite", a)
        _check(not np.array_equal(a, x), f"{subject}: training leaves the input as it is", "")
        _check(not np.array_equal(a, b), f"{subject}: training repeats its random numbers", "")


def _check_gradients(
    layer: keras.layers.Layer, inputs: Arrays, mask: np.ndarray | None, answer: list[np.ndarray]
) -> None:
    """Every trainable weight gets a finite gradient that is not zero throughout.

    The loss is the sum of the outputs times random numbers: the plain sum would be constant behind
    a normalisation, whose gradients would all be zero.
    """
    random = np.random.default_rng(2)
    factors = [random.normal(size=part.shape).astype("float32") for part in answer]

    def loss(outputs: Any) -> Any:
        parts = zip(keras.tree.flatten(outputs), factors, strict=True)
        return sum(keras.ops.sum(keras.ops.cast(y, "float32") * f) for y, f in parts)

    options: dict[str, Any] = {} if mask is None else {"mask": mask}
    if "training" in inspect.signature(layer.call).parameters:
        options["training"] = True
    variables = layer.trainable_variables
    tensors = _map(inputs, keras.ops.convert_to_tensor)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(layer(tensors, **options))
        gradients = tape.gradient(value, variables) if variables else []
    else:
        import jax

        fixed = [variable.value for variable in layer.non_trainable_variables]

        def of(values: Any) -> Any:
            return loss(layer.stateless_call(values, fixed, tensors, **options)[0])

        gradients = jax.grad(of)([variable.value for variable in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        where = f"{type(layer).__name__}: gradient of {variable.path}"
        _check(gradient is not None, f"{where} does not exist", "the output does not depend on it")
        values = keras.ops.convert_to_numpy(gradient)
        _check(np.isfinite(values).all(), f"{where} is not finite", values)
        _check(np.any(values != 0), f"{where} is zero", f"{values.size} zeros")


def _check_half_precision(
    layer: keras.layers.Layer,
    inputs: Arrays,
    mask: np.ndarray | None,
    answer: list[np.ndarray],
    tolerance: float,
) -> None:
    """Under mixed precision it computes in half, keeps its weights whole, and is about right."""
    for policy in ("mixed_float16", "mixed_bfloat16"):
        half = type(layer).from_config({**layer.get_config(), "dtype": policy})
        outputs = keras.tree.flatten(_call(half, inputs, mask))
        half.set_weights(layer.get_weights())
        outputs = keras.tree.flatten(_call(half, inputs, mask))
        where = f"{type(layer).__name__} under {policy}"
        kinds = {keras.backend.standardize_dtype(part.dtype) for part in outputs}
        if not any(np.issubdtype(part.dtype, np.integer) for part in answer):
            _check(kinds == {half.compute_dtype}, f"{where}: dtype of the output", kinds)
        kept = {v.dtype for v in half.weights if "float" in v.dtype}
        _check(kept <= {"float32"}, f"{where}: dtype of the weights", kept)
        for part, whole in zip(outputs, answer, strict=True):
            got = keras.ops.convert_to_numpy(keras.ops.cast(part, "float32"))
            scale = max(1.0, float(np.abs(whole).max()))
            _close(where, [got / scale], [whole / scale], tolerance)


def _run_onnx(model: keras.Model, fed: list[np.ndarray]) -> list[np.ndarray]:
    """Export a model, answer by ONNX Runtime."""
    import onnxruntime

    from deepfield.toolkit.export import copied_once

    with tempfile.TemporaryDirectory() as folder, copied_once():
        path = Path(folder) / "layer.onnx"
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, dict(zip(names, fed, strict=True)))


# -- calling a layer -------------------------------------------------------------------------------


def _list(inputs: Arrays) -> list[np.ndarray]:
    return inputs if isinstance(inputs, list) else [inputs]


def _map(inputs: Arrays, change: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    return [change(x) for x in inputs] if isinstance(inputs, list) else change(inputs)


def _feed(inputs: Arrays, mask: np.ndarray | None) -> list[np.ndarray]:
    return _list(inputs) + ([] if mask is None else [mask])


def _call(layer: Any, inputs: Arrays, mask: np.ndarray | None, **options: Any) -> Any:
    tensors = _map(inputs, keras.ops.convert_to_tensor)
    if mask is not None:
        options["mask"] = keras.ops.convert_to_tensor(mask)
    return layer(tensors, **options)


def _run(layer: Any, inputs: Arrays, mask: np.ndarray | None, **options: Any) -> list[np.ndarray]:
    """Call eagerly; return the outputs as a list of arrays."""
    outputs = keras.tree.flatten(_call(layer, inputs, mask, **options))
    return [keras.ops.convert_to_numpy(part) for part in outputs]


def _model(layer: keras.layers.Layer, inputs: Arrays, mask: np.ndarray | None) -> keras.Model:
    """Wrap a layer in a functional model; its steps are free if there is a mask."""

    def entry(x: np.ndarray) -> Any:
        free = mask is not None and x.shape[1:2] == mask.shape[1:2]
        shape = (None, *x.shape[2:]) if free else x.shape[1:]
        return keras.Input(shape, dtype=str(x.dtype))

    entries = _map(inputs, entry)
    if mask is None:
        return keras.Model(entries, layer(entries))
    masks = entry(mask)
    return keras.Model([*_list(entries), masks], layer(entries, mask=masks))


def _config(layer: keras.layers.Layer) -> str:
    """The config as text, for comparisons."""
    return json.dumps(keras.saving.serialize_keras_object(layer.get_config()), sort_keys=True)


def _weights(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    """Return the weights by their path inside the layer."""
    prefix = f"{layer.name}/"
    return {v.path.removeprefix(prefix): keras.ops.convert_to_numpy(v) for v in layer.weights}


def _move_weights(layer: keras.layers.Layer) -> None:
    """Move trainable weights and moving statistics off their initial values; repeatable."""
    random = np.random.default_rng(0)
    for variable in layer.weights:
        value = keras.ops.convert_to_numpy(variable)
        if "variance" in variable.name:
            value = value * random.uniform(0.5, 1.5, value.shape)
        elif variable.trainable or "moving" in variable.name:
            value = value + random.normal(0, 0.1, value.shape)
        variable.assign(value.astype(value.dtype))


# -- saying what differed --------------------------------------------------------------------------


def _check(true: Any, message: str, value: Any) -> None:
    """Assert with the value in the message."""
    if not true:
        raise AssertionError(f"{message}: {value}")


def _close(what: str, got: list, expected: list, tolerance: float) -> None:
    """Assert |got - expected| <= tolerance * max(1, |expected|), all finite."""
    _check(len(got) == len(expected), f"{what}: number of outputs", (len(got), len(expected)))
    for a, b in zip(got, expected, strict=True):
        _check(a.shape == b.shape, f"{what}: shapes differ", (a.shape, b.shape))
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        excess = np.nan_to_num(np.abs(a - b) / np.maximum(1.0, np.abs(b)), nan=np.inf)
        if a.size and excess.max() > tolerance:
            worst = np.unravel_index(int(excess.argmax()), excess.shape)
            raise AssertionError(
                f"{what}: {a[worst]:.7g} instead of {b[worst]:.7g} at "
                f"{tuple(int(i) for i in worst)}, {excess[worst]:.2g} off, "
                f"{tolerance:.2g} allowed (relative to max(1, |value|))"
            )
