"""Each weight lies in a bundle once, and comes back to the last bit."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load, save

from deepfield.toolkit.bundle import write_bundle
from deepfield.toolkit.errors import UnusableModel
from deepfield.toolkit.weights import pack_weights, weights_of

RNG = np.random.default_rng(0)
WEIGHTS = {
    "plain/kernel": RNG.normal(size=(20, 30)).astype(np.float16),
    "turned/kernel": RNG.normal(size=(20, 30)).astype(np.float32),
    "convolution/kernel": RNG.normal(size=(3, 5, 4, 6)).astype(np.float16),
    "sequence/kernel": RNG.normal(size=(5, 4, 6)).astype(np.float16),
    "nowhere/kernel": RNG.normal(size=(10, 10)).astype(np.float16),
    "zeros/bias": np.zeros(64, np.float16),
    "small/bias": np.ones(5, np.float32),
}
THERE = {
    "a": WEIGHTS["plain/kernel"],
    "b": WEIGHTS["turned/kernel"].T,
    "c": WEIGHTS["convolution/kernel"].transpose(3, 2, 0, 1),
    "d": WEIGHTS["sequence/kernel"].transpose(2, 1, 0)[:, :, None],
    "e": np.zeros(128, np.int8),  # the bytes of 64 zeros in half precision
    "f": WEIGHTS["small/bias"],
}


def network(arrays):
    tensors = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in arrays.items()]
    return helper.make_model(helper.make_graph([], "g", [], [], tensors))


def bundle(folder, part, arrays=THERE):
    model = network(arrays) if isinstance(arrays, dict) else arrays
    files = {"model.safetensors": part, "model.onnx": model.SerializeToString()}
    return write_bundle(folder / "m", {"members": ["model"]}, files)


def test_what_the_network_holds_is_stored_there_alone(tmp_path):
    part = pack_weights(WEIGHTS, network(THERE).SerializeToString())
    assert set(load(part)) == {"nowhere/kernel", "zeros/bias", "small/bias"}
    found = weights_of(bundle(tmp_path, part), "model")
    assert set(found) == set(WEIGHTS)
    for path, weight in WEIGHTS.items():
        assert found[path].dtype == weight.dtype and np.array_equal(found[path], weight)


def test_a_part_that_holds_all_of_them_is_read_too(tmp_path):
    found = weights_of(bundle(tmp_path, save(WEIGHTS)), "model")
    assert all(np.array_equal(found[path], weight) for path, weight in WEIGHTS.items())


NAN = np.full((20, 30), np.nan, np.float16)


@pytest.mark.parametrize(
    ("told", "arrays"),
    [
        ('{"k": {"in": 99, "axes": [0, 1], "shape": [20, 30]}}', THERE),
        ('{"k": {"in": 0, "axes": [0, 1], "shape": [20, 31]}}', THERE),
        ('{"k": {"in": 0, "axes": [0, 7], "shape": [20, 30]}}', THERE),
        ('{"k": {"in": 0, "axes": [0, 0], "shape": [20, 30]}}', THERE),
        ('{"k": {"in": 0, "axes": "ab", "shape": [20, 30]}}', THERE),
        ('{"k": {"in": 0, "axes": [0, 1], "shape": [-1, 30.5]}}', THERE),
        ('{"k": {"in": "a", "axes": [0, 1], "shape": [20, 30]}}', THERE),
        ('{"k": 7}', THERE),
        ("[1, 2]", THERE),
        ('{"k": ', THERE),
        ("[" * 100_000, THERE),
        ('{"k": {"in": 0, "axes": [0, 1], "shape": [20, 30]}}', {"a": NAN}),
    ],
)  # fmt: skip
def test_a_weight_that_is_not_where_it_is_said_to_be_is_refused(tmp_path, told, arrays):
    made = bundle(tmp_path, save({"x": np.zeros(1)}, {"elsewhere": told}), arrays)
    with pytest.raises(UnusableModel, match=r"model\.safetensors does not say where"):
        weights_of(made, "model")


def test_no_file_outside_the_bundle_is_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(1200))
    model = network(THERE)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(tmp_path / "secret"))
    told = json.dumps({"k": {"in": 0, "axes": [0, 1], "shape": [20, 30]}})
    made = bundle(tmp_path, save({"x": np.zeros(1)}, {"elsewhere": told}), model)
    with pytest.raises(UnusableModel, match="does not say where"):
        weights_of(made, "model")
    assert onnx.load_model_from_string(made.read("model.onnx")).graph.initializer
