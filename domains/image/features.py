"""From a picture as people have it to the pixels a network takes: decoding and framing.

Whatever is wrong with a picture is a `BadInput` whose reason names it; nothing is printed. Pillow
is imported at the first file that needs it, and of its plugins only the one for that file.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.errors import BadInput, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pictures with more pixels than this are not decoded.
MOST_PIXELS = 100_000_000
#: Files larger than this are not read: no picture within the limit above needs as much.
MOST_BYTES = 1 << 30
FITS = ("squash", "crop", "pad")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")

# Asked in this order: how the file starts, the format, Pillow's class for it.
_FORMATS = (
    (b"\xff\xd8\xff", "JPEG", "Jpeg"),
    (b"\x89PNG\r\n\x1a\n", "PNG", "Png"),
    (b"GIF8", "GIF", "Gif"),
    (b"RIFF", "WebP", "WebP"),
    (b"BM", "BMP", "Bmp"),
    (b"II*\0", "TIFF", "Tiff"),
    (b"MM\0*", "TIFF", "Tiff"),
    (b"II+\0", "TIFF", "Tiff"),
    (b"MM\0+", "TIFF", "Tiff"),
    *((b"P%d" % n, "PNM", "Ppm") for n in range(1, 7)),
)
_STDERR = threading.Lock()
_BINARY = getattr(os, "O_BINARY", 0)  # on Windows, where files are text otherwise
# How a picture with an EXIF orientation is set upright: Pillow's transpose methods by number.
_UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


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


# -------------------------------------------------------------------------------- decoding


def decode_image(
    source: str | Path | bytes | np.ndarray,
    framing: Framing | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Image | np.ndarray:
    """Decode a picture to 8 bits, upright, grey or RGB, without transparency.

    Transparent parts are laid on white. 16 bits are scaled by 255 / 65535; wider integers, and
    floats outside [0, 1], from their smallest value to their largest. Of several frames or pages
    the first is taken.

    Args:
        source: a file (JPEG, PNG, WebP, BMP, GIF, TIFF, PBM, PGM, PPM), its bytes, or an array
            (height, width[, channels]) of 1 to 4 channels in uint8, uint16, bool or float.
        framing: lets a JPEG far larger than the frame be decoded at a fraction of its size.
        most_pixels: larger pictures are refused from their header, before they are decoded.

    Returns:
        An `Image` in mode L or RGB; for an array a uint8 array (height, width[, 3]).

    Raises:
        BadInput: no such file, a folder, empty, not a picture, truncated (with how far it goes),
            too large, or broken.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, most_pixels)
    data = bytes(source) if isinstance(source, bytes | bytearray | memoryview) else _read(source)
    name, plugin = _format_of(data)
    if name == "WebP":  # its decoder allocates the canvas already when it is opened
        _check_size(_webp_size(data), most_pixels, name)
    picture: Any = None
    try:
        picture = _opener(plugin)(io.BytesIO(data))
        _check_size(picture.size, most_pixels, name)
        if framing is not None and name == "JPEG":
            side = 2 * max(framing.height, framing.width, framing.resize or 0)
            picture.draft(None, (side, side))
        with silent_stderr() if name == "TIFF" else contextlib.nullcontext():
            picture.load()
        return _upright(_to_eight_bits(picture))
    except BadInput:
        raise
    except MemoryError:
        raise BadInput(f"{name} needs more memory than there is") from None
    except Exception as error:  # a parser of foreign bytes: whatever it raises, the file is broken
        raise BadInput(_what_is_broken(name, data, picture, error)) from None


def looks_like_picture(head: bytes) -> bool:
    """Whether a file that starts with these bytes (16 are enough) has a format read here."""
    try:
        return bool(_format_of(head))
    except BadInput:
        return False


def _read(source: str | Path) -> bytes:
    try:
        # One name, one look-up; not blocking, or a named pipe would be waited for.
        file = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        try:
            about = os.fstat(file)
            if stat.S_ISDIR(about.st_mode):
                raise BadInput("a folder, not a picture")
            if not stat.S_ISREG(about.st_mode):
                raise BadInput("not a regular file")
            if about.st_size > MOST_BYTES:
                raise BadInput(f"the file has {about.st_size:,} bytes, the limit is {MOST_BYTES:,}")
            data = os.read(file, about.st_size + 1)
            if len(data) != about.st_size:  # handed over in pieces, or growing
                data += io.FileIO(file, closefd=False).readall()
            return data
        finally:
            os.close(file)
    except IsADirectoryError:
        raise BadInput("a folder, not a picture") from None
    except FileNotFoundError:
        raise BadInput(f"no such file: {source}") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise BadInput(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _format_of(data: bytes) -> tuple[str, str]:
    if not data:
        raise BadInput("empty file")
    for magic, name, plugin in _FORMATS:
        if data.startswith(magic):
            if plugin == "WebP" and not b"WEBP".startswith(data[8:12]):
                break
            if plugin == "Ppm" and data[2:3] not in b" \t\n\r#":
                break
            return name, plugin
    if any(magic.startswith(data) for magic, *_ in _FORMATS):
        raise BadInput(f"truncated: only {len(data)} bytes")
    raise BadInput(f"not a picture: starts with {data[:8]!r}, not as {', '.join(_names())} do")


def _names() -> list[str]:
    return list(dict.fromkeys(name for _, name, _ in _FORMATS))


@functools.cache
def _opener(plugin: str) -> Any:
    # Image.open would load five plugins, print warnings and ask each; the magic number says which.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return getattr(importlib.import_module(f"PIL.{plugin}ImagePlugin"), f"{plugin}ImageFile")


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Silence C libraries, which write past Python's own standard error and have no switch."""
    with _STDERR, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        try:
            kept = os.dup(2)
        except OSError:  # closed already
            yield
            return
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _check_size(size: tuple[int, int], most_pixels: int, name: str) -> None:
    width, height = size
    if width * height > most_pixels:
        raise BadInput(
            f"{name} of {width:,} x {height:,} pixels, the limit is {most_pixels:,} in all"
        )
    if width < 1 or height < 1:
        raise BadInput(f"{name} of {width} x {height} pixels")


def _webp_size(data: bytes) -> tuple[int, int]:
    kind, head = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        size = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        width, height = size
        if width and height:
            return width, height
    raise BadInput(f"{'truncated' if len(data) < 30 else 'broken'} WebP: no size in its header")


def _to_eight_bits(picture: Any) -> Image:
    """Any of Pillow's modes as L or RGB; `picture` is loaded."""
    mode = picture.mode
    if mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture
    if mode[0] in "IF":
        from PIL.Image import fromarray

        bits = getattr(picture, "tag_v2", {}).get(258, (16,))[0]
        return fromarray(_scaled(np.asarray(picture), (1 << bits) - 1 if bits < 16 else 65535))
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        grey = mode in ("LA", "La", "L", "1")
        from PIL.Image import new

        white = new("RGB", picture.size, "white")
        white.paste(opaque, mask=opaque.getchannel("A"))
        return white.convert("L") if grey else white
    return picture.convert("L" if mode == "1" else "RGB")


def _scaled(values: np.ndarray, full: int = 65535) -> np.ndarray:
    """Numbers as uint8: from [0, full] or [0, 1], else from their smallest to their largest."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput("pixels that are not numbers")
    span: float = 1.0 if values.dtype.kind == "f" else full
    if low < 0 or high > span:
        values, span = values - np.float64(low), float(high) - float(low)
    return np.rint(values * (255.0 / span)).astype(np.uint8)


def _upright(picture: Any) -> Image:
    if "exif" not in picture.info:
        return picture
    try:
        method = _UPRIGHT.get(picture.getexif().get(0x0112, 1))
    except Exception:  # broken EXIF is no reason to lose the picture
        return picture
    return picture if method is None else picture.transpose(method)


def _what_is_broken(name: str, data: bytes, picture: Any, error: Exception) -> str:
    if name == "WebP":  # its decoder does not say, but the file knows its own length
        length = int.from_bytes(data[4:8], "little") + 8
        if len(data) < length:
            return f"truncated WebP: {len(data):,} of {length:,} bytes"
    cut = any(word in str(error).lower() for word in ("truncated", "eof", "end of", "incomplete"))
    if picture is None:
        if cut or len(data) < 32 or isinstance(error, IndexError | EOFError):
            return f"truncated {name}: its header is cut ({len(data):,} bytes in all)"
    elif cut:
        return f"truncated {name}: {_rows(picture)} of {picture.size[1]} rows"
    return f"broken {name}: {str(error).strip() or type(error).__name__}"


def _rows(picture: Any) -> int:
    # What was decoded before the end lies in the picture's memory; the rest of it is still zero.
    try:
        box = picture._im.getbbox()
    except Exception:
        box = None
    return box[3] if box else 0


def _from_array(array: np.ndarray, most_pixels: int) -> np.ndarray:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (2, 3, 4)):
        raise BadInput(f"an array of shape {array.shape}, not (height, width[, 1 to 4 channels])")
    _check_size((array.shape[1], array.shape[0]), most_pixels, "array")
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        if array.dtype.kind not in "iuf":
            raise BadInput(f"an array of {array.dtype}, not of numbers")
        array = _scaled(array)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        alpha = array[..., -1:] / np.float32(255)
        array = np.rint(array[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        array = array[..., 0] if array.shape[2] == 1 else array
    return array


# --------------------------------------------------------------------------------- framing


def frame(image: Image | np.ndarray, framing: Framing) -> np.ndarray:
    """Bring a decoded picture to the network's size and number of channels.

    Args:
        image: what `decode_image` returns.
        framing: the size, the channels, and how to get there.

    Returns:
        uint8 (height, width, channels), 0 black to 255. It may be read-only.
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


# --------------------------------------------------------------------------------- hashing


def perceptual_hash(image: np.ndarray) -> int:
    """A number that similar pictures share: 64 signs of the lowest spatial frequencies (pHash).

    With the cosine transform C[k, i] = cos(pi (2i + 1) k / 2n), F = C grey C^T for k = 0 … 7; a bit
    is set where F exceeds its median. Resizing, recompression and brightness leave most bits.

    Args:
        image: uint8 (height, width) or (height, width, channels).

    Returns:
        An unsigned 64-bit number; 0 for a picture of one colour. Compare by differing bits.

    Example:
        >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        >>> perceptual_hash(ramp) == perceptual_hash(ramp[::2, ::2])
        True
    """
    grey = image.astype(np.float32)
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    height, width = grey.shape
    waves = _cosines(height) @ (grey - grey.mean()) @ _cosines(width).T / (height * width)
    bits = (waves > np.median(waves) + 1e-4).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@functools.lru_cache(maxsize=64)
def _cosines(length: int) -> np.ndarray:
    steps = 2 * np.arange(length, dtype=np.float32) + 1
    return np.cos(np.pi / (2 * length) * np.arange(8, dtype=np.float32)[:, None] * steps)
