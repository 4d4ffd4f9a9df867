import keras
import numpy as np
import pytest

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.explain import (
    grad_cam,
    input_gradient,
    integrated_gradients,
    layer_outputs,
    occlusion,
)

layers = keras.layers


@pytest.fixture(scope="module")
def picture_net():
    keras.utils.set_random_seed(1)
    pixels = keras.Input((12, 10, 1), dtype="uint8", name="pixels")
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("tanh", name="squash")(x)
    side = layers.Dropout(0.5)(x)
    x = layers.Conv2D(4, 3, padding="same", name="second")(side)
    x = layers.Add(name="sum")([x, side])
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten()(x)
    return keras.Model(pixels, layers.Dense(3, name="scores")(x))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (2, 12, 10, 1), dtype=np.uint8)


def score(model, arrays, index):
    return np.asarray(model(arrays, training=False))[..., index]


def test_layer_outputs_are_those_of_the_meaningful_layers_in_order(picture_net, picture):
    seen = layer_outputs(picture_net, {"pixels": picture})
    assert [name for name, _ in seen] == ["conv", "second", "sum", "pool", "scores"]
    assert seen[0][1].shape == (2, 12, 10, 4)
    assert np.abs(seen[0][1]).max() <= 1  # the tanh behind the convolution, not its sums
    np.testing.assert_allclose(seen[-1][1], picture_net(picture), rtol=1e-5)


def test_layer_outputs_can_be_thinned_out(picture_net, picture):
    assert [n for n, _ in layer_outputs(picture_net, picture, most=2)] == ["conv", "scores"]


def test_layer_outputs_of_a_model_built_on_part_of_another(picture_net, picture):
    features = picture_net.get_layer("pool").output
    tuned = keras.Model(picture_net.inputs, layers.GlobalMaxPooling2D(name="top")(features))
    assert [n for n, _ in layer_outputs(tuned, picture)][-2:] == ["pool", "top"]


def test_models_within_models_are_entered(picture_net, picture):
    inner = keras.Model(picture_net.inputs, picture_net.get_layer("pool").output, name="inner")
    pixels = keras.Input((12, 10, 1), dtype="uint8", name="pixels")
    outer = keras.Model(pixels, layers.GlobalMaxPooling2D(name="top")(inner(pixels)))
    assert [n for n, _ in layer_outputs(outer, picture)][-2:] == ["pool", "top"]
    assert grad_cam(outer, picture, 0, "second").shape == (2, 12, 10)


def test_subclassed_models_are_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(UsageError, match="not a functional model"):
        layer_outputs(Own(), np.ones((1, 2)))


def test_missing_input_is_named(picture_net):
    with pytest.raises(UsageError, match="'pixels' is missing"):
        layer_outputs(picture_net, {"other": np.zeros((1, 12, 10, 1))})


@pytest.mark.parametrize("baseline", [None, 128])
def test_integrated_gradients_are_complete_for_whole_numbers(picture_net, picture, baseline):
    parts = integrated_gradients(picture_net, picture, 1, baseline=baseline, steps=50)
    assert parts.shape == picture.shape and parts.dtype == np.float32
    base = np.full_like(picture, baseline or 0)
    gained = score(picture_net, picture, 1) - score(picture_net, base, 1)
    np.testing.assert_allclose(parts.sum(axis=(1, 2, 3)), gained, atol=1e-3)


def test_integrated_gradients_of_a_linear_net_are_weight_times_input():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="d")])
    x = np.array([[1.0, -2.0, 3.0], [0.0, 1.0, 1.0]], dtype="float32")
    wanted = x * np.asarray(model.get_layer("d").kernel)[:, 1]
    np.testing.assert_allclose(integrated_gradients(model, x, 1, steps=3), wanted, rtol=1e-5)


def test_integrated_gradients_go_through_embeddings_and_keep_padding_masked():
    keras.utils.set_random_seed(2)
    ids = keras.Input((None,), dtype="int32", name="ids")
    size = keras.Input((1,), name="size")
    x = layers.Embedding(7, 4, mask_zero=True)(ids)
    x = layers.GRU(5)(x)
    model = keras.Model([ids, size], layers.Dense(2)(layers.Concatenate()([x, size])))
    arrays = {"ids": np.array([[3, 5, 6, 0, 0]]), "size": np.array([[0.5]], dtype="float32")}
    parts = integrated_gradients(model, arrays, 0, steps=64)
    assert parts.shape == (1, 5, 4)
    assert not parts[0, 3:].any() and parts[0, :3].any()
    assert integrated_gradients(model, arrays, 0, input_name="size").shape == (1, 1)
    with pytest.raises(UsageError, match="no input named"):
        integrated_gradients(model, arrays, 0, input_name="no")


def test_input_gradients_are_slopes_of_numbers_and_of_what_is_made_of_whole_numbers(picture_net):
    keras.utils.set_random_seed(0)
    numbers = keras.Input((4,), name="numbers")
    model = keras.Model(numbers, layers.Dense(3, activation="tanh", name="scores")(numbers))
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    values, gradient = input_gradient(model, x, 1)
    np.testing.assert_array_equal(values, x)
    for place in range(4):
        step = np.eye(4, dtype=np.float32)[place] * 1e-2
        slope = (score(model, x + step, 1) - score(model, x - step, 1)) / 2e-2
        np.testing.assert_allclose(gradient[:, place], slope, atol=1e-3)
    picture = np.random.default_rng(1).integers(0, 256, (2, 12, 10, 1), dtype=np.uint8)
    values, gradient = input_gradient(picture_net, {"pixels": picture}, 2, "pixels")
    np.testing.assert_allclose(values, picture / 255, rtol=1e-6)
    assert gradient.shape == picture.shape and np.abs(gradient).max() > 0
    with pytest.raises(UsageError, match="no input named 'bases'"):
        input_gradient(picture_net, {"pixels": picture}, 2, "bases")


def test_frozen_networks_have_explanations_too(picture_net, picture):
    twin = keras.models.clone_model(picture_net)
    twin.set_weights(picture_net.get_weights())
    twin.trainable = False
    np.testing.assert_allclose(
        grad_cam(twin, picture, 0, "conv"), grad_cam(picture_net, picture, 0, "conv"), atol=1e-6
    )
    assert integrated_gradients(twin, picture, 0, steps=2).any()


def test_grad_cam_follows_its_formula():
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 5, 2))
    seen = layers.Conv2D(3, 3, padding="same", activation="relu", name="seen")(image)
    head = layers.Dense(4, name="head")
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(seen)))
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    values = dict(layer_outputs(model, x))["seen"]
    weights = np.asarray(head.kernel)[:, 2] / 30  # the gradient is the same at all 30 positions
    np.testing.assert_allclose(
        grad_cam(model, x, 2), np.maximum(values @ weights, 0), rtol=1e-4, atol=1e-7
    )


def test_grad_cam_takes_sequences_and_names_the_layers_it_could_use():
    model = keras.Sequential(
        [keras.Input((9, 2)), layers.Conv1D(3, 3, name="c"), layers.Flatten(), layers.Dense(2)]
    )
    x = np.ones((1, 9, 2), dtype="float32")
    assert grad_cam(model, x, 0).shape == (1, 7)
    with pytest.raises(UsageError) as caught:
        grad_cam(model, x, 0, layer="nowhere")
    assert caught.value.hint == "layers with positions: c"


@pytest.mark.parametrize("window", [1, 3, (2, 5), 50])
def test_occlusion_finds_the_only_pixel_that_counts(window):
    picture = np.zeros((1, 8, 7, 1), dtype=np.uint8)
    picture[0, 2, 4] = 200

    def run(arrays):
        return arrays["pixels"][:, 2, 4].astype(float) @ [[0.0, 1.0]]

    fall = occlusion(run, {"pixels": picture}, 1, window=window, fill=0)
    assert fall.shape == (8, 7)
    assert fall[2, 4] == fall.max() == pytest.approx(200)
    if window == 1:
        assert np.count_nonzero(fall) == 1
    assert picture[0, 2, 4, 0] == 200  # the input is left alone


def test_occlusion_of_a_waveform_and_of_several_inputs_at_once():
    def run(arrays):
        return arrays["wave"].sum(axis=1, keepdims=True) + arrays["bias"]

    wave = np.arange(10.0)[None]
    fall = occlusion(
        run, {"wave": wave, "bias": np.ones((1, 1))}, 0, window=1, fill=0, batch_size=3
    )
    np.testing.assert_allclose(fall, wave[0])
    with pytest.raises(UsageError, match="2 inputs at once"):
        occlusion(run, {"wave": np.zeros((2, 4))}, 0)
