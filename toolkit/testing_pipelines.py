"""What every pipeline must keep, asked in one call: `check_pipeline`."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.bundle import is_bundle
from deepfield.toolkit.commands import RUN, Flags
from deepfield.toolkit.data import Arrays, Sample
from deepfield.toolkit.errors import EXIT_CODES, BadInput, DeepfieldError
from deepfield.toolkit.export import disagreement, keras_network
from deepfield.toolkit.golden import TOLERANCE
from deepfield.toolkit.packing import rebuild
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.presets import preset_folder
from deepfield.toolkit.verbs import flags_of
from deepfield.toolkit.weights import weights_of

#: Largest difference between an answer given in a batch and one given by itself.
ALONE = 1e-5


def check_pipeline(
    make: Callable[[], Pipeline],
    data: str,
    bad: Sample,
    folder: Path,
    *,
    learnt: tuple[str, float] = ("accuracy", 0.9),
    settings: Mapping[str, Any] | None = None,
    split: str | None = None,
    random_items: Callable[[np.random.Generator], Arrays] | None = None,
    verbs: Sequence[str] = tuple(RUN),
    asked: str | None = None,
) -> Path:
    """Assert all that DESIGN section 5 asks of a pipeline, on one small data set.

    In this order: it learns the set, through the verb `train`; the same seed gives the same
    weights, calibration and figures, bit for bit; what was saved answers as what was trained;
    answers in a batch are those given one by one; ONNX agrees with Keras on real, golden and random
    inputs of several lengths; a bad sample between two good ones costs its own row only, and the
    order stays; every verb runs; presets that are shipped answer as they should.

    Args:
        make: makes a new pipeline.
        data: a labelled source that one of the pipeline's readers reads.
        bad: a sample that must be rejected, whatever the network.
        folder: an empty folder to write to.
        learnt: a figure of the test part (else the validation part) and the least it must be.
        settings: for training.
        split: as on the command line.
        random_items: draws the arrays of one item, for inputs that are not numbers drawn at will
            (graphs); by default every input is drawn by itself, with free axes of any length.
        verbs: which verbs to run; `train` always is.
        asked: a source of what it answers, if that is another thing than what it learns from: pairs
            of a network that learns from single pictures.

    Returns:
        The folder of the bundle.

    Raises:
        AssertionError: says what differed, and by how much.

    Example:
        >>> from deepfield.domains.image.pipeline import ImagePipeline
        >>> bad = Sample("1", "none.png", fault="no such file")
        >>> check_pipeline(ImagePipeline, "digits", bad, folder)  # doctest: +SKIP
    """
    cls = type(make())
    samples, questions = list(make().read(data)), list(make().read(asked or data))
    flags: dict[str, Any] = {
        "split": split, "seed": 3, "quiet": True, "json": True,
        "set": tuple(f"{k}={json.dumps(v)}" for k, v in (settings or {}).items()),
        "architecture": make().architecture, **make().settings,
    }  # fmt: skip
    path = folder / "model"
    said = _run_verb(cls, "train", data, {**flags, "output": str(path)}, {0})
    _check_learnt(said, learnt)
    _check_same_bits(make, data, path, settings, split)
    onnx, live = cls.load(path), cls.load(path)
    live._networks = {name: keras_network(model) for name, model in rebuild(live).items()}
    _check_answers(onnx, live, questions)
    _check_forms(onnx, live, samples, random_items)
    _check_bad(onnx, questions, bad)
    others = [v for v in verbs if v != "train"]
    _check_verbs(cls, data, asked or data, path, folder, flags, others)
    for name in cls.presets:
        if is_bundle(preset_folder(cls, name)):
            found = cls.from_preset(name).check()
            _check(found["ok"], f"the preset {name} does not answer as it did", found)
    return path


# ------------------------------------------------------------------------------------- the parts


def _check_learnt(said: str, learnt: tuple[str, float]) -> None:
    metrics = json.loads(said)["metrics"]
    metric, least = learnt
    part = metrics.get("test") or metrics["valid"]
    _check((part[metric] or -math.inf) >= least, f"{metric} below {least}", part)


def _check_same_bits(
    make: Callable[[], Pipeline], data: str, path: Path, settings: Any, split: str | None
) -> None:
    """A second training, by way of Python, ends in the bundle's weights and figures."""
    again = make()
    again.baseline = ""  # nothing here depends on the shallow model
    fitted = again.fit(data, settings=settings, split=split, seed=3)
    bundle = type(again).load(path).bundle
    assert bundle is not None
    for name, model in again.models.items():
        stored = weights_of(bundle, name)
        for variable in model.weights:
            ours, theirs = np.asarray(variable), stored[variable.path]
            same = np.array_equal(ours, theirs.astype(ours.dtype))
            _check(same, "the same seed gave another weight", variable.path)
    config = bundle.config
    _check(_plain(fitted.metrics) == config["metrics"], "other figures", fitted.metrics)
    calibration = again.calibrator.config() if again.calibrator else None
    _check(_plain(calibration) == config["calibration"], "another calibration", calibration)
    _check(_plain(again.state) == config["state"], "another state", again.state)


def _check_answers(onnx: Pipeline, live: Pipeline, samples: Sequence[Sample]) -> None:
    """Rows of the saved pipeline: in a batch, one by one, and by Keras."""
    some = list(samples[:40])
    rows = list(onnx.predict(some, batch_size=32))
    _check(rows and all(r["status"] == "ok" for r in rows), "a good sample is rejected", rows)
    missing = [c for c in onnx.columns if c not in rows[0]]
    _check(not missing, "columns that are declared, but not in the rows", missing)
    json.dumps(rows, allow_nan=False)
    _same_rows("one by one", list(onnx.predict(some, batch_size=1)), rows, ALONE)
    alone = [row for sample in some for row in onnx.predict([sample])]
    _same_rows("each sample by itself", alone, rows, ALONE)
    _same_rows("Keras", list(live.predict(some, batch_size=32)), rows, TOLERANCE)
    _same_rows("Keras one by one", list(live.predict(some[:10], batch_size=1)), rows, TOLERANCE)


def _check_forms(
    onnx: Pipeline, live: Pipeline, samples: Sequence[Sample],
    random_items: Callable[[np.random.Generator], Arrays] | None,
) -> None:  # fmt: skip
    """ONNX against Keras on golden and on random inputs; outputs alone and in a padded batch."""
    golden = onnx.check()
    _check(golden["ok"] and golden["items"] > 0, "golden outputs differ", golden)
    encoded = [e.arrays for e in islice(onnx.encoded(samples), 60) if e.arrays]
    rng = np.random.default_rng(0)
    for _ in range(12):
        item = random_items(rng) if random_items else _random_item(rng, encoded, live)
        batch = {k: v[None] for k, v in item.items()}
        gap = disagreement(onnx.forward(batch), live.forward(batch))
        shapes = {k: v.shape for k, v in item.items()}
        _check(gap <= TOLERANCE, f"ONNX differs from Keras on random inputs {shapes}", gap)


def _random_item(rng: np.random.Generator, encoded: Sequence[Arrays], pipeline: Pipeline) -> Arrays:
    """Values like those of the data; axes that no network fixes get a length of their own."""
    free: dict[str, Any] = {}
    for model in pipeline.models.values():
        free |= {tensor.name: tensor.shape[1:] for tensor in model.inputs}
    item: Arrays = {}
    for name in encoded[0]:
        values = [arrays[name] for arrays in encoded]
        shape = list(values[0].shape)
        for axis, size in enumerate(free.get(name, ())):
            if size is None:
                longest = max(v.shape[axis] for v in values)
                shape[axis] = int(rng.integers(min(v.shape[axis] for v in values), 2 * longest + 1))
        every = np.concatenate([v.ravel() for v in values])
        item[name] = rng.choice(every, shape).astype(every.dtype)
        if every.dtype.kind == "f":
            item[name] += rng.normal(0, every.std() / 2, shape).astype(every.dtype)
    return item


def _check_bad(pipeline: Pipeline, samples: Sequence[Sample], bad: Sample) -> None:
    first, second = samples[0], samples[1]
    good = [list(pipeline.predict([s])) for s in (first, second)]
    rows = list(pipeline.predict([first, bad, second]))
    status = [r["status"] for r in rows]
    wanted = ["ok"] * len(good[0]) + ["rejected"] + ["ok"] * len(good[1])
    _check(status == wanted, "a bad sample between two good ones", status)
    place = len(good[0])
    _check(rows[place]["reason"], "a rejected row has no reason", rows[place])
    empty = all(rows[place][c] is None for c in pipeline.fields)
    _check(empty, "a rejected row has an answer", rows[place])
    rest = rows[:place] + rows[place + 1 :]
    _same_rows("beside a bad sample", rest, [*good[0], *good[1]], ALONE)
    skipped = list(pipeline.predict([first, bad, second], on_error="skip"))
    _check(len(skipped) == len(rest), "on_error='skip' leaves other rows", skipped)
    try:
        list(pipeline.predict([first, bad, second], on_error="fail"))
    except BadInput as error:
        _check(bad.id in error.reason, "the error does not name the sample", error.reason)
    else:
        raise AssertionError("on_error='fail' did not fail")
    only = list(pipeline.predict([bad]))
    _check([r["status"] for r in only] == ["rejected"], "a bad sample alone", only)


def _check_verbs(
    cls: type[Pipeline], data: str, asked: str, path: Path, folder: Path, flags: dict[str, Any],
    verbs: Iterable[str],
) -> None:  # fmt: skip
    model = {**flags, "model": str(path)}
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "inspect": (data, {**flags, "no_timing": True}),
        "finetune": (data, {**flags, "from": str(path), "output": str(folder / "finer"),
                            "set": (*flags["set"], "epochs=1")}),
        "evaluate": (data, {**model, "html": str(folder / "page.html")}),
        "predict": ((asked,), {**model, "output": str(folder / "rows.csv"), "json": False}),
        "explain": (asked, {**model, "output": str(folder / "why.png")}),
        "export": (None, {**model, "output": str(folder / "network.onnx")}),
        "describe": (cls.default_architecture, flags),
    }  # fmt: skip
    for verb in verbs:
        subject, given = calls[verb]
        try:
            said = _run_verb(cls, verb, subject, given, {0, 3})
        except DeepfieldError as error:
            if verb == "explain" and "has no explanation" in error.message:
                continue
            raise
        if verb == "evaluate":
            result = json.loads(said)
            keys = {"model", "data", "n", "rejected", "seconds", "metrics", "baseline", "groups"}
            _check(keys <= set(result), "evaluate lacks", keys - set(result))
            _check((folder / "page.html").stat().st_size > 500, "empty report", "page.html")
        if verb == "export":
            gaps = [json.loads(line)["largest_difference"] for line in said.splitlines()]
            _check(gaps and max(gaps) <= TOLERANCE, "the exported network differs", gaps)
        if verb == "finetune":
            _check(cls.load(folder / "finer").check()["ok"], "fine-tuned: golden", "differs")


def _run_verb(
    cls: type[Pipeline], verb: str, subject: Any, flags: dict[str, Any], codes: set[int]
) -> str:
    """Run a verb's function; what it writes to standard output."""

    def load(name: str, domain: str | None = None, device: str = "cpu") -> Pipeline:
        return cls.load(name, device)

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        arguments = () if subject is None else (subject,)
        defaults = {flag.name: flag.default for flag in flags_of(verb)}
        code = RUN[verb](cls, load, *arguments, Flags(defaults | flags))
    _check(code in codes, f"{verb} ended with {EXIT_CODES.get(code)}", code)
    return out.getvalue()


# ------------------------------------------------------------------------- saying what differed


def _same_rows(what: str, got: Sequence[Any], wanted: Sequence[Any], tolerance: float) -> None:
    wanted = wanted[: len(got)] if "Keras" in what else wanted
    _check(len(got) == len(wanted), f"{what}: number of rows", (len(got), len(wanted)))
    for index, (a, b) in enumerate(zip(got, wanted, strict=True)):
        _same(f"{what}: row {index}", a, b, tolerance)


def _same(where: str, a: Any, b: Any, tolerance: float) -> None:
    if isinstance(b, Mapping):
        _check(set(a) == set(b), f"{where}: other names", (list(a), list(b)))
        for key in b:
            _same(f"{where}, {key}", a[key], b[key], tolerance * _size(b, key))
    elif isinstance(b, list | tuple):
        _check(len(a) == len(b), f"{where}: other length", (a, b))
        for x, y in zip(a, b, strict=True):
            _same(where, x, y, tolerance)
    elif isinstance(b, float) and isinstance(a, int | float):
        # Answers are rounded to six decimals: that much may differ in any case.
        _check(abs(a - b) <= tolerance * max(1.0, abs(b)) + 1e-6, where, (a, b))
    elif not where.endswith("_reason"):  # a sentence with a rounded number in it
        _check(a == b, where, (a, b))


def _size(row: Mapping[str, Any], key: str) -> float:
    """How large what a bound of an interval is the sum or the difference of may be, at least 1: a
    bound near 0 is as exact as the whole interval.
    """
    for end, other in (("low", "high"), ("high", "low")):
        far = row.get(key.removesuffix(end) + other) if key.endswith(end) else None
        if isinstance(far, float):
            return max(1.0, abs(far))
    return 1.0


def _plain(value: Any) -> Any:
    def simple(thing: Any) -> Any:
        return thing.tolist() if hasattr(thing, "tolist") else str(thing)

    return json.loads(json.dumps(value, default=simple))


def _check(true: Any, message: str, value: Any) -> None:
    if not true:
        raise AssertionError(f"{message}: {value}")
