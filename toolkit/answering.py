"""Encoded items to answers: in chunks, which are read and encoded while others are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby, islice, tee
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.data import (
    Arrays,
    Encoded,
    Reader,
    Sample,
    batches_that_fit,
    collate,
    numbers_only,
    own_columns,
)
from deepfield.toolkit.errors import (
    ROWS,
    BadInput,
    DeepfieldError,
    NotFound,
    UnusableModel,
    UsageError,
    first_line,
    names_for,
)
from deepfield.toolkit.runtime import Network, cores

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline

#: Chunks that share the cores: neither waits while the other is in Python.
AT_ONCE = 2
#: Bytes of arrays that may wait for the network at one time.
_CHUNK_BYTES = 64 << 20

#: Items, each with its answer: empty for a rejected one.
Answered = tuple[Encoded, dict[str, Any]]


def samples(
    pipeline: Pipeline, data: Any, options: Mapping[str, Any], rejecting: bool = False
) -> Iterator[Sample]:
    """The samples of what a program asks about, one thing or several.

    Args:
        pipeline: knows what one of them is.
        data: a source's name, a sample, a raw thing, a table's row as a dictionary, or several of
            these.
        options: of the reader.
        rejecting: one source of several that is not there costs its own row alone.

    Raises:
        UsageError: a table in memory that is of neither pandas nor polars, or an option that no
            reader has.
        NotFound: no such source.
    """
    known = {name for reader in pipeline.readers for name in reader.options}
    if unknown := sorted(set(options) - known):
        raise UsageError(
            f"no option {unknown[0]!r} of {pipeline.domain}", names_for(unknown[0], sorted(known))
        )
    if hasattr(type(data), "columns"):  # of the class: one of polars warns when it is asked
        yield from _of_table(pipeline, data, options)
        return
    if isinstance(data, str | Path):
        yield from pipeline.read(str(data), **options)
        return
    if pipeline.is_one(data):
        data = [data]
    reader = next((reader for reader in pipeline.readers if reader.rows is not None), None)
    seen: set[bool] = set()  # whether things were rows: those so far, and the next one

    def is_row(pair: tuple[int, Any]) -> bool:
        own = pipeline.is_row(pair[1])
        seen.add(own)
        return own

    for are_rows, pairs in groupby(enumerate(data), is_row):
        if are_rows and reader is not None:
            yield from _of_rows(reader, pairs, options, seen)
            continue
        for index, thing in pairs:
            try:
                yield from pipeline.samples_of(thing, index, **options)
            except (NotFound, UsageError) as error:
                nameless = isinstance(thing, str) and (not thing.strip() or "\0" in thing)
                if not rejecting or not (nameless or isinstance(error, NotFound)):
                    raise
                yield Sample(str(thing), None, fault=error.message)


def _of_rows(
    reader: Reader, pairs: Iterator[tuple[int, Any]], options: Mapping[str, Any], seen: set[bool]
) -> Iterator[Sample]:
    """Rows that stand side by side among several things, numbered by their places.

    Where no column fits any of them, they are rejected; if nothing else was seen, it is an error.
    """
    given = reader.given(ROWS, options)
    place, row = next(pairs)
    told = ({str(k): v for k, v in row.items()} for _, row in chain([(place, row)], pairs))
    rows, kept = tee((row, None) for row in told)
    assert reader.rows is not None
    try:
        samples = iter(reader.rows(ROWS, rows, start=place + 1, **given))
        head = list(islice(samples, 1))  # the columns are told apart
    except UsageError as error:
        if False not in seen:
            raise
        for number, (row, _) in enumerate(kept, start=place + 1):
            yield Sample(f"row {number}", None, row=row, fault=error.message)
        return
    del kept  # or it would keep all rows
    yield from chain(head, samples)


def _of_table(pipeline: Pipeline, table: Any, options: Mapping[str, Any]) -> Iterator[Sample]:
    """A table of pandas or polars, read as the CSV file that it would make."""
    kind = type(table).__name__
    if not hasattr(table, "to_csv") and not hasattr(table, "write_csv"):
        raise UsageError(f"a {kind} is a table that cannot be read", "give a DataFrame, or a file")
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "table.csv")
        try:
            if hasattr(table, "to_csv"):
                table.to_csv(path, index=False)
            else:
                table.write_csv(path)
        except Exception as error:  # of another library: a column of lists, say
            raise UsageError(
                f"the {kind} cannot be read as a table: {first_line(error)}",
                "give it columns of texts and numbers",
            ) from None
        takes = next((r.options for r in pipeline.readers if r.accepts(path)), ())
        here = {"root": str(Path.cwd())} if "root" in takes else {}  # paths are from where we are
        try:
            yield from pipeline.read(path, **{**here, **options})
        except DeepfieldError as error:  # who gave no file is told of none
            error.message = error.message.replace(repr(path), f"the {kind}")
            raise


def travelling(pipeline: Pipeline) -> tuple[Any, ...]:
    """How a pipeline goes to another process (pickle), or is copied: as its bundle, read there.

    Raises:
        TypeError: it has none.
    """
    if pipeline.bundle is None:
        raise TypeError("a pipeline without a bundle stays in its process: save it, and load that")
    again = type(pipeline).from_bundle
    return again, (pipeline.bundle, pipeline.device), {"settings": pipeline.settings}


def network(pipeline: Pipeline, name: str) -> Callable[[Arrays], Arrays]:
    """One named network of a pipeline: from its bundle, or the Keras model that there is."""
    if pipeline.bundle is None:
        from deepfield.toolkit.export import keras_network

        return keras_network(pipeline.models[name])
    content, threads = pipeline.bundle.read(f"{name}.onnx"), max(1, cores() // AT_ONCE)
    return Network(content, name, pipeline.device, threads, pipeline.any_length)


def answers(pipeline: Pipeline, items: Iterable[Encoded], batch_size: int) -> Iterator[Answered]:
    """Items with their answers, in order.

    A network's answer depends, in its last bit, on what is answered beside it; so a run that goes
    on behind an earlier one (`pipeline.resumed`) puts together what that one would have.
    """
    if batch_size < 1:
        raise UsageError(f"batches of {batch_size} items", "1 or more")
    at_once = 1 if pipeline.bundle is None else AT_ONCE  # Keras networks take one thread
    with ThreadPoolExecutor(at_once) as threads:
        waiting: deque[Future] = deque()
        try:
            for chunk in in_chunks(items, 2 * batch_size, early=not pipeline.resumed):
                waiting.append(threads.submit(answer_chunk, pipeline, chunk, batch_size))
                if len(waiting) > at_once:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def row(pipeline: Pipeline, item: Encoded, answer: Mapping[str, Any]) -> dict[str, Any]:
    """One row of output: the columns of a sample, and those of its answer."""
    rejected = item.fault is not None
    full: dict[str, Any] = {**dict.fromkeys(pipeline.fields if rejected else ()), **answer}
    for name in ("in_domain", "in_domain_reason"):
        full.setdefault(name, None)
    full["status"] = "rejected" if rejected else "ok"
    full["reason"], full["model"] = item.fault or "", pipeline.name
    return {**own_columns(item.sample, full), **full}


def rows(
    pipeline: Pipeline, pairs: Iterable[Answered], on_error: str = "null"
) -> Iterator[dict[str, Any]]:
    """Rows of items and their answers; `on_error` as `predict` takes it."""
    if on_error not in ("null", "skip", "fail"):
        raise UsageError(f"on_error={on_error!r}", "there are null, skip, fail")
    for item, answer in pairs:
        if item.fault is not None:
            if on_error == "fail":
                raise BadInput(f"{item.sample.id}: {item.fault}")
            if on_error == "skip":
                continue
        yield pipeline.row(item, answer)


def explained(pipeline: Pipeline, thing: Any, **options: Any) -> Any:
    """Why a network says so of one thing.

    Args:
        pipeline: a trained one.
        thing: what `predict` takes one of: a source's name, a sample or a raw thing.
        options: of the reader.

    Returns:
        The domain's explanation: `facts()` (JSON-able), `lines()`, `png()` and `report()`.

    Raises:
        BadInput: the thing cannot be answered.
    """
    samples = iter(pipeline.as_samples([thing], **options))
    first = next(samples, None)
    if first is None or first.fault is not None:
        raise BadInput(f"no sample in {thing!r}: {first.fault if first else 'empty'}")
    return pipeline.explain_several(chain([first], samples))


def answer_chunk(pipeline: Pipeline, chunk: list[Encoded], batch_size: int) -> list[Answered]:
    """Items with their answers; their arrays are let go."""
    good = [i for i, item in enumerate(chunk) if item.fault is None]
    found: list[dict[str, Any]] = [{} for _ in chunk]
    arrays = [chunk[i].arrays or {} for i in good]
    for batch in batches_that_fit(arrays, batch_size):
        outputs = pipeline.calibrated(
            pipeline.forward(collate([arrays[i] for i in batch], pipeline.padding))
        )
        novelty = pipeline.novelty
        judged = pipeline.novelty_outputs(outputs) if novelty is not None else None
        inside, scores = novelty.apply(judged) if novelty and judged is not None else (None, ())
        sound = numbers_only(outputs["prediction"])
        for place, index in enumerate(batch):
            item = chunk[good[index]]
            if not sound[place]:
                item.fault = _not_a_number(pipeline)
                continue
            item.prediction = outputs["prediction"][place]
            own = {name: values[place] for name, values in outputs.items()}
            try:
                answer = pipeline.decode(own, item.context)
            except BadInput as error:
                item.fault = error.reason
                continue
            if inside is not None and novelty is not None:
                known = bool(inside[place])
                answer.setdefault("in_domain", known)
                answer.setdefault(
                    "in_domain_reason", "" if known else novelty.reason(scores[place])
                )
            found[good[index]] = answer
    for item in chunk:
        item.arrays = None
    return list(zip(chunk, found, strict=True))


def _not_a_number(pipeline: Pipeline) -> str:
    if pipeline.bundle is not None and not pipeline.check()["ok"]:
        raise UnusableModel(f"{pipeline.name!r} answers with no numbers", "train the model again")
    return "the network's answer is no number"


def in_chunks(items: Iterable[Encoded], count: int, early: bool = True) -> Iterator[list[Encoded]]:
    """Items in lists of up to `count`, fewer where they are large.

    The first one is small, so that the first answers come at once, unless that is not asked for.
    One ends at every multiple of `count`: who goes on from there gets the same lists.
    """
    chunk: list[Encoded] = []
    held, first = 0, max(1, min(64, count // 8)) if early else 0
    for seen, item in enumerate(items, start=1):
        chunk.append(item)
        held += sum(a.nbytes for a in (item.arrays or {}).values())
        if seen % count == 0 or seen == first or held > _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
