"""The network at prediction time: ONNX Runtime on the bundle's own bytes, no Keras."""

from __future__ import annotations

import os

import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError, UnusableModel, UsageError, first_line

# ONNX Runtime keeps a telemetry data base in the user's home unless told not to, before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# With one thread TensorFlow's convolutions of fewer than eight channels write where they must not,
# if oneDNN computes them. It reads this when it is imported.
_ALONE = cores() == 1 or os.environ.get("TF_NUM_INTRAOP_THREADS") == "1"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0" if _ALONE else "1")


class Network:
    """A network in ONNX Runtime: a function from arrays to arrays.

    Args:
        content: an ONNX model.
        name: for messages.
        device: `"cpu"` (default), `"gpu"` or `"auto"` (a GPU if ONNX Runtime offers one).
        threads: of the runtime; by default the cores that this process may use.
        any_length: inputs have hardly ever the same shape twice: the runtime does not note for
            every shape how it laid out its memory, which would grow with every new one.

    Raises:
        UnusableModel: the content is not a model that the runtime takes.
        DeepfieldError: a GPU was asked for and there is none.
    """

    def __init__(
        self, content: bytes, name: str = "model", device: str = "cpu", threads: int | None = None,
        any_length: bool = False,
    ) -> None:  # fmt: skip
        import onnxruntime

        if b"location" in content:
            _refuse_outside_data(content, name)
        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cores()
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = not any_length
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self.session = onnxruntime.InferenceSession(
                content, options, providers=_providers(device, onnxruntime)
            )
        except (DeepfieldError, MemoryError):
            raise
        except Exception as error:  # the runtime has a class of its own for every failure
            raise UnusableModel(
                f"network {name!r} does not load: {first_line(error)}",
                "train or convert the model again",
            ) from None
        self.name = name
        self.types = {i.name: _numpy_type(i.type) for i in self.session.get_inputs()}
        self.outputs = [o.name for o in self.session.get_outputs()]

    def __call__(self, arrays: Arrays) -> Arrays:
        """Run the network on a batch.

        Args:
            arrays: by input name, with a leading batch axis; cast to the network's types. Arrays
                that the network does not take are passed over.

        Returns:
            Arrays by output name, with the same leading axis.
        """
        missing = sorted(set(self.types) - set(arrays))
        if missing:
            raise UnusableModel(
                f"network {self.name!r} takes {missing[0]!r}, which is not there",
                "train or convert the model again",
            )
        feed = {n: np.ascontiguousarray(arrays[n], dtype=t) for n, t in self.types.items()}
        try:
            outputs = self.session.run(None, feed)
        except Exception as error:  # the runtime has a class of its own for every failure
            shapes = ", ".join(f"{n} {a.shape}" for n, a in feed.items())
            raise UnusableModel(
                f"network {self.name!r} fails on {shapes}: {first_line(error)}",
                "train or convert the model again",
            ) from None
        return dict(zip(self.outputs, outputs, strict=True))


def _refuse_outside_data(content: bytes, name: str) -> None:
    # Weights may lie in another file, at any path that the network names: ours never do.
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception:
        return  # the runtime says what is wrong with it
    tensors = [t for t in model.graph.initializer]
    for node in model.graph.node:
        tensors += [a.t for a in node.attribute if a.HasField("t")]
    if b"external_data" in content or any(t.external_data for t in tensors):
        raise UnusableModel(
            f"network {name!r} names files outside the bundle", "train or convert the model again"
        )


def _providers(device: str, onnxruntime: object) -> list[str]:
    if device.split(":")[0] not in ("cpu", "gpu", "auto"):
        raise UsageError(f"no device {device!r}", "there are cpu, gpu and auto")
    offered = onnxruntime.get_available_providers()  # type: ignore[attr-defined]
    wanted = [p for p in ("CUDAExecutionProvider", "ROCMExecutionProvider") if p in offered]
    if device.startswith("gpu") and not wanted:
        raise DeepfieldError(
            "no GPU for prediction: ONNX Runtime offers " + ", ".join(offered),
            "install onnxruntime-gpu, or leave --device away",
        )
    gpu = wanted if device.startswith("gpu") or device == "auto" else []
    return [*gpu, "CPUExecutionProvider"]


def _numpy_type(onnx_type: str) -> np.dtype:
    names = {"float": "float32", "double": "float64", "float16": "float16", "bool": "bool"}
    inner = onnx_type.removeprefix("tensor(").removesuffix(")")
    return np.dtype(names.get(inner, inner))
