"""Reading pictures and what is known of them, from the forms in which people keep them.

Every reader yields a `Sample` a picture: `data` is a path, the encoded bytes or a uint8 array (no
picture is decoded here), `target` its label, `part` where the source itself names training,
validation and test. Only an archive's index is held in memory.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.image.idx import idx_pairs, is_idx, read_idx_pair
from deepfield.toolkit.cells import Rows, find_column, is_missing, looked_at, text_of_cell
from deepfield.toolkit.data import Reader, Sample, read_rows
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.found_files import folders, lines_of_paths, walk
from deepfield.toolkit.installed_files import installed
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.paths import is_folder
from deepfield.toolkit.picture_files import (
    PATH,
    accepts_picture,
    accepts_table,
    accepts_zip,
    is_picture_name,
    looked_for,
    open_zip,
    rows_of_pictures,
    unpacked,
)
from deepfield.toolkit.pictures import looks_like_picture
from deepfield.toolkit.splits import GROUP_COLUMNS, PART_COLUMNS, PART_NAMES, part_named
from deepfield.toolkit.text_heads import SEVERAL, first_of, head_of_stdin, paths_or_table

_LABEL = ("label", "class", "target")
#: Options that name columns.
_COLUMNS = ("label", "group", "part")
_WORDNET = re.compile(r"(n\d{8})_")


# ------------------------------------------------------------------------ pictures and folders


def _read_picture(source: str) -> Iterator[Sample]:
    name = Path(source).name
    yield _from_path((name,), source, parted=False)


def _from_path(
    names: Sequence[str],
    data: Any,
    parted: bool,
    label: str | None = None,
    group: str | None = None,
    part: str | None = None,
) -> Sample:
    """A sample from where its picture lies: part / class / … / name, the first two if there."""
    path, own_part = "/".join(names), None
    if parted and len(names) > 1:
        own_part = PART_NAMES[names[0].lower()]
        names = names[1:]
    wordnet = _WORDNET.match(names[-1].rpartition("/")[2])
    target = names[0] if len(names) > 1 else wordnet[1] if wordnet else None
    row = {"path": path} if target is None else {"path": path, "label": target}
    if label or group or part:
        stem = "/".join(names).rpartition(".")[0]
        columns = {"path": path, "label": target, "name": names[-1]}
        columns["prefix"] = stem.rpartition("_")[0] if "_" in names[-1] else stem
        return _from_columns(path, data, row, columns, label or "label", group, part, own_part)
    return Sample(path, data, target, part=own_part, row=row)


def _from_columns(
    name: str,
    data: Any,
    row: dict[str, Any],
    columns: Mapping[str, Any],
    label: str | None,
    group: str | None,
    part: str | None,
    own_part: str | None = None,
) -> Sample:
    """A sample whose label, group and part stand in the columns named."""

    def cell(column: str | None, what: str) -> str | None:
        key = find_column(columns, column, (), what)
        return None if key is None or is_missing(columns[key]) else text_of_cell(columns[key])

    target, group = cell(label, "the label"), cell(group, "the group")
    own_part = part_named(cell(part, "the part")) or own_part
    return Sample(name, data, target, group, own_part, row=row)


def _read_folder(source: str, **columns: str) -> Iterator[Sample]:
    root = Path(source)
    # The parts are recognised by every folder with pictures being named so.
    firsts = (next(walk(root, is_picture_name, (name,)), None) for name in folders(root))
    tops = {found[0][0] for found in firsts if found}
    parted = bool(tops) and all(top.lower() in PART_NAMES for top in tops)
    empty = True
    for names, fault in walk(root, is_picture_name):
        empty = False
        sample = _from_path(names, os.path.join(source, *names), parted, **columns)  # noqa: PTH118
        sample.fault = sample.fault or fault
        yield sample
    if empty:
        raise NotFound(f"no picture in {source!r}", looked_for())


# --------------------------------------------------------------------------------- archives


def _read_zip(source: str, **columns: str) -> Iterator[Sample]:
    with open_zip(source) as (archive, members):
        # Archives are often made of one folder: it is no class as long as folders lie in it.
        while len({names[0] for names, _ in members}) == 1 and min(len(n) for n, _ in members) > 1:
            if members[0][0][0].lower() in PART_NAMES:
                break
            inner_most = max(len(names) for names, _ in members) == 2
            if inner_most and not all(_WORDNET.match(names[-1]) for names, _ in members):
                break
            members = [(names[1:], info) for names, info in members]
        members.sort(key=lambda pair: [natural(name, folded=True) for name in pair[0]])
        tops = {names[0] for names, _ in members if len(names) > 1}
        parted = bool(tops) and all(top.lower() in PART_NAMES for top in tops)
        for names, info in members:
            data, fault = unpacked(archive, info)
            sample = _from_path(names, data, parted, **columns)
            sample.fault = sample.fault or fault
            yield sample


# ---------------------------------------------------------------------------------- tables


def _read_manifest(source: str, **options: Any) -> Iterator[Sample]:
    return _of_rows(source, read_rows(source), **options)


def _of_rows(
    source: str,
    rows: Rows,
    label: str | None = None,
    group: str | None = None,
    part: str | None = None,
    root: str | None = None,
    start: int = 1,
) -> Iterator[Sample]:
    names, _, rows = looked_at(rows)
    if names:
        label = find_column(names, label, _LABEL, "the label")
        group = find_column(names, group, GROUP_COLUMNS, "the group")
        part = find_column(names, part, PART_COLUMNS, "the part")
    for name, data, row, fault in rows_of_pictures(source, root, rows, start):
        present = {key: row.get(key) for key in (label, group, part) if key}
        sample = _from_columns(name, data, row, present, label, group, part)
        sample.fault = fault or sample.fault
        yield sample


def _read_lines(source: str, root: str | None) -> Iterator[Sample]:
    for name, path, fault in lines_of_paths(source, root):
        sample = _from_path((name,), path, parted=False)
        sample.fault = fault
        yield sample


_read_text = paths_or_table(
    "picture",
    is_picture_name,
    PATH,
    (*_LABEL, *PART_COLUMNS, *GROUP_COLUMNS),
    _COLUMNS,
    _read_lines,
    _read_manifest,
)


def _read_stdin(source: str, **options: str) -> Iterator[Sample]:
    head, text = head_of_stdin("pipe in a picture, lines of paths or a table")
    if looks_like_picture(head[:16]):
        return iter([Sample("-", sys.stdin.buffer.read(), row={"path": "-"})])
    return _read_text("-", first_of(text, SEVERAL), **options)


# -------------------------------------------------------------------------- built-in data sets


def _shipped(name: str) -> Callable[[], str]:
    return lambda: str(Path(__file__).with_name("samples") / name)


def _read_idx(source: str) -> Iterator[Sample]:
    for images in idx_pairs(source):
        stem = re.split(r"[-_.]", images.name.lower())[0]
        for index, (pixels, label, fault) in enumerate(read_idx_pair(images)):
            name = f"{stem}/{index}"
            row = {"path": name} if label is None else {"path": name, "label": label}
            yield Sample(name, pixels, label, part=PART_NAMES.get(stem), row=row, fault=fault)


def _read_digits(source: str) -> Iterator[Sample]:
    with gzip.open(installed("sklearn", "datasets", "data", "digits.csv.gz"), "rt") as lines:
        for index, line in enumerate(lines):
            *pixels, label = line.split(",")
            # 17 levels of grey, 0 to 16, on the scale of every other picture
            grey = np.rint(np.array(pixels, np.float32) * (255 / 16)).astype(np.uint8)
            name, label = f"digits/{index}", label.strip()
            yield Sample(name, grey.reshape(8, 8), label, row={"path": name, "label": label})


def _read_tfds(source: str) -> Iterator[Sample]:
    from deepfield.toolkit.tfds_sets import TfdsSet

    found = TfdsSet(source)
    features, names = found.tfds.features, found.kinds.get("label")
    if not (
        isinstance(found.kinds.get("image"), features.Image)
        and isinstance(names, features.ClassLabel)
    ):
        raise UsageError(
            f"TFDS set {found.name!r} is not for image classification",
            f"it needs the features image and label, and has {', '.join(found.kinds) or 'none'}",
        )
    # the encoded picture is handed on: every picture is decoded in one place
    encoded = {"image": found.tfds.decode.SkipDecoding()}
    for key, part, example in found.examples(encoded):
        number = int(example["label"])
        label = names.int2str(number) if number >= 0 else None
        row = {"path": key} if label is None else {"path": key, "label": label}
        yield Sample(key, bytes(example["image"]), label, part=part, row=row)


#: `sample:NAME` to what it stands for: pictures that ship with the project or a dependency.
SAMPLES: dict[str, Callable[[], str]] = {
    "china": lambda: installed("sklearn", "datasets", "images", "china.jpg"),
    "flower": lambda: installed("sklearn", "datasets", "images", "flower.jpg"),
    "grace_hopper": lambda: installed("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"),
    "photos": lambda: installed("sklearn", "datasets", "images"),
    "digits": lambda: "digits",
    "digit": _shipped("digits/4/4_0.png"),
    "digits-folder": _shipped("digits"),
    "digits-zip": _shipped("digits.zip"),
    "digits-csv": _shipped("digits.csv"),
    "digits-idx": _shipped("digits-idx"),
}

#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader("digits", "digits (scikit-learn's, built in)", lambda s: s == "digits", _read_digits),
    Reader("tfds", "tfds:NAME[/config][:split]", lambda s: s.startswith("tfds:"), _read_tfds),
    Reader(
        "standard input",
        "- (a picture, lines of paths, or a table)",
        lambda s: s == "-",
        _read_stdin,
        (*_COLUMNS, "root"),
    ),
    Reader("idx", "MNIST's idx(.gz) files, or a folder of them", is_idx, _read_idx),
    Reader(
        "folder",
        "a folder per class (train/valid/test above them are the parts), or of pictures alone"
        " (a name like n01496331_ray.jpg is a WordNet label)",
        is_folder,
        _read_folder,
        _COLUMNS,
    ),
    Reader("zip", "a zip of such a folder", accepts_zip, _read_zip, _COLUMNS),
    Reader(
        "manifest",
        "a CSV, TSV, JSONL or Parquet table with the columns path, and label, split, group;"
        " lines of paths (.txt)",
        accepts_table,
        _read_text,
        (*_COLUMNS, "root"),
        rows=_of_rows,
    ),
    Reader("picture", "a picture", accepts_picture, _read_picture),
)
