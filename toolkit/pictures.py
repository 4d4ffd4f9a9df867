"""Pictures as people have them: their pixels, and a number that similar ones share.

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
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.console import silent_stderr
from deepfield.toolkit.data import is_one
from deepfield.toolkit.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

#: Files that count as pictures in a folder or an archive. Those of the last line cannot be read,
#: which is told of each: a phone's photos would be passed over in silence otherwise.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
    | {".heic", ".heif", ".avif", ".jp2", ".jxl"}
)
#: Pictures with more pixels than this are not decoded.
MOST_PIXELS = 100_000_000
#: Files larger than this are not read: no picture within the limit above needs as much.
MOST_BYTES = 1 << 30

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
# What pictures of other formats hold in their first 16 bytes.
_FOREIGN = (
    *((b"ftyp" + kind, "AVIF") for kind in (b"avif", b"avis")),
    *((b"ftyp" + kind, "HEIC") for kind in (b"hei", b"hev", b"mif1", b"msf1")),
    (b"jP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"JXL \r\n\x87\n", "JPEG XL"),
)
_BINARY = getattr(os, "O_BINARY", 0)  # on Windows, where files are text otherwise
# How a picture with an EXIF orientation is set upright: Pillow's transpose methods by number.
_UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


# -------------------------------------------------------------------------------- decoding


def decode_image(
    source: Any,
    least_side: int | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Image | np.ndarray:
    """Decode a picture to 8 bits, upright, grey or RGB, without transparency.

    Transparent parts are laid on white. 16 bits are scaled by 255 / 65535. Other integers, and
    floats that are whole numbers, stay as they are if none is outside [0, 255]; of integers up to
    65535 that scale is taken, of floats in [0, 1] that one, and the rest go from their smallest
    value to their largest. Of an animation, and of a TIFF with smaller copies, the first is taken.

    Args:
        source: a file (JPEG, PNG, WebP, BMP, GIF, TIFF, PBM, PGM, PPM), its bytes, one of Pillow's
            pictures, or an array or tensor (height, width[, channels]) of 1 to 4 channels.
        least_side: a JPEG whose sides are far longer may be decoded at a fraction of its size,
            as long as no side falls below this.
        most_pixels: larger pictures are refused from their header, before they are decoded.

    Returns:
        An `Image` in mode L or RGB; for an array a uint8 array (height, width[, 3]).

    Raises:
        BadInput: no such file, a folder, empty, not a picture, truncated (with how far it goes),
            too large, broken, or a stack: a TIFF with several pages of one size.

    Example:
        >>> decode_image(np.zeros((2, 3, 4), np.uint8) + 255).shape  # transparency is laid on white
        (2, 3, 3)
    """
    if not isinstance(source, str | Path | bytes | bytearray | memoryview):
        return _from_object(source, most_pixels)
    data = bytes(source) if isinstance(source, bytes | bytearray | memoryview) else _read(source)
    name, plugin = _format_of(data)
    if name == "WebP":  # its decoder allocates the canvas already when it is opened
        _check_size(_webp_size(data), most_pixels, name)
    picture: Any = None
    try:
        picture = _opener(plugin)(io.BytesIO(data))
        _check_size(picture.size, most_pixels, name)
        if name == "TIFF" and (pages := _stacked(_opener(plugin)(io.BytesIO(data)))):
            raise BadInput(f"a stack of {pages:,} pictures: save each as a file")
        if least_side is not None and name == "JPEG":
            picture.draft(None, (least_side, least_side))
        with silent_stderr() if name == "TIFF" else contextlib.nullcontext():
            picture.load()
        return _upright(_to_eight_bits(picture))
    except BadInput:
        raise
    except MemoryError:
        raise BadInput(f"{name} needs more memory than there is") from None
    except Exception as error:  # a parser of foreign bytes: whatever it raises, the file is broken
        raise BadInput(_what_is_broken(name, data, picture, error)) from None


def is_one_picture(thing: Any) -> bool:
    """Whether something is one picture, not several of them: also an array of one."""
    return is_one(thing) or (
        isinstance(thing, np.ndarray)
        and (thing.ndim == 2 or (thing.ndim == 3 and thing.shape[2] <= 4))
    )


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
    if foreign := next((name for start, name in _FOREIGN if start in data[:16]), None):
        raise BadInput(f"{foreign} is not read here: save it as JPEG or PNG")
    raise BadInput(f"not a picture: starts with {data[:8]!r}, not as {', '.join(_names())} do")


def _names() -> list[str]:
    return list(dict.fromkeys(name for _, name, _ in _FORMATS))


@functools.cache
def _opener(plugin: str) -> Any:
    # Image.open would load five plugins, print warnings and ask each; the magic number says which.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return getattr(importlib.import_module(f"PIL.{plugin}ImagePlugin"), f"{plugin}ImageFile")


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

        # A TIFF says how many bits it has; wide ones of other files were 16, all others are 32.
        bits = getattr(picture, "tag_v2", {}).get(258, (16 if picture.format else 32,))[0]
        return fromarray(_scaled(np.asarray(picture), bits))
    if picture.has_transparency_data:
        opaque = picture.convert("RGBA")
        grey = mode in ("LA", "La", "L", "1")
        from PIL.Image import new

        white = new("RGB", picture.size, "white")
        white.paste(opaque, mask=opaque.getchannel("A"))
        return white.convert("L") if grey else white
    return picture.convert("L" if mode == "1" else "RGB")


def _scaled(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers as uint8, on the scale of their bits or of what they hold (see `decode_image`)."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput("pixels that are not numbers")
    if values.dtype.kind == "f":
        eight = 1 < high <= 255 and bool((values == np.rint(values)).all())
        full = 255 if eight else 1
    else:
        full = (1 << bits) - 1 if bits <= 16 else 255 if high <= 255 else 65535
    span: float = full
    if low < 0 or high > full:
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


def _stacked(picture: Any) -> int:
    """How many pages a TIFF has if the second is as large as the first, as a microscope's are; 0
    of one page, with smaller copies or none. The picture itself is of no use then.
    """
    first = picture.size
    try:
        with silent_stderr():
            picture.seek(1)
            return int(picture.n_frames) if picture.size == first else 0
    except Exception:  # there is none, or it is broken: the first page is read
        return 0


def _what_is_broken(name: str, data: bytes, picture: Any, error: Exception) -> str:
    whole = name != "JPEG" or len(data) >= 32
    if whole and str(error) == "not identified by this driver":  # Pillow of a header that it read
        return f"broken {name}: its header tells a width or height of 0, or none"
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


def _from_object(source: Any, most_pixels: int) -> Image | np.ndarray:
    """What a program has in its hands: a picture of Pillow's, an array or a tensor."""
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(source, pillow.Image):
        _check_size(source.size, most_pixels, "picture")
        try:
            source.load()
            return _upright(_to_eight_bits(source))
        except Exception as error:  # a file that Pillow had only opened
            raise BadInput(f"broken picture: {str(error) or type(error).__name__}") from None
    if not hasattr(source, "__array__"):
        raise BadInput(f"{type(source).__name__} is no picture: give a path, bytes or an array")
    return _from_array(np.asarray(source), most_pixels)


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
        array = _scaled(array, 16 if array.dtype == np.uint16 else 32)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        alpha = array[..., -1:] / np.float32(255)
        array = np.rint(array[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        array = array[..., 0] if array.shape[2] == 1 else array
    return array


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
