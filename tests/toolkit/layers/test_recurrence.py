import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import QueryReduction, _recurrence
from deepfield.toolkit.layers._recurrence import CHUNK, heard, recurrence

RANDOM = np.random.default_rng(0)
LENGTHS = (1, CHUNK - 1, CHUNK, CHUNK + 1, 41, 300)


def drawn(steps, gates, features=4, batch=2):
    keep = RANDOM.uniform(size=(steps, batch, gates)).astype("float32")
    keep[RANDOM.uniform(size=keep.shape) < 0.1] = 0.0
    keep[RANDOM.uniform(size=keep.shape) < 0.1] = 1.0
    return keep, RANDOM.normal(size=(steps, batch, features)).astype("float32")


def loop(keep, fresh, reverse=False):
    """One step after the other, in double precision."""
    h, state = np.zeros(fresh.shape), np.zeros(fresh.shape[1:])
    for t in reversed(range(len(fresh))) if reverse else range(len(fresh)):
        h[t] = state = keep[t].astype("float64") * state + fresh[t]
    return h


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("gates", [1, 4])
@pytest.mark.parametrize("steps", LENGTHS)
def test_it_is_a_loop(steps, gates, reverse):
    keep, fresh = drawn(steps, gates)
    found = keras.ops.convert_to_numpy(recurrence(keep, fresh, reverse))
    np.testing.assert_allclose(found, loop(keep, fresh, reverse), atol=5e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("gates", [1, 4])
@pytest.mark.parametrize("steps", [1, CHUNK, 41])
def test_its_gradients_are_those_of_the_loop(steps, gates, reverse):
    import tensorflow as tf

    keep, fresh = map(tf.constant, drawn(steps, gates))
    factors = RANDOM.normal(size=fresh.shape).astype("float32")

    def plain(keep, fresh):
        h, state = {}, tf.zeros_like(fresh[0])
        for t in reversed(range(steps)) if reverse else range(steps):
            h[t] = state = keep[t] * state + fresh[t]
        return tf.stack([h[t] for t in range(steps)])

    found = []
    for way in (plain, lambda k, f: recurrence(k, f, reverse)):
        with tf.GradientTape() as tape:
            tape.watch([keep, fresh])
            loss = tf.reduce_sum(way(keep, fresh) * factors)
        found.append(tape.gradient(loss, [keep, fresh]))
    for expected, own in zip(*found, strict=True):
        assert own.shape == expected.shape
        np.testing.assert_allclose(own, expected, atol=2e-5)


def test_it_is_compiled_for_numbers_of_steps_known_only_when_it_runs():
    import tensorflow as tf

    def both(keep, fresh):
        with tf.GradientTape() as tape:
            tape.watch(fresh)
            h = recurrence(keep, fresh, reverse=True)
        return h, tape.gradient(h, fresh)

    free = [tf.TensorSpec((None, None, n)) for n in (1, 4)]
    compiled = tf.function(both, input_signature=free, jit_compile=True)
    keep, fresh = drawn(37, 1)
    h, gradient = compiled(keep, fresh)
    np.testing.assert_allclose(h, loop(keep, fresh, reverse=True), atol=5e-6)
    expected = loop(
        np.roll(keep, 1, axis=0) * (np.arange(37) > 0)[:, None, None], np.ones_like(fresh)
    )
    np.testing.assert_allclose(gradient, expected, atol=2e-5)


def test_ten_thousand_steps_are_as_good_and_take_memory_for_their_number_alone():
    import tensorflow as tf

    steps = 10_000
    keep, fresh = drawn(steps, 4, batch=1)
    keep = 1 - 0.01 * keep  # hundreds of steps are remembered
    largest = []

    real = keras.ops.pad

    def pad(x, *arguments, **named):
        found = real(x, *arguments, **named)
        largest.append(int(np.prod(found.shape)))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_recurrence.ops, "pad", pad)
        with tf.GradientTape() as tape:
            watched = tf.constant(fresh)
            tape.watch(watched)
            h = recurrence(keep, watched)
        gradient = tape.gradient(h, watched)
    expected = loop(keep, fresh)
    np.testing.assert_allclose(h, expected, atol=1e-5 * np.abs(expected).max())
    later = np.concatenate([keep[1:], np.zeros_like(keep[:1])])
    expected = loop(later, np.ones_like(fresh), reverse=True)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)
    assert max(largest) <= 4 * 2 * (steps + 2 * CHUNK)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_policy_of_other_layers_does_not_matter(policy):
    keep, fresh = drawn(41, 1)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        found = recurrence(keep, fresh)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found, loop(keep, fresh), atol=5e-6)


# -- in ONNX


@keras.saving.register_keras_serializable("tests")
def heard_loop(keep, fresh, opened, reverse=False):
    """What each step hears, one step after the other."""
    m, state = np.zeros(fresh.shape), np.zeros(fresh.shape[1:])
    for t in reversed(range(len(fresh))) if reverse else range(len(fresh)):
        m[t] = state * opened[t]
        state = keep[t].astype("float64") * m[t] + fresh[t]
    return m


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("steps", LENGTHS)
def test_steps_hear_those_before_them_where_they_are_open(steps, reverse):
    keep, fresh = drawn(steps, 4)
    opened = (RANDOM.uniform(size=(steps, 2, 1)) < 0.7).astype("float32")
    expected = heard_loop(keep, fresh, opened, reverse)
    found = keras.ops.convert_to_numpy(heard(keep, fresh, opened, reverse))
    np.testing.assert_allclose(found, expected, atol=5e-6)


class Recurrence(keras.layers.Layer):
    """Both directions, one after the other."""

    def call(self, inputs):
        keep, fresh = inputs
        return recurrence(keep, recurrence(keep, fresh), reverse=True)

    def compute_output_shape(self, input_shape):
        return input_shape[1]


def nodes_of(graph):
    return [node.op_type for node in graph.graph.node]


@pytest.mark.parametrize("gates", [1, 4])
def test_it_is_one_operation_in_onnx(gates):
    inputs = [keras.Input((None, n), name=name) for n, name in ((gates, "keep"), (4, "fresh"))]
    model = keras.Model(inputs, Recurrence(name="h")(inputs))
    made = to_onnx(model)
    graph = onnx.load_from_string(made)
    onnx.checker.check_model(graph, full_check=True)
    kinds = nodes_of(graph)
    assert kinds.count("Scan") == 2 and "Pow" not in kinds and "Loop" not in kinds
    assert {a.ints[0] for n in graph.graph.node if n.op_type == "Scan" for a in n.attribute
            if a.name == "scan_output_directions"} == {0, 1}  # fmt: skip
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    for steps in LENGTHS:
        keep, fresh = drawn(steps, gates, batch=3)
        (found,) = session.run(None, {"keep": keep, "fresh": fresh})
        expected = loop(keep, loop(keep, fresh), reverse=True)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, scale))


class Heard(keras.layers.Layer):
    """What is heard in one direction, passed on in the other."""

    def call(self, inputs):
        keep, fresh, opened = inputs
        return heard(keep, heard(keep, fresh, opened), opened, reverse=True)

    def compute_output_shape(self, input_shape):
        return input_shape[1]


def test_what_is_heard_is_one_operation_in_onnx():
    sizes = {"keep": 4, "fresh": 4, "opened": 1}
    inputs = [keras.Input((None, n), name=name) for name, n in sizes.items()]
    made = to_onnx(keras.Model(inputs, Heard(name="m")(inputs)))
    graph = onnx.load_from_string(made)
    onnx.checker.check_model(graph, full_check=True)
    kinds = nodes_of(graph)
    assert kinds.count("Scan") == 2 and not {"Pow", "Loop", "Slice", "Pad"} & set(kinds)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    for steps in LENGTHS:
        keep, fresh = drawn(steps, 4, batch=3)
        opened = (RANDOM.uniform(size=(steps, 3, 1)) < 0.7).astype("float32")
        (found,) = session.run(None, {"keep": keep, "fresh": fresh, "opened": opened})
        once = heard_loop(keep, fresh, opened)
        np.testing.assert_allclose(
            found, heard_loop(keep, once, opened, reverse=True), atol=1e-4, rtol=1e-4
        )


def test_the_recurrences_of_a_network_keep_apart():
    x, y = keras.Input((None, 4), name="x"), keras.Input((None, 6), name="y")
    ends = [
        QueryReduction("both", gate=gate, name=f"{name}_{gate}")([part, part])[0]
        for name, part in (("x", x), ("y", y))
        for gate in ("scalar", "vector")
    ]
    model = keras.Model([x, y], keras.layers.Concatenate(name="h")(ends))
    made = to_onnx(model)
    graph = onnx.load_from_string(made)
    assert nodes_of(graph).count("Scan") == 8 and "Pow" not in nodes_of(graph)
    names = [name for node in graph.graph.node for name in node.output]
    assert len(names) == len(set(names))
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    for steps in (1, 41):
        sizes = {"x": 4, "y": 6}
        fed = {n: RANDOM.normal(size=(2, steps, k)).astype("float32") for n, k in sizes.items()}
        np.testing.assert_allclose(session.run(None, fed)[0], model(fed), atol=1e-5)


def test_other_powers_stay_as_they_are():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Identity(name="y")(keras.ops.power(x, 3.5)))
    made = to_onnx(model)
    assert "Scan" not in nodes_of(onnx.load_from_string(made))
    fed = RANDOM.uniform(size=(2, 3)).astype("float32")
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": fed})[0], fed**3.5, rtol=1e-4)


def test_a_network_computes_as_ever_after_an_export_that_failed():
    with pytest.raises(RuntimeError), _recurrence.exporting():
        raise RuntimeError
    keep, fresh = drawn(20, 1)
    np.testing.assert_allclose(recurrence(keep, fresh), loop(keep, fresh), atol=5e-6)
