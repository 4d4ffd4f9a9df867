"""SpliceAI's weights are set as published, and answer as its own networks do."""

import json

import numpy as np
import pytest

from deepfield.domains.genomics import GenomicsPipeline, adopt, conversion
from deepfield.domains.genomics.adopt import (
    CONTEXT,
    LABELS,
    NOTICE,
    SHA256,
    find_files,
    published_names,
    read_weights,
)
from deepfield.domains.genomics.features import CHANCES
from deepfield.domains.genomics.residual import ResidualNetwork
from deepfield.domains.genomics.splice_models import splice_resnet
from deepfield.toolkit import installed_files
from deepfield.toolkit.errors import NotFound, UnusableModel
from deepfield.toolkit.weights import weights_of


@pytest.fixture(scope="module")
def files():
    try:
        return find_files()
    except NotFound:
        pytest.skip('the package with SpliceAI\'s files is not installed: "deepfield[spliceai]"')


def test_a_missing_package_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for asked in (find_files, lambda: conversion.adopt_spliceai(tmp_path / "new")):
        with pytest.raises(NotFound) as caught:
            asked()
        assert caught.value.hint == 'pip install "deepfield[spliceai]"'
    assert not (tmp_path / "new").exists()


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    (tmp_path / "x").write_bytes(b"other")
    monkeypatch.setattr(installed_files, "installed", lambda *_, **__: str(tmp_path / "x"))
    with pytest.raises(UnusableModel, match="SHA-256"):
        find_files()
    with pytest.raises(UnusableModel, match="not a network of SpliceAI's"):
        read_weights(tmp_path / "x")


def test_every_layer_has_a_name_of_ours():
    names = published_names()
    assert len(names) == 39 + 32 == len(set(names.values()))


def test_the_published_files_hold_every_weight_of_the_network(files):
    assert [path.name for path in files] == list(SHA256)
    model = splice_resnet("site", 3, CONTEXT + 1, context=CONTEXT)
    wanted = {v.path: tuple(v.shape) for v in model.weights}
    for path in files:
        assert {name: value.shape for name, value in read_weights(path).items()} == wanted


def test_a_network_answers_as_the_published_one(files):
    import keras

    published = keras.models.load_model(files[0], compile=False)
    network = ResidualNetwork(read_weights(files[0]), CONTEXT)
    codes = np.random.default_rng(0).integers(0, 5, CONTEXT + 40).astype(np.uint8)
    said = network.chances(network.reference(codes), CONTEXT // 2, CONTEXT // 2 + 40)
    theirs = np.asarray(published(CHANCES[codes][None]))[0]
    np.testing.assert_allclose(said, theirs, atol=1e-6)
    assert theirs[:, 1:].max() > 1e-9


# ---------------------------------------------------------------------------- the conversion


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Two small networks in the place of the five: the conversion is the same."""

    def networks(say=lambda step: None):
        say("step")
        made = {}
        for number in (1, 2):
            model = splice_resnet("site", 3, CONTEXT + 1, context=80, filters=2)
            rng = np.random.default_rng(number)
            for variable in model.weights:
                if "kernel" in variable.path:
                    variable.assign(rng.normal(size=variable.shape).astype(np.float32))
            made[f"model_{number}"] = model
        return made

    folder = tmp_path_factory.mktemp("cache") / "genomics" / "spliceai"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopt, "spliceai_networks", networks)
        patch.setattr(adopt, "find_files", list)
        patch.setattr(adopt, "CONTEXT", 80)
        patch.setattr(conversion, "golden_sequences", lambda: conversion.random_sequences(81, 20))
        conversion.adopt_spliceai(folder)
    return folder


def test_the_networks_are_one_bundle_in_single_precision(converted):
    pipeline = GenomicsPipeline.load(converted)
    assert pipeline.members == ["model_1", "model_2"] and pipeline.check()["ok"]
    assert (pipeline.kind, pipeline.field) == ("site", 81)
    assert tuple(pipeline.task.state["labels"]) == LABELS
    kernels = weights_of(pipeline.bundle, "model_1")
    assert kernels["unit_1_conv_1/kernel"].dtype == np.float32


def test_the_licence_is_told_when_converted_and_in_the_card(converted, capsys):
    config = json.loads((converted / "config.json").read_text())
    assert NOTICE in config["data_licence"]
    assert "non-commercial" in (converted / "card.md").read_text()


def test_golden_sequences_are_the_same_every_time():
    for one, again in zip(
        conversion.golden_sequences(), conversion.golden_sequences(), strict=True
    ):
        np.testing.assert_array_equal(one["bases"], again["bases"])
        assert one["bases"].dtype == np.int32 and len(one["bases"]) == CONTEXT + 1
