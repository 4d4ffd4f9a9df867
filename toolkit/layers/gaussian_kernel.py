"""How near vectors are to those of reference samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import integer, share

_MOST = 127.0  # steps from 0 that a byte holds


@keras.saving.register_keras_serializable("deepfield")
class GaussianKernel(keras.layers.Layer):
    r"""Gaussian kernel between vectors and those of reference samples.

    $$ k(x, r) = \exp\left(-\frac{\lVert x - r \rVert^2}{w}\right) $$

    Positive definite for any width w > 0. What is compared is rounded to multiples of `step` first,
    at most 127 of them, so that a reference takes a byte a feature: still a kernel, of rounded
    vectors. Features may count by their relevance $a$: then
    $\lVert x - r \rVert^2 = \sum_i a_i^2 (x_i - r_i)^2$. References, width and relevance are
    weights that no training moves: set them with `set_references`.

    Far from all references a Gaussian is 0, and a regression on it answers with the mean. A share
    $l$ of a linear kernel goes on as a straight line there:
    $(1 - l)\, k + l\, x \cdot r / s$, with s the mean of $\lVert r \rVert^2$.

    Args:
        references: how many.
        step: of the rounding.
        weighted: whether features have a relevance.
        linear: share of the linear kernel, from 0 to 1.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, features), floating point and finite.

    Returns:
        Similarities (batch, references), without a linear share within 0 and 1, the compute dtype;
        computed in single precision.

    Raises:
        ValueError: `references` is no positive integer, `step` or `linear` is out of its range; the
            input has not two axes.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import GaussianKernel
        >>> layer = GaussianKernel(1)
        >>> layer.build((None, 2))
        >>> layer.set_references(np.array([[0.0, 0.0]], "float32"), width=2.0)
        >>> round(float(layer(np.array([[1.0, 1.0]], "float32"))[0, 0]), 4)
        0.3679

    Source:
        Schölkopf & Smola, "Learning with kernels", MIT Press 2002, eq. (2.68), with
        w = 2 sigma²; a width of its own for every feature: MacKay, "Bayesian non-linear modeling
        for the prediction competition", ASHRAE Transactions 1994. Deviation: the rounding.
    """

    def __init__(
        self,
        references: int,
        step: float = 0.04,
        weighted: bool = False,
        linear: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not step > 0:
            raise ValueError(f"GaussianKernel: step must be more than 0, got {step}")
        self.step = float(step)
        self.references = integer("GaussianKernel", "references", references)
        self.weighted, self.linear = bool(weighted), share("GaussianKernel", "linear", linear)
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape) -> None:
        """Create references of zeros, a width of 1, and a relevance of 1 of every feature."""
        self.vectors = self.add_weight(
            name="vectors",
            shape=(self.references, input_shape[-1]),
            dtype="int8",
            initializer="zeros",
            trainable=False,
        )
        self.width = self.add_weight(name="width", shape=(), initializer="ones", trainable=False)
        if self.weighted:
            self.relevance = self.add_weight(
                name="relevance", shape=(input_shape[-1],), initializer="ones", trainable=False
            )

    def set_references(self, vectors: Any, width: float, relevance: Any = None) -> None:
        """Compare with these (references, features) from now on; `relevance` is (features,)."""
        if relevance is not None:
            if not self.weighted:
                raise ValueError("GaussianKernel: a relevance, but it was made with weighted=False")
            self.relevance.assign(relevance)
        if not width > 0:
            raise ValueError(f"GaussianKernel: a width of {width}, expected more than 0")
        steps = np.round(np.asarray(vectors, np.float32) / np.float32(self.step))
        self.vectors.assign(np.clip(steps, -_MOST, _MOST).astype(np.int8))
        self.width.assign(width)

    def call(self, inputs):
        """Squared distances from one matrix product."""
        x = ops.clip(ops.round(ops.cast(inputs, "float32") / self.step), -_MOST, _MOST)
        known = ops.cast(self.vectors, "float32")
        if self.weighted:
            relevance = ops.cast(self.relevance, "float32")
            x, known = x * relevance, known * relevance
        own, theirs = ops.sum(x * x, axis=1, keepdims=True), ops.sum(known * known, axis=1)
        along = ops.matmul(x, ops.transpose(known))
        apart = ops.maximum(own + theirs - 2.0 * along, 0.0)
        alike = ops.exp(-(self.step**2) * apart / ops.cast(self.width, "float32"))
        if self.linear:
            line = along / ops.maximum(ops.mean(theirs), 1.0)
            alike = (1.0 - self.linear) * alike + self.linear * line
        return ops.cast(alike, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, references)."""
        return (input_shape[0], self.references)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "references": self.references,
            "step": self.step,
            "weighted": self.weighted,
            "linear": self.linear,
        }
