"""Faces that nobody has: cartoons whose person is recognisable and whose shots differ.

Samples to try commands with, and toys for tests: no picture of a real person has to be shipped.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.bundle import cache_folder

if TYPE_CHECKING:
    from PIL.Image import Image

#: Of the folder that `sample:people` stands for.
PEOPLE, SHOTS = 12, 5
#: Who is to be seen in `sample:person_3`, in a picture that the folder has not.
ASKED = 3
# Drawn this many times as large as asked for, which makes edges smooth when it is shrunk.
_LARGER = 2


def sample_people() -> str:
    """A folder per person in the cache, drawn by the first who asks for it, whole or not at all."""
    folder = cache_folder() / "face" / "samples" / "people"
    if not folder.is_dir():
        unfinished = folder.with_name(f"{os.getpid()}.people")
        try:
            write_people(unfinished, PEOPLE, SHOTS)
            unfinished.rename(folder)
        except OSError:  # another process was quicker
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return str(folder)


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


def _drawn(who: np.random.Generator, shot: np.random.Generator, side: int) -> Image:
    """The face in even light; lengths are in sides of the picture."""
    from PIL import Image, ImageDraw

    tone = who.uniform(0, 1)
    skin = (1 - tone) * np.array([244, 208, 182]) + tone * np.array([124, 80, 56])
    skin = skin + who.uniform(-10, 10, 3)
    hairs = ((28, 22, 20), (78, 48, 28), (146, 92, 44), (214, 178, 110), (150, 150, 154))
    hair = np.array(hairs[who.integers(5)]) + who.uniform(-12, 12, 3)
    iris = [(70, 44, 26), (58, 92, 140), (66, 110, 72), (96, 96, 100)][who.integers(4)]
    wide, tall = who.uniform(0.25, 0.34), who.uniform(0.36, 0.43)
    jaw = who.uniform(0.55, 1.0)
    eyes, eye_y = who.uniform(0.095, 0.15), who.uniform(0.43, 0.48)
    eye_w, eye_h = who.uniform(0.04, 0.06), who.uniform(0.016, 0.032)
    brow_y, brow_t = who.uniform(0.05, 0.085), who.uniform(0.008, 0.024)
    brow_tilt, brow_w = who.uniform(-0.02, 0.025), who.uniform(0.05, 0.075)
    nose_y, nose_w = who.uniform(0.58, 0.65), who.uniform(0.025, 0.055)
    mouth_y, mouth_w = who.uniform(0.7, 0.765), who.uniform(0.06, 0.12)
    lip, red = who.uniform(0.008, 0.028), who.uniform(0.15, 0.7)
    hairline, sides = who.uniform(0.12, 0.32), who.choice([0.0, 0.45, 0.95], p=[0.2, 0.45, 0.35])
    glasses, beard, parting = who.random() < 0.2, who.random() < 0.25, who.uniform(0.3, 0.7)

    smile = shot.uniform(-0.015, 0.03)
    opened = shot.uniform(0.75, 1.15)
    raised, looking = shot.uniform(-0.008, 0.012), shot.uniform(-0.012, 0.012)
    background = shot.integers(40, 226, 3)

    image = Image.new("RGB", (side, side), tuple(int(c) for c in background))
    draw = ImageDraw.Draw(image)

    def colour(rgb: Any, times: float = 1.0) -> tuple[int, ...]:
        return tuple(int(c) for c in np.clip(np.asarray(rgb) * times, 0, 255))

    def ellipse(x: float, y: float, rx: float, ry: float, fill: Any, **more: Any) -> None:
        box = [side * v for v in (x - rx, y - ry, x + rx, y + ry)]
        draw.ellipse(box, fill=fill, **more)

    def segment(y: float, rx: float, ry: float, start: float, end: float, fill: Any) -> None:
        """What a chord cuts off an ellipse around the middle; degrees clockwise from the right."""
        turns = np.deg2rad(np.linspace(start, end, 24))
        points = np.stack([0.5 + rx * np.cos(turns), y + ry * np.sin(turns)], axis=1)
        draw.polygon((side * points).ravel().tolist(), fill=fill)

    def line(points: Any, thick: float, fill: Any) -> None:
        flat = [(side * x, side * y) for x, y in points]
        draw.line(flat, fill=fill, width=max(1, round(side * thick)), joint="curve")

    middle = 0.52
    if sides:  # hair behind the head
        ellipse(0.5, middle - 0.06, wide + 0.055, tall * 0.95, colour(hair, 0.9))
        bottom = middle - 0.06 + sides * tall
        box = [0.5 - wide - 0.05, middle - 0.1, 0.5 + wide + 0.05, bottom]
        draw.rectangle([side * v for v in box], fill=colour(hair, 0.9))
    draw.rectangle([side * v for v in (0.4, 0.8, 0.6, 1.0)], fill=colour(skin, 0.85))
    for x in (0.5 - wide, 0.5 + wide):
        ellipse(x, middle - 0.01, 0.03, 0.06, colour(skin, 0.92))
    ellipse(0.5, middle, wide, tall, colour(skin))
    chin = [(0.5 - wide * 0.97, middle + 0.08), (0.5 - wide * jaw * 0.7, middle + tall * 0.86),
            (0.5, middle + tall), (0.5 + wide * jaw * 0.7, middle + tall * 0.86),
            (0.5 + wide * 0.97, middle + 0.08)]  # fmt: skip
    draw.polygon([(side * x, side * y) for x, y in chin], fill=colour(skin))
    if beard:
        segment(middle, wide * 0.8, tall + 0.01, 35, 145, colour(hair, 0.95))
    # hair on the forehead, parted
    low = 180 + 130 * hairline
    segment(middle, wide + 0.02, tall + 0.03, low, 540 - low, colour(hair))
    top = middle - tall - 0.02
    line([(parting, top), (parting + 0.02, top + 0.1)], 0.006, colour(hair, 0.7))

    for sign in (-1, 1):
        x = 0.5 + sign * eyes
        ellipse(x, eye_y, eye_w, eye_h * opened, colour((246, 244, 240)))
        ellipse(x + looking, eye_y, eye_h * 0.85, min(eye_h * 0.85, eye_h * opened), colour(iris))
        ellipse(x + looking, eye_y, eye_h * 0.4, eye_h * 0.4, (12, 12, 14))
        line([(x - eye_w, eye_y), (x, eye_y - eye_h * opened), (x + eye_w, eye_y)], 0.006,
             colour(skin, 0.45))  # fmt: skip
        y = eye_y - brow_y - raised
        ends = [(x - sign * brow_w, y + brow_tilt), (x + sign * brow_w, y)]
        line(ends, brow_t, colour(hair, 0.75))
        if glasses:
            ellipse(x, eye_y, 0.075, 0.06, None, outline=(30, 30, 34), width=side // 80)
    if glasses:
        line([(0.5 - eyes + 0.07, eye_y), (0.5 + eyes - 0.07, eye_y)], 0.01, (30, 30, 34))
    line([(0.5, eye_y + 0.03), (0.5 - nose_w * 0.7, nose_y)], 0.006, colour(skin, 0.8))
    line([(0.5 - nose_w, nose_y), (0.5, nose_y + 0.012), (0.5 + nose_w, nose_y)], 0.01,
         colour(skin, 0.62))  # fmt: skip
    lips = (1 - red) * skin * 0.7 + red * np.array([196, 60, 70])
    curve = [(0.5 + t * mouth_w, mouth_y + smile * (1 - 2 * t * t)) for t in np.linspace(-1, 1, 7)]
    line(curve, lip + 0.008, colour(lips))
    line(curve, 0.005, colour(lips, 0.5))
    return image


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
