"""A pipeline into its bundle and back: weights by path, ONNX, golden outputs, the card."""

from __future__ import annotations

import contextlib
import json
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit import cards, export
from deepfield.toolkit.bundle import TABLES, Bundle, exactly_half, pack, to_half, write_bundle
from deepfield.toolkit.data import Arrays, sizes_of
from deepfield.toolkit.errors import DeepfieldError, UnusableModel
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.runtime import cores
from deepfield.toolkit.weights import pack_weights, weights_of

GOLDEN_ITEMS = 4


def save(
    pipeline: Pipeline,
    out: Path,
    facts: Mapping[str, Any] | None = None,
    golden: Sequence[Arrays] = (),
    history: Iterable[Mapping[str, float]] = (),
    name: str = "",
) -> Bundle:
    """Write a pipeline as a bundle.

    Weights that half precision holds exactly are stored in it, so a network is rounded first (see
    `round_weights`); one that must keep single precision, since others' answers are to be met, is
    not, and takes twice the room.

    Raises:
        DeepfieldError: the ONNX form disagrees with the Keras network, or the disk is full.
    """
    if pipeline.bundle is not None and not facts:
        files = {part: pipeline.bundle.read(part) for part in pipeline.bundle.files}
        return write_bundle(out, pipeline.bundle.config, files)
    pipeline.forget()
    models = pipeline.models
    files = {}
    for member, model in models.items():
        weights = {v.path: np.asarray(v) for v in model.weights}
        network = export.to_onnx(model)
        halved = {k: exactly_half(v) for k, v in weights.items()}
        files[f"{member}.safetensors"] = pack_weights(halved, network)
        files[f"{member}.onnx"] = network
    if pipeline.tables:
        files[TABLES] = pack(pipeline.tables)
    record: dict[str, np.ndarray] = {}
    for index, arrays in enumerate(golden):
        batch = {k: np.asarray(v)[None] for k, v in arrays.items()}
        for key, value in arrays.items():
            value = np.asarray(value)
            whole = value.dtype.kind != "f"
            record[f"input/{index}/{key}"] = value if whole else exactly_half(value)
        for key, value in pipeline.forward(batch).items():
            record[f"output/{index}/{key}"] = np.asarray(value[0], np.float32)
    files["golden.safetensors"] = pack(record)
    rows = list(history)
    if rows:
        columns = list(dict.fromkeys(k for row in rows for k in row))
        lines = [",".join(columns), *(",".join(str(r.get(c, "")) for c in columns) for r in rows)]
        files["training.csv"] = ("\n".join(lines) + "\n").encode()
    config = {
        "name": name or out.name,
        "domain": pipeline.domain,
        "architecture": pipeline.architecture,
        "members": list(models),
        "hyper": pipeline.hyper,
        "settings": pipeline.settings,
        "state": pipeline.state,
        "task": pipeline.task.state,
        "calibration": pipeline.calibrator.config() if pipeline.calibrator else None,
        "novelty": pipeline.novelty.config() if pipeline.novelty else None,
        "parameters": int(sum(m.count_params() for m in models.values())),
        **(facts or {}),
        "versions": versions(),
    }
    config = json.loads(json.dumps(config, default=_plain))
    files["card.md"] = cards.card(pipeline, config).encode()
    bundle = write_bundle(out, config, files)
    twin = type(pipeline).from_bundle(bundle)
    agreement = twin.check()
    if not agreement["ok"]:
        raise DeepfieldError(
            f"ONNX differs from Keras by {agreement['largest_difference']:.2g}",
            "this network does not convert faithfully: replace the layer that differs",
        )
    pipeline.bundle, pipeline.name = bundle, bundle.name
    pipeline._networks = {}
    return bundle


def golden_items(items: Sequence[Arrays]) -> list[Arrays]:
    """A few items of different sizes, spread over the data."""
    if not items:
        return []
    order = np.argsort(sizes_of(items), kind="stable")
    chosen = dict.fromkeys(int(i) for i in np.linspace(0, len(order) - 1, GOLDEN_ITEMS))
    return [items[order[i]] for i in chosen]


def rebuild(pipeline: Pipeline) -> dict[str, Any]:
    """The Keras models of a bundle, every weight set and none left over.

    Raises:
        UnusableModel: the stored weights are not those of this architecture.
    """
    models = build_models(pipeline)
    for name, model in models.items():
        set_weights(stored_weights(pipeline, name), model)
    return models


def stored_weights(pipeline: Pipeline, member: str) -> Arrays:
    """The weights of a member by variable path, from the bundle or from the live model."""
    if pipeline.bundle is None:
        return {v.path: np.asarray(v) for v in pipeline.models[member].weights}
    arrays = weights_of(pipeline.bundle, member)
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()}


def build_models(pipeline: Pipeline) -> dict[str, Any]:
    """The networks of a pipeline, freshly built, by name.

    Weights are found again by their paths, so layers that are not named must get the same names
    however many were built before in this process: Keras' counters start anew here.

    Raises:
        DeepfieldError: two weights of a network have the same path.
    """
    from deepfield.toolkit.training import names_counted_anew

    with names_counted_anew():
        built = pipeline.build(**pipeline.hyper)
    models = built if isinstance(built, dict) else {"model": built}
    for model in models.values():
        paths = Counter(v.path for v in model.weights)
        twice = [path for path, count in paths.items() if count > 1]
        if twice:
            raise DeepfieldError(f"two weights are named {twice[0]!r}", "name the layers")
    return models


def set_weights(weights: Mapping[str, np.ndarray], model: Any) -> None:
    """Set every weight of a model by its path.

    Raises:
        UnusableModel: a weight is missing, left over or of another shape.
    """
    wanted = {v.path: v for v in model.weights}
    missing, unknown = sorted(set(wanted) - set(weights)), sorted(set(weights) - set(wanted))
    if missing or unknown:
        which = f"lack {missing[0]!r}" if missing else f"hold {unknown[0]!r}, which it has not"
        raise UnusableModel(f"the weights of {model.name!r} {which}", "train the model again")
    for path, variable in wanted.items():
        if tuple(variable.shape) != weights[path].shape:
            raise UnusableModel(
                f"{path!r} has shape {weights[path].shape}, not {tuple(variable.shape)}",
                "train the model again",
            )
        variable.assign(weights[path])


def round_weights(model: Any) -> Any:
    """Round every weight to half precision where it fits; the model itself is returned."""
    for variable in model.weights:
        value = np.asarray(variable)
        variable.assign(to_half(value).astype(value.dtype))
    return model


def versions() -> dict[str, str]:
    """Versions of what a network was made with."""
    found = {"python": sys.version.split()[0]}
    for package in ("deepfield", "keras", "tensorflow", "numpy", "onnx", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def machine() -> str:
    """The processor and the cores that a figure was measured with."""
    return f"{platform.machine()}, {cores()} cores"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
