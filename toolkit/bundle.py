"""A trained pipeline on disk: a folder of plain files, each accounted for.

`config.json` names every other file with its size and SHA-256, and carries its own digest, so that
a missing, unknown, cut or altered part is found and named before anything answers. Loading reads
numbers and JSON; it never runs code from the bundle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import DeepfieldError, NotFound, UnusableModel, UsageError

FORMAT_VERSION = 1
CONFIG = "config.json"
TABLES = "tables.safetensors"
_DIGEST_KEY = "sha256"
_NO_DIGEST = "0" * 64
_CONFIG_LIMIT = 64 << 20  # bytes; a larger config is no config of ours
_NUMBER = (int, float, type(None))
_TYPES: dict[str, Any] = {
    "name": str, "domain": str, "architecture": str, "members": list, "hyper": dict,
    "settings": dict, "state": dict, "task": dict, "calibration": (dict, type(None)),
    "novelty": (dict, type(None)), "parameters": int, "command": str, "data": dict,
    "metrics": dict, "intervals": dict, "baseline": dict, "versions": dict,
    "training_seconds": _NUMBER,
}  # fmt: skip


@dataclass
class Bundle:
    """A bundle whose parts have been checked.

    Args:
        path: its folder.
        config: what `config.json` says, `files` and the digest taken out.
        files: names of the other parts, with `bytes` and `sha256`.

    Example:
        >>> made = write_bundle("model", {"name": "mine"}, {"notes.txt": b"learnt on Monday"})
        >>> made.name, made.read("notes.txt")
        ('mine', b'learnt on Monday')
    """

    path: Path
    config: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the bundle calls itself: the folder's name, or the preset's."""
        return str(self.config.get("name") or self.path.name)

    def read(self, name: str) -> bytes:
        """The content of a part, checked against its digest.

        Raises:
            UnusableModel: the part is missing, cut or altered.
        """
        if name not in self.files:
            known = ", ".join(sorted(self.files))
            raise UnusableModel(
                f"bundle {str(self.path)!r} has no part {name!r}", f"it has {known}"
            )
        expected = self.files[name]
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise _damaged(self.path, f"{name} cannot be read: {error.strerror}") from None
        if len(content) != expected["bytes"]:
            raise _damaged(self.path, f"{name} has {len(content)} bytes, not {expected['bytes']}")
        if hashlib.sha256(content).hexdigest() != expected["sha256"]:
            raise _damaged(self.path, f"{name} was altered: its SHA-256 does not match")
        return content

    def arrays(self, name: str) -> Arrays:
        """The arrays of a `.safetensors` part.

        Raises:
            UnusableModel: the part is damaged, or holds a number that is not finite.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(self.read(name))
        except (SafetensorError, ValueError, KeyError) as error:
            raise _damaged(self.path, f"{name} is not a safetensors file: {error}") from None
        for key, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise _damaged(self.path, f"{name}: {key!r} holds values that are not finite")
        return arrays

    @property
    def members(self) -> list[str]:
        """Names of the networks in the bundle.

        Raises:
            UnusableModel: the configuration names none, or one that is not there.
        """
        names = self.config.get("members")
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise _damaged(self.path, f"{CONFIG} names no network")
        for name in names:
            if f"{name}.onnx" not in self.files:
                raise _damaged(self.path, f"there is no part '{name}.onnx'")
        return list(names)


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether a folder looks like a bundle."""
    return (Path(path) / CONFIG).is_file()


def open_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Open a bundle and check its table of contents; parts are checked as they are read.

    Raises:
        NotFound: no such folder, or one without `config.json`.
        UnusableModel: a part is missing, unknown or of another size; the configuration was
            altered; or the bundle was written by a newer version.

    Example:
        >>> _ = write_bundle("model", {"domain": "image"}, {"notes.txt": b"learnt on Monday"})
        >>> open_bundle("model").config["domain"]
        'image'
    """
    folder = Path(path)
    if not folder.is_dir():
        raise NotFound(f"no model at {str(folder)!r}", "see `deepfield models list` for presets")
    if not (folder / CONFIG).is_file():
        raise NotFound(f"{str(folder)!r} holds no {CONFIG}", "name the folder that train -o wrote")
    config = _read_config(folder)
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        command = config.get("command") or "the command that made it"
        raise UnusableModel(
            f"{str(folder)!r} has format {version}, this program reads {FORMAT_VERSION}",
            f"make it again: {command}",
        )
    _check_types(folder, config)
    files = config.pop("files", None)
    if not isinstance(files, dict) or not all(_is_part(k, v) for k, v in files.items()):
        raise _damaged(folder, f"{CONFIG} does not list the parts")
    try:
        present = {p.name: p for p in folder.iterdir() if not p.name.startswith(".")}
    except OSError as error:
        raise _damaged(folder, f"it cannot be read: {error.strerror}") from None
    missing = sorted(set(files) - set(present))
    if missing:
        raise _damaged(folder, f"{missing[0]} is missing")
    unknown = sorted(set(present) - set(files) - {CONFIG})
    if unknown:
        raise _damaged(folder, f"{unknown[0]} does not belong to it")
    for name, expected in files.items():
        _check_part(folder, name, present[name], expected)
    return Bundle(folder, config, files)


def _check_part(folder: Path, name: str, path: Path, expected: Mapping[str, Any]) -> None:
    # All of them, also those that an answer needs not: a copy that went wrong is told at once.
    try:
        if not path.is_file():
            raise _damaged(folder, f"{name} is no file")
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise _damaged(folder, f"{name} has {size} bytes, not {expected['bytes']}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(folder, f"{name} cannot be read: {error.strerror}") from None
    if digest != expected["sha256"]:
        raise _damaged(folder, f"{name} was altered: its SHA-256 does not match")


def _is_part(name: str, entry: Any) -> bool:
    plain = name == Path(name).name and name[:1] not in ("", ".") and not set(name) & set("\\\0")
    told = isinstance(entry, dict) and {"bytes", "sha256"} <= set(entry)
    return plain and told and name != CONFIG


def _check_types(folder: Path, config: Mapping[str, Any]) -> None:
    for name, kinds in _TYPES.items():
        if name in config and not isinstance(config[name], kinds):
            found = type(config[name]).__name__
            raise _damaged(folder, f"{CONFIG} holds a {found} under {name!r}")


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        if (folder / CONFIG).stat().st_size > _CONFIG_LIMIT:
            raise _damaged(folder, f"{CONFIG} is larger than any that this program writes")
        text = (folder / CONFIG).read_bytes()
        config = json.loads(text)
    except OSError as error:
        raise _damaged(folder, f"{CONFIG} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, f"{CONFIG} is not JSON ({error})") from None
    stated = config.pop(_DIGEST_KEY, None) if isinstance(config, dict) else None
    blank = text.replace(str(stated).encode(), _NO_DIGEST.encode(), 1)
    if stated is None or hashlib.sha256(blank).hexdigest() != stated:
        raise _damaged(folder, f"{CONFIG} was altered: its own SHA-256 does not match")
    return config


def _damaged(folder: Path, what: str) -> UnusableModel:
    return UnusableModel(
        f"bundle {str(folder)!r} is damaged: {what}", "copy it again, or train it again"
    )


def write_bundle(
    path: str | os.PathLike[str], config: Mapping[str, Any], files: Mapping[str, bytes]
) -> Bundle:
    """Write a bundle in one step: either the whole folder appears, or nothing does.

    A bundle that is already at `path` is replaced; any other folder there is left alone.

    Raises:
        DeepfieldError: something that is no bundle lies at `path`, or the disk is full.

    Example:
        >>> made = write_bundle("model", {"domain": "image"}, {"notes.txt": b"learnt on Monday"})
        >>> sorted(p.name for p in made.path.iterdir())
        ['config.json', 'notes.txt']
    """
    target = Path(path)
    refuse_foreign(target)
    full = dict(config) | {
        "format_version": FORMAT_VERSION,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        _DIGEST_KEY: _NO_DIGEST,
    }
    text = json.dumps(full, indent=1, ensure_ascii=False, allow_nan=False).encode()
    digest = hashlib.sha256(text).hexdigest()
    # The digest is the last value of the file, so the right run of zeros is the last one.
    head, _, tail = text.rpartition(_NO_DIGEST.encode())
    with folder_in_one_step(target) as folder:
        for name, content in files.items():
            write_synced(folder / name, content)
        write_synced(folder / CONFIG, head + digest.encode() + tail)
    return open_bundle(target)


def refuse_foreign(target: Path) -> None:
    """Refuse to replace anything that is not a bundle."""
    if target.exists() and not is_bundle(target) and not _is_empty_folder(target):
        raise UsageError(
            f"{str(target)!r} exists and is no model", "choose another name for the output"
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextlib.contextmanager
def folder_in_one_step(target: Path) -> Iterator[Path]:
    """A folder to fill, beside `target`, that takes its place when the block ends well."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{target.name}.part.", dir=target.parent))
    except OSError as error:
        raise DeepfieldError(
            f"cannot write {str(target)!r}: {error.strerror}", "check the path"
        ) from None
    try:
        yield temporary
        temporary.chmod(0o755)
        old = None
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f"{target.name}.part.", dir=target.parent)) / "old"
            target.rename(old)
        try:
            temporary.rename(target)
        except OSError:  # another process was faster: its bundle is as good as ours
            if not is_bundle(target):
                raise
        if old is not None:
            shutil.rmtree(old.parent, ignore_errors=True)
    except OSError as error:
        raise DeepfieldError(
            f"cannot write {str(target)!r}: {error.strerror or error}",
            "free some space or check the path",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in the place of another in one step."""
    temporary = path.with_name(f"{path.name}.part.{os.getpid()}")
    try:
        write_synced(temporary, content)
        take_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def take_place(finished: Path, path: Path) -> None:
    """Give a finished file the name of another one, and to whom that was open."""
    with contextlib.suppress(OSError):  # there is none, or its folder knows no modes
        shutil.copymode(path, finished)
    finished.replace(path)


def to_half(array: np.ndarray) -> np.ndarray:
    """Half precision where the values fit, otherwise the array itself.

    An array with a value beyond half precision's range (65,504) stays. Whole numbers get the
    smallest type that holds them all.
    """
    array = np.asarray(array)
    if array.dtype == np.int32:
        for smaller in (np.uint8, np.int8, np.uint16, np.int16):
            if np.array_equal(array.astype(smaller), array):
                return array.astype(smaller)
        return array
    if array.dtype != np.float32 or (array.size and np.abs(array).max() > 65_504):
        return array
    return array.astype(np.float16)


def exactly_half(array: np.ndarray) -> np.ndarray:
    """Half precision where it holds every value exactly, otherwise the array itself.

    So what was rounded is stored in half the room, and what was not (adopted weights, which must
    answer as their makers' do) is stored as it is.
    """
    half = to_half(array)
    return half if np.array_equal(half, array) else np.asarray(array)


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file that holds these arrays."""
    from safetensors.numpy import save

    return save({key: np.asarray(array, order="C") for key, array in arrays.items()})
