"""What other networks, and people, are reported to reach on Labeled Faces in the Wild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Accuracy by name: the mean over the ten folds of View 2 (Huang et al. 2007), as each paper
#: prints it of its best system (several are ensembles of networks).
ACCURACY: Mapping[str, float] = {
    "human": 0.9753,  # Kumar et al. 2009, pictures cropped to the face
    "DeepFace": 0.9735,  # Taigman et al. 2014
    "DeepID": 0.9745,  # Sun, Wang & Tang 2014
    "WST": 0.9837,  # Taigman et al. 2015, web-scale training
    "VGGFace": 0.9895,  # Parkhi et al. 2015
    "DeepID2": 0.9915,  # Sun et al. 2014
    "DeepID2+": 0.9947,  # Sun, Wang & Tang 2015
    "FaceNet": 0.9963,  # Schroff et al. 2015
}
#: What they were measured on.
ON = "on LFW's View 2 (colour photographs, ten folds of 600 pairs); comparable only there"
_FOLDS, _PAIRS = 10, 600


def is_view_2(groups: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether folds look like View 2: ten, of 600 pairs each, of which some may be rejected.

    Example:
        >>> is_view_2({str(fold): {"n": 598} for fold in range(1, 11)})
        True
        >>> is_view_2({str(fold): {"n": 50} for fold in range(1, 11)})
        False
    """
    sizes = [int(own["n"]) for own in groups.values()]
    return len(sizes) == _FOLDS and all(0.9 * _PAIRS <= n <= _PAIRS for n in sizes)


def figures(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The published accuracies, where the folds are those of View 2; nothing elsewhere."""
    if not is_view_2(groups):
        return {}
    return {name: {"metrics": {"accuracy": share}, "on": ON} for name, share in ACCURACY.items()}
