"""ONNX and LiteRT say what Keras says; what half precision holds is stored in it."""

import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
import toy_models
from keras import layers
from onnx import TensorProto
from program import environment
from safetensors.numpy import load

from deepfield.domains.image.models import small_cnn
from deepfield.toolkit import export
from deepfield.toolkit.errors import DeepfieldError
from deepfield.toolkit.packing import round_weights
from deepfield.toolkit.runtime import Network
from deepfield.toolkit.weights import pack_weights

RNG = np.random.default_rng(0)


def ready(model):
    """Statistics of batch normalisation as after training, and weights in half precision."""
    for variable in model.weights:
        if "moving" in variable.path:
            variable.assign(RNG.uniform(0.5, 2, variable.shape))
    return round_weights(model)


@pytest.fixture(scope="module")
def picture():
    keras.utils.set_random_seed(0)
    model = ready(toy_models.shaky((8, 8, 1), 2))
    return model, export.to_onnx(model)


def test_weights_are_stored_in_half_precision_behind_a_cast(picture):
    model, data = picture
    graph = onnx.load_from_string(data).graph
    large = [t for t in graph.initializer if np.prod(t.dims) >= 16
             and t.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)]  # fmt: skip
    assert large and all(t.data_type == TensorProto.FLOAT16 for t in large)
    casts = {n.input[0]: n for n in graph.node if n.op_type == "Cast"}
    for tensor in large:
        (to,) = [a.i for a in casts[tensor.name].attribute if a.name == "to"]
        assert to == TensorProto.FLOAT
    kernels = sum(np.prod(v.shape) for v in model.weights if np.prod(v.shape) >= 16)
    assert sum(np.prod(t.dims) for t in large) >= kernels
    onnx.checker.check_model(onnx.load_from_string(data))


def test_weights_that_half_precision_would_change_stay_single():
    x = keras.Input((6,), name="x")
    model = keras.Model(x, layers.Dense(8, name="y")(x))
    model.get_layer("y").kernel.assign(np.full((6, 8), 0.1, "float32"))
    graph = onnx.load_from_string(export.to_onnx(model)).graph
    assert {t.data_type for t in graph.initializer if len(t.dims) == 2} == {TensorProto.FLOAT}


def test_batch_normalisation_stays_one_operator(picture):
    operators = [n.op_type for n in onnx.load_from_string(picture[1]).graph.node]
    assert operators.count("BatchNormalization") == 1
    assert "Conv" in operators


@pytest.mark.parametrize(("channels", "squeezed"), [(1, 3), (3, 0)])
def test_scalars_meet_grey_pictures_without_their_last_axis(channels, squeezed):
    pixels = keras.Input((6, 7, channels), name="pixels")
    scaled = layers.Rescaling(1 / 255, offset=-0.5)(pixels)  # a factor and a summand
    twice = scaled + 2.0 * pixels  # the input once more
    model = keras.Model(pixels, layers.Flatten(name="flat")(twice))
    data = export.to_onnx(model)
    graph = onnx.load_from_string(data)
    onnx.checker.check_model(graph, full_check=True)
    assert [n.op_type for n in graph.graph.node].count("Squeeze") == squeezed
    x = RNG.uniform(0, 255, (3, 6, 7, channels)).astype("float32")
    answer = Network(data, "model", "cpu")({"pixels": x})
    np.testing.assert_allclose(
        next(iter(answer.values())), np.asarray(model(x)), rtol=1e-6, atol=1e-5
    )


def test_names_and_free_axes_are_those_of_keras():
    keras.utils.set_random_seed(0)
    model = round_weights(toy_models.sorter(2, 3))
    data = export.to_onnx(model)
    graph = onnx.load_from_string(data).graph
    assert [i.name for i in graph.input] == ["steps"]
    assert [o.name for o in graph.output] == ["logits"]
    axes = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert axes == [0, 0, 2]  # 0: any number of items, of any length
    ours, theirs = Network(data, "sorter"), export.keras_network(model)
    for shape in ((1, 1, 2), (3, 7, 2), (2, 40, 2)):
        batch = {"steps": RNG.normal(size=shape).astype("float32")}
        assert export.disagreement(ours(batch), theirs(batch)) <= 1e-5


def test_a_network_that_does_not_convert_is_a_named_error(monkeypatch):
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2)(x))

    def fail(*_, **__):
        raise ValueError("no operator for Strange")

    monkeypatch.setattr(model, "export", fail)
    with pytest.raises(DeepfieldError, match="ONNX: no operator for Strange"):
        export.to_onnx(model)
    with pytest.raises(DeepfieldError, match="LiteRT: no operator for Strange"):
        export.to_litert(model, "nowhere.tflite")


def test_a_pass_of_the_converter_that_fails_is_left_out(monkeypatch):
    from tf2onnx import optimizer

    tried = []

    def fail(self, graph):
        tried.append(self)
        graph.reset_nodes([])
        raise ValueError("no pass")

    monkeypatch.setattr(optimizer.TransposeOptimizer, "_optimize", fail)
    keras.utils.set_random_seed(0)
    model = round_weights(toy_models.sorter(2, 3))
    batch = {"steps": RNG.normal(size=(3, 7, 2)).astype("float32")}
    ours, theirs = Network(export.to_onnx(model), "sorter"), export.keras_network(model)
    assert export.disagreement(ours(batch), theirs(batch)) <= 1e-5 and len(tried) > 1


@pytest.mark.parametrize(
    ("ours", "theirs", "gap"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0),
        ([0.0], [0.5], 0.5),  # small numbers: the difference itself
        ([1010.0], [1000.0], 0.01),  # large ones: relative to theirs
        ([np.inf, -np.inf], [np.inf, -np.inf], 0),
        ([np.nan], [1.0], np.inf),
        ([1.0, 1.0], [1.0], np.inf),
        ([], [], 0),
    ],
)
def test_disagreement_is_the_largest_difference_against_the_second(ours, theirs, gap):
    a, b = ({"y": np.array(v)} for v in (ours, theirs))
    assert export.disagreement(a, b) == pytest.approx(gap)


def test_onnx_and_litert_agree_with_keras_for_small_cnn(tmp_path):
    keras.utils.set_random_seed(0)
    model = ready(small_cnn((12, 12, 1), 5, filters=4))
    name = model.inputs[0].name
    batch = {name: RNG.uniform(0, 255, (3, 12, 12, 1)).astype("float32")}
    theirs = export.keras_network(model)(batch)
    assert export.disagreement(Network(export.to_onnx(model), "n")(batch), theirs) <= 1e-4
    export.to_litert(model, tmp_path / "n.tflite")
    ours = export.litert_network(tmp_path / "n.tflite")(batch)
    wanted = next(iter(theirs.values()))
    answers = next(iter(ours.values()))
    assert export.disagreement({"y": answers}, {"y": wanted}) <= 1e-4


def test_outputs_are_compared_by_name_or_else_in_their_order():
    one, two = {"a": np.zeros(2), "b": np.ones((1, 3))}, {"b": np.ones((1, 3)), "a": np.zeros(2)}
    assert export.disagreement(one, two) == 0
    assert export.disagreement({"x": np.zeros(2), "y": np.ones((1, 3))}, one) == 0
    assert export.disagreement({"a": np.ones(2), "b": np.ones((1, 3))}, one) == 1


def lstms(masked):
    """Two layers in both directions, and one whose last state alone is asked for."""
    x = keras.Input((None, 5), name="x")
    y = layers.Masking()(x) if masked else x
    for units in (7, 6):
        reader = layers.LSTM(units, return_sequences=True)
        y = layers.Bidirectional(reader)(y)
    last = layers.LSTM(4, go_backwards=True, name="last")(y)
    return ready(keras.Model(x, {"all": layers.Dense(3, name="all")(y), "last": last}))


@pytest.mark.parametrize(("masked", "loops"), [(False, 0), (True, 1)])
def test_lstms_are_one_operator_that_stops_where_the_mask_does(masked, loops):
    model = lstms(masked)
    data = export.to_onnx(model)
    graph = onnx.load_from_string(data)
    onnx.checker.check_model(graph, full_check=True)
    operators = [n.op_type for n in graph.graph.node]
    # the last one's steps would not end where the mask does
    assert (operators.count("LSTM"), operators.count("Loop")) == (5 - loops, loops)
    network = Network(data, "model", "cpu")
    for batch, steps in ((1, 1), (3, 9), (2, 70)):
        x = RNG.normal(size=(batch, steps, 5)).astype("float32")
        counts = RNG.integers(1, steps + 1, batch) if masked else [steps] * batch
        for row, count in zip(x, counts, strict=True):
            row[count:] = 0
        got, wanted = network({"x": x}), model(x)
        for name in wanted:
            np.testing.assert_allclose(got[name], np.asarray(wanted[name]), atol=2e-6)


def test_the_weights_of_lstms_are_stored_once():
    model = lstms(masked=True)
    weights = {v.path: np.asarray(v, np.float16) for v in model.weights}
    kernels = {path for path in weights if "bidirectional" in path and "bias" not in path}
    own = load(pack_weights(weights, export.to_onnx(model)))
    assert len(kernels) == 8 and not kernels & set(own)


def test_an_lstm_with_other_functions_stays_as_keras_has_it():
    x = keras.Input((None, 5), name="x")
    reader = layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")
    model = ready(keras.Model(x, reader(x)))
    data = export.to_onnx(model)
    assert "LSTM" not in [n.op_type for n in onnx.load_from_string(data).graph.node]
    given = RNG.normal(size=(2, 6, 5)).astype("float32")
    (got,) = Network(data, "model", "cpu")({"x": given}).values()
    np.testing.assert_allclose(got, np.asarray(model(given)), atol=2e-6)


TREES = """
import resource, keras, numpy as np
from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import DecisionTrees
inputs = keras.Input((5,))
model = keras.Model(inputs, DecisionTrees(100, 20_000, 5)(inputs))
random = np.random.default_rng(0)
for weight in model.weights:  # no two alike: they would become one
    weight.assign((9 * random.normal(size=weight.shape)).astype(weight.dtype))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
to_onnx(model)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_large_tables_are_converted_without_a_copy_for_each_pass():
    # tf2onnx goes through a graph in some forty passes, and kept a copy of all tables of each
    run = subprocess.run(
        [sys.executable, "-c", TREES], capture_output=True, text=True, env=environment(), check=True
    )
    times = int(run.stdout) / (4 * 4 * 100 * 20_000 / 1024)
    assert times < 30, times  # 22; with the copies 43
