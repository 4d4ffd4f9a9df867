import keras
import numpy as np
import pytest

from deepfield.domains.image import models
from deepfield.domains.image.models import ARCHITECTURES, UniformByFanIn, output_codes
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.export import copied_once
from deepfield.toolkit.structure import layer_table

#: A size that every architecture can take, and is quick.
SHAPES = {"alexnet": (67, 67, 3), "efficientnet_lite0": (32, 48, 3)}


def small(name, classes=3, **hyper):
    shape = SHAPES.get(name, (12, 9, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape), "uint8")
    return ARCHITECTURES[name](shape, classes, **hyper), pixels


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_builder_gives_logits_from_raw_pixels(name):
    model, pixels = small(name)
    assert [tensor.name for tensor in model.inputs] == ["pixels"]
    assert model.output_names == ["logits"] and model.name == name
    logits = model.predict(pixels, verbose=0)
    assert logits.shape == (2, 3) and logits.dtype == "float32" and np.isfinite(logits).all()
    np.testing.assert_allclose(model(pixels.astype("float32")), logits, atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_hyper_parameter_has_a_default(name):
    import inspect

    shape, classes, *hyper = inspect.signature(ARCHITECTURES[name]).parameters.values()
    assert (shape.name, classes.name) == ("input_shape", "classes")
    assert all(parameter.default is not parameter.empty for parameter in hyper)


@pytest.mark.parametrize("name", ["lenet5", "small_cnn", "efficientnet_lite0"])
def test_augmentation_acts_in_training_alone(name):
    model, pixels = small(name, augment=1.0)
    np.testing.assert_array_equal(model(pixels), model(pixels))
    moved = keras.Model(model.input, model.get_layer("augment").output)
    assert not np.allclose(moved(pixels, training=True), moved(pixels, training=False))


@pytest.mark.parametrize("name", ["lenet5", "small_cnn"])
def test_logits_are_in_single_precision_under_every_policy(name):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, pixels = small(name)
    finally:
        keras.config.set_dtype_policy(policy)
    logits = keras.ops.convert_to_numpy(model(pixels))
    assert logits.dtype == "float32" and np.isfinite(logits).all()
    assert "float16" in {layer.compute_dtype for layer in model.layers}


@pytest.mark.parametrize("name", ["lenet5", "small_cnn"])
def test_the_same_seed_gives_the_same_network(name):
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        weights.append(small(name)[0].get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["lenet5", "small_cnn"])
def test_it_learns_a_few_pictures_by_heart(name):
    keras.utils.set_random_seed(0)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 12, 1), "uint8")
    labels = np.arange(12) % 3
    model = ARCHITECTURES[name]((9, 12, 1), 3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    history = model.fit(pixels, labels, epochs=25, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_picture_that_is_too_small_is_an_error(name):
    with pytest.raises(UsageError, match=r"needs pictures of at least .* got 4 x 9") as caught:
        ARCHITECTURES[name]((4, 9, 3), 2)
    assert "small_cnn" in caught.value.hint


def test_one_class_is_an_error():
    with pytest.raises(UsageError, match="needs at least 2 classes, got 1"):
        models.small_cnn((8, 8, 1), 1)


def test_a_shape_without_channels_is_an_error():
    with pytest.raises(UsageError, match=r"\(height, width, channels\), got \(8, 8\)"):
        models.small_cnn((8, 8), 2)


# -- LeNet-5 ---------------------------------------------------------------------------------------


def test_lenet5_has_the_papers_parameters_and_connections():
    table = layer_table(models.lenet5((28, 28, 1), 10))
    rows = [(r["name"], r["parameters"], r["connections"]) for r in table["layers"]]
    assert rows == [
        ("C1", 156, 122_304),
        ("S2", 12, 5_880),
        ("C3", 1_516, 151_600),
        ("S4", 32, 2_000),
        ("C5", 48_120, 48_120),
        ("F6", 10_164, 10_164),
        ("output", 0, 840),
    ]
    assert table["total"] == {"parameters": 60_000, "connections": 340_908}


def test_c3_is_connected_by_table_one():
    table = np.array(models.C3_TABLE)
    assert table.sum(axis=0).tolist() == [3] * 6 + [4] * 9 + [6]
    assert table.sum() == 60
    for k in range(6):  # "the first six take inputs from every contiguous subset of three", then 4
        assert set(np.flatnonzero(table[:, k])) == {k, (k + 1) % 6, (k + 2) % 6}
        assert set(np.flatnonzero(table[:, 6 + k])) == {(k + i) % 6 for i in range(4)}


def test_lenet5_sees_ink_and_background_as_the_paper_does():
    model = models.lenet5((28, 28, 1), 10)
    pixels = np.zeros((1, 28, 28, 1), "uint8")
    pixels[0, 0, 0] = 255
    seen = keras.Model(model.input, model.get_layer("normalize").output)(pixels)
    assert seen.shape == (1, 32, 32, 1)
    assert np.isclose(seen[0, 2, 2, 0], 1.175) and np.isclose(seen[0, 0, 0, 0], -0.1)


@pytest.mark.parametrize("shape", [(32, 32, 1), (29, 31, 3), (8, 8, 1), (50, 40, 3)])
def test_lenet5_takes_other_sizes(shape):
    model = models.lenet5(shape, 4)
    assert model.get_layer("normalize").output.shape == (None, 32, 32, shape[-1])


def test_lenet5_weights_start_within_the_papers_limits():
    model = models.lenet5((28, 28, 1), 10)
    for name, fan_in in {"C1": 25, "C5": 400, "F6": 120}.items():
        kernel = np.abs(model.get_layer(name).get_weights()[0])
        assert 0.9 * 2.4 / fan_in < kernel.max() <= 2.4 / fan_in
    c3 = model.get_layer("C3")
    dense = np.abs(keras.ops.convert_to_numpy(c3.dense_kernel())).max(axis=(0, 1, 2))
    limits = 2.4 / (25 * np.array(models.C3_TABLE).sum(axis=0))
    assert (dense <= limits).all() and (dense > 0.8 * limits).all()


def test_logits_are_a_tenth_of_the_negative_distances_to_the_codes():
    model = models.lenet5((28, 28, 1), 10)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1))
    f6 = keras.ops.convert_to_numpy(keras.Model(model.input, model.get_layer("F6").output)(pixels))
    distances = ((f6[:, None] - output_codes(10)) ** 2).sum(axis=-1)
    np.testing.assert_allclose(model(pixels), -distances / 10, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 10, 47])
def test_codes_are_plus_and_minus_one_distinct_and_always_the_same(classes):
    codes = output_codes(classes)
    assert codes.shape == (classes, 84) and set(np.unique(codes)) == {-1, 1}
    apart = (codes[:, None] != codes).sum(axis=-1)[~np.eye(classes, dtype=bool)]
    assert apart.min() >= 12
    np.testing.assert_array_equal(codes, output_codes(classes))


def test_the_initializer_survives_its_config():
    start = UniformByFanIn([2, 4], seed=7)
    twin = UniformByFanIn.from_config(start.get_config())
    np.testing.assert_array_equal(start((5, 2)), twin((5, 2)))
    assert np.abs(start((50, 2))).max(axis=0)[1] <= 0.6


# -- published counts ------------------------------------------------------------------------------


def test_alexnet_has_the_published_count():
    # inside this scope variables have shapes but no values: nothing is allocated
    with keras.StatelessScope(initialize_variables=False):
        model = models.alexnet((227, 227, 3), 1000)
        assert model.count_params() == 60_965_224
        shapes = [model.get_layer(n).output.shape[1:] for n in ("conv1", "conv2", "conv5", "pool5")]
    keras.utils.clear_session()  # forget the variables that wait for their values
    assert shapes == [(55, 55, 96), (27, 27, 256), (13, 13, 256), (6, 6, 256)]


def test_alexnet_normalises_over_five_neighbouring_maps():
    x = np.random.default_rng(0).normal(0, 50, (2, 3, 3, 8)).astype("float32")
    expected = np.empty_like(x)
    for i in range(8):
        energy = (x[..., max(0, i - 2) : i + 3] ** 2).sum(axis=-1)
        expected[..., i] = x[..., i] / (2 + 1e-4 * energy) ** 0.75
    np.testing.assert_allclose(models._normalize_responses(x), expected, rtol=1e-5)


def test_efficientnet_lite0_has_the_published_count_and_names():
    model = models.efficientnet_lite0((224, 224, 3), 1000)
    assert model.count_params() == 4_694_024
    assert layer_table(model)["total"]["parameters"] == 4_652_008
    paths = {variable.path for variable in model.variables}
    assert {"conv_stem/kernel", "bn0/gamma", "blocks.0/depthwise_conv/kernel"} <= paths
    assert {"blocks.15/bn2/moving_variance", "conv_head/kernel", "logits/bias"} <= paths
    assert not any(path.startswith(("blocks.0/bn0", "blocks.0/expand")) for path in paths)
    assert model.get_layer("blocks.15").output.shape == (None, 7, 7, 320)


def test_efficientnet_lite0_normalises_exactly():
    model, pixels = small("efficientnet_lite0")
    seen = keras.Model(model.input, model.get_layer("normalize").output)(pixels)
    np.testing.assert_array_equal(seen, (pixels.astype("float32") - 127) / 128)


def test_small_cnn_has_the_size_that_its_docstring_says():
    assert 300_000 <= models.small_cnn((28, 28, 1), 10).count_params() <= 400_000


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name == "alexnet" else [])
        for name in ARCHITECTURES
    ],
)
def test_it_exports_to_onnx(name, tmp_path):
    import onnxruntime

    model, pixels = small(name)
    expected = model.predict(pixels, verbose=0)
    with copied_once():
        model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert [entry.name for entry in session.get_inputs()] == ["pixels"]
    (logits,) = session.run(None, {"pixels": pixels.astype("float32")})
    assert np.all(np.abs(logits - expected) <= 1e-4 * np.maximum(1, np.abs(expected)))
