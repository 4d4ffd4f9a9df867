"""Batch normalisation's statistics, recomputed for the weights and the inputs that are kept."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from deepfield.toolkit.batches import Batches

#: Enough items for statistics that more of them would not change to three digits.
MOST_ITEMS = 20_000
#: Values of the inputs of one batch, where items differ in length: of long ones there are few.
MOST_VALUES = 1 << 22


def recalibrate(model: Any, train: Batches, batch_size: int = 512, most: int = MOST_ITEMS) -> None:
    """Recompute the moving mean and variance of every batch normalisation, in place.

    One pass over training items with batch normalisation in training mode and everything else
    (augmentation, dropout) as at prediction. The mean is that over all items; the variance is
    E[x²] - E[x]² over all items, so that what differs between batches counts too. Layers that are
    frozen (`trainable = False`) keep their statistics. A function of the weights and of the order
    of epoch 0 alone, so a resume finds the same numbers.

    Args:
        model: a built Keras model.
        train: the training part.
        batch_size: items a batch: large, since a layer sees inputs normalised by their own batch;
            fewer of long recordings, whose batches would not fit into memory.
        most: items that are looked at.
    """
    found = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not found:
        return
    if train.sizes is not None:
        batch_size = min(batch_size, max(8, MOST_VALUES // max(1, max(train.sizes))))
    batches = train.resized(batch_size)
    batches.vary = None  # augmentation that is no layer's
    sums = [[0.0, 0.0] for _ in found]
    count = 0
    momenta = [layer.momentum for layer in found]
    try:
        for layer in found:
            # With momentum 0 the moving statistics are those of the last batch.
            layer.momentum = 0.0
            layer.call = functools.partial(_in_training_mode, layer.call)
        for index in range(len(batches)):
            inputs = batches[index][0]
            items = len(keras.tree.flatten(inputs)[0])
            model(inputs, training=False)
            for layer, total in zip(found, sums, strict=True):
                mean, variance = _statistics(layer)
                total[0] += items * mean
                total[1] += items * (variance + mean**2)
            count += items
            if count >= most:
                break
    finally:
        for layer, momentum in zip(found, momenta, strict=True):
            layer.momentum = momentum
            del layer.call
    for layer, total in zip(found, sums, strict=True):
        mean = total[0] / count
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(total[1] / count - mean**2, 0.0))


def _in_training_mode(call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    return call(inputs, training=True, mask=mask)


def _statistics(layer: Any) -> tuple[Any, Any]:
    pair = (layer.moving_mean, layer.moving_variance)
    mean, variance = (keras.ops.convert_to_numpy(v).astype(np.float64) for v in pair)
    return mean, variance
