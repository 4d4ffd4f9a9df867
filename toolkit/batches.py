"""Encoded items in batches for Keras' `fit`, in an order that a resume can find again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.trainers.data_adapters import data_adapter_utils
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from deepfield.toolkit.data import Arrays, collate, sizes_of

#: Axes up to this length are padded to one length, where there are to be few shapes.
_SHORT = 16


class Share(NamedTuple):
    """Which part of every batch this machine takes, where several train together."""

    place: int = 0  #: of this machine among all
    machines: int = 1
    devices: int = 1  #: of all machines together


class Batches(keras.utils.PyDataset):
    """Encoded items in batches whose order depends on the seed and the epoch alone.

    Items of equal shapes are kept stacked; ragged ones are batched by similar length and padded.

    Args:
        inputs: arrays of each item by input name.
        targets: arrays of each item by output name, or None for prediction alone.
        batch_size: items a batch.
        seed: of the order; None keeps the order of the items.
        padding: value by input name for ragged items.
        weights: of each item in the loss.
        share: this machine's part of every batch. So that all devices get equal parts, a batch is
            filled up with its own first items where needed, as PyTorch's `DistributedSampler`
            does.
        named: hand the targets over by name also where there is one alone, as a network with
            further outputs wants them.
        vary: changes a training batch, where that is no layer's work: called with a random
            generator, the places of its items, its inputs and its targets, it returns the last
            two. What it draws depends on seed, epoch and batch alone. Its attribute `widens`, if
            it has one, names inputs and targets of which it changes the length, their first axis.
        few_shapes: pad to few different shapes, as a compiled step wants: axes that are never
            longer than 16 to the longest of all items, others to the next power of two or three
            quarters of one (axes that never vary stay as they are); and fill up the last batch of
            a training epoch with its first items.
    """

    def __init__(
        self,
        inputs: Sequence[Arrays],
        targets: Sequence[Arrays] | None,
        batch_size: int,
        seed: int | None = None,
        padding: Mapping[str, float] | None = None,
        weights: np.ndarray | None = None,
        share: Share | None = None,
        named: bool = False,
        vary: Callable[..., tuple[Arrays, Arrays]] | None = None,
        few_shapes: bool = False,
    ) -> None:
        super().__init__()
        self.padding = dict(padding or {})
        self.batch_size, self.seed, self.weights = batch_size, seed, weights
        self.share, self.named, self.vary = share or Share(), named, vary
        self.epoch, self.skip, self.running = 0, 0, False
        self.count = len(inputs)
        shapes = {tuple((n, a.shape) for n, a in item.items()) for item in inputs}
        self.ragged = len(shapes) > 1
        self.sizes = sizes_of(inputs) if self.ragged else None
        self.items: Any = list(inputs) if self.ragged else collate(list(inputs), {})
        self.targets: Any = None
        if targets is not None:
            kinds = {tuple((n, a.shape) for n, a in item.items()) for item in targets}
            self.targets = list(targets) if len(kinds) > 1 else collate(list(targets), {})
        self.axes = _axes([*inputs, *(targets or ())]) if self.ragged or few_shapes else {}
        self.few_shapes = few_shapes
        self._order: tuple[int, list[np.ndarray]] | None = None

    def resized(self, batch_size: int) -> Batches:
        """The same items, not copied, in batches of another size and in an order of their own."""
        twin = copy.copy(self)
        twin.batch_size, twin.epoch, twin.skip, twin.running = batch_size, -1, 0, True
        twin._order = None
        return twin

    def order(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch as indices of items."""
        if self._order is not None and (self._order[0] == epoch or self.seed is None):
            return self._order[1]
        items = np.arange(self.count)
        rng = np.random.default_rng((self.seed or 0, epoch + 1))
        if self.seed is not None:
            items = rng.permutation(items)
        if self.sizes is not None:
            # Sorting by length inside windows of many batches wastes little on padding and still
            # mixes the items anew in every epoch.
            window = 50 * self.batch_size if self.seed is not None else self.count
            sizes = np.asarray(self.sizes)
            items = np.concatenate(
                [
                    part[np.argsort(sizes[part], kind="stable")]
                    for part in (items[i : i + window] for i in range(0, self.count, window))
                ]
            )
        batches = [items[i : i + self.batch_size] for i in range(0, self.count, self.batch_size)]
        if self.sizes is not None and self.seed is not None:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        self._order = (epoch, batches)
        return batches

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    @property
    def num_batches(self) -> int:
        """Batches of the epoch that are still to come (fewer after a resume in its middle)."""
        # Keras asks once before it starts, and takes the answer as the length of every epoch.
        return len(self) - self.skip if self.running else len(self)

    def on_epoch_begin(self) -> None:
        """Keras calls this before the first batch of an epoch."""
        self.running = True

    def on_epoch_end(self) -> None:
        """Keras calls this after the last batch of an epoch, and once before the first."""
        if self.running:
            self.epoch, self.skip, self.running = self.epoch + 1, 0, False

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        order = self.order(self.epoch)
        index += self.skip if self.running else 0
        chosen = order[index]
        if self.few_shapes and self.seed is not None:
            chosen = np.resize(chosen, self.batch_size)
        own = self._own(len(chosen))
        inputs, targets = self._taken(chosen, own)
        if self.vary is not None:
            rng = np.random.default_rng((self.seed or 0, self.epoch + 1, index))
            inputs, targets = self.vary(rng, chosen[own], inputs, targets)
        return self._handed(inputs, targets, chosen[own])

    def examples(self) -> list[tuple[Any, ...]]:
        """Two batches that differ along every axis along which batches may differ."""
        chosen = self.order(self.epoch)[0]
        own = self._own(len(chosen))
        inputs, targets = self._taken(chosen, own)
        wide = self._wider(inputs), self._wider(targets)
        return [self._handed(*pair, chosen[own]) for pair in ((inputs, targets), wide)]

    def _taken(self, chosen: np.ndarray, own: Any) -> tuple[Arrays, Arrays]:
        # Ragged items are padded before they are dealt out, so that all parts have one shape.
        inputs = self._take(self.items, chosen, own)
        return inputs, {} if self.targets is None else self._take(self.targets, chosen, own)

    def _handed(self, inputs: Arrays, targets: Arrays, places: np.ndarray) -> tuple[Any, ...]:
        """Inputs, targets and weights as Keras takes them."""
        if self.targets is None:
            return (_single(inputs),)
        batch = (_single(inputs), targets if self.named else _single(targets))
        return batch if self.weights is None else (*batch, self.weights[places])

    def _own(self, count: int) -> Any:
        """Places in a batch of `count` items that are this machine's."""
        place, machines, devices = self.share
        if devices == 1:
            return slice(None)
        filled = np.resize(np.arange(count), -(-count // devices) * devices)
        return np.split(filled, machines)[place]

    def _wider(self, arrays: Arrays) -> Arrays:
        """One longer along every axis in which items differ, or that `vary` changes."""
        wide: Arrays = {}
        for name, array in arrays.items():
            axes = self.axes.get(name) or [(n, n) for n in array.shape[1:]]
            differ = [self.ragged and least < most for least, most in axes]
            if name in getattr(self.vary, "widens", ()):
                differ[0] = True
            wide[name] = np.pad(array, [(0, 0), *((0, int(d)) for d in differ)])
        return wide

    def _take(self, items: Any, chosen: np.ndarray, own: Any) -> Arrays:
        if isinstance(items, dict):
            return {name: array[chosen[own]] for name, array in items.items()}
        together = collate([items[i] for i in chosen], self.padding)
        if self.few_shapes:
            together = {
                name: _filled(array, self.axes[name], self.padding.get(name, 0))
                for name, array in together.items()
            }
        return {name: array[own] for name, array in together.items()}


class Feed(PyDatasetAdapter):
    """Batches as Keras takes them, without the autotuning of tf.data.

    There is nothing to tune, and the thread that does it sleeps for up to a minute at a time: at
    the end of every epoch that took longer than seconds, TensorFlow waits until it wakes up.
    """

    def get_tf_dataset(self) -> Any:
        """The batches as a `tf.data.Dataset`, which is told what axes they may differ in."""
        import tensorflow as tf

        examples = [self._standardize_batch(batch) for batch in self.py_dataset.examples()]
        self._output_signature = data_adapter_utils.get_tensor_spec(examples)
        options = tf.data.Options()
        options.autotune.enabled = False
        return super().get_tf_dataset().with_options(options)


def _axes(items: Sequence[Arrays]) -> dict[str, list[tuple[int, int]]]:
    """The shortest and the longest of every axis of the items, by name."""
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for item in items:
        for name, array in item.items():
            shapes.setdefault(name, set()).add(np.shape(array))
    return {
        name: [(min(sizes), max(sizes)) for sizes in zip(*own, strict=True)]
        for name, own in shapes.items()
    }


def _filled(array: np.ndarray, axes: list[tuple[int, int]], padding: float) -> np.ndarray:
    """An array padded to one of few shapes."""
    sizes = [
        most if most <= _SHORT or least == most else _rounded(size)
        for size, (least, most) in zip(array.shape[1:], axes, strict=True)
    ]
    missing = [(0, 0), *((0, n - size) for n, size in zip(sizes, array.shape[1:], strict=True))]
    return np.pad(array, missing, constant_values=padding)


def _rounded(size: int) -> int:
    power = 1 << max(0, size - 1).bit_length()
    return power * 3 // 4 if power > 2 and size <= power * 3 // 4 else power


def _single(arrays: Arrays) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
