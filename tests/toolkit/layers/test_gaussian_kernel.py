import numpy as np
import pytest

from deepfield.toolkit.layers import GaussianKernel
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X, R = RANDOM.normal(size=(5, 7)), RANDOM.normal(size=(3, 7))


def kernel(x, r, width, **arguments):
    layer = GaussianKernel(len(r), **arguments)
    layer.build((None, r.shape[1]))
    layer.set_references(r, width)
    return layer(x.astype("float32")).numpy()


def expected(x, r, width, step):
    a, b = np.round(x / step) * step, np.round(r / step) * step
    return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / width)


@pytest.mark.parametrize("step", [0.04, 0.5])
def test_it_is_the_gaussian_of_the_distance_of_rounded_vectors(step):
    np.testing.assert_allclose(kernel(X, R, 3.0, step=step), expected(X, R, 3.0, step), atol=1e-5)


def test_it_keeps_the_contract_of_layers():
    def reference(x, weights):
        return expected(x, weights["vectors"] * 0.2, weights["width"], 0.2)

    inputs = (np.round(X / 0.2) * 0.2).astype("float32")  # half precision rounds to the same steps
    check_layer(GaussianKernel, {"references": 4, "step": 0.2}, inputs, reference)


def test_features_count_by_their_relevance():
    def reference(x, weights):
        a = weights["relevance"]
        return expected(x * a, weights["vectors"] * 0.2 * a, weights["width"], 1e-6)

    inputs = (np.round(X / 0.2) * 0.2).astype("float32")
    check_layer(GaussianKernel, {"references": 4, "step": 0.2, "weighted": True}, inputs, reference)
    layer = GaussianKernel(1, weighted=True)
    layer.build((None, 2))
    layer.set_references(np.zeros((1, 2), "float32"), width=1.0, relevance=[1.0, 0.0])
    told = layer(np.array([[1.0, 3.0]], "float32"))
    assert float(told[0, 0]) == pytest.approx(np.exp(-1), abs=1e-5)
    with pytest.raises(ValueError, match="weighted"):
        GaussianKernel(1).set_references(R[:1], 1.0, np.ones(7))


def test_with_a_linear_share_it_goes_on_far_from_all_references():
    a, b = np.round(X / 0.2) * 0.2, np.round(R / 0.2) * 0.2
    line = a @ b.T / (b**2).sum(axis=1).mean()
    wanted = 0.25 * expected(X, R, 3.0, 0.2) + 0.75 * line
    np.testing.assert_allclose(kernel(X, R, 3.0, step=0.2, linear=0.75), wanted, atol=1e-5)
    far = kernel(100 * X[:1], X[:1], 1.0, step=1.0, linear=0.5)
    assert far[0, 0] > 10
    with pytest.raises(ValueError, match="linear"):
        GaussianKernel(1, linear=2.0)


def test_fine_steps_hardly_matter_and_a_vector_is_like_itself():
    exact = np.exp(-((X[:, None] - X[None]) ** 2).sum(axis=-1) / 7.0)
    np.testing.assert_allclose(kernel(X, X, 7.0), exact, atol=0.02)
    np.testing.assert_allclose(np.diag(kernel(X, X, 7.0)), 1.0, atol=1e-6)


def test_it_is_positive_definite_and_far_values_are_held():
    far = np.concatenate([X, 100 * X])
    similarity = kernel(far, far, 5.0)
    np.testing.assert_allclose(similarity, similarity.T, atol=1e-6)
    assert np.linalg.eigvalsh(similarity.astype(float)).min() > -1e-6


def test_it_comes_back_from_its_config_and_learns_nothing():
    layer = GaussianKernel(2, step=0.1, name="near")
    assert GaussianKernel.from_config(layer.get_config()).get_config() == layer.get_config()
    layer.build((None, 3))
    assert not layer.trainable_weights and layer.compute_output_shape((4, 3)) == (4, 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"references": 0}, "positive integer, got 0"), ({"references": 1, "step": 0}, "got 0")],
)
def test_what_cannot_be_is_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        GaussianKernel(**arguments)


def test_a_width_of_nothing_is_refused():
    layer = GaussianKernel(1)
    layer.build((None, 2))
    with pytest.raises(ValueError, match="a width of 0"):
        layer.set_references(np.zeros((1, 2)), 0)
