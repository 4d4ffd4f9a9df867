"""Words by their places: a linear model that answers beside the networks of small sets.

A few thousand sequences do not teach a network what single words mean where; a regression on them
is as good as one there, and wrong of other sequences, so both together are better than either.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from deepfield.domains.genomics.kmers import PLACED, words
from deepfield.domains.genomics.layers import BaseChances, PlacedWords
from deepfield.domains.genomics.windows import middle
from deepfield.toolkit.data import Encoded
from deepfield.toolkit.parts import stacked_targets

#: Letters of the longest word.
WORD_BP = 4
#: Letters that share a weight, at two offsets each; 0: words anywhere. Weights of a narrow stretch
#: are what is special of it, those of a wide one what it has in common with its neighbours.
_STRETCHES = (1, 4, 16, 0)
#: Inverse strength of the regularisation, of sums over samples: the same from 1,000 to 7,000.
_COST = 0.01


def beside(network: keras.Model, kind: str, classes: int, length_bp: int) -> keras.Model:
    """The model, all weights zero: `settle` gives it some.

    Args:
        network: beside which it answers, of as many letters.
        kind: `"site"` or `"window"`.
        classes: how many there are.
        length_bp: letters of a training sequence.

    Returns:
        A model from `bases` to `logits`, of the network's shape. Those of the first class are 0.
    """
    field = length_bp
    if kind == "site":
        field -= network.compute_output_shape((1, length_bp))["logits"][1] - 1
    bases = keras.Input((None if kind == "site" else length_bp,), name="bases", dtype="int32")
    chances = BaseChances(name="chances")(bases)
    told = PlacedWords(classes - 1, field, WORD_BP, name="placed")(chances)
    logits = ops.pad(told, [[0, 0], [0, 0], [1, 0]])
    if kind == "window":
        logits = layers.Flatten(name="whole")(logits)
    model = keras.Model(bases, {"logits": logits}, name=PLACED)
    model.output_names = ["logits"]
    return model


def settle(model: keras.Model, items: Sequence[Encoded], output: str) -> None:
    """Fit its weights: logistic regression on words of one to four letters in stretches of several
    widths, all of which add up to one weight for each word of four letters at each place.

    Args:
        model: of `beside`.
        items: what it is fitted to. Of sequences longer than its field the middle counts.
        output: the target's name.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    layer = model.get_layer("placed")
    bases = np.stack([(item.arrays or {})["bases"] for item in items])
    labels = stacked_targets(items, output).astype(int)
    start = middle(bases.shape[1]) - middle(layer.field)
    seen = bases[:, start : start + layer.field]
    behind = ((0, 0), (0, layer.word_bp - 1))
    whole = words(np.pad(seen, behind, constant_values=1), layer.word_bp)
    blocks, columns = [], []
    for size in range(1, layer.word_bp + 1):
        own = whole[:, : layer.field - size + 1]
        rows, places = np.nonzero(own >= 0)
        begun = own[rows, places] // 4 ** (layer.word_bp - size)
        for stretch in _stretches(own.shape[1]):
            shape = 4**size, int(stretch.max()) + 1
            column = begun * shape[1] + stretch[places]
            ones = np.ones(len(rows), np.float32)
            blocks.append(sparse.csr_matrix((ones, (rows, column)), (len(seen), np.prod(shape))))
            columns.append((stretch, shape))
    features = sparse.hstack(blocks, format="csr")
    known = np.unique(labels)
    if len(known) < 2:  # one class in this part: nothing to tell apart
        return
    fitted = LogisticRegression(
        C=_COST, tol=1e-3, max_iter=300, solver="liblinear" if len(known) == 2 else "lbfgs"
    ).fit(features, labels)
    slopes, offsets = fitted.coef_, fitted.intercept_
    if len(known) == 2:
        slopes, offsets = np.stack([0 * slopes[0], slopes[0]]), np.array([0.0, offsets[0]])
    kernel = np.zeros((layer.field, 4**layer.word_bp, layer.units + 1), np.float32)
    bias = np.full(layer.units + 1, offsets.min() - 5.0)
    bias[known] = offsets
    of_word, at = np.arange(4**layer.word_bp), 0
    for stretch, (count, stretches) in columns:
        begun = of_word // (4**layer.word_bp // count)
        own = slopes[:, at : at + count * stretches].reshape(len(known), count, stretches)
        kernel[: len(stretch), :, known] += own[:, begun][:, :, stretch].transpose(2, 1, 0)
        at += count * stretches
    layer.kernel.assign(kernel[..., 1:] - kernel[..., :1])
    layer.bias.assign(bias[1:] - bias[0])


def _stretches(places: int) -> list[np.ndarray]:
    """Which stretch each place belongs to, for every width and offset."""
    place, found = np.arange(places), []
    for width in _STRETCHES:
        for offset in {0, width // 2}:
            found.append((place + offset) // width if width else 0 * place)
    return found
