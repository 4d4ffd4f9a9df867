"""Samples to encoded items, in order; in several processes where encoding takes longest."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.data import Arrays, Encoded, Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.feature_cache import FeatureCache
from deepfield.toolkit.runtime import cores

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline

#: What encodes an item in another process: it must survive pickling.
Encoder = Callable[[Any], tuple[Arrays, Any]]

_ALONE = 512  # samples that are encoded here before processes are worth their start
TOGETHER = 128  # samples that travel together
_IDLE_S = 300


def encoded(pipeline: Pipeline, samples: Iterable[Sample], targets: bool) -> Iterator[Encoded]:
    """Every item of every sample, encoded or with the reason why not, in order."""
    encoder = pipeline.encoder()
    samples = iter(samples)
    if encoder is None or cores() == 1:
        yield from _here(pipeline, samples, targets)
        return
    yield from _here(pipeline, itertools.islice(samples, _ALONE), targets)
    first = next(samples, None)
    if first is not None:
        yield from _elsewhere(pipeline, encoder, itertools.chain([first], samples), targets)


def _here(pipeline: Pipeline, samples: Iterable[Sample], targets: bool) -> Iterator[Encoded]:
    for sample in samples:
        if sample.fault is not None:
            yield Encoded(sample, fault=sample.fault)
            continue
        told = pipeline.targets(sample) if targets else []
        try:
            for index, item in enumerate(pipeline.expand(_asked(sample, targets))):
                target = told[index : index + 1] if len(told) > 1 else told
                arrays = context = fault = None
                try:
                    arrays, context = pipeline.encode(item)
                except BadInput as error:
                    fault = error.reason
                yield _finished(
                    pipeline,
                    Encoded(sample, arrays, context, fault=fault),
                    target if targets else None,
                )
        except BadInput as error:
            yield Encoded(sample, fault=error.reason)


def _asked(sample: Sample, targets: bool) -> Sample:
    """Without its target where none is wanted: the answer is that to any such sample."""
    return sample if targets or sample.target is None else replace(sample, target=None)


def _finished(pipeline: Pipeline, item: Encoded, told: Sequence[Any] | None) -> Encoded:
    """With its target, where one is wanted."""
    if item.fault is None and told is not None:
        if not told:
            item.fault = "fewer targets than items"
        else:
            try:
                item.target = pipeline.task.encode(told[0])
            except BadInput as error:
                item.fault = error.reason
    if item.fault is not None:
        return Encoded(item.sample, fault=item.fault)
    return item


def _elsewhere(
    pipeline: Pipeline, encoder: Encoder, samples: Iterator[Sample], targets: bool
) -> Iterator[Encoded]:
    """As `_here`, for samples that are one item each."""
    # who learns comes back with the same data; who predicts comes with other data each time
    package = pipeline.cached_by if targets else ""
    chunks: deque[list[Sample]] = deque()

    def sound() -> Iterator[list[Any]]:
        while chunk := list(itertools.islice(samples, TOGETHER)):
            chunks.append(chunk)
            yield [sample.data for sample in chunk if sample.fault is None]

    for found in encoded_in_processes(encoder, sound(), pipeline.domain, package):
        answers = iter(found)
        for sample in chunks.popleft():
            if sample.fault is not None:
                yield Encoded(sample, fault=sample.fault)
                continue
            arrays, context, fault = next(answers)
            told = pipeline.targets(sample) if targets else None
            yield _finished(pipeline, Encoded(sample, arrays, context, fault=fault), told)


def encoded_in_processes(
    encoder: Encoder, chunks: Iterable[Sequence[Any]], domain: str = "", package: str = ""
) -> Iterator[list[tuple[Arrays | None, Any, str | None]]]:
    """Arrays, context, and what is wrong, of every item of every chunk, in order.

    Args:
        encoder: is called with an item, in other processes.
        chunks: items that travel together.
        domain: whose `FeatureCache` is used.
        package: the distribution that does the work (see `FeatureCache`); none is used without.
    """
    # joblib's processes, not those of the standard library: these would run the user's script again
    from joblib.externals.loky import get_reusable_executor

    workers = get_reusable_executor(
        max_workers=cores(), timeout=_IDLE_S, initializer=_end_with, initargs=(os.getpid(),)
    )
    cache = FeatureCache(domain, encoder, package) if package else None
    waiting: deque[tuple[Sequence[Any], list[Arrays | None], Any]] = deque()
    at = iter(chunks)
    while True:
        chunk = next(at, None)
        if chunk is not None:
            known: list[Arrays | None] = cache.get(chunk) if cache else [None] * len(chunk)
            new = [item for item, arrays in zip(chunk, known, strict=True) if arrays is None]
            waiting.append((chunk, known, workers.submit(_encode_all, encoder, new)))
        if not waiting:
            return
        if chunk is not None and len(waiting) <= 2 * cores():
            continue
        items, known, future = waiting.popleft()
        fresh = iter(future.result())
        found = [(own, None, None) if own is not None else next(fresh) for own in known]
        if cache:
            pairs = zip(items, known, found, strict=True)
            cache.put((i, f[0]) for i, own, f in pairs if own is None and f[0] is not None)
        yield found


def _end_with(parent: int) -> None:
    """End this process when its parent is gone.

    A parent that is killed tells nobody, and its workers would wait for ever: each of them holds
    both ends of the pipe that it writes its answers to, so that nothing breaks it.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _encode_all(encoder: Encoder, items: Sequence[Any]) -> list[tuple[Any, Any, str | None]]:
    found: list[tuple[Any, Any, str | None]] = []
    for item in items:
        try:
            arrays, context = encoder(item)
            found.append((arrays, context, None))
        except BadInput as error:
            found.append((None, None, error.reason))
    return found
