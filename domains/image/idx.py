"""MNIST's idx format: a header of sizes, then bytes; pictures and labels in two files of a pair."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from deepfield.toolkit.errors import BROKEN, UsageError
from deepfield.toolkit.paths import is_file, is_folder
from deepfield.toolkit.text_files import is_gzipped

_IDX = re.compile(r"(.*)images(.*)idx[34](-ubyte)?(\.gz)?", re.IGNORECASE)


def idx_pairs(source: str) -> list[Path]:
    """The files of pictures in a folder (training before test), or the file itself."""
    path = Path(source)
    return _idx_images(path) if is_folder(path) else [path]


def is_idx(source: str) -> bool:
    """Whether a file is in the idx format, or a folder holds pictures in it."""
    path = Path(source)
    if is_folder(path):
        return bool(_idx_images(path))
    if not is_file(path):
        return False
    try:
        with _open_packed(path) as file:
            head = file.read(4)
    except BROKEN:
        return bool(_IDX.fullmatch(path.name))  # a cut file of that name is told as one
    return head in (b"\0\0\x08\x01", b"\0\0\x08\x03", b"\0\0\x08\x04")


def _idx_images(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries if _IDX.fullmatch(entry.name)}
    # the unpacked file where there are both
    names = {name for name in names if name.removesuffix(".gz") not in names - {name}}
    return [folder / name for name in sorted(names, key=lambda n: (n.startswith("t10k"), n))]


def _open_packed(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = is_gzipped(file.read(2))
    # No further buffer: of a cut file every entry before the cut must still come out.
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _idx_header(path: Path, file: BinaryIO) -> tuple[int, ...]:
    """Reads the header: (count, height, width[, channels]) of images, (count,) of labels."""
    try:
        head = file.read(4)
        sizes = file.read(4 * head[3]) if len(head) == 4 else b""
    except BROKEN:
        head = sizes = b""
    if head[:3] != b"\0\0\x08" or len(sizes) != 4 * head[3] or head[3] not in (1, 3, 4):
        raise UsageError(
            f"{str(path)!r} is not an idx file of bytes: it starts with {head.hex() or 'nothing'}",
            "idx images start with 00000803, labels with 00000801; fetch the file again",
        )
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    # Deflate packs at most 1032 to 1: a header that asks for more is no cut file but a wrong one.
    most = 1100 * max(1000, path.stat().st_size)
    if len(shape) > 1 and not 0 < int(np.prod(shape[1:], dtype=object)) <= most:
        raise UsageError(f"{str(path)!r} holds pictures of {shape[1:]} pixels", "fetch it again")
    if int(np.prod(shape, dtype=object)) > most:
        raise UsageError(
            f"{str(path)!r} is far too short for the {shape[0]:,} entries of its header",
            "fetch the file again",
        )
    return shape


def _idx_labels(images: Path, count: int) -> list[str | None] | None:
    wanted = re.sub("images", "labels", images.name, flags=re.IGNORECASE).removesuffix(".gz")
    wanted = re.sub("idx[34]", "idx1", wanted)
    path = next((p for s in ("", ".gz") if (p := images.parent / f"{wanted}{s}").is_file()), None)
    if path is None or wanted == images.name.removesuffix(".gz"):
        return None
    with _open_packed(path) as file:
        shape = _idx_header(path, file)
        if shape != (count,):
            raise UsageError(
                f"{path.name!r} has {shape[0]:,} labels, {images.name!r} {count:,} pictures",
                "they are not of one pair",
            )
        labels: list[str | None] = []
        while len(labels) < count and (byte := _next_bytes(file, 1)):
            labels.append(str(byte[0]))
    return labels + [None] * (count - len(labels))


def _next_bytes(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except BROKEN:  # a cut or altered gzip ends here
        return b""


def read_idx_pair(
    images: Path,
) -> Iterator[tuple[np.ndarray | None, str | None, str | None]]:
    """Read a file of pictures, and their labels if such a file lies beside it.

    Args:
        images: the file of pictures, named `…images…idx3…`; the labels are `…labels…idx1…`.

    Returns:
        For each picture its uint8 pixels (height, width[, channels]), its label and what is wrong
        with it: after a cut the entries that are missing.

    Raises:
        UsageError: another format, an absurd header, as many labels as pictures are not there.
    """
    with _open_packed(images) as file:
        count, *shape = _idx_header(images, file)
        if not shape:
            raise UsageError(f"{str(images)!r} holds labels", "name the images beside it")
        labels = _idx_labels(images, count)
        size = int(np.prod(shape))
        for index in range(count):
            label, fault = labels[index] if labels else None, None
            if labels and label is None:
                fault = f"label {index} of {count}: the file of labels is cut"
            data = _next_bytes(file, size)
            if len(data) == size:
                yield np.frombuffer(data, np.uint8).reshape(shape), label, fault
            else:
                yield None, label, f"picture {index} of {count}: {images.name} is cut"
