"""From a picture to the chip that a network sees: find the face, find its points, turn it upright.

Nothing is ever answered by the whole picture unless the picture was said to be a face
(`crop`). What cannot be a face is a `BadInput` whose reason says what was found instead.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.face.alignment import CHIP, chip_of
from deepfield.domains.face.detection import Box, find_faces
from deepfield.domains.face.landmarks import Landmarks
from deepfield.domains.face.tight import find_filling_faces
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.pictures import decode_image

#: The preset whose detector and landmarks find faces for every network.
FINDER = "dlib_resnet"
#: Which of several faces is taken.
CHOICES: dict[str, str] = {
    "clear": "the largest, if the next is smaller than half of its area",
    "largest": "the largest",
    "only": "the only one",
}
#: A face this many times as large as the next is what the picture is of.
CLEARLY_LARGER = 2.0
#: A face whose box is smaller has been enlarged from few pixels.
SMALL_PX = 50
#: So has a picture that is to be a face already.
SMALL_CROP_PX = 24
#: The eyes may lie so far from level, in degrees: beyond, few faces were like it in training.
MOST_TILT = 45.0
_TURNED_SIDE = 400  # pixels; turned pictures are searched three times over, so for large faces only
_NO_CHIP = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Face:
    """A face, upright and cut out.

    Args:
        chip: uint8 (150, 150, 3).
        box: where it was found; None for a picture that is a face already.
        faces: how many were found in the picture.
        tilt: of the eyes, in degrees.
        side: the shorter one of a picture that is a face already, in pixels.
    """

    chip: np.ndarray
    box: Box | None = None
    faces: int | None = None
    tilt: float = 0.0
    side: int = CHIP

    def without_chip(self) -> Face:
        """What an answer tells of it, in little memory."""
        return replace(self, chip=_NO_CHIP)

    @property
    def doubt(self) -> str:
        """Why a network knows few faces like this one; empty if it knows many."""
        if self.box is None:
            few = self.side < SMALL_CROP_PX
            return f"a picture of {self.side} pixels: little is there to compare" if few else ""
        side = self.box.right - self.box.left
        if side < SMALL_PX:
            return f"a face of {side:.0f} pixels: under {SMALL_PX} little is left to compare"
        if abs(self.tilt) > MOST_TILT:
            return f"turned by {self.tilt:.0f} degrees"
        return ""


class FaceFinder:
    """Finds the face of a picture and cuts it out.

    Args:
        detector: of `find_faces`.
        landmarks: finds five points of a face.
        choice: of `CHOICES`.
        enlarge: how much a picture is enlarged to find small faces in.
    """

    def __init__(
        self, detector: Callable[[np.ndarray], np.ndarray], landmarks: Landmarks,
        choice: str = "clear", enlarge: float = 1.0,
    ) -> None:  # fmt: skip
        self.detector, self.landmarks = detector, landmarks
        self.choice, self.enlarge = choice, enlarge

    def __call__(self, source: Any) -> Face:
        """The face of a picture.

        Raises:
            BadInput: no picture, no face, one that lies on its side or stands on its head, or
                several of which none is meant.
        """
        picture = pixels_of(source)
        boxes = self.found(picture)
        if not boxes and (turned := self.turned(picture)):
            raise BadInput(f"the face is turned by {turned} degrees: turn the picture upright")
        box = chosen(boxes, self.choice)
        points = self.landmarks(picture, box)
        return Face(chip_of(picture, points), box, len(boxes), tilt_of(points))

    def found(self, picture: np.ndarray) -> list[Box]:
        """All faces of a picture (height, width, 3). If there are none of the usual size, one that
        fills the picture is looked for, and then small ones.
        """
        return (
            find_faces(picture, self.detector, enlarge=self.enlarge)
            or find_filling_faces(picture, self.detector)
            or find_faces(picture, self.detector, enlarge=2.0 * self.enlarge, searched=self.enlarge)
        )

    def turned(self, picture: np.ndarray) -> int:
        """By how many degrees clockwise a picture is turned, in which no face was found: 90, 180 or
        270, whichever shows the surest face when it is turned back; else 0.
        """
        surest = {0: 0.0}
        for quarters in (1, 2, 3):
            upright = np.ascontiguousarray(np.rot90(picture, quarters))
            boxes = find_faces(
                upright, self.detector, longest_side=_TURNED_SIDE
            ) or find_filling_faces(upright, self.detector)
            surest[90 * quarters] = max((box.confidence for box in boxes), default=0.0)
        return max(surest, key=surest.__getitem__)


def pixels_of(source: Any) -> np.ndarray:
    """A picture as uint8 (height, width, 3).

    Raises:
        BadInput: it is none.
    """
    picture = np.asarray(decode_image(source))
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture)


def chosen(boxes: list[Box], choice: str) -> Box:
    """The face that is meant.

    Raises:
        BadInput: there is none, or several.
    """
    if not boxes:
        raise BadInput("no face found (--crop if the picture is nothing but a face)")
    by_size = sorted(boxes, key=_area, reverse=True)
    if len(by_size) == 1 or choice == "largest":
        return by_size[0]
    if choice == "clear" and _area(by_size[0]) >= CLEARLY_LARGER * _area(by_size[1]):
        return by_size[0]
    sizes = ", ".join(f"{b.right - b.left:.0f}" for b in by_size[:4])
    raise BadInput(
        f"{len(boxes)} faces, {sizes} pixels wide: which is meant? (--face largest, or cut one out)"
    )


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def tilt_of(points: np.ndarray) -> float:
    """How far the line through the eyes is from level, in degrees; (5, 2) points of a face."""
    right, left = points[0:2].mean(axis=0), points[2:4].mean(axis=0)
    across, down = right - left
    return float(np.degrees(np.arctan2(down, across)))


def cropped(source: Any) -> Face:
    """A picture that is a face already, as a chip.

    Raises:
        BadInput: no picture.
    """
    from PIL import Image

    picture = Image.fromarray(pixels_of(source))
    side = min(picture.size)
    if picture.size != (CHIP, CHIP):
        picture = picture.resize((CHIP, CHIP), Image.Resampling.BILINEAR)
    return Face(np.asarray(picture), side=side)


class Remembered:
    """A function of a picture, with what it said of the last pictures: pairs name them again.

    Args:
        function: may raise `BadInput`, which is remembered too.
        most: pictures that are remembered.
    """

    def __init__(self, function: Callable[[Any], Any], most: int = 4096) -> None:
        self.function, self.most = function, most
        self.known: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, source: Any) -> Any:
        """What the function says."""
        found = self.remember(source)
        if isinstance(found, BadInput):
            raise BadInput(found.reason)
        return found

    def remember(self, source: Any) -> Any:
        """What the function says, or the `BadInput` that it raises; from any thread."""
        key = same_source(source)
        with self._lock:
            if key in self.known:
                self.known.move_to_end(key)
                return self.known[key]
        try:
            found = self.function(source)
        except BadInput as error:
            found = error
        with self._lock:
            self.known[key] = found
            while len(self.known) > self.most:
                self.known.popitem(last=False)
        return found


def same_source(source: Any) -> Any:
    """What two sources have in common if they are one picture; quick for files."""
    if isinstance(source, str | Path):
        try:
            about = Path(source).stat()
        except OSError:
            return str(source)
        return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
    try:
        return content_hash(source)
    except BadInput as error:  # told again by who looks at it
        return error.reason


def content_hash(source: Any) -> bytes:
    """What two pictures share only if they are the same file, bytes or pixels.

    Raises:
        BadInput: the file cannot be read, or it is no picture.
    """
    if isinstance(source, str | Path):
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}") from None
    digest = hashlib.blake2b(digest_size=16)
    if not isinstance(source, bytes | bytearray | memoryview | np.ndarray):
        source = np.asarray(decode_image(source))
    if isinstance(source, np.ndarray):
        digest.update(repr((source.shape, source.dtype)).encode())
        source = np.ascontiguousarray(source).tobytes()
    digest.update(source)
    return digest.digest()
