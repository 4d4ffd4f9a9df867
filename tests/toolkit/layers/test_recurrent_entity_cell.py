import keras
import numpy as np
import onnxruntime
import pytest

from deepfield.toolkit.export import copied_once
from deepfield.toolkit.layers import RecurrentEntityCell
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
STORY = np.random.default_rng(1).normal(size=(3, 6, 4)).astype("float32")
LENGTHS = np.array([6, 4, 1])
MASK = np.arange(6) < LENGTHS[:, None]


def step(s, h, weights, phi):
    """Eq. (2) to (5) for one story: s (features,), h (entities, features)."""
    w = weights["keys"]
    new = np.zeros_like(h)
    for j in range(len(h)):
        gate = 1 / (1 + np.exp(-(s @ h[j] + s @ w[j])))
        candidate = phi(
            h[j] @ weights["slot_kernel"]
            + w[j] @ weights["key_kernel"]
            + s @ weights["step_kernel"]
        )
        new[j] = h[j] + gate * candidate
        new[j] /= np.linalg.norm(new[j])
    return new


def prelu(weights):
    return lambda x: np.where(x > 0, x, weights["slope"] * x)


@pytest.mark.parametrize("activation", ["prelu", "tanh", None])
def test_it_is_what_a_layer_must_be(activation):
    def reference(x, weights):
        phi = {"prelu": prelu(weights) if "slope" in weights else None, "tanh": np.tanh}.get(
            activation, lambda x: x
        )
        keys = weights["keys"].astype("float64")
        flat = np.stack([step(s, keys, weights, phi).ravel() for s in x])
        return [flat, flat]

    arguments = {
        "entities": 5,
        "units": 4,
        "activation": activation,
        "keys_initializer": "orthogonal",
        "kernel_initializer": "random_normal",
    }
    check_layer(RecurrentEntityCell, arguments, X, reference)


def told(cell):
    """What the equations make of STORY, one step after the other."""
    prefix = f"{cell.name}/"
    weights = {
        v.path.rpartition(prefix)[2]: keras.ops.convert_to_numpy(v).astype("float64")
        for v in cell.weights
    }
    slots = []
    for story, length in zip(STORY, LENGTHS, strict=True):
        h = weights["keys"]
        for s in story[:length]:
            h = step(s, h, weights, prelu(weights))
        slots.append(h.ravel())
    return np.stack(slots)


def test_a_story_is_read_step_by_step_and_padding_leaves_the_slots():
    cell = RecurrentEntityCell(5, 4)
    found = keras.layers.RNN(cell)(STORY, mask=MASK)
    np.testing.assert_allclose(found, told(cell), atol=1e-5)


def test_a_network_with_it_learns_and_is_exported_with_free_length(tmp_path):
    story = keras.Input((None, 4), name="story")
    mask = keras.Input((None,), dtype="bool", name="mask")
    cell = RecurrentEntityCell(5, 4)
    slots = keras.layers.RNN(cell, name="slots")(story, mask=mask)
    model = keras.Model([story, mask], slots)
    model.compile("sgd", "mse")
    before = [w.copy() for w in model.get_weights()]
    model.train_on_batch([STORY, MASK], np.eye(3, 20, dtype="float32"))
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_allclose(model([STORY, MASK]), told(cell), atol=1e-5)
    with copied_once():
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for steps in (6, 1):
        fed = {"story": STORY[:, :steps], "mask": MASK[:, :steps]}
        np.testing.assert_allclose(
            session.run(None, fed)[0], model([fed["story"], fed["mask"]]), atol=1e-5
        )


def test_slots_start_at_their_keys():
    cell = RecurrentEntityCell(5, 4)
    cell.build((None, 4))
    start = keras.ops.convert_to_numpy(cell.get_initial_state(2)[0])
    np.testing.assert_array_equal(
        start.reshape(2, 5, 4), [keras.ops.convert_to_numpy(cell.keys)] * 2
    )


def test_connections_are_those_of_gates_and_candidates():
    assert RecurrentEntityCell(5, 4).connections((None, 4)) == 5 * (8 + 32) + 16


@pytest.mark.parametrize("entities", [0, 2.0, None])
def test_a_wrong_number_of_entities_is_named(entities):
    with pytest.raises(ValueError, match=f"entities must be a positive integer, got {entities}"):
        RecurrentEntityCell(entities, 4)


def test_a_step_has_as_many_features_as_a_slot():
    with pytest.raises(ValueError, match="axis -1"):
        RecurrentEntityCell(5, 3)(X)
