"""A wav file that comes through a pipe: its samples as they arrive, without going back."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from deepfield.toolkit.errors import BadInput

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BLOCK_S = 0.1


class WavStream:
    """The samples of a wav that is read once, from its beginning.

    Args:
        stream: at the first byte of the file.

    Raises:
        BadInput: no wav of plain samples (PCM of 8 to 32 bits, or floats).
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            raise BadInput("not a wav file")
        self.rate_hz = 0
        while True:
            chunk = stream.read(8)
            if len(chunk) < 8:
                raise BadInput("the wav file has no samples")
            name, size = struct.unpack("<4sI", chunk)
            if name == b"data":
                break
            body = self._chunk(size + size % 2, keep=name == b"fmt ")
            if len(body) >= 16:
                kind, self.channels, self.rate_hz, _, _, self.bits = struct.unpack(
                    "<HHIIHH", body[:16]
                )
                if kind == _EXTENSIBLE and len(body) >= 26:
                    kind = struct.unpack("<H", body[24:26])[0]
                self.kind = kind
        # who writes into a pipe does not know the length: 0, or about the largest number
        self.left = None if size == 0 or size >= 0x7FFFF000 else size
        if not self.rate_hz or not self.channels or (self.kind, self.bits) not in {
            (_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64),
        }:  # fmt: skip
            raise BadInput("a wav file without plain samples (PCM, or floats)")

    def _chunk(self, size: int, keep: bool) -> bytes:
        """The beginning of a chunk that is to be kept; whatever its size, memory stays small."""
        kept = b""
        while size > 0 and (data := self.stream.read(min(size, 1 << 16))):
            kept = kept or (data if keep else b"")
            size -= len(data)
        return kept

    def blocks(self) -> Iterator[np.ndarray]:
        """Samples as they come, (samples, channels) float32.

        Raises:
            BadInput: the file breaks off.
        """
        width = self.channels * self.bits // 8
        size = max(1, int(_BLOCK_S * self.rate_hz)) * width
        rest = b""
        while self.left is None or self.left > 0:
            data = self.stream.read(size if self.left is None else min(size, self.left))
            if not data:
                break
            if self.left is not None:
                self.left -= len(data)
            data = rest + data
            whole = len(data) // width * width
            rest = data[whole:]
            yield self._samples(data[:whole]).reshape(-1, self.channels)
        if self.left or rest:
            missing = f", {self.left:,} bytes short" if self.left else ""
            raise BadInput(f"the file breaks off{missing}")

    def _samples(self, data: bytes) -> np.ndarray:
        if self.kind == _FLOAT:
            return np.frombuffer(data, f"<f{self.bits // 8}").astype(np.float32)
        if self.bits == 8:
            return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
        if self.bits == 24:
            parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
            value = parts[:, 0] | parts[:, 1] << 8 | parts[:, 2] << 16
            return ((value ^ 0x800000) - 0x800000).astype(np.float32) / (1 << 23)
        whole = np.frombuffer(data, f"<i{self.bits // 8}")
        return (whole / float(1 << (self.bits - 1))).astype(np.float32)
