"""Names of pictures that come from several folders, by which a person can tell them apart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deepfield.toolkit.data import Sample
from deepfield.toolkit.paths import is_folder
from deepfield.toolkit.picture_files import accepts_picture, accepts_zip, folders


def prefixes(sources: Sequence[str]) -> list[str]:
    """What is put before the names of each source's pictures: the folder that they lie in.

    Nothing where all lie in one folder; and before those of tables, which name their paths
    themselves. Folders of one name are told apart by the folders above them.

    Example:
        >>> prefixes(["faces/s1", "faces/s10"])  # doctest: +SKIP
        ['s1', 's10']
    """
    places = [_place(source) for source in sources]
    there = {place for place in places if place}
    if len(there) < 2:
        return [""] * len(places)
    return ["/".join(_shortest(place, there)) if place else "" for place in places]


def _place(source: str) -> tuple[str, ...]:
    """The folders down to that in which a source's pictures lie; none of a table."""
    if is_folder(source):
        place = Path(source)
    elif accepts_zip(source):
        place = Path(source).with_suffix("")
    elif accepts_picture(source):
        place = Path(source).parent
    else:
        return ()
    return Path(os.path.abspath(place)).parts  # noqa: PTH100 - a link is called as the link is


def _shortest(place: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """So many of the last folders as no other place ends in."""
    for count in range(1, len(place)):
        end = place[-count:]
        if not any(other[-count:] == end for other in others if other != place):
            return end
    return place


def named(source: str, prefix: str, samples: Iterable[Sample], alone: bool) -> Iterator[Sample]:
    """The pictures of a source with the prefix before their names.

    Args:
        source: where they come from.
        prefix: of `prefixes`.
        samples: the pictures.
        alone: no other source is a folder. Else a folder without folders in it is one of a person,
            as in a gallery.
    """
    someone = bool(prefix) and not alone and is_folder(source) and not folders(Path(source))
    for sample in samples:
        if prefix:
            sample.id = f"{prefix}/{sample.id}"
            sample.row = {**sample.row, "path": sample.id}
            if someone and sample.target is None:
                sample.target = sample.group = sample.row["person"] = prefix
        yield sample
