"""Image recognition on the toolkit's contract: a picture in, its class out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.image.data import READERS, SAMPLES
from deepfield.domains.image.features import Framing, frame
from deepfield.domains.image.usage import EXAMPLES, OPTIONS
from deepfield.toolkit.data import Arrays, Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.pictures import decode_image, is_one_picture, perceptual_hash
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.recipe import Recipe
from deepfield.toolkit.tasks import Classification

#: Sides in pixels that an architecture insists on, and channels.
FIXED_FRAMES = {
    "lenet5": Framing(28, 28, 1, "squash"),
    "alexnet": Framing(227, 227, 3, "crop", resize=256),
    "efficientnet_lite0": Framing(224, 224, 3, "crop", resize=256),
}
#: What networks with batch normalisation share.
_MODERN = Recipe(
    optimizer="adamw",
    schedule="onecycle",
    weight_decay=0.02,
    keep="last",
    recalibrate_bn=True,
)


class ImagePipeline(Pipeline):
    """Which of several classes a picture shows.

    Settings:
        size: side of the frame in pixels; by default what the training pictures suggest.
        channels: 1 for grey, 3 for colour; by default what the training pictures have.
        fit: `"squash"`, `"crop"` or `"pad"` (see `domains.image.features.Framing`).

    Example:
        >>> import deepfield
        >>> model = deepfield.load("image/small_cnn_digits")
        >>> next(model.predict("sample:digit"))["label"]
        '4'
    """

    domain = "image"
    summary = "image recognition: which class a picture shows"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.image.models"
    default_architecture = "small_cnn"
    task_class = Classification
    is_one = staticmethod(is_one_picture)
    baseline = "svm"
    presets = (
        "efficientnet_lite0_imagenet",
        "small_cnn_mnist",
        "lenet5_mnist",
        "small_cnn_digits",
    )
    adopted: ClassVar = {
        "efficientnet_lite0_imagenet": "deepfield.domains.image.conversion:adopt_efficientnet"
    }
    known_data: ClassVar = {
        "mnist": ("MNIST (LeCun, Cortes, Burges)", "CC BY-SA 3.0"),
        "digits": ("Optical Recognition of Handwritten Digits (UCI; scikit-learn's)", "CC BY 4.0"),
        "gtsrb": ("German Traffic Sign Recognition Benchmark (INI Bochum)", "research use"),
    }
    recipes: ClassVar = {
        "": replace(_MODERN, epochs=40, batch_size=64, learning_rate=4e-3, label_smoothing=0.05),
        "lenet5": Recipe(
            epochs=40,
            batch_size=64,
            optimizer="adamw",
            learning_rate=2e-3,
            schedule="onecycle",
            ema=0.999,
            keep="last",
        ),
    }
    finetune_recipe = replace(
        _MODERN, epochs=20, batch_size=32, learning_rate=1e-3, label_smoothing=0.1
    )
    finetune_hyper: ClassVar = {"efficientnet_lite0": {"augment": 0.5, "light": 0.6}}
    options = OPTIONS
    examples: ClassVar = EXAMPLES

    # ------------------------------------------------------------------ from picture to pixels

    @property
    def framing(self) -> Framing:
        """How pictures become the network's input."""
        if not hasattr(self, "_framing"):
            self._framing = Framing(**self.state["framing"])
        return self._framing

    def restored(self) -> None:
        """A frame that a stranger's bundle may ask for ends at 4,096 pixels a side."""
        frame_ = self.framing
        if max(frame_.height, frame_.width, frame_.resize or 0) > 4096:
            raise ValueError(f"a frame of {frame_.height} x {frame_.width} pixels")

    def encode(self, item: Any) -> tuple[Arrays, Any]:
        """A picture (see `decode_image`) to `pixels`, uint8 (height, width, channels)."""
        return {"pixels": frame(decode_image(item, self.framing.least_side), self.framing)}, None

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """Choose the frame from the training pictures, unless it is settled already."""
        if hasattr(self, "_framing"):
            del self._framing
        wish = {k: v for k, v in self.settings.items() if v is not None}
        if "framing" in self.state:  # fine-tuning keeps the frame of the network it starts from
            framing = self._finetuned_frame(Framing(**self.state["framing"]), items)
        elif self.architecture in FIXED_FRAMES:
            framing = FIXED_FRAMES[self.architecture]
        else:
            framing = _natural_frame(items)
        if "size" in wish:
            side = int(wish["size"])
            resize = round(side * framing.resize / framing.height) if framing.resize else None
            framing = replace(framing, height=side, width=side, resize=resize)
        if "channels" in wish:
            framing = replace(framing, channels=int(wish["channels"]))
        if "fit" in wish:
            framing = replace(framing, fit=wish["fit"])
        self.state["framing"] = asdict(framing)

    def _finetuned_frame(self, framing: Framing, items: Sequence[Sample]) -> Framing:
        """A smaller frame for small pictures: enlarging them to 224 pixels only costs time."""
        if self.architecture != "efficientnet_lite0":
            return framing
        sides = [min(p.shape[:2]) for p in _looked_at(items)]
        side = int(np.clip(32 * round(3 * float(np.median(sides)) / 32), 96, framing.height))
        if side == framing.height:
            return framing
        return Framing(side, side, framing.channels, "squash")

    def build_arguments(self) -> dict[str, Any]:
        """Input shape and number of classes."""
        f = self.framing
        shape = (f.height, f.width, f.channels)
        return {"input_shape": shape, "classes": len(self.labels)}

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """The published input and 1,000 classes; small networks for 28 x 28 grey and ten."""
        frame_ = FIXED_FRAMES.get(architecture, Framing(28, 28, 1))
        classes = 1000 if frame_.height > 200 else 10
        return {
            "input_shape": (frame_.height, frame_.width, frame_.channels),
            "classes": classes,
        }

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the network's outputs."""
        return list(self.task.state.get("labels", []))

    # ------------------------------------------------------------------ beside the network

    def baseline_features(self, arrays: Arrays) -> np.ndarray:
        """The picture at no more than 32 pixels a side, 0 to 1, as one row."""
        pixels = arrays["pixels"]
        if max(pixels.shape[:2]) > 32:
            small = Framing(32, 32, pixels.shape[2] if pixels.shape[2] in (1, 3) else 1)
            pixels = frame(pixels if pixels.shape[2] == 3 else pixels[..., 0], small)
        return (pixels.astype(np.float32) / 255.0).ravel()

    def near_hash(self, arrays: Arrays) -> int | None:
        """The perceptual hash of the framed picture."""
        return perceptual_hash(arrays["pixels"])

    def picture(self, sample: Sample) -> bytes | None:
        """The picture itself as PNG, at most 512 pixels a side."""
        import io

        from PIL import Image

        try:
            image = decode_image(sample.data)
        except BadInput:
            return None
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        image.thumbnail((512, 512))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return stream.getvalue()


def _looked_at(items: Sequence[Sample], most: int = 60) -> Iterator[np.ndarray]:
    """Up to `most` of the pictures, decoded."""
    step = max(1, len(items) // most)
    for sample in items[::step][:most]:
        try:
            yield np.asarray(decode_image(sample.data))
        except BadInput:
            continue


def _natural_frame(items: Sequence[Sample]) -> Framing:
    """The size that the pictures have, up to 64 pixels; grey if all of them are."""
    pictures = list(_looked_at(items))
    if not pictures:
        return Framing(32, 32, 3)
    height, width = (int(np.median([p.shape[axis] for p in pictures])) for axis in (0, 1))
    grey = all(p.ndim == 2 for p in pictures)
    largest = max(height, width)
    scale = min(1.0, 64 / largest)
    sides = [max(8, round(side * scale)) for side in (height, width)]
    return Framing(sides[0], sides[1], 1 if grey else 3, "squash")
