"""How people are learnt from pictures, and pairs of pictures made to judge what was learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from deepfield.domains.face.data import all_pairs
from deepfield.toolkit.data import Arrays, Encoded

#: Objectives of training: the loss of each is `LOSSES`'.
OBJECTIVES: dict[str, str] = {
    "arc": "categorical_crossentropy", "softmax": "categorical_crossentropy",
    "triplet": "triplet", "contrastive": "contrastive",
}  # fmt: skip


def partners(items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]]:
    """Batches in which people are met again, as losses of distances need them.

    Args:
        items: the training pictures, encoded.

    Returns:
        For `Batches`: the second half of a batch becomes other pictures of the people in its first
        half, drawn anew every time; people of one picture have no partner.
    """
    people = np.array([int((item.target or {})["person"]) for item in items])
    pictures = {who: np.flatnonzero(people == who) for who in np.unique(people).tolist()}

    def vary(
        rng: np.random.Generator, places: np.ndarray, inputs: Arrays, targets: Arrays
    ) -> tuple[Arrays, Arrays]:
        pixels, persons = inputs["pixels"].copy(), targets["person"].copy()
        half = len(places) // 2
        for at, place in enumerate(places[:half], start=len(places) - half):
            own = pictures[int(people[place])]
            others = own[own != place]
            if len(others):
                chosen = items[int(rng.choice(others))]
                pixels[at] = (chosen.arrays or {})["pixels"]
                persons[at] = people[place]
        return {**inputs, "pixels": pixels}, {**targets, "person": persons}

    return vary


def paired(
    task: Any, items: Sequence[Encoded], vectors: Sequence[np.ndarray], most: int
) -> Iterator[Encoded]:
    """Pairs of pictures of people, as `predict` would be asked about them.

    Args:
        task: encodes whether the two are the same.
        items: the pictures; their context tells of the face.
        vectors: their embeddings.
        most: pairs of the same, and of different people, at most.
    """
    place = {id(item.sample): at for at, item in enumerate(items)}
    for sample, one, two in all_pairs([item.sample for item in items], most):
        i, j = place[id(one)], place[id(two)]
        faces = (items[i].context, items[j].context, False)
        target = task.encode(sample.target)
        yield Encoded(sample, {"a": vectors[i], "b": vectors[j]}, faces, target)
