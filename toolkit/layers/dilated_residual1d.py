"""A gated convolution with holes, and the way around it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import choice, integer, number, share


@keras.saving.register_keras_serializable("deepfield")
class DilatedResidual1D(keras.layers.Layer):
    r"""Add a gated correction, learned by a dilated convolution, to the input.

    $$ y = x' + W_3\, D\big((W_1 * h + b_1) \odot \sigma(W_2 * h + b_2)\big) + b_3, \qquad
       h = \mathrm{relu}(\mathrm{BN}(x)) $$

    where D is dropout, W_3 has width 1, and x' is x, cut or thinned out as the convolution's output
    is. With padding "valid" every output hangs on whole windows alone. A network of such layers
    with dilations 1, s, s t, … gives at each position what the one with dilation 1 and strides
    s, t, … gives for the window around it: the one reads long sequences, the other learns from
    windows at a fraction of the cost, and both have the same weights.

    Args:
        kernel_size: odd.
        dilation_rate: steps from one tap of the convolution to the next.
        strides: steps from one output to the next; above 1 the dilation must be 1.
        padding: `"same"` or `"valid"`; `"same"` at stride 1 alone.
        dropout: share of the gated features that are left out in training.
        momentum: of the moving statistics, between 0 and 1.
        epsilon: added to variances.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, features), floating point.
        training: whether to normalise by the batch's statistics, and to drop.

    Returns:
        (batch, steps', features), the compute dtype. With `"same"` steps' = steps; with `"valid"`
        it is floor((steps - (kernel_size - 1) dilation_rate - 1) / strides) + 1.

    Raises:
        ValueError: an argument is out of range, the kernel is even, or two do not go together.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import DilatedResidual1D
        >>> layer = DilatedResidual1D(3, dilation_rate=4, padding="valid")
        >>> tuple(layer(np.ones((1, 20, 6), "float32")).shape)
        (1, 12, 6)

    Source:
        van den Oord et al., "WaveNet", 2016, eq. (2) and section 2.4 for gate and residual.
        Deviations: not causal; the gated half is linear, not a tanh (Dauphin et al. 2017, eq. (1));
        normalised and rectified before the convolution, as He et al. 2016b.
    """

    def __init__(
        self,
        kernel_size: int = 5,
        dilation_rate: int = 1,
        strides: int = 1,
        padding: str = "same",
        dropout: float = 0.0,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = "DilatedResidual1D"
        self.kernel_size = integer(name, "kernel_size", kernel_size)
        self.dilation_rate = integer(name, "dilation_rate", dilation_rate)
        self.strides = integer(name, "strides", strides)
        self.padding = choice(name, "padding", padding, ("same", "valid"))
        self.dropout = share(name, "dropout", dropout, below_one=True)
        self.momentum = number(name, "momentum", momentum, high=1.0)
        self.epsilon = number(name, "epsilon", epsilon)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"{name}: kernel_size must be odd, got {kernel_size!r}")
        if self.strides > 1 and (self.dilation_rate > 1 or self.padding == "same"):
            raise ValueError(
                f"{name}: strides={strides} goes with dilation_rate=1 and padding='valid', got "
                f"dilation_rate={dilation_rate}, padding={padding!r}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape) -> None:
        """Create the normalisation and the convolutions: as many features as the input has."""
        features = input_shape[-1]
        policy = self.dtype_policy
        self.norm = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, dtype=policy, name="norm"
        )
        self.gated = keras.layers.Conv1D(
            2 * features, self.kernel_size, self.strides, self.padding,
            dilation_rate=self.dilation_rate, kernel_initializer="he_normal", dtype=policy,
            name="gated",
        )  # fmt: skip
        self.drop = keras.layers.Dropout(self.dropout, dtype=policy, name="drop")
        self.mix = keras.layers.Conv1D(features, 1, dtype=policy, name="mix")
        self.norm.build(input_shape)
        self.gated.build(input_shape)
        self.mix.build((*input_shape[:-1], features))

    @property
    def reach(self) -> int:
        """Steps on each side that an output sees."""
        return (self.kernel_size - 1) * self.dilation_rate // 2

    def call(self, inputs, training=None):
        """Correct the input."""
        h = ops.relu(self.norm(inputs, training=training))
        linear, gate = ops.split(self.gated(h), 2, axis=-1)
        change = self.mix(self.drop(linear * ops.sigmoid(gate), training=training))
        kept = inputs
        if self.padding == "valid" and self.reach:
            kept = kept[:, self.reach : -self.reach]
        if self.strides > 1:
            kept = kept[:, :: self.strides]
        return kept + change

    def compute_output_shape(self, input_shape):
        """Return (batch, steps', features)."""
        batch, steps, features = input_shape
        if steps is not None and self.padding == "valid":
            steps = (steps - 2 * self.reach - 1) // self.strides + 1
        return batch, steps, features

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        own = (
            "kernel_size",
            "dilation_rate",
            "strides",
            "padding",
            "dropout",
            "momentum",
            "epsilon",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
