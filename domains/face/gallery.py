"""Known faces to search in: one file of vectors and names that a person can delete."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.toolkit.bundle import replace_file
from deepfield.toolkit.errors import (
    DeepfieldError,
    NotFound,
    UnusableModel,
    UsageError,
    first_line,
)
from deepfield.toolkit.paths import is_file

_KIND = "deepfield face index 1"
_MOST_BYTES = 8 << 30
_HINT = "make it again: deepfield face embed PICTURES --index FILE"
_AMBIGUOUS = "name a person; or make it again, where all folders are named at once: " + (
    "deepfield face embed A B --index FILE tells A/1.jpg from B/1.jpg"
)
_LISTED = 5


@dataclass(slots=True)
class Gallery:
    """Vectors of faces, whose they are and where they come from.

    Args:
        network: the digest of the network that made the vectors.
        vectors: (faces, units) float32.
        people: the name of each; empty where nobody said.
        pictures: the picture of each.

    Example:
        >>> gallery = Gallery("abc")
        >>> gallery.add(np.eye(2, dtype="float32"), ["Ada", "Grace"], ["a.jpg", "g.jpg"])
        >>> gallery.nearest(np.array([0.0, 1.0], "float32"), 1)[0]["person"]
        'Grace'
    """

    network: str
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    people: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pictures)

    def add(self, vectors: np.ndarray, people: Sequence[str], pictures: Sequence[str]) -> None:
        """Add faces; those of pictures that are known already are replaced."""
        self.drop(pictures)
        self.vectors = np.concatenate([self.vectors, vectors]) if len(self) else vectors
        self.people += people
        self.pictures += pictures

    def drop(self, pictures: Iterable[str]) -> None:
        """Take out the faces of pictures, where they are known."""
        gone = set(pictures)
        self._keep(np.array([name not in gone for name in self.pictures], bool))

    def forget(self, name: str) -> int:
        """Take out a person, or a picture; how many faces that were.

        Raises:
            UsageError: faces of several people are called so.
        """
        if not name:  # of those whose name nobody said each is somebody else
            return 0
        pairs = list(zip(self.people, self.pictures, strict=True))
        gone = [pair for pair in pairs if name in pair]
        people = {person for person, _ in gone}
        if len(gone) > 1 and (len(people) > 1 or people == {""}):
            raise UsageError(
                f"{len(gone):,} faces are called {name!r}: {_listed(gone)}", _AMBIGUOUS
            )
        self._keep(np.array([name not in pair for pair in pairs], bool))
        return len(gone)

    def ending(self, name: str) -> list[str]:
        """The pictures of this name in whatever folder."""
        return sorted({path for path in self.pictures if path.endswith(f"/{name}")})

    def _keep(self, kept: np.ndarray) -> None:
        if not kept.all():
            self.vectors = self.vectors[kept]
            self.people = [p for p, there in zip(self.people, kept, strict=True) if there]
            self.pictures = [p for p, there in zip(self.pictures, kept, strict=True) if there]

    def nearest(self, vector: np.ndarray, top: int) -> list[dict[str, Any]]:
        """The faces that are most like one, best first: `person, picture, distance`.

        Args:
            vector: (units,).
            top: how many, at most.
        """
        if not len(self):
            return []
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        near = squares - 2 * (self.vectors @ vector.astype(np.float32))
        count = min(top, len(self))
        few = np.argpartition(near, count - 1)[:count]
        exact = np.linalg.norm(self.vectors[few].astype(np.float64) - vector, axis=1)
        return [
            {"person": self.people[i], "picture": self.pictures[i], "distance": float(d)}
            for d, i in sorted(zip(exact, few, strict=True), key=lambda pair: pair[0])
        ]

    # ------------------------------------------------------------------ on disk

    def save(self, path: str | Path) -> None:
        """Write the index, whole or not at all.

        Raises:
            DeepfieldError: it cannot be written.
        """
        from safetensors.numpy import save

        about = {
            "kind": _KIND, "network": self.network,
            "people": json.dumps(self.people), "pictures": json.dumps(self.pictures),
        }  # fmt: skip
        vectors = np.ascontiguousarray(self.vectors, np.float32)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            replace_file(Path(path), save({"vectors": vectors}, about))
        except OSError as error:
            raise DeepfieldError(
                f"cannot write {str(path)!r}: {error.strerror}", "check the path and the disk"
            ) from None

    @classmethod
    def load(cls, path: str | Path, network: str | None = None) -> Gallery:
        """Read an index.

        Args:
            path: of the file.
            network: the digest of the network that it must have been made with; None for any.

        Raises:
            NotFound: no such file.
            UnusableModel: it is no index, or damaged.
            UsageError: another network made it.
        """
        from safetensors import safe_open

        if not is_file(path):
            raise NotFound(f"no index {str(path)!r}", "--gallery DIR makes one")
        try:
            if Path(path).stat().st_size > _MOST_BYTES:
                raise ValueError("it is too large")
            with safe_open(str(path), "np") as file:
                about = file.metadata() or {}
                if about.get("kind") != _KIND:
                    raise ValueError("it is another kind of file")
                vectors = file.get_tensor("vectors")
            people, pictures = json.loads(about["people"]), json.loads(about["pictures"])
            if not (vectors.ndim == 2 and len(vectors) == len(people) == len(pictures)):
                raise ValueError("names and vectors differ in number")
            if vectors.dtype != np.float32 or not np.isfinite(vectors).all():
                raise ValueError("its vectors are no numbers")
            if not all(isinstance(name, str) for name in (*people, *pictures)):
                raise ValueError("its names are no texts")
        except Exception as error:  # whatever a foreign file provokes, it is no index
            said = first_line(error)
            raise UnusableModel(f"{str(path)!r} is no index of faces: {said}", _HINT) from None
        if network is not None and about.get("network") != network:
            raise UsageError(f"{str(path)!r} was made with another network", _HINT)
        return cls(str(about.get("network")), vectors, people, pictures)


def _listed(faces: Sequence[tuple[str, str]]) -> str:
    told = [f"{path} of {person or 'nobody named'}" for person, path in dict.fromkeys(faces)]
    return ", ".join([*told[:_LISTED], *(["…"] if told[_LISTED:] else [])])


def gathered(found: Iterable[tuple[str, str, np.ndarray]], network: str) -> Gallery:
    """A gallery of faces (person, picture, vector)."""
    rows = list(found)
    gallery = Gallery(network)
    if rows:
        people, pictures, vectors = zip(*rows, strict=True)
        gallery.add(np.stack(vectors).astype(np.float32), list(people), list(pictures))
    return gallery
