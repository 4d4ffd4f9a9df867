"""Reading pictures and what is known of them, from the forms in which people keep them.

Every reader yields a `Sample` a picture: `data` is a path, the encoded bytes or a uint8 array (no
picture is decoded here), `target` its label, `part` where the source itself names training,
validation and test. Only an archive's index is held in memory.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import logging
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.image.features import looks_like_picture, silent_stderr
from deepfield.domains.image.idx import idx_pairs, is_idx, read_idx_pair
from deepfield.toolkit.data import (
    Reader,
    Sample,
    find_column,
    is_missing,
    open_text,
    read_rows,
)
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.splits import PART_NAMES

#: Files that count as pictures in a folder or an archive.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
#: Members of an archive that unpack to more are not read.
MOST_MEMBER_BYTES = 1 << 28

_PATH, _LABEL = ("path", "file", "filename", "image"), ("label", "class", "target")
_PART, _GROUP = ("split", "part", "subset"), ("group",)
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")
_WORDNET = re.compile(r"(n\d{8})_")


def _is_picture(name: str) -> bool:
    return name[:1] != "." and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _natural(name: str) -> list[Any]:
    # Numbers by value: picture 9 before picture 10. By length first, so that none is converted.
    pieces = re.split(r"([0-9]+)", name.casefold())
    pieces[1::2] = [(len(p.lstrip("0")), p.lstrip("0"), p) for p in pieces[1::2]]  # type: ignore
    return pieces


# ------------------------------------------------------------------------ pictures and folders


def _read_picture(source: str) -> Iterator[Sample]:
    name = Path(source).name
    yield _from_path((name,), source, parted=False)


def _accepts_picture(source: str) -> bool:
    path = Path(source)
    if not path.is_file():
        return False
    if _is_picture(path.name):
        return True
    try:
        with path.open("rb") as file:
            return looks_like_picture(file.read(16))
    except OSError:
        return False


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
        return None if key is None or is_missing(columns[key]) else _text(columns[key])

    target, group = cell(label, "the label"), cell(group, "the group")
    sample = Sample(name, data, target, group, own_part, row=row)
    if told := cell(part, "the part"):
        sample.part = PART_NAMES.get(told.lower())
        if sample.part is None:
            sample.fault = f"part {told!r} is none of train, valid and test"
    return sample


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_folder(source: str, **columns: str) -> Iterator[Sample]:
    root = Path(source)
    # The parts are recognised by every folder with pictures being named so.
    tops = {p[0][0] for p in (next(_walk(root, (d,)), None) for d in _folders(root)) if p}
    parted = bool(tops) and all(top.lower() in PART_NAMES for top in tops)
    empty = True
    for names, fault in _walk(root):
        empty = False
        sample = _from_path(names, os.path.join(source, *names), parted, **columns)  # noqa: PTH118
        sample.fault = sample.fault or fault
        yield sample
    if empty:
        raise NotFound(f"no picture in {source!r}", _looked_for())


def _looked_for() -> str:
    return f"looked for {' '.join(sorted(SUFFIXES))}, in its subfolders too"


def _folders(root: Path) -> list[str]:
    try:
        return [e.name for e in os.scandir(root) if e.name[:1] != "." and e.is_dir()]
    except OSError:  # told as the fault of a sample, when it is walked
        return []


def _walk(root: Path, below: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Names of the pictures below a folder, in natural order, with what is wrong with a folder."""
    seen: set[tuple[int, int]] = set()  # a folder is read once, whatever links lead to it
    stack: list[tuple[tuple[str, ...], bool]] = [(below, True)]
    while stack:
        names, is_folder = stack.pop()
        if not is_folder:
            yield names, None
            continue
        place = root.joinpath(*names)
        try:
            about = place.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            with os.scandir(place) as entries:
                inside = [(e.name, e.is_dir()) for e in entries if e.name[:1] != "."]
        except OSError as error:
            yield (*names, ""), f"cannot read this folder: {error.strerror}"
            continue
        kept = [(name, folder) for name, folder in inside if folder or _is_picture(name)]
        kept.sort(key=lambda pair: _natural(pair[0]), reverse=True)
        stack += [((*names, name), folder) for name, folder in kept]


# --------------------------------------------------------------------------------- archives


def _read_zip(source: str, **columns: str) -> Iterator[Sample]:
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UsageError(f"{source!r} is not a readable zip: {error}", "zip it again") from None
    with archive:
        members = []
        for info in archive.infolist():
            names = tuple(n for n in info.filename.replace("\\", "/").split("/") if n)
            inner = names[:-1]
            hidden = any(n == "__MACOSX" or (n[0] == "." and n != "..") for n in inner)
            if names and not info.is_dir() and not hidden and _is_picture(names[-1]):
                members.append((names, info))
        if not members:
            raise NotFound(f"no picture in {source!r}", _looked_for())
        # Archives are often made of one folder: it is no class as long as folders lie in it.
        while len({names[0] for names, _ in members}) == 1 and min(len(n) for n, _ in members) > 1:
            if members[0][0][0].lower() in PART_NAMES:
                break
            inner_most = max(len(names) for names, _ in members) == 2
            if inner_most and not all(_WORDNET.match(names[-1]) for names, _ in members):
                break
            members = [(names[1:], info) for names, info in members]
        members.sort(key=lambda pair: [_natural(name) for name in pair[0]])
        tops = {names[0] for names, _ in members if len(names) > 1}
        parted = bool(tops) and all(top.lower() in PART_NAMES for top in tops)
        for names, info in members:
            data, fault = _member(archive, info)
            sample = _from_path(names, data, parted, **columns)
            sample.fault = sample.fault or fault
            yield sample


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[bytes | None, str | None]:
    if info.flag_bits & 1:
        return None, "encrypted in the archive"
    if ".." in info.filename.replace("\\", "/").split("/") or info.filename[:1] in "/\\":
        return None, f"its name leads out of the archive: {info.filename!r}"
    if info.file_size > MOST_MEMBER_BYTES:
        return None, f"unpacks to {info.file_size:,} bytes, the limit is {MOST_MEMBER_BYTES:,}"
    try:  # never extracted; what a lying header hides is cut off by reading the size it states
        with archive.open(info) as member:
            return member.read(info.file_size), None
    except Exception as error:
        return None, f"broken in the archive: {str(error) or type(error).__name__}"


# ---------------------------------------------------------------------------------- tables


def _read_manifest(
    source: str,
    label: str | None = None,
    group: str | None = None,
    part: str | None = None,
    root: str | None = None,
) -> Iterator[Sample]:
    base, column = _base(source, root), None
    for number, (row, fault) in enumerate(read_rows(source), start=1):
        if column is None and row:
            column = find_column(row, None, _PATH, "the path")
            if column is None:
                raise UsageError(
                    f"{source!r} has no column with the paths of the pictures",
                    f"call it {', '.join(_PATH)}; its columns: {', '.join(list(row)[:10])}",
                )
            label = find_column(row, label, _LABEL, "the label")
            group = find_column(row, group, _GROUP, "the group")
            part = find_column(row, part, _PART, "the part")
        cell: Any = row.get(column or "")
        path = cell
        if isinstance(cell, Mapping):  # Parquet as data sets are published: {"bytes", "path"}
            path = cell.get("path")
            cell = cell.get("bytes") or path
        name = f"row {number}" if is_missing(path) or isinstance(path, bytes) else str(path)
        data: Any = cell
        if isinstance(cell, bytes):
            row = {**row, str(column): name}
        elif is_missing(cell):
            data, fault = None, fault or f"no path in column {column!r}"
        else:
            data = str(base / str(cell))
            fault = fault or _missing(data)
        present = {key: row.get(key) for key in (label, group, part) if key}
        sample = _from_columns(name, data, row, present, label, group, part)
        sample.fault = fault or sample.fault
        yield sample


def _accepts_manifest(source: str) -> bool:
    return source.lower().removesuffix(".gz").endswith(_TABLES) and Path(source).is_file()


def _read_table(source: str, **options: str) -> Iterator[Sample]:
    if not source.lower().removesuffix(".gz").endswith(".txt"):
        return _read_manifest(source, **options)
    with open_text(source) as lines:
        return _read_text(source, lines.readline(), **options)


def _read_text(source: str, first: str, **options: str) -> Iterator[Sample]:
    """A table if its first line says so, else a path a line."""
    cells = {cell.strip().strip('"').lower() for cell in re.split("[\t,;]", first)}
    if first.lstrip().startswith("{") or cells & set(_PATH):
        return _read_manifest(source, **options)
    if set(options) - {"root"}:
        raise UsageError(
            f"{source!r} holds lines of paths, without columns", "write a table with a header"
        )
    return _read_lines(source, options.get("root"))


def _read_lines(source: str, root: str | None) -> Iterator[Sample]:
    base = _base(source, root)
    with open_text(source) as lines:
        for line in lines:
            if name := line.strip():
                sample = _from_path((name,), str(base / name), parted=False)
                sample.fault = _missing(sample.data)
                yield sample


def _base(source: str, root: str | None) -> Path:
    base = Path(root) if root is not None else Path() if source == "-" else Path(source).parent
    if not base.is_dir():
        raise NotFound(f"no such folder: {str(base)!r}", "--root names where the paths start")
    return base


def _missing(path: str) -> str | None:
    return None if os.path.exists(path) else f"no such file: {path}"  # noqa: PTH110


def _read_stdin(source: str, **options: str) -> Iterator[Sample]:
    stdin: Any = sys.stdin.buffer
    head = stdin.peek(4096)
    if not head:
        raise UsageError("standard input is empty", "pipe in a picture, lines of paths or a table")
    if looks_like_picture(head[:16]):
        return iter([Sample("-", stdin.read(), row={"path": "-"})])
    if head[:2] == b"\x1f\x8b":
        return _read_manifest("-", **options)
    return _read_text("-", head.split(b"\n")[0].decode("utf-8-sig", "replace"), **options)


# -------------------------------------------------------------------------- built-in data sets


def installed(package: str, *place: str, extra: str = "") -> str:
    """Find a file inside an installed package without importing it.

    Args:
        package: its import name.
        place: folders and the file's name inside it.
        extra: the extra of deepfield that brings the package; none for a dependency.

    Raises:
        NotFound: the package or the file is not there.
    """
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root, *place)
        if path.exists():
            return str(path)
    wanted = f'"deepfield[{extra}]"' if extra else "--force-reinstall deepfield"
    raise NotFound(
        f"the package {package} is not installed, or lacks {'/'.join(place)}",
        f"pip install {wanted}",
    )


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
    name, split = re.findall(r"^tfds:([^:]*(?::[\d*]+\.[\d*]+\.[\d*]+)?):?(.*)", source)[0]
    logging.getLogger("absl").setLevel(logging.ERROR)
    with silent_stderr():
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    folder = os.environ.get("TFDS_DATA_DIR")
    try:
        features = tfds.builder(name, data_dir=folder).info.features
    except Exception as error:
        raise NotFound(
            f"no TFDS set {name!r}: {_first_line(error)}",
            "names are at tensorflow.org/datasets/catalog; TFDS_DATA_DIR names your own folder",
        ) from None
    kinds = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    names = kinds.get("label")
    if not (
        isinstance(kinds.get("image"), tfds.features.Image)
        and isinstance(names, tfds.features.ClassLabel)
    ):
        raise UsageError(
            f"TFDS set {name!r} is not for image classification",
            f"it needs the features image and label, and has {', '.join(kinds) or 'none'}",
        )
    try:  # the encoded picture is handed on: every picture is decoded in one place
        with contextlib.redirect_stdout(sys.stderr):  # it prints what it downloads
            splits = tfds.load(
                name,
                split={split: split} if split else None,
                data_dir=folder,
                decoders={"image": tfds.decode.SkipDecoding()},
            )
    except Exception as error:
        hint = f"where there is a network: tfds build {name}; TFDS_DATA_DIR names its folder"
        if isinstance(error, ImportError) and error.name:
            hint = f"pip install {error.name}"
        message = f"TFDS set {source!r} cannot be loaded: {_first_line(error)}"
        raise NotFound(message, hint) from None
    known = {split: examples for split, examples in splits.items() if split in PART_NAMES}
    for split, examples in (known or splits).items():
        part = PART_NAMES.get(re.split(r"\W", split)[0])
        for index, example in enumerate(examples.as_numpy_iterator()):
            number = int(example["label"])
            label = names.int2str(number) if number >= 0 else None
            key = f"{split}/{index}"
            row = {"path": key} if label is None else {"path": key, "label": label}
            yield Sample(key, bytes(example["image"]), label, part=part, row=row)


def _first_line(error: Exception) -> str:
    said = str(error.args[0]) if error.args else ""  # str() of a KeyError puts it in quotes
    return next(iter(said.splitlines()), "") or type(error).__name__


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

_COLUMNS = ("label", "group", "part")


def _starts_like_zip(source: str) -> bool:
    path = Path(source)
    return path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path))


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
        lambda s: Path(s).is_dir(),
        _read_folder,
        _COLUMNS,
    ),
    Reader("zip", "a zip of such a folder", _starts_like_zip, _read_zip, _COLUMNS),
    Reader(
        "manifest",
        "a CSV, TSV, JSONL or Parquet table with the columns path, and label, split, group;"
        " lines of paths (.txt)",
        _accepts_manifest,
        _read_table,
        (*_COLUMNS, "root"),
    ),
    Reader("picture", "a picture", _accepts_picture, _read_picture),
)
