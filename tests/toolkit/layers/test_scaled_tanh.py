import numpy as np
import pytest

from deepfield.toolkit.layers import ScaledTanh
from deepfield.toolkit.testing import check_layer


def test_it_is_what_a_layer_must_be():
    x = np.random.default_rng(0).normal(0, 2, (3, 4, 5)).astype("float32")
    arguments = {"amplitude": 2.0, "slope": 0.5}
    check_layer(ScaledTanh, arguments, x, lambda x, _: 2.0 * np.tanh(0.5 * x))


def test_plus_and_minus_one_are_fixed_points():
    np.testing.assert_allclose(ScaledTanh()(np.array([-1.0, 1.0], "float32")), [-1, 1], atol=1e-4)


def test_the_gain_is_largest_at_the_origin_and_the_curvature_near_one():
    # LeCun 1998, appendix A: the second derivative is largest at +-1
    x = np.linspace(0, 3, 3001)
    second = np.gradient(np.gradient(1.7159 * np.tanh(2 / 3 * x), x), x)
    assert abs(x[np.abs(second).argmax()] - 1) < 0.02


@pytest.mark.parametrize("amplitude", [0, -1, "1", True, float("nan")])
def test_a_senseless_amplitude_is_named(amplitude):
    with pytest.raises(ValueError, match="amplitude must be a number between 0 and inf"):
        ScaledTanh(amplitude=amplitude)


def test_it_has_no_connections_of_its_own():
    assert ScaledTanh().connections((None, 3)) == 0
