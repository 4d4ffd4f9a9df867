import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import PositionEncoding
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 6, 4)).astype("float32")
MASK = np.arange(6) < np.array([[6], [4], [1]])


def encoded(sentence):
    """Section 4.1 word for word: j from 1 to J, k from 1 to d."""
    J, d = sentence.shape
    m = np.zeros(d)
    for j in range(1, J + 1):
        for k in range(1, d + 1):
            m[k - 1] += ((1 - j / J) - (k / d) * (1 - 2 * j / J)) * sentence[j - 1, k - 1]
    return m


def test_it_is_what_a_layer_must_be():
    def reference(x, weights):
        return np.stack([encoded(s[m]) for s, m in zip(x, MASK, strict=True)])

    check_layer(PositionEncoding, {}, X, reference, mask=MASK)
    check_layer(PositionEncoding, {}, X, lambda x, _: np.stack([encoded(s) for s in x]))


def test_every_sentence_of_a_story_has_its_own_length():
    story = RANDOM.normal(size=(2, 3, 5, 4)).astype("float32")
    lengths = np.array([[5, 2, 0], [1, 3, 4]])
    mask = np.arange(5) < lengths[..., None]
    found = keras.ops.convert_to_numpy(PositionEncoding()(story, mask=mask))
    for b in range(2):
        for s in range(3):
            expected = encoded(story[b, s, : lengths[b, s]]) if lengths[b, s] else np.zeros(4)
            np.testing.assert_allclose(found[b, s], expected, atol=1e-5)


def test_it_takes_the_mask_of_an_embedding():
    words = np.array([[[3, 1, 0], [0, 0, 0]]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(words)
    found = keras.ops.convert_to_numpy(PositionEncoding()(embedded))
    vectors = keras.ops.convert_to_numpy(embedded)
    np.testing.assert_allclose(found[0, 0], encoded(vectors[0, 0, :2]), atol=1e-6)
    assert (found[0, 1] == 0).all()


def test_order_matters():
    layer = PositionEncoding()
    assert not np.allclose(layer(X), layer(X[:, ::-1]))


def test_it_has_no_weights_and_counts_its_inputs():
    layer = PositionEncoding()
    layer(X)
    assert layer.count_params() == 0
    assert layer.connections((None, 6, 4)) == 24
    assert layer.connections((None, None, 4)) is None


def test_one_vector_is_no_sequence():
    with pytest.raises(ValueError, match="min_ndim=3"):
        PositionEncoding()(X[0])
