"""Waveforms at another loudness and with noise, anew in every step of training."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import share
from deepfield.toolkit.layers._running import running_sum

_DECIBEL = math.log(10) / 20


@keras.saving.register_keras_serializable("deepfield")
class RandomNoise1D(keras.layers.Layer):
    r"""Changes the loudness of waveforms and adds noise; the identity at prediction.

    $y = g (x + \rho(x) 10^{-s/20} n)$ with a gain g of up to `gain_db` up or down, Gaussian noise n
    of mean square 1, the waveform's root mean square ρ over the samples that are not zero, and a
    signal-to-noise ratio s drawn from `snr_db`. The noise is white or, as a further draw says, has
    lost some of its high frequencies: a mixture of white noise and of its running sum.

    Samples that are exactly zero stay zero: zeros at the end of a waveform are padding.

    Args:
        probability: of adding noise, for each waveform.
        snr_db: least and greatest ratio, in decibels.
        gain_db: greatest change of loudness, in decibels.
        seed: of the draws; None takes Keras' own.

    Call arguments:
        inputs: (batch, samples).
        training: whether to change anything.

    Returns:
        (batch, samples).

    Raises:
        ValueError: a probability outside 0 to 1, a range that falls.

    Example:
        >>> import numpy as np
        >>> x = np.ones((1, 100), "float32")
        >>> y = RandomNoise1D(1.0, (10.0, 10.0), 0.0, seed=0)(x, training=True)
        >>> round(float(np.std(np.asarray(y) - x)), 1)  # a tenth of the energy
        0.3

    Source: Ko et al. 2015, "Audio augmentation for speech recognition", for the practice.
    Deviation: the noise is made, not recorded.
    """

    def __init__(
        self,
        probability: float = 0.5,
        snr_db: tuple[float, float] = (5.0, 30.0),
        gain_db: float = 6.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        low, high = snr_db
        if not low <= high:
            raise ValueError(f"RandomNoise1D: snr_db must not fall, got {snr_db!r}")
        if not 0 <= gain_db < math.inf:
            raise ValueError(f"RandomNoise1D: gain_db must be 0 or more, got {gain_db!r}")
        self.probability = share("RandomNoise1D", "probability", probability)
        self.snr_db = (float(low), float(high))
        self.gain_db, self.seed = float(gain_db), seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Louder or softer, and noisy; the identity unless `training`."""
        x = ops.cast(inputs, self.compute_dtype)
        if not training:
            return x
        x = ops.cast(x, "float32")
        batch = ops.shape(x)[0]
        drawn = keras.random.uniform((batch, 4), seed=self.seed_generator)
        noisy, ratio, colour, gain = (drawn[:, k : k + 1] for k in range(4))
        there = ops.cast(ops.not_equal(x, 0), "float32")
        count = ops.maximum(ops.sum(there, axis=1, keepdims=True), 1.0)
        power = ops.sum(ops.square(x), axis=1, keepdims=True) / count
        white = keras.random.normal(ops.shape(x), seed=self.seed_generator)
        # a running sum over 16 samples: brown noise above some 1,000 Hz of 16,000
        brown = running_sum(ops.pad(white, ((0, 0), (8, 7))), 16)
        noise = (1 - colour) * white + 0.25 * colour * brown
        noise = noise / ops.sqrt(ops.mean(ops.square(noise), axis=1, keepdims=True) + 1e-12)
        low, high = self.snr_db
        level = ops.exp(-_DECIBEL * (low + (high - low) * ratio))
        level = ops.where(noisy < self.probability, level, 0.0)
        louder = ops.exp(_DECIBEL * self.gain_db * (2.0 * gain - 1.0))
        y = louder * (x + ops.sqrt(power) * level * noise * there)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "probability": self.probability,
            "snr_db": self.snr_db,
            "gain_db": self.gain_db,
            "seed": self.seed,
        }
