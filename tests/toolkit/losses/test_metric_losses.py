"""Losses of embeddings against a loop over pairs; who is unknown is in none."""

import keras
import numpy as np
import pytest

from deepfield.toolkit.losses import Contrastive, SparseCrossentropy, Triplet

RANDOM = np.random.default_rng(0)
WHO = np.array([3, 1, 3, -1, 1, 3, 7, -1])
X = RANDOM.normal(0, 0.4, (8, 5)).astype("float32")


def relatives(i):
    others = [j for j in range(8) if j != i and WHO[i] >= 0 and WHO[j] >= 0]
    same = [j for j in others if WHO[j] == WHO[i]]
    return same, [j for j in others if WHO[j] != WHO[i]]


def distance(i, j):
    return np.linalg.norm(X[i].astype("float64") - X[j])


def contrastive(margin):
    out = np.zeros(8)
    for i in range(8):
        same, different = relatives(i)
        if same:
            out[i] += 0.5 * np.mean([distance(i, j) ** 2 for j in same])
        if different:
            out[i] += 0.5 * np.mean([max(0, margin - distance(i, j)) ** 2 for j in different])
    return out


def triplet(margin):
    out = np.zeros(8)
    for i in range(8):
        same, different = relatives(i)
        if same and different:
            wrong = max(distance(i, j) for j in same) - min(distance(i, j) for j in different)
            out[i] = np.log1p(np.exp(wrong)) if margin is None else max(0, margin + wrong)
    return out


CASES = [(Contrastive, contrastive, 0.8), (Contrastive, contrastive, 2.0)]
CASES += [(Triplet, triplet, 0.2), (Triplet, triplet, 1.0), (Triplet, triplet, None)]


@pytest.mark.parametrize(("loss", "reference", "margin"), CASES)
def test_it_is_the_sum_over_pairs_or_triplets(loss, reference, margin):
    expected = reference(margin)
    assert (expected > 0).any() and (expected[WHO < 0] == 0).all()
    each = loss(margin=margin, reduction="none")
    np.testing.assert_allclose(each(WHO, X), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(each(WHO[:, None], X), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loss(margin=margin)(WHO, X), expected.mean(), rtol=1e-4)


def trained(loss, x, who):
    """Return the weights of a dense layer after a step, from the identity."""
    inputs = keras.Input((x.shape[1],))
    units = x.shape[1]
    dense = keras.layers.Dense(units, use_bias=False, kernel_initializer="identity")
    model = keras.Model(inputs, dense(inputs))
    model.compile(keras.optimizers.SGD(0.1), loss)
    value = model.train_on_batch(x, who)
    return float(value), np.array(dense.kernel)


@pytest.mark.parametrize("loss", [Contrastive(), Triplet(), Triplet(margin=None)])
@pytest.mark.parametrize("who", [[-1, -1, -1], [-1, 2, -1]], ids=["nobody", "one"])
def test_without_any_pair_nothing_happens(loss, who):
    value, kernel = trained(loss, X[:3], np.array(who))
    assert value == 0
    np.testing.assert_array_equal(kernel, np.eye(5))


def test_without_a_positive_there_is_no_triplet():
    value, kernel = trained(Triplet(), X[:3], np.array([1, 2, 3]))
    assert value == 0
    np.testing.assert_array_equal(kernel, np.eye(5))


@pytest.mark.parametrize("loss", [Contrastive(), Triplet(), Triplet(margin=None)])
def test_gradients_are_finite_where_everything_is_one_point(loss):
    value, kernel = trained(loss, np.ones((4, 5), "float32"), np.array([0, 0, 1, 1]))
    assert value > 0 and np.isfinite(kernel).all()


@pytest.mark.parametrize("loss", [Contrastive(), Triplet()])
def test_it_puts_people_apart(loss):
    keras.utils.set_random_seed(0)
    who = np.repeat(np.arange(4), 6)
    x = (RANDOM.normal(size=(4, 10))[who] + RANDOM.normal(size=(24, 10))).astype("float32")
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4)])
    model.add(keras.layers.UnitNormalization())
    model.compile(keras.optimizers.Adam(0.02), loss)
    losses = model.fit(x, who, batch_size=24, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize("loss", [Contrastive, Triplet])
@pytest.mark.parametrize("margin", [0, -1.0, "wide"])
def test_a_margin_that_is_not_positive_is_an_error(loss, margin):
    with pytest.raises(ValueError, match="margin must be a positive number"):
        loss(margin=margin)


def test_an_unknown_class_counts_for_nothing_without_smoothing():
    logits = RANDOM.normal(size=(3, 4)).astype("float32")
    loss = SparseCrossentropy(reduction="none")(np.array([-1, 2, -1]), logits)
    assert np.array(loss)[[0, 2]].tolist() == [0, 0] and loss[1] > 0
