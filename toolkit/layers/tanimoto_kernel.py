"""How alike sets are to those of reference samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from deepfield.toolkit.layers._arguments import integer

#: The bits of every byte, the highest first.
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)


@keras.saving.register_keras_serializable("deepfield")
class TanimotoKernel(keras.layers.Layer):
    r"""Tanimoto similarity of sets, given as packed bits, to those of reference samples.

    $$ k(x, r) = \frac{|x \cap r|}{|x \cup r|} $$

    Of several families of sets side by side it is the mean over the families, and of several powers
    $k^p$ the mean over these: positive definite kernels as each of them is. High powers count what
    is nearly the same, low ones what has something in common. Two empty sets are alike: k = 1.
    Counts become sets by a bit for "at least 1", one for "at least 2", and so on; k is then the
    MinMax kernel of the counts.

    The references are weights that no training moves: set them with `set_references`.

    Args:
        references: how many.
        families: how many sets a sample has, each in an equal share of the bytes.
        powers: whole numbers from 1.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, bytes), uint8 or any type that holds 0 to 255, as `numpy.packbits` packs.

    Returns:
        Similarities (batch, references) within 0 and 1, the compute dtype; computed in single
        precision.

    Raises:
        ValueError: an argument is no positive integer; there are no powers; the input has not two
            axes, or its bytes are not to be divided among the families.

    Example:
        >>> import numpy as np
        >>> from deepfield.toolkit.layers import TanimotoKernel
        >>> layer = TanimotoKernel(1)
        >>> layer.build((None, 1))
        >>> layer.set_references(np.array([[0b1110]], "uint8"))
        >>> layer(np.array([[0b0111]], "uint8")).numpy().tolist()
        [[0.5]]

    Source:
        Ralaivola et al., "Graph kernels for chemical informatics", Neural Networks 2005, section
        4.2 (Tanimoto and MinMax kernel). Deviation: the powers.
    """

    def __init__(
        self, references: int, families: int = 1, powers: Sequence[int] = (1,), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.references = integer("TanimotoKernel", "references", references)
        self.families = integer("TanimotoKernel", "families", families)
        self.powers = [integer("TanimotoKernel", "powers", power) for power in powers]
        if not self.powers:
            raise ValueError("TanimotoKernel: no powers")
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def build(self, input_shape) -> None:
        """Create the references, empty sets."""
        if input_shape[-1] is None or input_shape[-1] % self.families:
            raise ValueError(
                f"TanimotoKernel: {input_shape[-1]} bytes for {self.families} families, expected a "
                "multiple"
            )
        self.sets = self.add_weight(
            name="sets",
            shape=(self.references, input_shape[-1]),
            dtype="uint8",
            initializer="zeros",
            trainable=False,
        )

    def set_references(self, sets: Any) -> None:
        """Compare with these from now on: (references, bytes) packed bits."""
        self.sets.assign(np.asarray(sets, np.uint8))

    def call(self, inputs):
        """Common bits by matrix products; those of the union are what is left of both."""
        own, known = self._bits(inputs), self._bits(self.sets)  # (families, samples, bits)
        common = ops.matmul(own, ops.transpose(known, (0, 2, 1)))
        sizes = ops.expand_dims(ops.sum(known, axis=2), 1)
        union = ops.sum(own, axis=2, keepdims=True) + sizes - common
        alike = ops.where(union > 0, common / ops.maximum(union, 1.0), 1.0)
        mixed = alike
        if self.powers != [1]:
            mixed = sum(alike**power for power in self.powers) / len(self.powers)
        return ops.cast(ops.mean(mixed, axis=0), self.compute_dtype)

    def _bits(self, packed: Any) -> Any:
        # A table, not arithmetic: TensorFlow's constant folding made other numbers of the latter.
        bits = ops.take(_BITS, ops.cast(packed, "int32"), axis=0)
        width = 8 * packed.shape[-1] // self.families
        return ops.transpose(ops.reshape(bits, (-1, self.families, width)), (1, 0, 2))

    def compute_output_shape(self, input_shape):
        """Return (batch, references)."""
        return (input_shape[0], self.references)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {
            **super().get_config(),
            "references": self.references,
            "families": self.families,
            "powers": self.powers,
        }
