"""Wide convolutions by way of Fourier transforms: the same sums from far fewer products."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

#: Lengths whose transforms are quick: products of 2, 3 and 5.
_LENGTHS = (
    32, 40, 48, 64, 80, 96, 108, 120, 128, 144, 160, 180, 192, 216, 240, 256, 288, 320, 360, 384,
    432, 480, 512,
)  # fmt: skip
#: A transform is at most this often as long as the convolution is wide: longer ones win nothing.
_LONGEST = 12
#: Products of numbers that take as long as one letter does in transforms (measured, 32 filters).
_PRODUCTS = 18


class _Room(threading.local):
    """Memory that a thread uses again and again: fresh pages would cost as much as the work."""

    def __init__(self) -> None:
        self.held: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array of a shape, with whatever was left in it."""
        size = int(np.prod(shape))
        have = self.held.get(name)
        if have is None or have.size < size:
            have = self.held[name] = np.empty(size, dtype)
        return have[:size].reshape(shape)


ROOM = _Room()


class FourierConvolution:
    """A dilated "valid" convolution along a sequence.

        y[o, t] = bias[o] + sum_k sum_i kernel[k, i, o] x[i, t + dilation k]

    Every `dilation`-th letter is a sequence of its own without gaps. Of each the transform is
    multiplied with the kernel's, in pieces that overlap by the kernel's width less one, and what
    came round the end of a piece is left out (overlap-save).

    Args:
        kernel: (width, in, out).
        bias: (out,).
        dilation: letters from one column of the kernel to the next.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, dilation: int) -> None:
        self.kernel = kernel[::-1].transpose(2, 1, 0).astype(np.float32)
        self.bias = bias.astype(np.float32)[:, None]
        self.width, self.dilation = len(kernel), dilation
        self.longest = max(one for one in _LENGTHS if one <= max(_LONGEST * self.width, 32))
        self._spectra: dict[int, np.ndarray] = {}

    def pays(self, places: int) -> bool:
        """Whether so many places of the output are had sooner so than by plain sums."""
        pieces, _, length = self._pieces(places)
        return pieces * length * self.dilation * _PRODUCTS < places * self.width

    def _pieces(self, places: int) -> tuple[int, int, int]:
        """How many pieces, the new letters of each in steps of the dilation, and what is
        transformed.
        """
        wanted, most = -(-places // self.dilation), self.longest - self.width + 1
        pieces = -(-wanted // most)
        new = -(-wanted // pieces)
        return pieces, new, next(one for one in _LENGTHS if one >= new + self.width - 1)

    def _spectrum(self, length: int) -> np.ndarray:
        """The kernel's transform, (frequencies, out, in)."""
        if length not in self._spectra:
            found = np.fft.rfft(self.kernel, length).transpose(2, 0, 1)
            self._spectra[length] = np.ascontiguousarray(found, np.complex64)
        return self._spectra[length]

    def __call__(self, x: np.ndarray, y: np.ndarray) -> None:
        """Convolve x (in, steps) into y (out, steps - (width - 1) dilation)."""
        step = self.dilation
        pieces, new, length = self._pieces(y.shape[1])
        taken = new + self.width - 1
        for number in range(pieces):
            first = number * new * step
            part, into = x[:, first : first + taken * step], y[:, first : first + new * step]
            good = self._convolved(part, length)[:, self.width - 1 : taken].reshape(len(y), -1)
            np.add(good[:, : into.shape[1]], self.bias, out=into)

    def _convolved(self, part: np.ndarray, length: int) -> np.ndarray:
        """Every `dilation`-th letter convolved in a circle: (out, length, dilation)."""
        (inputs, steps), step = part.shape, self.dilation
        whole, rest = divmod(steps, step)
        cut = ROOM.take("cut", (inputs, step, length), np.float32)
        cut[..., :whole] = part[:, : whole * step].reshape(inputs, whole, step).transpose(0, 2, 1)
        cut[..., whole:] = 0
        if rest:
            cut[:, :rest, whole] = part[:, whole * step :]
        spectrum = self._spectrum(length)
        many, outputs = len(spectrum), len(self.bias)
        before = ROOM.take("before", (many, inputs, step), np.complex64)
        after = ROOM.take("after", (many, outputs, step), np.complex64)
        back = ROOM.take("back", (outputs, length, step), np.float32)
        np.fft.rfft(cut, out=before.transpose(1, 2, 0))
        np.matmul(spectrum, before, out=after)
        np.fft.irfft(after.transpose(1, 2, 0), length, out=back.transpose(0, 2, 1))
        return back
