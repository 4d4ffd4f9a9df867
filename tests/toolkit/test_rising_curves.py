import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from deepfield.toolkit.rising_curves import pool_adjacent_violators


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 1)), min_size=1, max_size=40))
def test_pool_adjacent_violators_agrees_with_sklearn(pairs):
    x, y = np.array(pairs, dtype=float).T
    knots, levels = pool_adjacent_violators(x, y)
    assert (np.diff(knots) > 0).all() and (np.diff(levels) >= 0).all()
    wanted = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    at = np.linspace(-6, 6, 49)
    np.testing.assert_allclose(np.interp(at, knots, levels), wanted.predict(at), atol=1e-9)
