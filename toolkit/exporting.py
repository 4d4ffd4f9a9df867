"""`export`: the network in other forms, each compared with Keras on the bundle's golden inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit import export
from deepfield.toolkit.bundle import Bundle
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError, UsageError
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.runtime import Network
from deepfield.toolkit.writers import write_whole


def export_files(pipeline: Pipeline, output: str) -> list[dict[str, Any]]:
    """Write every network of a pipeline; several get their names before the suffix.

    Args:
        pipeline: loaded from a bundle.
        output: ends in `.onnx` or `.tflite`.

    Returns:
        For each network `{"file", "bytes", "largest_difference"}`, the difference being
        max |a - b| / max(1, |b|) against Keras.

    Raises:
        DeepfieldError: the network does not convert, or the converted one disagrees.
    """
    path = Path(output)
    if path.suffix not in (".onnx", ".tflite"):
        raise UsageError(f"cannot export to {output!r}", "end the name in .onnx or .tflite")
    results = []
    for name in pipeline.members:
        model = pipeline.models[name]
        single = len(pipeline.members) == 1
        file = path if single else path.with_name(f"{path.stem}.{name}{path.suffix}")
        if path.suffix == ".onnx":
            content = pipeline.bundle.read(f"{name}.onnx") if pipeline.bundle else b""
            content = content or export.to_onnx(model)
            write_whole(file, content)
            run: Any = Network(file.read_bytes(), name)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            export.to_litert(model, file)
            run = export.litert_network(file)
        reference = export.keras_network(model)
        worst = 0.0
        for inputs in golden_inputs(pipeline.bundle, model):
            ours, theirs = run(inputs), reference(inputs)
            worst = max(worst, export.disagreement(ours, theirs))
        if worst > export.TOLERANCE:
            file.unlink(missing_ok=True)
            raise DeepfieldError(
                f"the exported network differs from Keras by {worst:.2g}", "use another form"
            )
        size = file.stat().st_size
        results.append({"file": str(file), "bytes": size, "largest_difference": worst})
    return results


def golden_inputs(bundle: Bundle | None, model: Any) -> list[Arrays]:
    """Batches of one from the bundle's golden inputs, as far as this network takes them."""
    names = {tensor.name: tensor.dtype for tensor in model.inputs}
    if bundle is None:
        return []
    golden = bundle.arrays("golden.safetensors")
    found: dict[str, Arrays] = {}
    for key, value in golden.items():
        kind, index, name = key.split("/", 2)
        if kind == "input" and name in names:
            found.setdefault(index, {})[name] = np.asarray(value)[None].astype(names[name])
    return list(found.values())
