"""A bundle is whole and makes sense, or it says what is wrong with it."""

import os
import random
import shutil

import numpy as np
import pytest
from forged import forged
from program import here

from deepfield.toolkit.bundle import (
    exactly_half,
    open_bundle,
    pack,
    replace_file,
    to_half,
    write_bundle,
)  # fmt: skip
from deepfield.toolkit.errors import DeepfieldError, NotFound, UnusableModel


def asked(folder):
    return here("image", "predict", "sample:digit", "-m", str(folder))


def refused(folder, word=""):
    run = asked(folder)
    assert run.code == 5 and run.two_lines, run
    assert len(run.err.splitlines()) == 2 and word in run.err, run.err
    return True


def test_what_was_written_is_read(tmp_path):
    files = {"a.safetensors": pack({"x": np.arange(3.0)}), "card.md": b"# card"}
    bundle = write_bundle(tmp_path / "m", {"name": "n", "members": []}, files)
    assert bundle.read("card.md") == b"# card" and bundle.name == "n"
    assert open_bundle(tmp_path / "m").arrays("a.safetensors")["x"].tolist() == [0, 1, 2]
    assert sorted(os.listdir(tmp_path)) == ["m"]


def test_a_changed_byte_in_any_part_is_found_and_named(tiny, tmp_path):
    for part in sorted(p.name for p in tiny.iterdir() if p.name != "config.json"):
        content = (tiny / part).read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            damaged = shutil.copytree(tiny, tmp_path / "m", dirs_exist_ok=True)
            changed = bytearray(content)
            changed[place] ^= 4
            (damaged / part).write_bytes(changed)
            assert refused(damaged, part)


def test_a_changed_byte_in_the_configuration_is_found(tiny, tmp_path):
    content = (tiny / "config.json").read_bytes()
    rng = random.Random(0)
    damaged = shutil.copytree(tiny, tmp_path / "m")
    for place in rng.sample(range(len(content)), 150):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        (damaged / "config.json").write_bytes(changed)
        assert refused(damaged, "config.json") or refused(damaged, "format")


def test_a_missing_an_unknown_and_a_cut_part_are_named(tiny, tmp_path):
    for part in sorted(p.name for p in tiny.iterdir() if p.name != "config.json"):
        damaged = shutil.copytree(tiny, tmp_path / part)
        (damaged / part).write_bytes((damaged / part).read_bytes()[:-1])
        assert refused(damaged, part)
        (damaged / part).unlink()
        assert refused(damaged, f"{part} is missing")
        (damaged / part).mkdir()
        assert refused(damaged, part)
    strange = shutil.copytree(tiny, tmp_path / "strange")
    (strange / "run.py").write_text("print('no')")
    assert refused(strange, "run.py does not belong")


def test_what_is_no_bundle_is_not_found(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing"):
        with pytest.raises(NotFound):
            open_bundle(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "", "..", "a\\b", "config.json", ".x", "a\0b"]
)
def test_a_part_has_a_plain_name(tiny, tmp_path, name):
    entry = {"bytes": 1, "sha256": "a"}
    assert refused(forged(tiny, tmp_path / "m", lambda c: c["files"].update({name: entry})))


def test_a_configuration_that_makes_no_sense_is_refused(tiny, tmp_path):
    odd = [None, 1, "x", [], [1], True, -1.5, ["../../etc/passwd"]]
    for key in ("domain", "members", "settings", "state", "task", "format_version", "files"):
        for value in odd:
            if key == "format_version" and value in (1, True):
                continue
            assert refused(forged(tiny, tmp_path / "m", lambda c, k=key, v=value: c.update({k: v})))
        assert refused(forged(tiny, tmp_path / "m", lambda c, k=key: c.pop(k)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("state", "framing"), {"height": 10**9, "width": 10**9, "channels": 3}),
        (("state", "framing"), {"height": 0, "width": 8, "channels": 1}),
        (("state", "framing"), {"height": "8"}),
        (("task", "labels"), ["a"]),
        (("task", "labels"), [["x"]] * 10),
        (("calibration", "temperature"), "x"),
        (("calibration", "temperature"), 0),
        (("calibration", "temperature"), -1.0),
        (("calibration", "temperature"), float("nan")),
        (("calibration", "temperature"), float("inf")),
        (("calibration", "temperature"), []),
        (("calibration", "temperature"), None),
        (("calibration", "kind"), ["x"]),
        (("novelty", "threshold"), "x"),
    ],
)
def test_absurd_values_deep_in_the_configuration_are_refused(tiny, tmp_path, path, value):
    def change(config):
        config[path[0]][path[1]] = value

    assert refused(forged(tiny, tmp_path / "m", change))


def test_a_json_bomb_is_refused_at_once(tiny, tmp_path):
    bundle = shutil.copytree(tiny, tmp_path / "m")
    (bundle / "config.json").write_bytes(b'{"a":' * 200_000)
    assert refused(bundle, "config.json")
    with (bundle / "config.json").open("wb") as stream:
        stream.truncate(1 << 33)
    assert refused(bundle, "larger")


def test_weights_that_are_no_numbers_are_refused(tiny, tmp_path):
    from safetensors.numpy import load

    weights = load((tiny / "model.safetensors").read_bytes())
    name = sorted(weights)[0]
    weights[name] = np.full_like(weights[name], np.nan)
    bundle = open_bundle(forged(tiny, tmp_path / "m", files={"model.safetensors": pack(weights)}))
    with pytest.raises(UnusableModel, match="not finite"):
        bundle.arrays("model.safetensors")


def test_a_network_that_answers_nan_is_refused(tiny, tmp_path):
    import onnx

    model = onnx.load_model_from_string((tiny / "model.onnx").read_bytes())
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype.kind == "f":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, np.nan), tensor.name))
    bundle = forged(tiny, tmp_path / "m", files={"model.onnx": model.SerializeToString()})
    assert refused(bundle)


def test_a_network_that_names_outside_files_or_unknown_operators_is_refused(tiny, tmp_path):
    import onnx

    model = onnx.load_model_from_string((tiny / "model.onnx").read_bytes())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    outside = forged(tiny, tmp_path / "a", files={"model.onnx": model.SerializeToString()})
    assert refused(outside, "outside the bundle")
    model = onnx.load_model_from_string((tiny / "model.onnx").read_bytes())
    model.graph.node[0].op_type = "Explode"
    assert refused(forged(tiny, tmp_path / "b", files={"model.onnx": model.SerializeToString()}))
    assert refused(forged(tiny, tmp_path / "c", files={"model.onnx": b""}))


def test_nothing_but_a_bundle_is_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(DeepfieldError, match="is no model"):
        write_bundle(tmp_path / "thesis", {"members": []}, {})
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_a_bundle_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    from deepfield.toolkit import bundle

    write_bundle(tmp_path / "m", {"name": "old"}, {"a": b"1"})

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "write_synced", full)
    with pytest.raises(DeepfieldError, match="No space left"):
        write_bundle(tmp_path / "m", {"name": "new"}, {"a": b"2"})
    assert open_bundle(tmp_path / "m").name == "old" and os.listdir(tmp_path) == ["m"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError):
        replace_file(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == ["a"]


def test_half_precision_is_kept_to_what_fits():
    assert to_half(np.ones(3, np.float32)).dtype == np.float16
    assert to_half(np.full(3, 1e6, np.float32)).dtype == np.float32
    assert to_half(np.array([0, 300], np.int32)).dtype == np.uint16
    assert to_half(np.array([-1, 100], np.int32)).dtype == np.int8
    assert to_half(np.array([-1, 100_000], np.int32)).dtype == np.int32


def test_half_precision_is_used_where_it_loses_nothing():
    assert exactly_half(np.array([1.5, -2e-6], np.float16).astype(np.float32)).dtype == np.float16
    for kept in (np.float32(1) / np.array([3, 5], np.float32), np.full(3, 1e6, np.float32)):
        assert exactly_half(kept) is kept
    assert exactly_half(np.array([0, 300], np.int32)).dtype == np.uint16
