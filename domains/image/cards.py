"""What a model card says of a network for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.cards import calibration

if TYPE_CHECKING:
    from deepfield.domains.image.pipeline import ImagePipeline


def card_text(pipeline: ImagePipeline, config: Mapping[str, Any]) -> str:
    """What the network takes and answers."""
    f = pipeline.framing
    colour = "a grey" if f.channels == 1 else "an RGB"
    return (
        f"Takes {colour} picture of any size, framed to {f.height} x {f.width} pixels "
        f"({f.fit}), and answers with one of {len(pipeline.labels)} classes. "
        f"{calibration(config)} `in_domain` is false for pictures whose "
        "energy is beyond that of 99 % of the validation pictures. It always names one "
        "of its classes: a picture of something else gets the nearest one, often with "
        "`in_domain` false, not always."
    )
