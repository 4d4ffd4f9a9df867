"""Weights go back by path, all of them; golden outputs tell when something else answers."""

import numpy as np
import pytest
import toys

from deepfield.toolkit import packing, weights
from deepfield.toolkit.bundle import pack, write_bundle
from deepfield.toolkit.errors import DeepfieldError, UnusableModel


def live():
    pipeline = toys.Measured()
    pipeline._models = packing.build_models(pipeline)
    return pipeline


def weights_of(model):
    return {v.path: np.array(v) for v in model.weights}


def test_every_weight_comes_back_by_its_path():
    one, two = live().model, live().model
    packing.set_weights(weights_of(one), two)
    for path, value in weights_of(two).items():
        np.testing.assert_array_equal(value, weights_of(one)[path])


def test_a_missing_weight_is_named():
    model = live().model
    weights = weights_of(model)
    del weights["hidden/bias"]
    with pytest.raises(UnusableModel, match="lack 'hidden/bias'"):
        packing.set_weights(weights, model)


def test_a_weight_that_is_left_over_is_named():
    model = live().model
    with pytest.raises(UnusableModel, match="hold 'third/kernel'"):
        packing.set_weights(weights_of(model) | {"third/kernel": np.zeros(3)}, model)


def test_a_weight_of_another_shape_is_named_with_both_shapes():
    model = live().model
    weights = weights_of(model) | {"quantities/bias": np.zeros(3, "float32")}
    with pytest.raises(UnusableModel, match=r"'quantities/bias' has shape \(3,\), not \(2,\)"):
        packing.set_weights(weights, model)


def test_rounded_weights_are_half_precision_numbers():
    model = packing.round_weights(live().model)
    for value in weights_of(model).values():
        np.testing.assert_array_equal(value, value.astype("float16").astype("float32"))


def test_weights_that_were_not_rounded_come_back_to_the_last_bit(tmp_path):
    pipeline = toys.Measured()
    pipeline.fit("toy:300", settings={"epochs": 1})
    for variable in pipeline.model.weights:
        variable.assign(variable * 1.0001)
    pipeline.bundle, pipeline._networks = None, {}
    wanted = weights_of(pipeline.model)
    golden = [e.arrays for e in pipeline.encoded(pipeline.read("toy:3"))]
    bundle = packing.save(pipeline, tmp_path / "m", {"command": "none"}, golden)
    assert weights.weights_of(bundle, "model")["hidden/kernel"].dtype == np.float32
    twin = toys.Measured.load(tmp_path / "m")
    for path, value in weights_of(twin.model).items():
        np.testing.assert_array_equal(value, wanted[path])
    assert twin.check()["largest_difference"] < 1e-5
    packing.round_weights(pipeline.model)
    pipeline.bundle = None
    bundle = packing.save(pipeline, tmp_path / "rounded", {"command": "none"}, golden)
    assert weights.weights_of(bundle, "model")["hidden/kernel"].dtype == np.float16


def test_golden_items_are_of_different_sizes():
    items = [{"x": np.zeros((n, 2))} for n in (5, 1, 9, 3, 7, 2)]
    sizes = [len(item["x"]) for item in packing.golden_items(items)]
    assert sizes[0] == 1 and sizes[-1] == 9 and len(set(sizes)) == packing.GOLDEN_ITEMS
    assert packing.golden_items([]) == []


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    pipeline = toys.Measured()
    out = tmp_path_factory.mktemp("packed") / "m"
    pipeline.fit("toy:300", out=out, settings={"epochs": 1})
    return out


def changed(bundle, folder, **arrays):
    """The bundle with other golden arrays, written as if it had been meant."""
    from deepfield.toolkit.bundle import open_bundle

    opened = open_bundle(bundle)
    files = {name: opened.read(name) for name in opened.files}
    golden = dict(opened.arrays("golden.safetensors")) | arrays
    files["golden.safetensors"] = pack(golden)
    return write_bundle(folder / "m", opened.config, files)


def test_golden_outputs_that_differ_are_found(bundle, tmp_path):
    assert toys.Measured.load(bundle).check()["ok"]
    golden = toys.Measured.load(bundle).bundle.arrays("golden.safetensors")
    other = golden["output/0/quantities"] + np.float32(0.01)
    changed(bundle, tmp_path, **{"output/0/quantities": other})
    found = toys.Measured.load(tmp_path / "m").check()
    assert not found["ok"] and found["largest_difference"] == pytest.approx(0.01, rel=0.1)


def test_an_onnx_file_that_answers_otherwise_is_not_kept(bundle, tmp_path, monkeypatch):
    # The pipeline's own weights, and the ONNX file of another network.
    other = toys.Measured()
    other.fit("toy:300", settings={"epochs": 1}, seed=9)
    foreign = packing.export.to_onnx(other.model)
    monkeypatch.setattr(packing.export, "to_onnx", lambda model: foreign)
    pipeline = toys.Measured()
    with pytest.raises(DeepfieldError, match="ONNX differs from Keras by"):
        pipeline.fit("toy:300", out=tmp_path / "m", settings={"epochs": 1})
