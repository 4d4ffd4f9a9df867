"""Why two faces count as the same: which parts of each the distance hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.face.data import Pair
from deepfield.toolkit import plots
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.report import Report
from deepfield.toolkit.tables import aligned

if TYPE_CHECKING:
    from deepfield.domains.face.pipeline import FacePipeline

#: Pixels of the chip that are covered at once, and how far the cover moves.
COVER_PX, STEP_PX = 36, 15
#: Parts of an aligned face, by rows and columns of the chip: where its points lie is known.
PARTS: dict[str, tuple[slice, slice]] = {
    "forehead": (slice(0, 30), slice(20, 130)),
    "left eye": (slice(30, 65), slice(20, 75)),
    "right eye": (slice(30, 65), slice(75, 130)),
    "nose": (slice(55, 100), slice(52, 98)),
    "mouth": (slice(98, 130), slice(40, 110)),
    "chin": (slice(126, 150), slice(35, 115)),
}


@dataclass(slots=True)
class Explanation:
    """Two faces, and how much the distance grows when a part of one is covered.

    Args:
        name: of the pair.
        answer: the row that `predict` gives.
        faces: both chips, uint8 (150, 150, 3).
        maps: for each (150, 150): above 0 where the part speaks for the same person.
        parts: mean of both maps over the parts of a face.
    """

    name: str
    answer: dict[str, Any]
    faces: tuple[np.ndarray, np.ndarray]
    maps: tuple[np.ndarray, np.ndarray]
    parts: dict[str, float] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What is no picture, JSON-able."""
        return {"id": self.name, "answer": self.answer, "parts": self.parts}

    def lines(self) -> Iterator[str]:
        """The answer, and the parts by what they add to the distance when covered."""
        told = ("same", "probability", "distance", "threshold", "fmr", "fnmr", "measured_on")
        yield from aligned((name, self.answer[name]) for name in told)
        yield ""
        yield from aligned((name, f"{value:+.4f}") for name, value in self.parts.items())

    def png(self) -> bytes:
        """Both faces with their maps, one above the other."""
        import io

        from PIL import Image

        sheets = [Image.open(io.BytesIO(own)).convert("RGB") for own in self._pictures()]
        width = max(sheet.width for sheet in sheets)
        whole = Image.new("RGB", (width, sum(sheet.height for sheet in sheets)), "white")
        top = 0
        for sheet in sheets:
            whole.paste(sheet, (0, top))
            top += sheet.height
        stream = io.BytesIO()
        whole.save(stream, "PNG")
        return stream.getvalue()

    def _pictures(self) -> list[bytes]:
        told = "same" if self.answer["same"] else "different"
        return [
            plots.saliency_plot(
                face, seen, f"{side}: {told}, distance {self.answer['distance']:.3f}"
            )
            for side, face, seen in zip("ab", self.faces, self.maps, strict=True)
        ]

    def report(self) -> Report:
        """A page with the answer, both faces and the parts."""
        page = Report(f"Why: {self.name}")
        page.table([{"": name, "value": value} for name, value in self.answer.items()])
        for side, picture in zip("ab", self._pictures(), strict=True):
            page.picture(picture, f"{side}: orange speaks for the same person, blue against it")
        page.table([{"part": name, "adds to the distance when covered": value}
                    for name, value in self.parts.items()])  # fmt: skip
        return page


def explain(pipeline: FacePipeline, sample: Sample) -> Explanation:
    """Explain the answer for one pair, by covering parts of both faces.

    Each face is covered with its own mean colour, patch by patch, and compared with the other face
    as it is; what the distance grows by is what the covered part says for the same person.

    Raises:
        BadInput: no pair, or a picture without a face.
    """
    if not isinstance(sample.data, Pair):
        raise BadInput("one picture: explain takes a pair (a table of pairs, its first row)")
    (row,) = pipeline.predict([sample])
    if row["status"] != "ok":
        raise BadInput(row["reason"])
    chips = tuple(pipeline.faces(source).chip for source in (sample.data.a, sample.data.b))
    whole = pipeline.embeddings(np.stack(chips))
    before = float(np.linalg.norm(whole[0] - whole[1]))
    maps = tuple(_covered(pipeline, chips[i], whole[1 - i], before) for i in (0, 1))
    parts = {name: float(np.mean([m[place] for m in maps])) for name, place in PARTS.items()}
    ranked = dict(sorted(parts.items(), key=lambda pair: -abs(pair[1])))
    return Explanation(sample.id, row, (chips[0], chips[1]), (maps[0], maps[1]), ranked)


def _covered(
    pipeline: FacePipeline, chip: np.ndarray, other: np.ndarray, before: float
) -> np.ndarray:
    """How much each pixel of a face adds to the distance when it is covered, on average."""
    size = chip.shape[0]
    starts = range(STEP_PX - COVER_PX, size, STEP_PX)
    places = [(max(0, y), max(0, x), y + COVER_PX, x + COVER_PX) for y in starts for x in starts]
    colour = chip.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    covers = np.repeat(chip[None], len(places), axis=0)
    for cover, (top, left, bottom, right) in zip(covers, places, strict=True):
        cover[top:bottom, left:right] = colour
    vectors = [pipeline.embeddings(covers[at : at + 32]) for at in range(0, len(covers), 32)]
    grown = np.linalg.norm(np.concatenate(vectors) - other, axis=1) - before
    total, times = np.zeros((size, size)), np.zeros((size, size))
    for more, (top, left, bottom, right) in zip(grown, places, strict=True):
        total[top:bottom, left:right] += more
        times[top:bottom, left:right] += 1
    return total / np.maximum(times, 1)
