"""From a decoded picture to the pixels a network takes: framing.

What is wrong with a value of the frame is a `UsageError`. Pillow is imported at the first picture
that has to be resized.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepfield.toolkit.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

FITS = ("squash", "crop", "pad")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


@dataclass(frozen=True, slots=True)
class Framing:
    """How a picture of any size becomes the network's.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        fit: `"squash"` changes the aspect, `"crop"` scales the short side to `resize` and cuts out
            the centre, `"pad"` scales the whole picture into the frame on black.
        resize: the short side before a crop; by default the frame is covered exactly.
        interpolation: `"bicubic"` and the like; shrinking is always antialiased.

    Raises:
        UsageError: a value that makes no sense.

    Example:
        >>> frame(np.zeros((40, 30), np.uint8), Framing(28, 28, channels=3)).shape
        (28, 28, 3)
    """

    height: int
    width: int
    channels: int = 3
    fit: str = "squash"
    resize: int | None = None
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        """Refuse what cannot be framed."""
        if min(self.height, self.width) < 1 or self.channels not in (1, 3):
            raise UsageError(
                f"no frame of {self.height} x {self.width} pixels in {self.channels} channels",
                "sizes are 1 or more, channels 1 or 3",
            )
        for value, known in ((self.fit, FITS), (self.interpolation, INTERPOLATIONS)):
            if value not in known:
                raise UsageError(f"cannot frame by {value!r}", f"known: {', '.join(known)}")
        if self.resize is not None and self.resize < max(self.height, self.width):
            raise UsageError(
                f"a short side of {self.resize} does not cover {self.height} x {self.width}",
                f"resize to {max(self.height, self.width)} or more",
            )

    @property
    def least_side(self) -> int:
        """What a picture's sides must keep when it is decoded, so that nothing is lost by it."""
        return 2 * max(self.height, self.width, self.resize or 0)


def frame(image: Image | np.ndarray, framing: Framing) -> np.ndarray:
    """Bring a decoded picture to the network's size and number of channels.

    Args:
        image: what `decode_image` returns.
        framing: the size, the channels, and how to get there.

    Returns:
        uint8 (height, width, channels), 0 black to 255. It may be read-only.

    Example:
        >>> picture = np.zeros((30, 60), np.uint8)  # grey, twice as wide as high
        >>> frame(picture, Framing(28, 28, 1, "pad")).shape
        (28, 28, 1)
    """
    size = (framing.width, framing.height)
    if isinstance(image, np.ndarray):
        grey = image.ndim == 2
        if image.shape[1::-1] == size and (grey or framing.channels == 3):
            return _channels(image, framing.channels)
        from PIL.Image import fromarray

        image = fromarray(np.ascontiguousarray(image))
    if framing.channels == 1 and image.mode != "L":
        image = image.convert("L")
    if image.size != size:
        image = _fitted(image, framing)
    pixels = np.frombuffer(image.tobytes(), np.uint8)
    return _channels(pixels.reshape(framing.height, framing.width, -1), framing.channels)


def _channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels if pixels.shape[2] == channels else np.repeat(pixels, channels, axis=2)


def _fitted(image: Image, framing: Framing) -> Image:
    from PIL.Image import Resampling, new

    width, height = framing.width, framing.height
    filter_ = Resampling[framing.interpolation.upper()]
    if framing.fit == "squash":
        return image.resize((width, height), filter_)
    if framing.fit == "pad":
        scale = min(width / image.width, height / image.height)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        padded = new(image.mode, (width, height))
        padded.paste(image.resize(inner, filter_), (left, top))
        return padded
    # Only the part that stays is resized. Its corner lies on the grid of the whole picture at the
    # scale asked for, so that this equals resizing first and cutting then.
    if framing.resize is None:
        scale = max(width / image.width, height / image.height)
    else:
        scale = framing.resize / min(image.width, image.height)
    across = max(width, round(image.width * scale)) / image.width
    down = max(height, round(image.height * scale)) / image.height
    x = round((image.width * across - width) / 2) / across
    y = round((image.height * down - height) / 2) / down
    right, bottom = x + width / across, y + height / down
    box = (max(0, x), max(0, y), min(right, image.width), min(bottom, image.height))
    return image.resize((width, height), filter_, box=box)
