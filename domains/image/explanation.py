"""Why a network says what it says of a picture: what its layers see, and where it looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.image.features import frame
from deepfield.toolkit import explain as explaining
from deepfield.toolkit import plots
from deepfield.toolkit.data import Sample
from deepfield.toolkit.pictures import decode_image
from deepfield.toolkit.report import Report
from deepfield.toolkit.tables import aligned

if TYPE_CHECKING:
    from deepfield.domains.image.pipeline import ImagePipeline

_LAYERS = 8
# The last maps of a network for small pictures have a few cells: too coarse to point with.
_SMALL = 64


@dataclass(slots=True)
class Explanation:
    """A picture, what every layer made of it, the scores, and where it was decided.

    Args:
        name: of the sample.
        scores: probability by class, best first.
        layers: the picture of LeCun, Bengio & Hinton 2015, figure 2: PNG.
        saliency: where the network looked: PNG.
        method: how that was found.
    """

    name: str
    scores: dict[str, float]
    layers: bytes
    saliency: bytes
    method: str

    def facts(self) -> dict[str, Any]:
        """What is no picture, JSON-able."""
        return {"id": self.name, "scores": self.scores, "method": self.method}

    def lines(self) -> Iterator[str]:
        """The scores, for a terminal."""
        return aligned(self.scores.items())

    def png(self) -> bytes:
        """Both pictures in one, the layers on the left."""
        import io

        from PIL import Image

        parts = [Image.open(io.BytesIO(png)).convert("RGB") for png in (self.layers, self.saliency)]
        sheet = Image.new(
            "RGB", (sum(p.width for p in parts), max(p.height for p in parts)), "white"
        )
        left = 0
        for part in parts:
            sheet.paste(part, (left, 0))
            left += part.width
        stream = io.BytesIO()
        sheet.save(stream, "PNG")
        return stream.getvalue()

    def report(self) -> Report:
        """A page with both pictures and the scores."""
        page = Report(f"Why: {self.name}")
        page.table([{"class": k, "probability": v} for k, v in self.scores.items()])
        page.picture(self.saliency, f"What spoke for its answer ({self.method})")
        page.picture(self.layers, "The outputs of every layer, from the picture to the scores")
        return page


def explain(pipeline: ImagePipeline, sample: Sample) -> Explanation:
    """Explain the answer for one picture.

    Raises:
        BadInput: the picture cannot be decoded.
    """
    pixels = frame(decode_image(sample.data, pipeline.framing.least_side), pipeline.framing)
    batch = {"pixels": pixels[None]}
    model = pipeline.model
    outputs = pipeline.calibrated(pipeline.forward(batch))
    prediction = outputs["prediction"][0]
    best = np.argsort(-prediction)[:5]
    scores = {pipeline.labels[i]: float(prediction[i]) for i in best}
    arrays = {"pixels": batch["pixels"].astype(np.float32)}
    layers = [(n, a[0]) for n, a in explaining.layer_outputs(model, arrays, most=_LAYERS)]
    if max(pixels.shape[:2]) <= _SMALL:
        gradients = explaining.integrated_gradients(model, arrays, int(best[0]))[0]
        seen, method = gradients.sum(axis=-1), "integrated gradients: blue speaks against it"
    else:
        seen, method = explaining.grad_cam(model, arrays, int(best[0]))[0], "Grad-CAM"
    shown = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    answer = f"{pipeline.labels[best[0]]}, {prediction[best[0]]:.1%}"
    return Explanation(
        sample.id,
        scores,
        plots.layers_plot(layers, shown, list(scores.items())),
        plots.saliency_plot(shown, seen, answer),
        method,
    )
