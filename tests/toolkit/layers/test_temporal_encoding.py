import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import TemporalEncoding
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
LENGTHS = np.array([6, 4, 1])
MASK = np.arange(6) < LENGTHS[:, None]


@pytest.mark.parametrize("steps", [3, 6, 9], ids=["too few rows", "just enough", "more"])
def test_it_is_what_a_layer_must_be(steps):
    def reference(x, weights):
        T, y = weights["embeddings"], x.astype("float64")
        for b, length in enumerate(LENGTHS):
            for i in range(length):
                y[b, i] += T[min(length - 1 - i, steps - 1)]
        return y

    arguments = {
        "steps": steps,
        "embeddings_initializer": "glorot_uniform",
        "embeddings_regularizer": "l2",
    }
    # rows beyond the longest story have no gradient: only a table that is used up is checked whole
    if steps <= 6:
        check_layer(TemporalEncoding, arguments, X, reference, mask=MASK)
    layer = TemporalEncoding(**arguments)
    found = keras.ops.convert_to_numpy(layer(X, mask=MASK))
    weights = {"embeddings": layer.get_weights()[0]}
    np.testing.assert_allclose(found, reference(X, weights), atol=1e-6)


def test_without_a_mask_the_last_step_is_row_zero():
    def reference(x, weights):
        return x + weights["embeddings"][[4, 4, 3, 2, 1, 0]]

    check_layer(TemporalEncoding, {"steps": 5}, X, reference)


def test_a_longer_story_keeps_what_its_end_had():
    layer = TemporalEncoding(4)
    zeros = np.zeros((1, 50, 2), "float32")
    long, short = layer(zeros), layer(zeros[:, :4])
    np.testing.assert_array_equal(long[:, -4:], short)
    assert (keras.ops.convert_to_numpy(long)[0, :46] == long[0, 0].numpy()).all()


@pytest.mark.parametrize("steps", [0, 2.0, None])
def test_a_wrong_number_of_rows_is_named(steps):
    with pytest.raises(ValueError, match=f"steps must be a positive integer, got {steps}"):
        TemporalEncoding(steps)


def test_connections_are_one_a_feature():
    assert TemporalEncoding(3).connections((None, 6, 4)) == 24
    assert TemporalEncoding(3).connections((None, None, 4)) is None
