"""What a model card says of a network for faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfield.domains.face.pipeline import FacePipeline


def card_text(pipeline: FacePipeline, config: Mapping[str, Any]) -> str:
    """What the network takes and answers, and what it must not be used for."""
    return (
        "Takes a face, found and turned upright by dlib's detector and landmarks (or a picture "
        "that is a face already, with `--crop`), and answers with a vector; two faces are the "
        "same person if their vectors are near. Every answer names its threshold with the "
        "rates of false matches and false non-matches that were measured at it, and on what.\n"
        "\n"
        "Not to be used to identify people who did not agree to it, to watch people, to infer "
        "traits, or for decisions about a person without a person who looks. Error rates "
        "differ between groups of people, and were not measured for each here. Pictures are "
        "never uploaded and never kept; vectors only in the index that a user names, out of "
        "which `deepfield face embed --index FILE --forget NAME` takes a person."
    )
