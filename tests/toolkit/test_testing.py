"""`check_layer` must catch what it promises to catch."""

import keras
import numpy as np
import pytest
from keras import ops

from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
STEPS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < np.array([[5], [3], [2]])


@keras.saving.register_keras_serializable("deepfield")
class Affine(keras.layers.Layer):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, input_shape):
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs):
        return self.scale * inputs + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("deepfield")
class MaskedMean(Affine):
    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, inputs, mask=None):
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), -1)
        return self.scale * ops.sum(inputs * weights, 1) / ops.sum(weights, 1) + self.bias

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])


def broken(base=Affine, **members):
    """A registered subclass with some members replaced."""
    name = f"Broken{len(keras.saving.get_custom_objects())}"
    return keras.saving.register_keras_serializable("deepfield")(type(name, (base,), members))


def test_a_right_layer_passes():
    check_layer(Affine, {"scale": 2.0}, X, lambda x, w: 2 * x + w["bias"])


def test_a_right_masked_layer_passes():
    check_layer(MaskedMean, {"scale": 2.0}, STEPS, mask=MASK)


def test_an_argument_lost_from_the_config_is_caught():
    layer = broken(get_config=lambda self: {"name": self.name})
    with pytest.raises(AssertionError, match=r"not in get_config: \['scale'\]"):
        check_layer(layer, {"scale": 2.0}, X)


def test_a_config_that_lies_is_caught():
    layer = broken(get_config=lambda self: {**keras.layers.Layer.get_config(self), "scale": 3.0})
    with pytest.raises(AssertionError, match="twin from the config"):
        check_layer(layer, {"scale": 2.0}, X)


def test_a_call_that_changes_the_config_is_caught():
    def call(self, inputs):
        self.scale += 1
        return inputs + self.bias

    with pytest.raises(AssertionError, match="changed the config"):
        check_layer(broken(call=call), {"scale": 2.0}, X)


def test_a_wrong_formula_is_caught_with_its_distance():
    with pytest.raises(AssertionError, match=r"reference: .* instead of .* 1 off"):
        check_layer(Affine, {"scale": 2.0}, 0 * X, lambda x, w: 2 * x + w["bias"] - 1)


def test_a_forgotten_bias_is_caught_though_it_starts_at_zero():
    with pytest.raises(AssertionError, match="reference"):
        check_layer(Affine, {"scale": 2.0}, X, lambda x, w: 2 * x)


def test_a_wrong_static_shape_is_caught():
    layer = broken(compute_output_shape=lambda self, shape: (*shape[:-1], 7))
    with pytest.raises(AssertionError, match="compute_output_shape"):
        check_layer(layer, {"scale": 2.0}, X)


def test_an_answer_that_depends_on_the_batch_is_caught():
    def call(self, inputs):
        return inputs - ops.mean(inputs, axis=0) + self.bias

    with pytest.raises(AssertionError, match="sample by itself and in its batch"):
        check_layer(broken(call=call), {"scale": 2.0}, X)


def test_padding_that_leaks_is_caught():
    def call(self, inputs, mask=None):
        return self.scale * ops.mean(inputs, 1) + self.bias

    with pytest.raises(AssertionError, match="padding leaks"):
        check_layer(broken(MaskedMean, call=call), {"scale": 2.0}, STEPS, mask=MASK)


def test_a_weight_without_gradient_is_caught():
    layer = broken(call=lambda self, inputs: inputs + ops.stop_gradient(self.bias))
    with pytest.raises(AssertionError, match=r"gradient of .*bias (does not exist|is zero)"):
        check_layer(layer, {"scale": 2.0}, X)
    layer = broken(call=lambda self, inputs: inputs + ops.relu(self.bias - 9))
    with pytest.raises(AssertionError, match=r"gradient of .*bias is zero"):
        check_layer(layer, {"scale": 2.0}, X)


def test_a_gradient_that_is_not_finite_is_caught():
    layer = broken(call=lambda self, inputs: inputs + ops.sqrt(0 * self.bias))
    with pytest.raises(AssertionError, match="is not finite"):
        check_layer(layer, {"scale": 2.0}, X)


def test_single_precision_under_a_half_policy_is_caught():
    layer = broken(call=lambda self, x: ops.cast(x, "float32") + ops.cast(self.bias, "float32"))
    with pytest.raises(AssertionError, match="mixed_float16: dtype of the output"):
        check_layer(layer, {"scale": 2.0}, X)


def test_a_layer_for_training_only_must_leave_predictions_alone():
    with pytest.raises(AssertionError, match="the input at prediction"):
        check_layer(Affine, {"scale": 2.0}, X, training_only=True)


def test_a_layer_that_is_not_registered_is_caught():
    class Stranger(Affine):
        pass

    with pytest.raises(AssertionError, match="not registered under deepfield"):
        check_layer(Stranger, {"scale": 2.0}, X)
