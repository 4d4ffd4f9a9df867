"""Layers that know what DNA is: four bases, two strands, three reading frames."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deepfield.domains.genomics.features import CHANCES
from deepfield.toolkit.layers._arguments import integer, share


@keras.saving.register_keras_serializable("deepfield")
class BaseChances(keras.layers.Layer):
    """How likely each of A, C, G and T is at every place: of a plain base one is 1, of N all are 0.

    Args:
        forget: share of the letters that are taken for N in training: what hangs on single letters
            is not learnt by heart.
        seed: of the draw.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: codes (batch, steps), integers from 0 to 14 (see `features.codes`).
        training: whether letters are forgotten.

    Returns:
        (batch, steps, 4), the compute dtype.

    Raises:
        ValueError: `forget` is not from 0 to below 1.

    Example:
        >>> import numpy as np
        >>> BaseChances()(np.array([[1, 4, 0]])).numpy()[0].tolist()
        [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]

    Source:
        Cornish-Bowden, "Nomenclature for incompletely specified bases in nucleic acid sequences",
        Nucleic Acids Res. 1985, for the letters. Deviation: N, which may be anything, is 0 and not
        a quarter of each, as in SpliceAI, so that it counts as what is beyond an end.
    """

    def __init__(self, forget: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.forget, self.seed = share("BaseChances", "forget", forget, below_one=True), seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        """Look every letter up."""
        codes = ops.cast(inputs, "int32")
        if training and self.forget:
            drawn = keras.random.uniform(ops.shape(codes), seed=self.seed_generator)
            codes = ops.where(drawn < self.forget, 0, codes)
        return ops.take(ops.cast(ops.convert_to_tensor(CHANCES), self.compute_dtype), codes, axis=0)

    def compute_output_spec(self, inputs, training=None):
        """Four numbers a letter."""
        return keras.KerasTensor((*inputs.shape, 4), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "forget": self.forget, "seed": self.seed}


@keras.saving.register_keras_serializable("deepfield")
class ReverseComplement(keras.layers.Layer):
    """The other strand, read in its own direction; or both strands, one behind the other.

    A network that treats both strands of a batch alike (`both=True` in front, `StrandPooling`
    behind) gives the same answer for either.

    Args:
        both: whether the strand that was given stays: the batch is then twice as large, first all
            samples as they are, then all of the other strand.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, 4), chances of A, C, G and T.

    Returns:
        (batch, steps, 4); with `both` (2 batch, steps, 4).

    Raises:
        ValueError: the last axis is not 4.

    Example:
        >>> import numpy as np
        >>> strand = BaseChances()(np.array([[1, 1, 2]]))  # AAC
        >>> ReverseComplement()(strand).numpy()[0].argmax(axis=1).tolist()  # GTT
        [2, 3, 3]

    Source:
        Shrikumar, Greenside, Kundaje, "Reverse-complement parameter sharing improves deep learning
        models for genomics", bioRxiv 103663, 2017. Deviation: whole strands share all weights, and
        are pooled at the end ("siamese"), as Zhou et al. 2022 found no worse.
    """

    def __init__(self, both: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.both = bool(both)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: 4})

    def call(self, inputs):
        """Turn the steps around, and the bases with them."""
        other = ops.flip(inputs, axis=(1, 2))
        return ops.concatenate([inputs, other], axis=0) if self.both else other

    def compute_output_shape(self, input_shape):
        """Return the input's, with a free batch where both strands are in it."""
        return (None if self.both else input_shape[0], *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "both": self.both}


@keras.saving.register_keras_serializable("deepfield")
class StrandPooling(keras.layers.Layer):
    """The larger and the mean of what is on either strand, of a batch as `ReverseComplement`
    doubles it.

    Args:
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (2 batch, features).

    Returns:
        (batch, 2 features): all that are larger, then all means.

    Example:
        >>> import numpy as np
        >>> StrandPooling()(np.array([[1.0], [2.0], [3.0], [6.0]])).numpy().tolist()
        [[3.0, 2.0], [6.0, 4.0]]
    """

    def call(self, inputs):
        """Compare the two halves of the batch."""
        halves = ops.reshape(inputs, (2, -1, inputs.shape[-1]))
        return ops.concatenate([ops.max(halves, axis=0), ops.mean(halves, axis=0)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return (batch, 2 features)."""
        return (None, 2 * input_shape[-1])


@keras.saving.register_keras_serializable("deepfield")
class MotifConv1D(keras.layers.Layer):
    r"""Match motifs at every place, on whichever strand they fit better.

    $$ y_{ik} = \max\Big(\sum_{jb} x_{i+j,b} W_{jbk},\;
                         \sum_{jb} x_{i+j,b} W_{m-1-j,\,3-b,\,k}\Big) + b_k $$

    Args:
        filters: how many motifs.
        kernel_size: m, their letters.
        strands: whether the other strand counts too; without it only the first sum is there.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, 4), chances of A, C, G and T.

    Returns:
        (batch, steps - m + 1, filters), the compute dtype.

    Raises:
        ValueError: `filters` or `kernel_size` is no positive integer, or the last axis is not 4.

    Example:
        >>> import numpy as np
        >>> MotifConv1D(3, 4)(np.ones((1, 10, 4), "float32")).shape[1:]
        TensorShape([7, 3])

    Source:
        Alipanahi et al., "Predicting the sequence specificities of DNA- and RNA-binding proteins by
        deep learning", Nature Biotechnology 2015, supplementary eq. (1) and section 2.2 for the
        other strand. Deviations: the larger of both strands is taken place by place, where the
        paper takes the larger of two whole scores; no padding with quarters.
    """

    def __init__(self, filters: int, kernel_size: int, strands: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = integer("MotifConv1D", "filters", filters)
        self.kernel_size = integer("MotifConv1D", "kernel_size", kernel_size)
        self.strands = bool(strands)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: 4})

    def build(self, input_shape) -> None:
        """Create W and b."""
        self.kernel = self.add_weight(
            shape=(self.kernel_size, 4, self.filters), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, inputs):
        """Match both ways."""
        kernel = ops.cast(self.kernel, self.compute_dtype)
        if self.strands:
            kernel = ops.concatenate([kernel, ops.flip(kernel, axis=(0, 1))], axis=-1)
        found = ops.conv(inputs, kernel, padding="valid")
        if self.strands:
            found = ops.maximum(*ops.split(found, 2, axis=-1))
        return found + ops.cast(self.bias, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, steps - m + 1, filters)."""
        batch, steps, _ = input_shape
        return batch, None if steps is None else steps - self.kernel_size + 1, self.filters

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        own = ("filters", "kernel_size", "strands")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _codons(inputs: Any) -> Any:
    """Chances of letters (batch, steps, 4) to those of codons, (batch, steps - 2, 64)."""
    first, second, third = inputs[:, :-2], inputs[:, 1:-1], inputs[:, 2:]
    pairs = ops.expand_dims(first, -1) * ops.expand_dims(second, -2)
    pairs = ops.reshape(pairs, (-1, ops.shape(pairs)[1], 16))
    triples = ops.expand_dims(pairs, -1) * ops.expand_dims(third, -2)
    return ops.reshape(triples, (-1, ops.shape(triples)[1], 64))


@keras.saving.register_keras_serializable("deepfield")
class CodonWeights(keras.layers.Layer):
    r"""What the codon that begins at each place says: a vector for every codon.

    $$ y_i = \sum_{a,b,c} x_{i,a}\, x_{i+1,b}\, x_{i+2,c}\, E_{abc} $$

    Means of y over every third place tell whether a stretch reads as a gene in that frame, by its
    stop codons and its usage of the others.

    Args:
        units: length of y.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, 4), chances of A, C, G and T. A codon with N gives 0, one of
            ambiguous letters the mean of what it may be.

    Returns:
        (batch, steps - 2, units), the compute dtype.

    Raises:
        ValueError: `units` is no positive integer, or the last axis is not 4.

    Example:
        >>> import numpy as np
        >>> CodonWeights(6)(np.ones((2, 30, 4), "float32")).shape[1:]
        TensorShape([28, 6])

    Source:
        Fickett & Tung, "Assessment of protein coding measures", Nucleic Acids Res. 1992, for codon
        usage as a measure; the layer is ours.
    """

    def __init__(self, units: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = integer("CodonWeights", "units", units)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: 4})

    def build(self, input_shape) -> None:
        """Create E."""
        self.codons = self.add_weight(
            shape=(64, self.units), initializer=keras.initializers.RandomNormal(stddev=0.3),
            name="codons",
        )  # fmt: skip

    def call(self, inputs):
        """Look every codon up."""
        return ops.matmul(_codons(inputs), ops.cast(self.codons, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        """Return (batch, steps - 2, units)."""
        batch, steps, _ = input_shape
        return batch, None if steps is None else steps - 2, self.units

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("deepfield")
class ReadingFrames(keras.layers.Layer):
    r"""How a sequence would read as codons, in the frame in which it does so best.

    $$ y = \max_{f=0..2} \frac{3}{n} \sum_{i} E_{c(3i+f)}, \qquad
       c(j) = 16 x_j + 4 x_{j+1} + x_{j+2} $$

    A gene has one frame without stop codons and with its organism's usual codons; anything else has
    none. Only the maximum is told, so that it does not matter which frame it is.

    Args:
        units: length of y: as many ways to weigh codons.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, 4), chances of A, C, G and T; n = floor((steps - 2) / 3) codons a
            frame are read. A codon with N counts 0, of ambiguous letters the product of chances.

    Returns:
        (batch, units), the compute dtype.

    Raises:
        ValueError: `units` is no positive integer, the last axis is not 4, or fewer than 5 steps.

    Example:
        >>> import numpy as np
        >>> ReadingFrames(6)(np.ones((2, 30, 4), "float32")).shape[1:]
        TensorShape([6])

    Source:
        The measure that it learns is that of Fickett & Tung, "Assessment of protein coding
        measures", Nucleic Acids Res. 1992 (codon usage); the layer is ours.
    """

    def __init__(self, units: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = integer("ReadingFrames", "units", units)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: 4})

    def build(self, input_shape) -> None:
        """Create E."""
        if input_shape[1] is None or input_shape[1] < 5:
            raise ValueError(f"ReadingFrames: 5 steps or more, got {input_shape[1]}")
        self.codons = self.add_weight(
            shape=(64, self.units), initializer=keras.initializers.RandomNormal(stddev=0.5),
            name="codons",
        )  # fmt: skip

    def call(self, inputs):
        """Read the three frames."""
        count = (inputs.shape[1] - 2) // 3
        codons = ops.reshape(_codons(inputs)[:, : 3 * count], (-1, count, 3, 64))
        usage = 3.0 * ops.mean(codons, axis=1)
        return ops.max(ops.matmul(usage, ops.cast(self.codons, self.compute_dtype)), axis=1)

    def compute_output_shape(self, input_shape):
        """Return (batch, units)."""
        return input_shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("deepfield")
class PlacedWords(keras.layers.Layer):
    r"""What the words of a sequence add up to, each weighed by where it stands.

    $$ y_{jc} = b_c + \sum_{p=0}^{n-1} \sum_{w} K_{pwc} \prod_{i=0}^{k-1} x_{j+p+i,\, w_i} $$

    A word w has k letters $w_0 .. w_{k-1}$; x are the chances of letters, so a plain sequence has
    one word at each place, a word with N is none, one with ambiguous letters is each of those that
    it may be, by its chance. Behind the end each letter is as likely as another. A linear model of
    sequences, for weights that are fitted elsewhere (`placed_words.settle`): no gradient moves
    them.

    Args:
        units: length of y.
        field: letters that an answer hangs on, n.
        word_bp: k.
        **kwargs: what every Keras layer takes.

    Call arguments:
        inputs: (batch, steps, 4), chances of A, C, G and T.

    Returns:
        (batch, steps - field + 1, units), the compute dtype.

    Raises:
        ValueError: `units` or `word_bp` is no positive integer, `field` is shorter than a word, or
            the last axis is not 4.

    Example:
        >>> import numpy as np
        >>> tuple(PlacedWords(2, 30)(np.ones((3, 40, 4), "float32")).shape)
        (3, 11, 2)

    Source:
        Zhang & Marr, "A weight array method for splicing signal analysis", CABIOS 1993, for weights
        of words at places; Rätsch & Sonnenburg, "Accurate splice site detection for Caenorhabditis
        elegans", 2004, for words of several sizes. Deviation: longer words, any linear weights.
    """

    def __init__(self, units: int, field: int, word_bp: int = 4, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.units = integer("PlacedWords", "units", units)
        self.word_bp = integer("PlacedWords", "word_bp", word_bp)
        self.field = integer("PlacedWords", "field", field)
        if self.field < self.word_bp:
            raise ValueError(f"PlacedWords: field {field} is shorter than a word of {word_bp}")
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: 4})

    def build(self, input_shape) -> None:
        """Create K and b, all zero."""
        shape = (self.field, 4**self.word_bp, self.units)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs):
        """Weigh every word."""
        steps = ops.shape(inputs)[1]
        words = inputs
        behind = [[0, 0], [0, self.word_bp - 1], [0, 0]]
        inputs = ops.pad(inputs, behind, constant_values=0.25)
        for place in range(1, self.word_bp):
            letters = inputs[:, place : place + steps]
            words = ops.expand_dims(words, -1) * ops.expand_dims(letters, -2)
            words = ops.reshape(words, (-1, steps, 4 ** (place + 1)))
        kernel = ops.cast(self.kernel, self.compute_dtype)
        return ops.conv(words, kernel, padding="valid") + ops.cast(self.bias, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, steps - field + 1, units)."""
        batch, steps, _ = input_shape
        return batch, None if steps is None else steps - self.field + 1, self.units

    def get_config(self) -> dict[str, Any]:
        """Return all constructor arguments."""
        own = {"units": self.units, "field": self.field, "word_bp": self.word_bp}
        return {**super().get_config(), **own}
