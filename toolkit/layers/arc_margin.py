"""Classes as directions, told apart by an angle to spare."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from deepfield.toolkit.layers._arguments import integer, number

#: Least square of a sine that is divided by: at angles below 0.06 degrees gradients stop growing.
_LEAST = 1e-6


@keras.saving.register_keras_serializable("deepfield")
class ArcMargin(keras.layers.Layer):
    r"""Logits of classes from angles, that of the right class made larger by a margin.

    $$ z_k = s \cos\theta_k, \qquad z_y = s\, \psi(\theta_y), \qquad
       \cos\theta_k = \frac{w_k \cdot x}{\lVert w_k \rVert \lVert x \rVert} $$

    $$ \psi(\theta) = \cos(\theta + m) \;\text{ for }\; \theta \le \pi - m, \quad\text{else}\quad
       \cos\theta + \cos m - 1 $$

    Softmax cross-entropy of these logits asks that a sample be nearer to its own class than to all
    others by the angle m, which is what makes distances tell strangers apart. Beyond $\pi - m$,
    where the cosine of the larger angle would rise again, the second form goes on from the value -1
    that the first one ends with, and falls with $\theta$ all the way: more error never costs less.

    Args:
        classes: how many.
        margin: m in radians, 0 or more, below pi / 2.
        scale: s; the sharper, the more classes there are.
        kernel_initializer: for w, (features, classes); lengths do not matter.
        kernel_regularizer: for w.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: embeddings (batch, features), floating point, of any length but 0; or a list of
            them and of the classes' indices, (batch,) or (batch, 1) of any integer type. An index
            that is no class, such as -1 for an unknown one, means no margin.

    Returns:
        (batch, classes), the compute dtype. Without indices these are the cosines times s, and
        `training` makes no difference. Everything is computed in single precision; gradients are
        finite at every angle, and where an embedding is 0.

    Raises:
        ValueError: an argument is out of range, or a list is not of two inputs.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import ArcMargin
        >>> layer = ArcMargin(2, margin=0.5, scale=1.0, kernel_initializer="identity")
        >>> east = np.array([[3.0, 0.0]], "float32")
        >>> [round(float(z), 3) for z in layer(east)[0]]
        [1.0, 0.0]
        >>> [round(float(z), 3) for z in layer([east, np.array([0])])[0]]  # cos(0 + 0.5)
        [0.877, 0.0]

    Source:
        Deng, Guo, Xue, Zafeiriou, "ArcFace: additive angular margin loss for deep face
        recognition", CVPR 2019, eq. (3), of which this is all but the softmax. Deviations: the
        paper does not say what happens beyond pi - m, and its authors' code falls there to
        cos(theta) - m sin(m), with a step; the sine is at least 0.001.
    """

    def __init__(
        self,
        classes: int,
        margin: float = 0.5,
        scale: float = 64.0,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.classes = integer("ArcMargin", "classes", classes)
        self.margin = 0.0 if margin == 0 else number("ArcMargin", "margin", margin, 0, math.pi / 2)
        self.scale = number("ArcMargin", "scale", scale)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape) -> None:
        """Create a direction for each class."""
        shape = input_shape
        if isinstance(shape[0], list | tuple):
            if len(shape) != 2:
                raise ValueError(
                    f"ArcMargin: expected embeddings and indices, got {len(shape)} inputs"
                )
            shape = shape[0]
        if len(shape) != 2:
            raise ValueError(f"ArcMargin: embeddings must be (batch, features), got {tuple(shape)}")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(shape[-1], self.classes),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )

    def call(self, inputs):
        """Cosines, the margin on those of the right class, the scale."""
        labels = None
        if isinstance(inputs, list | tuple):
            inputs, labels = inputs
        cosine = ops.matmul(_unit(inputs, axis=-1), _unit(self.kernel, axis=0))
        if labels is not None:
            index = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
            right = ops.equal(index, ops.arange(self.classes, dtype="int32"))
            cosine = ops.where(right, self._harder(cosine), cosine)
        return ops.cast(self.scale * cosine, self.compute_dtype)

    def _harder(self, cosine: Any) -> Any:
        """Return psi of the angles with these cosines."""
        m = self.margin
        sine = ops.sqrt(ops.maximum(1.0 - ops.square(cosine), _LEAST))
        turned = cosine * math.cos(m) - sine * math.sin(m)
        return ops.where(cosine >= -math.cos(m), turned, cosine + (math.cos(m) - 1.0))

    def compute_output_shape(self, input_shape):
        """Return (batch, classes)."""
        first = input_shape[0]
        return (first[0] if isinstance(first, list | tuple) else first, self.classes)

    def connections(self, input_shape: Any) -> int:
        """Count, for one sample, the features of every class; there are no biases."""
        first = input_shape[0]
        features = first[-1] if isinstance(first, list | tuple) else input_shape[-1]
        return features * self.classes

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "classes": self.classes,
            "margin": self.margin,
            "scale": self.scale,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def _unit(vectors: Any, axis: int) -> Any:
    x = ops.cast(vectors, "float32")
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, 1e-12))
