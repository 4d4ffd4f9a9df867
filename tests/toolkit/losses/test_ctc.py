"""Ctc: against the sum over every alignment, written out."""

import itertools

import keras
import numpy as np
import pytest

from deepfield.toolkit import losses
from deepfield.toolkit.losses import Ctc


def spelled(path):
    """Merge what is repeated, then drop blanks."""
    return tuple(s for s, _ in itertools.groupby(path) if s)


def by_enumeration(log_probs, text):
    frames, symbols = log_probs.shape
    paths = itertools.product(range(symbols), repeat=frames)
    chances = [
        np.exp(sum(log_probs[t, s] for t, s in enumerate(path)))
        for path in paths
        if spelled(path) == tuple(text)
    ]
    return -np.log(sum(chances)) if chances else 0.0


def scores(rng, frames, symbols=4):
    x = rng.normal(size=(frames, symbols))
    return (x - np.log(np.exp(x).sum(axis=-1, keepdims=True))).astype("float32")


@pytest.mark.parametrize("text", [(), (1,), (1, 2), (2, 2), (1, 1, 3), (3, 2, 1)])
def test_it_sums_over_every_alignment(text):
    log_probs = scores(np.random.default_rng(len(text)), 5)
    target = np.zeros((1, 4), int)
    target[0, : len(text)] = text
    got = float(Ctc()(target, log_probs[None]))
    assert got == pytest.approx(by_enumeration(log_probs, text), abs=1e-4)


def test_frames_of_padding_change_nothing():
    rng = np.random.default_rng(0)
    texts, lengths = [(1, 2), (3,), (2, 2, 1)], [3, 5, 6]
    batch = np.full((3, 8, 4), -1e4, "float32")
    batch[..., 0] = 0.0
    targets = np.zeros((3, 5), int)
    alone = []
    for i, (text, frames) in enumerate(zip(texts, lengths, strict=True)):
        batch[i, :frames] = scores(rng, frames)
        targets[i, : len(text)] = text
        alone.append(float(Ctc()(targets[i : i + 1, : len(text)], batch[i : i + 1, :frames])))
    together = np.asarray(Ctc(reduction="none")(targets, batch))
    assert np.allclose(together, alone, atol=1e-3)


def test_a_text_too_long_for_its_frames_teaches_nothing():
    rng = np.random.default_rng(0)
    batch = np.full((2, 6, 4), -1e4, "float32")
    batch[..., 0] = 0.0
    batch[0, :2], batch[1, :2] = scores(rng, 2), scores(rng, 2)
    found = np.asarray(Ctc(reduction="none")(np.array([[1, 2, 3], [1, 1, 0]]), batch))
    assert found.tolist() == [0.0, 0.0]  # three symbols, or two equal ones, need three frames


def test_gradients_are_those_of_differences():
    rng = np.random.default_rng(0)
    x = scores(rng, 5)[None]
    target = np.array([[1, 1, 2]])
    if keras.backend.backend() != "tensorflow":
        pytest.skip("asks TensorFlow for the gradient")
    import tensorflow as tf

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = Ctc()(target, variable)
    gradient = tape.gradient(loss, variable).numpy()[0]
    for t, s in [(0, 0), (2, 1), (4, 2), (3, 3)]:
        up, down = x.copy(), x.copy()
        up[0, t, s] += 1e-2
        down[0, t, s] -= 1e-2
        slope = (float(Ctc()(target, up)) - float(Ctc()(target, down))) / 2e-2
        assert gradient[t, s] == pytest.approx(slope, abs=2e-3)


def test_it_goes_by_its_name():
    assert isinstance(losses.get("ctc"), Ctc)
