"""What letters count for: against loops, against what is known of simple networks."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from deepfield.domains.genomics.attribution import (
    best_stretches,
    contributions,
    covered,
    gradients,
    log_odds,
    mutagenesis,
    scorer,
)
from deepfield.domains.genomics.features import CHANCES, codes
from deepfield.toolkit.errors import UsageError


class Net:
    """A Keras model of codes, as the pipeline shows it."""

    def __init__(self, *models):
        self.models = {f"model_{i}": model for i, model in enumerate(models)}
        self.shares = dict.fromkeys(self.models, 1 / len(models))

    def logits(self, bases):
        return np.mean([np.asarray(m(bases)) for m in self.models.values()], axis=0)


def one_hot():
    return keras.layers.Embedding(
        15, 4, weights=[CHANCES], trainable=False, name="letters"
    )  # fmt: skip


def network(classes=2, seed=0, linear=False, sites=False):
    keras.utils.set_random_seed(seed)
    bases = keras.Input((None,), name="bases", dtype="int32")
    x = keras.layers.Conv1D(6, 5, activation=None if linear else "tanh", name="conv")(
        one_hot()(bases)
    )
    if not sites:
        x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(bases, keras.layers.Dense(classes, name="logits")(x))


def asked(seed):
    """Return some function of codes that is no sum over letters."""
    weights = np.random.default_rng(seed).normal(size=(15, 50))

    def ask(batch):
        assert batch.dtype == np.int32 and batch.ndim == 2
        terms = weights[batch, np.arange(batch.shape[1])]
        return np.sin(terms).sum(axis=1) + terms[:, 0] * terms[:, -1]

    return ask


@pytest.mark.parametrize("length", [1, 2, 30, 50])
def test_mutagenesis_is_what_a_loop_finds(length):
    rng = np.random.default_rng(length)
    sequence, ask = rng.integers(0, 15, length).astype(np.uint8), asked(length)
    expected = np.zeros((length, 4))
    for place in range(length):
        for base in range(4):
            other = sequence.astype(np.int32)
            other[place] = base + 1
            expected[place, base] = ask(other[None])[0] - ask(sequence[None].astype(np.int32))[0]
    found = mutagenesis(ask, sequence)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    some = rng.permutation(length)[: length // 2 + 1]
    np.testing.assert_allclose(mutagenesis(ask, sequence, some), expected[some], atol=1e-12)
    known = (sequence >= 1) & (sequence <= 4)
    assert (found[known, sequence[known] - 1] == 0).all()


def test_mutants_are_asked_in_batches():
    sizes = []

    def ask(batch):
        sizes.append(batch.shape)
        return batch[:, 0] * 1.0

    mutagenesis(ask, np.ones(1000, np.uint8))
    assert sum(n for n, _ in sizes) == 3 * 1000 + 1
    assert 1 < len(sizes) < 60 and max(n * steps for n, steps in sizes) <= 65_536


def test_a_letter_adds_what_is_lost_on_average_without_it():
    changes = np.array([[0, -1, -2, -3], [1, 2, 3, 4], [0, -1, 0, -3], [9, 9, 9, 9.0]])
    found = contributions(changes, codes("AGRN"))
    # R rules out C and T; N rules out nothing
    np.testing.assert_allclose(found, [2, -(1 + 2 + 4) / 3, 2, 0])


def test_letters_of_an_additive_network_add_up():
    """Of a sum over letters, contributions are each letter's own part above the mean of others."""
    weights = np.random.default_rng(0).normal(size=(20, 4))

    def ask(batch):
        return (CHANCES[batch] * weights).sum(axis=(1, 2))

    sequence = np.random.default_rng(1).integers(1, 5, 20)
    own = weights[np.arange(20), sequence - 1]
    expected = own - (weights.sum(axis=1) - own) / 3
    found = contributions(mutagenesis(ask, sequence), sequence)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (np.sign(found[np.abs(found) > 1e-6]) == np.sign(expected)[np.abs(found) > 1e-6]).all()


def test_log_odds_are_those_of_the_softmax():
    logits = np.random.default_rng(0).normal(0, 4, (7, 3, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    for label in range(5):
        expected = np.log(p[..., label] / (1 - p[..., label]))
        np.testing.assert_allclose(log_odds(logits, label), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(log_odds(np.array([[1.0, 4.0]]), 1), [3])
    assert log_odds(np.array([[2.5]]), 0) == 2.5
    assert np.isfinite(log_odds(np.array([[1e4, -1e4, 0]]), 2)).all()


def test_what_is_covered_is_lost():
    def ask(batch):
        return (batch[:, 500:510] == 3).sum(axis=1).astype(float)

    sequence = np.full(2000, 3)
    lost = covered(ask, sequence)
    assert lost.shape == (2000,) and lost[500:510].min() > 0
    assert not lost[:470].any() and not lost[540:].any()


@pytest.mark.parametrize("classes", [2, 4])
def test_gradients_of_a_linear_network_are_its_mutations(classes):
    """With two classes the log-odds are linear too."""
    net = Net(network(classes, linear=True), network(classes, seed=1, linear=True))
    bases = np.random.default_rng(0).integers(0, 15, 40)
    found = gradients(net, bases, 1)
    assert found.shape == (40, 4)
    exact = mutagenesis(scorer(net, 1), bases)
    np.testing.assert_allclose(found, exact, atol=1e-5 if classes == 2 else 5e-3)


@pytest.mark.parametrize("sites", [False, True])
def test_gradients_are_slopes(sites):
    net = Net(network(3, sites=sites))
    bases = np.random.default_rng(1).integers(1, 5, 5 if sites else 30)
    found = gradients(net, bases, 2)
    model = net.models["model_0"]
    rest = keras.Model(model.get_layer("letters").output, model.output)
    x = CHANCES[bases]
    for place, base in [(0, 0), (2, 3), (4, 1)]:
        moved = []
        for sign in (1, -1):
            at = x.astype(np.float32).copy()
            at[place, base] += sign * 1e-2
            at[place, bases[place] - 1] -= sign * 1e-2
            moved.append(log_odds(np.asarray(rest(at[None])).reshape(-1, 3)[0], 2))
        slope = (moved[0] - moved[1]) / 2e-2
        assert found[place, base] == pytest.approx(slope, abs=2e-3)


def test_networks_that_read_words_have_no_gradient_of_letters():
    bases = keras.Input((None,), name="bases", dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(15, 7)(bases))
    with pytest.raises(UsageError, match="letters as 10 x 7") as error:
        gradients(Net(keras.Model(bases, keras.layers.Dense(2)(x))), np.ones(10, int), 1)
    assert "--method ism" in error.value.hint


def test_best_stretches_never_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.normal(size=rng.integers(1, 60))
        width, least = int(rng.integers(1, 12)), float(rng.normal())
        found = best_stretches(values, width, 4, least)
        assert len(found) <= 4
        width = min(width, len(values))
        sums = [values[s : s + width].sum() for s in found]
        assert all(s > least - 1e-9 for s in sums)
        assert all(b <= a + 0.02 * np.abs(values).sum() for a, b in pairwise(sums))
        assert all(b - a >= width for a, b in pairwise(sorted(found)))
    assert best_stretches(np.zeros(0), 5, 3) == []
    assert best_stretches(np.eye(1, 31, 15)[0], 11, 3) == [10]  # in its middle
