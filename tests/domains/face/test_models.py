import inspect

import keras
import numpy as np
import pytest

from deepfield.domains.face import models
from deepfield.domains.face.models import ARCHITECTURES, OBJECTIVES, learner
from deepfield.toolkit import losses
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import L2Normalize
from deepfield.toolkit.structure import layer_table

#: What makes an architecture quick to build; the others are small as they are.
LESS = {"deepface": {"units": 8, "filters": 4, "maps": 2}}
OURS = [name for name in ARCHITECTURES if name != "dlib_resnet"]  # that has tests of its own
CHIPS = np.random.default_rng(0).integers(0, 256, (6, 150, 150, 3), "uint8")


@pytest.fixture(scope="module")
def small():
    made = {}

    def get(name):
        if name not in made:
            made[name] = ARCHITECTURES[name](**LESS.get(name, {}))
        return made[name]

    return get


def without_values(build):
    """What is said of a network whose weights have shapes alone: nothing is allocated."""
    with keras.StatelessScope(initialize_variables=False):
        said = layer_table(build())
    keras.utils.clear_session()  # forget the variables that wait for their values
    return said


def counts(table):
    return {row["name"]: row["parameters"] for row in table["layers"] if row["parameters"]}


# -- every builder ---------------------------------------------------------------------------------


def test_the_architectures_are_those_of_the_issue():
    assert set(ARCHITECTURES) == {"deepface", "deepid", "facenet_small", "dlib_resnet"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_argument_has_a_default(name):
    first, *others = inspect.signature(ARCHITECTURES[name]).parameters.values()
    assert first.name == "input_shape" and first.default == (150, 150, 3)
    assert all(parameter.default is not parameter.empty for parameter in others)


@pytest.mark.parametrize("name", OURS)
def test_a_builder_gives_embeddings_of_length_one_from_chips(name, small):
    model = small(name)
    assert [tensor.name for tensor in model.inputs] == ["pixels"] and model.name == name
    assert model.output_names == ["embedding"]
    said = model.predict(CHIPS, verbose=0)["embedding"]
    assert said.shape == (6, model.output_shape[1]) and said.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model(CHIPS.astype("float32"))["embedding"], said, atol=1e-5)
    alone = model.predict(CHIPS[:1], verbose=0)["embedding"]
    np.testing.assert_allclose(alone, said[:1], atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_a_picture_of_one_colour_has_an_embedding_too(name, small):
    flat = np.stack([np.zeros((150, 150, 3)), np.full((150, 150, 3), 255)]).astype("uint8")
    assert np.isfinite(small(name)(flat)["embedding"]).all()


@pytest.mark.parametrize("name", OURS)
def test_it_exports_to_onnx(name, small):
    import onnxruntime

    model = small(name)
    expected = model.predict(CHIPS, verbose=0)["embedding"]
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_outputs()] == ["embedding"]
    (said,) = session.run(None, {"pixels": CHIPS.astype("float32")})
    np.testing.assert_allclose(said, expected, atol=1e-4)


@pytest.mark.parametrize("name", OURS)
def test_embeddings_are_in_single_precision_under_every_policy(name, small):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = ARCHITECTURES[name](**LESS.get(name, {}))
    finally:
        keras.config.set_dtype_policy(policy)
    model.set_weights(small(name).get_weights())
    said = keras.ops.convert_to_numpy(model(CHIPS)["embedding"])
    assert said.dtype == "float32"
    alike = (said * np.asarray(small(name)(CHIPS)["embedding"])).sum(axis=1)
    assert (alike > 0.98).all()


@pytest.mark.parametrize("name", OURS)
def test_grey_chips_and_other_sizes_are_taken(name):
    model = ARCHITECTURES[name]((160, 128, 1), **LESS.get(name, {}))
    assert np.isfinite(model(CHIPS[:2, :, :128, :1].repeat(2, axis=1)[:, :160])["embedding"]).all()


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", [(8, 8, 3), (150, 150, 4), (150, 150)])
def test_a_shape_that_cannot_be_is_an_error(name, shape):
    with pytest.raises(UsageError, match=r"input_shape must be \(height, width, 1 or 3\)"):
        ARCHITECTURES[name](shape)


# -- size and colour -------------------------------------------------------------------------------


def seen(x, *size):
    inputs = keras.Input(x.shape[1:])
    return np.asarray(keras.Model(inputs, models._resized(inputs, *size))(x))


@pytest.mark.parametrize("size", [(64, 64), (39, 31), (75, 75), (152, 152), (150, 150)])
def test_resizing_keeps_the_middle_in_the_middle(size):
    rows, columns = np.mgrid[:150, :150].astype("float32")
    small = seen(np.stack([rows, columns], axis=-1)[None], *size)[0]
    scale = min(150 / size[0], 150 / size[1])
    assert small.shape == (*size, 2)
    for axis in (0, 1):
        middle = slice(size[axis] // 4, -(size[axis] // 4))  # the ends are cut off by the edge
        place = np.arange(size[axis]) - (size[axis] - 1) / 2
        line = small.mean(axis=1 - axis)[:, axis]
        np.testing.assert_allclose(line[middle], 74.5 + scale * place[middle], atol=1.0)
        assert np.isclose(line.mean(), 74.5, atol=0.01)


def test_resizing_does_not_alias():
    stripes = np.tile(np.array([0.0, 255.0] * 75), (150, 1)).astype("float32")[None, ..., None]
    assert np.ptp(seen(stripes, 64, 64)) < 1


def test_grey_is_what_the_eye_sees():
    x = np.eye(3, dtype="float32").reshape(1, 1, 3, 3)
    np.testing.assert_allclose(np.ravel(models._grey(x)), [0.299, 0.587, 0.114], rtol=1e-6)
    assert models._grey(x[..., :1]).shape == (1, 1, 3, 1)


# -- DeepFace --------------------------------------------------------------------------------------

#: From the sizes of figure 2 of the paper: places x (patch + bias) x maps for L4 to L6.
DEEPFACE = {
    "C1": 32 * (11 * 11 * 3 + 1),
    "C3": 16 * (9 * 9 * 32 + 1),
    "L4": 55 * 55 * 16 * (9 * 9 * 16 + 1),
    "L5": 25 * 25 * 16 * (7 * 7 * 16 + 1),
    "L6": 21 * 21 * 16 * (5 * 5 * 16 + 1),
    "F7": 4096 * (21 * 21 * 16 + 1),
}


def test_deepface_has_the_sizes_and_parameters_of_the_paper():
    table = without_values(models.deepface)
    assert counts(table) == DEEPFACE
    assert table["total"]["parameters"] == 102_412_864
    shapes = {row["name"]: row["output_shape"] for row in table["layers"]}
    assert shapes["C1"] == [142, 142, 32] and shapes["M2"] == [71, 71, 32]
    assert shapes["C3"] == [63, 63, 16] and shapes["L4"] == [55, 55, 16]
    assert shapes["L5"] == [25, 25, 16] and shapes["L6"] == [21, 21, 16]
    assert shapes["F7"] == [4096]
    connections = {row["name"]: row["connections"] for row in table["layers"]}
    assert all(connections[name] == DEEPFACE[name] for name in ("L4", "L5", "L6", "F7"))


def test_deepface_with_its_last_layer_has_the_published_share_of_local_and_dense_ones():
    table = without_values(lambda: learner(models.deepface(), "softmax", 4030))
    assert counts(table) == {**DEEPFACE, "people": 4030 * 4097}
    total = table["total"]["parameters"]
    assert total == 118_923_774  # "more than 120 million" in the paper
    assert 1 - (DEEPFACE["C1"] + DEEPFACE["C3"]) / total > 0.95


def test_deepface_starts_as_the_paper_says():
    model = models.deepface(**LESS["deepface"])
    for name in DEEPFACE:
        kernel, bias = model.get_layer(name).get_weights()
        assert (bias == 0.5).all() and np.isclose(kernel.std(), 0.01, rtol=0.1)


def test_deepface_divides_by_the_largest_values():
    model = models.deepface(**LESS["deepface"])
    before = keras.Model(model.input, model.get_layer("F7").output)(CHIPS)
    models.divide_by_largest(model, [CHIPS[:4], CHIPS[4:]])
    scaled = keras.Model(model.input, model.get_layer("scale").output)(CHIPS)
    largest = np.maximum(np.asarray(before).max(axis=0), 0.05)
    np.testing.assert_allclose(scaled, before / largest, rtol=1e-4)
    assert np.isclose(np.asarray(scaled).max(), 1)


# -- DeepID ----------------------------------------------------------------------------------------


def test_deepid_has_the_sizes_of_the_paper():
    table = layer_table(models.deepid())
    shapes = {row["name"]: row["output_shape"] for row in table["layers"]}
    assert [shapes[name] for name in ("conv1", "pool1", "conv2", "pool2")] == [
        [36, 28, 20], [18, 14, 20], [16, 12, 40], [8, 6, 40],
    ]  # fmt: skip
    assert [shapes[name] for name in ("conv3", "pool3", "conv4", "deepid")] == [
        [6, 4, 60], [3, 2, 60], [2, 1, 80], [160],
    ]  # fmt: skip
    assert counts(table) == {
        "conv1": 20 * (4 * 4 * 3 + 1),
        "conv2": 40 * (3 * 3 * 20 + 1),
        "conv3": 3 * 2 * 60 * (3 * 3 * 40 + 1),  # shared in regions of 2 x 2 places
        "conv4": 2 * 1 * 80 * (2 * 2 * 60 + 1),  # not shared
        "deepid": 160 * (3 * 2 * 60 + 2 * 1 * 80 + 1),  # sees pool3 and conv4
    }
    assert table["total"]["parameters"] == 260_100


def test_deepid_of_grey_patches_has_fewer_weights():
    assert counts(layer_table(models.deepid(grey=True)))["conv1"] == 20 * (4 * 4 + 1)


# -- facenet_small ---------------------------------------------------------------------------------


def test_facenet_small_fits_its_preset():
    table = layer_table(models.facenet_small())
    assert table["total"]["parameters"] == 382_828
    assert table["total"]["connections"] < 20e6


def test_facenet_small_varies_pictures_in_training_alone():
    model = models.facenet_small()
    varied = keras.Model(model.input, model.get_layer("occlusion").output)
    np.testing.assert_array_equal(varied(CHIPS), varied(CHIPS, training=False))
    assert not np.allclose(varied(CHIPS, training=True), varied(CHIPS))
    with pytest.raises(ValueError, match="No such layer"):
        models.facenet_small(augment=0.0).get_layer("warp")


def test_facenet_small_does_not_mind_light_and_colour():
    model = models.facenet_small()
    calm = (100 + CHIPS[:2].astype("float32") / 5).round()
    darker = model(calm * 0.5 - 20)["embedding"]
    np.testing.assert_allclose(darker, model(calm)["embedding"], atol=0.02)
    grey = np.asarray(models._grey(calm)).repeat(3, axis=-1)
    np.testing.assert_allclose(model(grey)["embedding"], model(calm)["embedding"], atol=1e-3)


def test_facenet_small_can_pool_by_a_power_mean():
    model = models.facenet_small(pooling="power")
    assert counts(layer_table(model))["power"] == 1
    assert np.isfinite(model(CHIPS)["embedding"]).all()
    with pytest.raises(UsageError, match="pooling='mean'"):
        models.facenet_small(pooling="mean")


def test_facenet_small_says_what_it_cannot_halve():
    with pytest.raises(UsageError, match="60 pixels cannot be halved 4 times"):
        models.facenet_small(side=60)
    with pytest.raises(UsageError, match="halved 0 times"):
        models.facenet_small(filters=())


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_learner_trains_the_network_itself(objective):
    keras.utils.set_random_seed(0)
    model = models.facenet_small(
        (40, 40, 1), units=16, side=32, filters=(8, 16), dropout=0.0, augment=0.0
    )
    pupil = learner(model, objective, 3)
    chips = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 1))
    noise = np.random.default_rng(1).normal(0, 20, (24, 40, 40, 1))
    person = (np.arange(24) % 3).astype("int32")
    pixels = (chips[person] + noise).clip(0, 255).astype("uint8")
    wanted = ["pixels", "person"] if objective == "arc" else ["pixels"]
    assert [tensor.name for tensor in pupil.inputs] == wanted
    assert pupil.output_names == ["person"]
    assert all(
        variable.path.startswith("people/") for variable in pupil.weights[len(model.weights) :]
    )
    before = model.get_weights()
    fed = {"pixels": pixels, "person": person} if objective == "arc" else pixels
    loss = losses.get(OBJECTIVES[objective], margin=0.5)
    pupil.compile(keras.optimizers.Adam(3e-3), {"person": loss})
    values = pupil.fit(fed, person, epochs=12, batch_size=24, verbose=0).history["loss"]
    assert values[-1] < 0.5 * values[0]
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_the_margin_makes_it_harder_unless_nobody_knows_who_it_is():
    model = models.deepid()
    pupil = learner(model, "arc", 5)
    who = np.array([0, 1, 2, 3, 4, -1], "int32")
    known = np.asarray(pupil({"pixels": CHIPS, "person": who})["person"])
    free = np.asarray(pupil({"pixels": CHIPS, "person": np.full(6, -1, "int32")})["person"])
    harder = known < free - 1
    np.testing.assert_array_equal(harder, np.eye(6, 5, dtype=bool))


def test_softmax_reads_the_features_before_they_have_length_one():
    model = models.deepid()
    pupil = learner(model, "softmax", 5)
    features = keras.Model(model.input, model.get_layer("deepid").output)(CHIPS)
    kernel, bias = pupil.get_layer("people").get_weights()
    np.testing.assert_allclose(pupil(CHIPS)["person"], features @ kernel + bias, atol=1e-4)


def test_embeddings_that_have_no_length_one_learn_too():
    model = models.dlib_resnet()
    assert not isinstance(model.get_layer("embedding"), L2Normalize)
    for objective in ("arc", "softmax", "triplet"):
        assert learner(model, objective, 3).output_names == ["person"]


def test_an_unknown_objective_and_too_few_people_are_errors():
    model = models.deepid()
    with pytest.raises(UsageError, match="objective 'ark'"):
        learner(model, "ark", 3)
    with pytest.raises(UsageError, match="1 person"):
        learner(model, "arc", 1)
