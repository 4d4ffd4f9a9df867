"""What stands before the names of samples that come from several sources, so that a person can tell
them apart: two folders, or two archives, may both hold an `a.png`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from deepfield.toolkit.data import Sample
from deepfield.toolkit.paths import is_file, is_folder
from deepfield.toolkit.picture_files import accepts_table, accepts_zip


def place_of(source: str) -> Path | None:
    """Where the samples of a source lie: a folder itself, an archive as the folder that it unpacks
    to, of a file the folder that holds it. None of a table, whose paths are names already, and of
    what is no file.
    """
    if is_folder(source):
        return Path(source)
    if accepts_zip(source):
        return Path(source).with_suffix("")
    if not is_file(source) or accepts_table(source) or source.lower().endswith(".json"):
        return None
    return Path(source).parent


def prefixed(source: str, samples: Iterable[Sample], prefix: str | None = None) -> Iterator[Sample]:
    """Samples of one of several sources; a name that is a path in it gets the place before it.

    Args:
        source: where they come from.
        samples: of which those are named anew whose name is their `path`, in a folder or an
            archive, or is the file's own; what a table calls its rows stays.
        prefix: of `prefixes`; by default the whole place, as it was given.
    """
    own = Path(source).name

    @functools.cache  # asked of the file system once, and only if it is wanted
    def place() -> Path | None:
        return place_of(source)

    @functools.cache
    def holds_some() -> bool:
        return is_folder(source) or accepts_zip(source)

    for sample in samples:
        name = sample.id
        if prefix != "" and sample.row.get("path") == name and (name == own or holds_some()):
            own_name = source if name == own else str((place() or Path()) / name)
            name = f"{prefix}/{name}" if prefix else own_name
            sample = replace(sample, id=name, row={**sample.row, "path": name})
        yield sample


def prefixes(sources: Sequence[str]) -> list[str]:
    """The shortest prefixes that tell the places of sources apart, each the end of a place.

    Nothing where all lie in one folder, and before those of tables. Folders of one name are told
    apart by the folders above them.

    Example:
        >>> prefixes(["faces/s1", "faces/s10"])  # doctest: +SKIP
        ['s1', 's10']
    """
    places = [_parts(place_of(source)) for source in sources]
    there = {place for place in places if place}
    if len(there) < 2:
        return [""] * len(places)
    return ["/".join(_shortest(place, there)) if place else "" for place in places]


def _parts(place: Path | None) -> tuple[str, ...]:
    # a link is called as the link is
    if place is None:
        return ()
    path = Path(os.path.abspath(place))  # noqa: PTH100
    return path.relative_to(path.anchor).parts


def _shortest(place: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """So many of the last folders as no other place ends in."""
    for count in range(1, len(place)):
        end = place[-count:]
        if not any(other[-count:] == end for other in others if other != place):
            return end
    return place
