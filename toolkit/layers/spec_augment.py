"""Stretches of time and bands of features hidden, anew in every step of training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, share


@keras.saving.register_keras_serializable("deepfield")
class SpecAugment(keras.layers.Layer):
    r"""Hides random stretches of steps and random bands of features; the identity at prediction.

    A stretch has `f = floor(u (W + 1))` steps or features, u uniform in [0, 1) and W its greatest
    width, and starts anywhere where it fits. What is hidden becomes `value`: the mean, behind a
    normalisation.

    Args:
        time_masks: stretches of steps for each item.
        time_width: greatest number of steps of each.
        time_share: greatest share of an item's own steps that one stretch may hide.
        feature_masks: bands of features for each item.
        feature_width: greatest number of features of each.
        value: what stands where something is hidden.
        seed: of the draws; None takes Keras' own.

    Call arguments:
        inputs: (batch, steps, features).
        training: whether to hide anything.
        mask: (batch, steps), true at valid steps; only they count.

    Returns:
        (batch, steps, features).

    Raises:
        ValueError: a share outside 0 to 1, or counts that are no whole numbers.

    Example:
        >>> import numpy as np
        >>> x = np.ones((1, 50, 8), "float32")
        >>> y = np.asarray(SpecAugment(feature_masks=1, feature_width=8, seed=0)(x, training=True))
        >>> bool((y == 0).any() and (y == 1).any())
        True

    Source: Park et al. 2019, "SpecAugment", section 2. Deviation: no time warping, which its
    table 5 finds to matter least. `time_share` is the adaptive size of Park et al. 2020,
    section 3.2.
    """

    def __init__(
        self,
        time_masks: int = 2,
        time_width: int = 30,
        time_share: float = 0.2,
        feature_masks: int = 2,
        feature_width: int = 20,
        value: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        me = "SpecAugment"
        self.time_masks = integer(me, "time_masks", time_masks, 0)
        self.time_width = integer(me, "time_width", time_width, 0)
        self.feature_masks = integer(me, "feature_masks", feature_masks, 0)
        self.feature_width = integer(me, "feature_width", feature_width, 0)
        self.time_share = share(me, "time_share", time_share)
        self.value, self.seed = float(value), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Hides some; the identity unless `training`."""
        x = ops.cast(inputs, self.compute_dtype)
        if not training:
            return x
        batch, steps, features = ops.shape(x)
        length = ops.ones((batch, 1)) * ops.cast(steps, "float32")
        if mask is not None:
            length = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
        longest = ops.minimum(float(self.time_width), ops.floor(self.time_share * length))
        hidden = ops.expand_dims(self._hidden(batch, self.time_masks, steps, length, longest), 2)
        widest = ops.ones((batch, 1)) * float(min(self.feature_width, features))
        everything = ops.ones((batch, 1)) * float(features)
        bands = self._hidden(batch, self.feature_masks, features, everything, widest)
        hidden = hidden | ops.expand_dims(bands, 1)
        return ops.where(hidden, ops.cast(self.value, x.dtype), x)

    def _hidden(self, batch: Any, count: int, places: Any, length: Any, widest: Any) -> Any:
        """Which places are hidden by `count` stretches, (batch, places) bool."""
        place = ops.expand_dims(ops.cast(ops.arange(places), "float32"), 0)
        hidden = ops.zeros((batch, places), "bool")
        for _ in range(count):
            drawn = keras.random.uniform((batch, 2), seed=self.seed_generator)
            width = ops.floor(drawn[:, :1] * (widest + 1))
            first = ops.floor(drawn[:, 1:] * (length - width + 1))
            hidden = hidden | ((place >= first) & (place < first + width))
        return hidden

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "time_masks": self.time_masks,
            "time_width": self.time_width,
            "time_share": self.time_share,
            "feature_masks": self.feature_masks,
            "feature_width": self.feature_width,
            "value": self.value,
            "seed": self.seed,
        }
