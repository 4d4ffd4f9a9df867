import numpy as np
import pytest

from deepfield.toolkit.layers import TanimotoKernel
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X, R = RANDOM.integers(0, 256, (5, 12)), RANDOM.integers(0, 256, (3, 12))


def similarities(x, r):
    a, b = np.unpackbits(x.astype("uint8"), axis=1), np.unpackbits(r.astype("uint8"), axis=1)
    return np.array(
        [[(p & q).sum() / (p | q).sum() if (p | q).any() else 1.0 for q in b] for p in a]
    )


def kernel(x, r, **arguments):
    layer = TanimotoKernel(len(r), **arguments)
    layer.build((None, r.shape[1]))
    layer.set_references(r)
    return layer(x.astype("uint8"))


def test_it_is_the_share_of_what_two_sets_have_in_common():
    np.testing.assert_allclose(kernel(X, R), similarities(X, R), rtol=1e-6)


def test_it_keeps_the_contract_of_layers():
    def reference(x, weights):
        parts = np.split(x.astype(int), 2, axis=1), np.split(weights["sets"].astype(int), 2, axis=1)
        return np.mean([similarities(a, b) for a, b in zip(*parts, strict=True)], axis=0)

    inputs = np.concatenate([X, np.zeros((1, 12))]).astype("float32")
    check_layer(TanimotoKernel, {"references": 3, "families": 2}, inputs, reference)


def test_of_several_families_it_is_the_mean():
    parts = [similarities(X[:, i : i + 4], R[:, i : i + 4]) for i in (0, 4, 8)]
    np.testing.assert_allclose(kernel(X, R, families=3), np.mean(parts, axis=0), rtol=1e-6)


def test_of_several_powers_it_is_the_mean():
    expected = (similarities(X, R) + similarities(X, R) ** 3) / 2
    np.testing.assert_allclose(kernel(X, R, powers=(1, 3)), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="powers"):
        TanimotoKernel(2, powers=())


def test_counts_as_bits_for_at_least_give_the_min_max_kernel():
    x, r = RANDOM.integers(0, 4, (5, 16)), RANDOM.integers(0, 4, (3, 16))
    expected = [[np.minimum(a, b).sum() / np.maximum(a, b).sum() for b in r] for a in x]
    x, r = (np.packbits(np.concatenate([c > t for t in range(3)], axis=1), axis=1) for c in (x, r))
    np.testing.assert_allclose(kernel(x, r), expected, rtol=1e-6)


def test_bytes_are_the_same_bits_in_a_compiled_function():
    # TensorFlow's constant folding once made other numbers of the arithmetic that unpacked them.
    import tensorflow as tf

    layer = TanimotoKernel(len(R), families=3)
    layer.build((None, R.shape[1]))
    layer.set_references(R)
    bytes_ = tf.constant(X.astype("uint8"))
    compiled = tf.function(layer)(bytes_)
    expected = [similarities(X[:, i : i + 4], R[:, i : i + 4]) for i in (0, 4, 8)]
    np.testing.assert_allclose(compiled, np.mean(expected, axis=0), rtol=1e-6)


def test_empty_sets_are_alike():
    got = kernel(np.zeros((1, 2)), np.array([[0, 0], [1, 0]]))
    np.testing.assert_array_equal(got, [[1, 0]])


def test_it_takes_bytes_of_any_type_and_comes_back_from_its_config():
    layer = TanimotoKernel(2, families=2, name="alike")
    twin = TanimotoKernel.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    expected = kernel(X, R)
    layer = TanimotoKernel(3)
    layer.build((None, 12))
    layer.set_references(R)
    for dtype in ("int32", "float32", "uint8"):
        np.testing.assert_array_equal(layer(X.astype(dtype)), expected)
    assert not layer.trainable_weights


@pytest.mark.parametrize("arguments", [{"references": 0}, {"references": 2, "families": 0}])
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match="must be a positive integer, got 0"):
        TanimotoKernel(**arguments)


def test_bytes_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="12 bytes for 5 families"):
        TanimotoKernel(2, families=5).build((None, 12))
