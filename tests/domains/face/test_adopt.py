"""dlib's weights are set as published, and answer as dlib's own program does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepfield.domains.face import dlib_models
from deepfield.domains.face.adopt import (
    DETECTOR,
    EMBEDDER,
    LANDMARKS,
    SHA256,
    dlib_networks,
    find_file,
    find_files,
    set_dlib_weights,
)
from deepfield.domains.face.dlib_file import read_network
from deepfield.domains.face.dlib_models import dlib_resnet, mmod
from deepfield.toolkit import installed_files
from deepfield.toolkit.errors import NotFound, UnusableModel, UsageError
from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.runtime import Network

#: What dlib 20.0.1 says of black, of white and of noise: the first numbers and the sum of each.
SAID = np.array(
    [
        [-0.0399175, 0.1049164, 0.0908227, -0.0088473, -0.3018819],
        [-0.0553607, 0.1281515, 0.0795382, -0.0036610, -0.2140596],
        [-0.0651244, 0.0632401, 0.0426773, -0.0062647, -0.0740724],
    ]
)


def chips():
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3))
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise]).astype(np.uint8)


@pytest.fixture(scope="module")
def adopted():
    steps = []
    try:
        return (*dlib_networks(steps.append), steps)
    except NotFound:
        pytest.skip("the package with dlib's files is not installed")


@pytest.fixture(scope="module")
def files(adopted):
    return {name: read_network(find_file(name)) for name in (EMBEDDER, DETECTOR)}


# ------------------------------------------------------------------------------ the builders


def test_the_networks_have_as_many_parameters_as_dlibs():
    assert dlib_resnet().count_params() == 5_607_488
    assert mmod().count_params() == 180_711


def test_any_size_of_chip_from_103_pixels_is_embedded():
    for side in (103, 127, 160):
        model = dlib_resnet((side, side + 2, 3), units=7)
        assert model.output_names == ["embedding"] and model.output_shape == (None, 7)


@pytest.mark.parametrize("shape", [(150, 150, 1), (102, 150, 3), (150, 150)])
def test_chips_of_no_use_are_refused(shape):
    with pytest.raises(UsageError, match="103 pixels and more"):
        dlib_resnet(shape)


def test_a_sum_has_the_larger_size_along_every_axis():
    one, two = np.full((2, 3, 3, 4), 2.0), np.full((2, 2, 4, 7), 5.0)
    total = np.asarray(dlib_models._sum(one, two))
    assert total.shape == (2, 3, 4, 7)
    assert (total[:, :2, :3, :4] == 7).all() and (total[:, 2, :3, :4] == 2).all()
    assert (total[:, :2, 3] == 5).all() and (total[:, 2, 3] == 0).all()


def test_it_can_be_trained_from_scratch():
    # without normalisations its 14 blocks would double the signal each, were they not near zero
    values = np.asarray(dlib_resnet()(chips().astype("float32"))["embedding"])
    assert 1e-3 < np.abs(values).max() < 10


# ------------------------------------------------------------------------- the published files


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotFound) as caught:
        find_files()
    assert caught.value.hint.startswith('pip install "deepfield[face]"; or')


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    (tmp_path / "x").write_bytes(b"other")
    monkeypatch.setattr(installed_files, "installed", lambda *_, **__: str(tmp_path / "x"))
    with pytest.raises(UnusableModel, match="SHA-256"):
        find_file(LANDMARKS)


def test_the_finder_of_68_landmarks_is_never_asked_for(adopted):
    assert len(SHA256) == 3 and not any("68" in name for name in SHA256)
    assert [path.name for path in find_files().values()] == [EMBEDDER, DETECTOR, LANDMARKS]


def test_every_step_is_told(adopted):
    assert len(adopted[3]) == 5 and len(set(adopted[3])) == 5


def test_embeddings_are_those_of_dlib(adopted):
    values = np.asarray(adopted[0](chips().astype("float32"))["embedding"])
    found = np.column_stack([values[:, :4], values.sum(axis=1)])
    np.testing.assert_allclose(found[:, :4], SAID[:, :4], atol=1e-5)
    np.testing.assert_allclose(found[:, 4], SAID[:, 4], atol=1e-4)


def test_embeddings_are_those_of_dlib_also_as_onnx(adopted):
    network = Network(to_onnx(adopted[0]))
    values = network({"pixels": chips()})["embedding"]
    np.testing.assert_allclose(values[:, :4], SAID[:, :4], atol=1e-5)
    alone = [network({"pixels": chip[None]})["embedding"][0] for chip in chips()]
    np.testing.assert_allclose(values, alone, atol=1e-5)


def test_a_face_is_found_where_dlib_finds_it(adopted):
    """On matplotlib's photo of Grace Hopper; dlib's box lies on another grid of 16 pixels."""
    import matplotlib
    from PIL import Image

    from deepfield.domains.face.alignment import chip_of
    from deepfield.domains.face.detection import Box, find_faces

    network = Network(to_onnx(adopted[1]))
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    picture = np.asarray(Image.open(path).convert("RGB"))
    (box,) = find_faces(picture, lambda own: network({"picture": own})["faces"])
    found = np.array([box.left, box.top, box.right, box.bottom])
    np.testing.assert_allclose(found, [191, 146, 355, 310], atol=16)
    assert box.confidence > 1
    chip = chip_of(picture, adopted[2](picture, Box(190, 140, 356, 305, 1.0)))  # as dlib cuts it
    assert chip.sum() == 7_971_854 and chip[::50, ::50, 0].tolist() == [
        [25, 11, 11], [28, 160, 143], [217, 194, 171]
    ]  # fmt: skip


def test_the_detector_takes_pictures_of_any_size(adopted):
    network = Network(to_onnx(adopted[1]))
    for rows, columns in ((1, 1), (80, 200), (333, 57)):
        picture = np.zeros((1, rows, columns, 3), np.uint8)
        wanted = (1, (rows + 25) // 8 + 1, (columns + 25) // 8 + 1, 1)
        found = network({"picture": picture})["faces"]
        assert found.shape == wanted
        theirs = np.asarray(adopted[1](picture.astype("float32"))["faces"])
        np.testing.assert_allclose(found, theirs, atol=1e-4)


def test_a_file_of_another_network_sets_nothing(files):
    network, model = files[DETECTOR], mmod()
    before = [np.array(weight) for weight in model.weights]

    def changed(at, **numbers):
        layers = list(network.layers)
        own = layers[at]
        layers[at] = replace(own, numbers={**own.numbers, **numbers})
        return replace(network, layers=tuple(layers))

    with pytest.raises(UnusableModel, match="conv_1: the file has stride 1"):
        set_dlib_weights(model, changed(0, stride_y=1))
    with pytest.raises(UnusableModel, match="conv_7: the file has stride 1 and padding None"):
        set_dlib_weights(model, changed(-1, pad_x=3))
    with pytest.raises(UnusableModel, match="lack 'conv_7"):
        set_dlib_weights(model, replace(network, layers=network.layers[:-1]))
    with pytest.raises(UnusableModel):
        set_dlib_weights(model, files[EMBEDDER])
    grey = replace(
        network, input=replace(network.input, numbers=dict.fromkeys(network.input.numbers, 0))
    )
    with pytest.raises(UnusableModel, match="mean colour"):
        set_dlib_weights(model, grey)
    for one, two in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, two)
