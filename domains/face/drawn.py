"""Faces that nobody has: cartoons whose person is recognisable and whose shots differ.

Samples to try commands with, and toys for tests: no picture of a real person has to be shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.cache import kept

if TYPE_CHECKING:
    from PIL.Image import Image

#: Where in the cache samples are kept that are made when they are first asked for.
SAMPLES_PLACE = "face/samples"
#: Of the folder that `sample:people` stands for.
PEOPLE, SHOTS = 12, 5
#: Who is to be seen in `sample:person_3`, in a picture that the folder has not.
ASKED = 3
# Drawn this many times as large as asked for, which makes edges smooth when it is shrunk.
_LARGER = 2
_HAIRS = ((28, 22, 20), (78, 48, 28), (146, 92, 44), (214, 178, 110), (150, 150, 154))
_IRISES = ((70, 44, 26), (58, 92, 140), (66, 110, 72), (96, 96, 100))


def sample_people() -> str:
    """A folder per person, drawn by the first who asks for it."""
    return kept(SAMPLES_PLACE, "people", lambda folder: write_people(folder, PEOPLE, SHOTS))


def write_shot(path: Path) -> None:
    """Write one more picture of the third person."""
    from PIL import Image

    Image.fromarray(draw_face(ASKED, SHOTS + 1)).save(path, "PNG")


def draw_face(person_seed: int, shot_seed: int, size: int = 150) -> np.ndarray:
    """Draw a face, upright and in the middle, as an aligned chip shows it.

    The person decides on the shape of the head, skin, hair, brows, eyes and their distance, nose,
    mouth, and glasses or a beard; the shot on light and its direction, colour temperature, a small
    turn, shift and scale, expression, background and noise.

    Returns:
        uint8 (size, size, 3); equal seeds give equal bits.
    """
    who = np.random.default_rng([person_seed, 1])
    shot = np.random.default_rng([person_seed, shot_seed, 2])
    return _taken(_drawn(who, shot, size * _LARGER), shot, size)


def write_people(folder: str | Path, people: int, shots: int, size: int = 150) -> str:
    """Write a folder per person, `person_1/1.png` and so on; returns the folder's path."""
    from PIL import Image

    for person in range(1, people + 1):
        own = Path(folder) / f"person_{person}"
        own.mkdir(parents=True, exist_ok=True)
        for shot in range(1, shots + 1):
            face = Image.fromarray(draw_face(person, shot, size))
            face.save(own / f"{shot}.png", compress_level=1)
    return str(folder)


@dataclass(frozen=True, slots=True)
class _Person:
    """What stays the same from shot to shot; lengths are in sides of the picture."""

    skin: np.ndarray
    hair: np.ndarray
    iris: tuple[int, int, int]
    wide: float
    tall: float
    jaw: float
    eyes: float
    eye_y: float
    eye_w: float
    eye_h: float
    brow_y: float
    brow_thick: float
    brow_tilt: float
    brow_w: float
    nose_y: float
    nose_w: float
    mouth_y: float
    mouth_w: float
    lip: float
    red: float
    hairline: float
    hair_length: float
    glasses: bool
    beard: bool
    parting: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Person:
        tone = rng.uniform(0, 1)
        skin = (1 - tone) * np.array([244, 208, 182]) + tone * np.array([124, 80, 56])
        return cls(
            skin=skin + rng.uniform(-10, 10, 3),
            hair=np.array(_HAIRS[rng.integers(5)]) + rng.uniform(-12, 12, 3),
            iris=_IRISES[rng.integers(4)],
            wide=rng.uniform(0.25, 0.34), tall=rng.uniform(0.36, 0.43), jaw=rng.uniform(0.55, 1.0),
            eyes=rng.uniform(0.095, 0.15), eye_y=rng.uniform(0.43, 0.48),
            eye_w=rng.uniform(0.04, 0.06), eye_h=rng.uniform(0.016, 0.032),
            brow_y=rng.uniform(0.05, 0.085), brow_thick=rng.uniform(0.008, 0.024),
            brow_tilt=rng.uniform(-0.02, 0.025), brow_w=rng.uniform(0.05, 0.075),
            nose_y=rng.uniform(0.58, 0.65), nose_w=rng.uniform(0.025, 0.055),
            mouth_y=rng.uniform(0.7, 0.765), mouth_w=rng.uniform(0.06, 0.12),
            lip=rng.uniform(0.008, 0.028), red=rng.uniform(0.15, 0.7),
            hairline=rng.uniform(0.12, 0.32),
            hair_length=rng.choice([0.0, 0.45, 0.95], p=[0.2, 0.45, 0.35]),
            glasses=rng.random() < 0.2, beard=rng.random() < 0.25, parting=rng.uniform(0.3, 0.7),
        )  # fmt: skip


class _Pen:
    """Draws in sides of a picture, whatever its size."""

    def __init__(self, image: Image) -> None:
        from PIL import ImageDraw

        self._draw, self._side = ImageDraw.Draw(image), image.width

    def rectangle(self, left: float, top: float, right: float, bottom: float, fill: Any) -> None:
        box = [self._side * v for v in (left, top, right, bottom)]
        self._draw.rectangle(box, fill=fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Any) -> None:
        box = [self._side * v for v in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, fill=fill)

    def ring(self, x: float, y: float, rx: float, ry: float, fill: Any) -> None:
        box = [self._side * v for v in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, outline=fill, width=self._side // 80)

    def segment(self, y: float, rx: float, ry: float, start: float, end: float, fill: Any) -> None:
        """What a chord cuts off an ellipse around the middle; degrees clockwise from the right."""
        turns = np.deg2rad(np.linspace(start, end, 24))
        self.polygon(np.stack([0.5 + rx * np.cos(turns), y + ry * np.sin(turns)], axis=1), fill)

    def polygon(self, points: Any, fill: Any) -> None:
        self._draw.polygon((self._side * np.asarray(points)).ravel().tolist(), fill=fill)

    def line(self, points: Any, thick: float, fill: Any) -> None:
        flat = [(self._side * x, self._side * y) for x, y in points]
        self._draw.line(flat, fill=fill, width=max(1, round(self._side * thick)), joint="curve")


def _drawn(who: np.random.Generator, shot: np.random.Generator, side: int) -> Image:
    """The face in even light."""
    from PIL import Image

    person = _Person.drawn(who)
    smile, opened = shot.uniform(-0.015, 0.03), shot.uniform(0.75, 1.15)
    raised, looking = shot.uniform(-0.008, 0.012), shot.uniform(-0.012, 0.012)
    image = Image.new("RGB", (side, side), _colour(shot.integers(40, 226, 3)))
    pen = _Pen(image)
    _draw_head(pen, person)
    for sign in (-1, 1):
        _draw_eye(pen, person, sign, opened, looking, raised)
    _draw_middle(pen, person, smile)
    return image


def _colour(rgb: Any, times: float = 1.0) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(np.asarray(rgb) * times, 0, 255))


def _draw_head(pen: _Pen, p: _Person) -> None:
    """Hair, neck, ears, face and beard."""
    middle = 0.52
    if p.hair_length:  # hair behind the head
        pen.ellipse(0.5, middle - 0.06, p.wide + 0.055, p.tall * 0.95, _colour(p.hair, 0.9))
        bottom = middle - 0.06 + p.hair_length * p.tall
        left, right = 0.5 - p.wide - 0.05, 0.5 + p.wide + 0.05
        pen.rectangle(left, middle - 0.1, right, bottom, _colour(p.hair, 0.9))
    pen.rectangle(0.4, 0.8, 0.6, 1.0, _colour(p.skin, 0.85))
    for x in (0.5 - p.wide, 0.5 + p.wide):
        pen.ellipse(x, middle - 0.01, 0.03, 0.06, _colour(p.skin, 0.92))
    pen.ellipse(0.5, middle, p.wide, p.tall, _colour(p.skin))
    chin = [(0.5 - p.wide * 0.97, middle + 0.08),
            (0.5 - p.wide * p.jaw * 0.7, middle + p.tall * 0.86), (0.5, middle + p.tall),
            (0.5 + p.wide * p.jaw * 0.7, middle + p.tall * 0.86),
            (0.5 + p.wide * 0.97, middle + 0.08)]  # fmt: skip
    pen.polygon(chin, _colour(p.skin))
    if p.beard:
        pen.segment(middle, p.wide * 0.8, p.tall + 0.01, 35, 145, _colour(p.hair, 0.95))
    # hair on the forehead, parted
    low = 180 + 130 * p.hairline
    pen.segment(middle, p.wide + 0.02, p.tall + 0.03, low, 540 - low, _colour(p.hair))
    top = middle - p.tall - 0.02
    pen.line([(p.parting, top), (p.parting + 0.02, top + 0.1)], 0.006, _colour(p.hair, 0.7))


def _draw_eye(
    pen: _Pen, p: _Person, sign: int, opened: float, looking: float, raised: float
) -> None:
    """The left (-1) or the right (1) eye, its brow and its glass."""
    x, y = 0.5 + sign * p.eyes, p.eye_y
    height = p.eye_h * opened
    pen.ellipse(x, y, p.eye_w, height, _colour((246, 244, 240)))
    pen.ellipse(x + looking, y, p.eye_h * 0.85, min(p.eye_h * 0.85, height), _colour(p.iris))
    pen.ellipse(x + looking, y, p.eye_h * 0.4, p.eye_h * 0.4, (12, 12, 14))
    lid = [(x - p.eye_w, y), (x, y - height), (x + p.eye_w, y)]
    pen.line(lid, 0.006, _colour(p.skin, 0.45))
    over = y - p.brow_y - raised
    ends = [(x - sign * p.brow_w, over + p.brow_tilt), (x + sign * p.brow_w, over)]
    pen.line(ends, p.brow_thick, _colour(p.hair, 0.75))
    if p.glasses:
        pen.ring(x, y, 0.075, 0.06, (30, 30, 34))


def _draw_middle(pen: _Pen, p: _Person, smile: float) -> None:
    """The bridge of the glasses, nose and mouth."""
    if p.glasses:
        ends = [(0.5 - p.eyes + 0.07, p.eye_y), (0.5 + p.eyes - 0.07, p.eye_y)]
        pen.line(ends, 0.01, (30, 30, 34))
    ridge = [(0.5, p.eye_y + 0.03), (0.5 - p.nose_w * 0.7, p.nose_y)]
    pen.line(ridge, 0.006, _colour(p.skin, 0.8))
    tip = [(0.5 - p.nose_w, p.nose_y), (0.5, p.nose_y + 0.012), (0.5 + p.nose_w, p.nose_y)]
    pen.line(tip, 0.01, _colour(p.skin, 0.62))
    lips = (1 - p.red) * p.skin * 0.7 + p.red * np.array([196, 60, 70])
    t = np.linspace(-1, 1, 7)
    curve = np.stack([0.5 + t * p.mouth_w, p.mouth_y + smile * (1 - 2 * t * t)], axis=1)
    pen.line(curve, p.lip + 0.008, _colour(lips))
    pen.line(curve, 0.005, _colour(lips, 0.5))


def _taken(image: Image, shot: np.random.Generator, size: int) -> np.ndarray:
    """The drawing as a camera saw it."""
    from PIL import Image

    side = image.width
    angle, scale = np.deg2rad(shot.uniform(-8, 8)), shot.uniform(0.93, 1.07)
    shift = shot.uniform(-0.025, 0.025, 2) * side
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    half = side / 2
    matrix = (c, s, half - c * half - s * half + shift[0],
              -s, c, half + s * half - c * half + shift[1])  # fmt: skip
    edge = image.getpixel((0, 0))
    image = image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=edge
    )
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BOX), np.float32)
    across, down = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    towards = shot.uniform(0, 2 * np.pi)
    fall = np.cos(towards) * across + np.sin(towards) * down
    light = shot.uniform(0.65, 1.2) * (1 + shot.uniform(0, 0.3) * fall)
    pixels = pixels * light[..., None].astype(np.float32) * shot.uniform(0.92, 1.08, 3)
    grain = shot.standard_normal(pixels.shape, np.float32)
    pixels = pixels + np.float32(shot.uniform(2, 8)) * grain
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
