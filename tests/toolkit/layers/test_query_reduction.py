import itertools

import keras
import numpy as np
import onnxruntime
import pytest

from deepfield.toolkit.export import copied_once
from deepfield.toolkit.layers import QueryReduction
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X, Q = (RANDOM.normal(size=(3, 7, 4)).astype("float32") for _ in range(2))
LENGTHS = np.array([7, 4, 1])
MASK = np.arange(7) < LENGTHS[:, None]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def walk(x, q, weights, backward):
    """The paper's recurrence, one step after the other, for one story: h and z."""
    h, hs, zs = np.zeros(x.shape[1]), {}, {}
    for t in reversed(range(len(x))) if backward else range(len(x)):
        z = sigmoid((x[t] * q[t]) @ weights["update_kernel"] + weights["update_bias"])
        both = np.concatenate([x[t], q[t]])
        new = z * np.tanh(both @ weights["candidate_kernel"] + weights["candidate_bias"])
        if "reset_kernel" in weights:
            new = new * sigmoid((x[t] * q[t]) @ weights["reset_kernel"] + weights["reset_bias"])
        h = new + (1 - z) * h
        hs[t], zs[t] = h, z
    return np.stack([hs[t] for t in range(len(x))]), np.stack([zs[t] for t in range(len(x))])


def of_story(x, q, weights, direction):
    q = np.broadcast_to(q, x.shape)
    ways = {"forward": [False], "backward": [True], "both": [False, True]}[direction]
    walked = [walk(x, q, weights, backward) for backward in ways]
    return sum(h for h, _ in walked), walked[0][1]


def weights_of(layer):
    return {
        v.path.rpartition("/")[2]: keras.ops.convert_to_numpy(v).astype("float64")
        for v in layer.weights
    }


FEW = {("forward", False, "scalar"), ("backward", True, "scalar"), ("both", True, "vector")}


@pytest.mark.parametrize(
    ("direction", "reset", "gate"),
    [
        pytest.param(*one, marks=[] if one in FEW else pytest.mark.slow)
        for one in itertools.product(
            ["forward", "backward", "both"], [False, True], ["scalar", "vector"]
        )
    ],
)
def test_it_is_what_a_layer_must_be(direction, reset, gate):
    def reference(inputs, weights):
        x, q = (a.astype("float64") for a in inputs)
        h = np.zeros(x.shape)
        z = np.zeros((*x.shape[:2], 4 if gate == "vector" else 1))
        for b, n in enumerate(LENGTHS):
            h[b, :n], z[b, :n] = of_story(x[b, :n], q[b, :n], weights, direction)
            if direction != "backward":  # padding keeps what was found
                last = of_story(x[b, :n], q[b, :n], weights, "forward")[0][-1]
                h[b, n:] = last
        return [h, z]

    arguments = {
        "direction": direction,
        "reset": reset,
        "gate": gate,
        "chunk": 3,
        "kernel_initializer": "orthogonal",
        "gate_bias_initializer": "ones",
    }
    check_layer(QueryReduction, arguments, [X, Q], reference, mask=MASK)


@pytest.mark.parametrize("gate", ["scalar", "vector"])
@pytest.mark.parametrize("chunk", [2, 3, 5, 64])
def test_chunks_change_nothing(chunk, gate):
    """Also where chunks are chunked again, and where they do not come out even."""
    x = RANDOM.normal(size=(2, 41, 4)).astype("float32")
    layer = QueryReduction("both", reset=True, gate=gate, chunk=chunk)
    h, _ = layer([x, Q[:2, 0]])
    for b in range(2):
        expected, _ = of_story(x[b], Q[b, 0], weights_of(layer), "both")
        np.testing.assert_allclose(h[b], expected, atol=2e-6)


def test_one_query_for_all_steps_is_that_query_at_every_step():
    layer = QueryReduction()
    once, every = layer([X, Q[:, 0]])[0], layer([X, np.repeat(Q[:, :1], 7, axis=1)])[0]
    np.testing.assert_array_equal(once, every)


def test_open_and_closed_gates_stay_finite():
    """A gate that is fully open or shut for thousands of steps neither overflows nor fades."""
    layer = QueryReduction(chunk=16)
    x = np.zeros((1, 3000, 4), "float32")
    layer([x, x])
    for bias, last in ((60.0, 1.0), (-60.0, 0.0)):
        weights = weights_of(layer) | {"update_bias": np.array([bias])}
        weights["candidate_bias"] = np.full(4, 20.0)
        layer.set_weights([weights[v.path.rpartition("/")[2]] for v in layer.weights])
        h = keras.ops.convert_to_numpy(layer([x, x])[0])
        np.testing.assert_allclose(h, last, atol=1e-6)


def test_a_story_of_ten_thousand_sentences_needs_memory_for_its_steps_alone():
    x = RANDOM.normal(size=(1, 10_000, 4)).astype("float32")
    layer = QueryReduction(gate_bias_initializer=keras.initializers.Constant(-4.0))
    h, _ = layer([x, Q[:1, 0]])  # in one piece: a matrix of 400 MB
    expected, _ = of_story(x[0], Q[0, 0], weights_of(layer), "forward")
    np.testing.assert_allclose(h[0], expected, atol=1e-5)


def test_an_exported_network_takes_any_number_of_sentences(tmp_path):
    steps, query = keras.Input((None, 4), name="steps"), keras.Input((4,), name="query")
    h, z = QueryReduction("both", reset=True, chunk=4)([steps, query])
    model = keras.Model([steps, query], [h, z])
    model([X, Q[:, 0]])
    with copied_once():
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for length in (1, 3, 4, 5, 70):
        x = RANDOM.normal(size=(2, length, 4)).astype("float32")
        found = session.run(None, {"steps": x, "query": Q[:2, 0]})
        for a, b in zip(found, model([x, Q[:2, 0]]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_directions_share_their_weights():
    one, both = QueryReduction(), QueryReduction("both")
    one([X, Q]), both([X, Q])
    assert one.count_params() == both.count_params() == 2 * 4 * 4 + 4 + 4 + 1
    vector = QueryReduction(gate="vector", reset=True)
    vector([X, Q])
    assert vector.count_params() == 2 * 4 * 4 + 4 + 2 * (4 * 4 + 4)


def test_connections_are_kernels_and_biases_at_every_step():
    shapes = [(None, 7, 4), (None, 4)]
    assert QueryReduction().connections(shapes) == 7 * (2 * 4 * 4 + 4 + 4 + 1)
    assert QueryReduction().connections([(None, None, 4), (None, 4)]) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "up"}, "direction must be 'forward' or 'backward' or 'both', got 'up'"),
        ({"gate": "matrix"}, "gate must be 'scalar' or 'vector', got 'matrix'"),
        ({"chunk": 1}, "chunk must be an integer of at least 2, got 1"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        QueryReduction(**arguments)


def test_one_tensor_is_no_story_with_a_question():
    with pytest.raises(ValueError, match="a list of steps and query"):
        QueryReduction()(X)
