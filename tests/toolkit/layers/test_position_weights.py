import numpy as np
import pytest

from deepfield.toolkit.layers import PositionWeights
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
LENGTHS = np.array([6, 4, 1])
MASK = np.arange(6) < LENGTHS[:, None]


@pytest.mark.parametrize("positions", [4, 6])
def test_it_is_what_a_layer_must_be(positions):
    def reference(x, weights):
        f, s = weights["factors"], np.zeros((3, 4))
        for b, length in enumerate(LENGTHS):
            for i in range(length):
                s[b] += f[min(i, positions - 1)] * x[b, i]
        return s

    arguments = {"positions": positions, "weights_initializer": "random_normal"}
    check_layer(PositionWeights, arguments, X, reference, mask=MASK)


def test_it_starts_as_a_plain_sum_of_each_sentence():
    story = np.random.default_rng(1).normal(size=(2, 3, 6, 4)).astype("float32")
    mask = np.arange(6) < np.array([[6, 2, 0], [1, 3, 4]])[..., None]
    found = PositionWeights(9)(story, mask=mask)
    np.testing.assert_allclose(found, (story * mask[..., None]).sum(axis=2), atol=1e-5)


def test_connections_are_the_inputs_of_the_sums():
    assert PositionWeights(3).connections((None, 6, 4)) == 24
    assert PositionWeights(3).connections((None, None, 4)) is None


@pytest.mark.parametrize("positions", [0, 2.0, None])
def test_a_wrong_number_of_positions_is_named(positions):
    with pytest.raises(ValueError, match=f"positions must be a positive integer, got {positions}"):
        PositionWeights(positions)
