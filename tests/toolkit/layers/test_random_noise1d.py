import numpy as np
import pytest

from deepfield.toolkit.layers import RandomNoise1D
from deepfield.toolkit.testing import check_layer

SOUND = np.random.default_rng(0).normal(0, 0.1, (300, 800)).astype("float32")


def test_it_is_what_a_layer_must_be():
    arguments = {"probability": 0.9, "snr_db": (3.0, 12.0), "gain_db": 4.0, "seed": 3}
    check_layer(RandomNoise1D, arguments, SOUND[:4], lambda x, _: x, training_only=True)


def test_noise_is_as_loud_as_was_said():
    y = np.asarray(RandomNoise1D(1.0, (10.0, 20.0), 0.0, seed=1)(SOUND, training=True))
    ratio = 10 * np.log10((SOUND**2).mean(axis=1) / ((y - SOUND) ** 2).mean(axis=1))
    assert 9.5 < ratio.min() < 10.6 and 19.4 < ratio.max() < 20.5


def test_loudness_changes_both_ways_and_no_further():
    y = np.asarray(RandomNoise1D(0.0, gain_db=6.0, seed=1)(SOUND, training=True))
    change = 20 * np.log10(np.abs(y).max(axis=1) / np.abs(SOUND).max(axis=1))
    assert -6.01 < change.min() < -5.5 and 5.5 < change.max() < 6.01


def test_padding_stays_silent():
    x = SOUND.copy()
    x[:, 500:] = 0
    y = np.asarray(RandomNoise1D(1.0, seed=1)(x, training=True))
    assert not y[:, 500:].any() and y[:, :500].any(axis=1).all()


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match=r"snr_db must not fall, got \(9, 1\)"):
        RandomNoise1D(snr_db=(9, 1))
