"""The domain's own verbs: `verify` two pictures, `find` a face in a gallery, `embed` faces."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.face.data import Pair
from deepfield.domains.face.gallery import Gallery, gathered
from deepfield.domains.face.task import SAID
from deepfield.toolkit.answering import in_chunks
from deepfield.toolkit.commands import asked, console_of, emit, options_of, tell
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import BATCH, Encoded, Sample, own_columns, shipped
from deepfield.toolkit.errors import (
    REJECTED,
    BadInput,
    DeepfieldError,
    NotFound,
    UsageError,
    commonest,
)
from deepfield.toolkit.found_files import folders
from deepfield.toolkit.naming import prefixed, prefixes
from deepfield.toolkit.paths import is_folder, is_there
from deepfield.toolkit.writers import RowWriter, format_of


def verify(cls: Any, load: Any, pictures: tuple[str, ...], flags: Any) -> int:
    """Compare two pictures."""
    if len(pictures) != 2:
        raise UsageError(
            f"verify compares two pictures, not {len(pictures)}",
            "deepfield face verify a.jpg b.jpg; for many pairs: predict pairs.tsv",
        )
    sides = [_one(cls, name) for name in pictures]
    pipeline = _loaded(cls, load, "verify", flags)
    faults = [f"{side}: {s.fault}" for side, s in zip("ab", sides, strict=True) if s.fault]
    sample = Sample(
        " ".join(pictures), Pair(*(s.data for s in sides)),
        row=dict(zip("ab", pictures, strict=True)), fault="; ".join(faults) or None,
    )  # fmt: skip
    (row,) = pipeline.predict([sample])
    tell(row, _verified(row, pipeline), flags)
    return 0 if row["status"] == "ok" else REJECTED


def _verified(row: dict[str, Any], pipeline: Any) -> Iterator[str]:
    yield f"{SAID[row['same']]}  ({row['probability']:.2%} sure that it is the same)"
    yield f"    distance {row['distance']:.3f}, threshold {row['threshold']:.3f}"
    yield from _threshold(pipeline.verification.point(pipeline.settings.get("fmr")))
    if row["faces_a"] is None:
        yield "    the pictures were compared as they are: no face was looked for (--crop)"


def _threshold(point: dict[str, Any]) -> Iterator[str]:
    """How often the threshold is wrong, and how far that is known."""
    if point["fmr"] is None:
        yield "    how often this threshold is wrong was not measured"
        return
    for name, what in (("fmr", "different people taken for the same"),
                       ("fnmr", "the same person taken for different")):  # fmt: skip
        low, high = point[f"{name}_interval"]
        yield f"    {what}: {point[name]:.2%} ({low:.2%} to {high:.2%})"
    yield f"    measured on {point['measured_on']}"


def find(cls: Any, load: Any, pictures: tuple[str, ...], flags: Any) -> int:
    """Name the faces of a gallery that are most like those in the pictures."""
    if not flags.gallery and not flags.index:
        raise UsageError("nowhere to search", "--gallery DIR, or --index FILE")
    if flags.top < 1:
        raise UsageError(f"--top {flags.top}", "1 or more")
    samples = [_one(cls, name) for name in pictures]
    pipeline = _loaded(cls, load, "find", flags)
    console = console_of(flags)
    gallery, rejected = _gallery(pipeline, flags, console)
    if not len(gallery):
        raise NotFound("the gallery holds no face", "name a folder of pictures with faces")
    point = pipeline.verification.point(flags.fmr)
    for name, sample in zip(pictures, samples, strict=True):
        try:
            if sample.fault:
                raise BadInput(sample.fault)
            face, vector = pipeline.vector(sample.data)
        except BadInput as error:
            rejected += 1
            row = {"picture": name, "status": "rejected", "reason": error.reason, "found": []}
            emit(row) if flags.json else sys.stdout.write(f"{name}: not answered: {error.reason}\n")
            continue
        found = [
            {"rank": rank, **_rounded(pipeline, hit), "same": hit["distance"] <= point["distance"]}
            for rank, hit in enumerate(gallery.nearest(vector, flags.top), start=1)
        ]
        if flags.json:
            emit({
                "picture": name, "status": "ok", "reason": "", "faces": face.faces,
                "searched": len(gallery), "threshold": point["distance"], "fmr": point["fmr"],
                "fnmr": point["fnmr"], "measured_on": point["measured_on"], "found": found,
                "model": pipeline.name,
            })  # fmt: skip
            continue
        sys.stdout.write("\n".join(_found(name, found, point, len(gallery))) + "\n")
    return REJECTED if rejected else 0


def _rounded(pipeline: Any, hit: dict[str, Any]) -> dict[str, Any]:
    told = pipeline.calibrated({"score": np.array([-hit["distance"]])})["prediction"][0]
    return {**hit, "distance": round(hit["distance"], 6), "probability": round(float(told), 6)}


def _found(
    name: str, found: Sequence[dict[str, Any]], point: dict[str, Any], searched: int
) -> Iterator[str]:
    same = sum(hit["same"] for hit in found)
    yield f"{name}: {same} of the {len(found)} nearest of {searched:,} faces below the threshold"
    for hit in found:
        who = hit["person"] or hit["picture"]
        beside = f"  {hit['picture']}" if hit["person"] else ""
        sign = "=" if hit["same"] else " "
        yield f"  {sign} {hit['distance']:.3f}  {hit['probability']:6.1%}  {who}{beside}"
    yield from _threshold(point)
    if searched > 1 and point["fmr"] is not None:
        yield (
            f"    of {searched:,} other people one or more would pass with probability "
            f"{1 - (1 - point['fmr']) ** searched:.1%}: --fmr sets a stricter threshold"
        )


def embed(cls: Any, load: Any, data: tuple[str, ...], flags: Any) -> int:
    """Write the vectors of faces, into a table or an index; or take a name out of an index."""
    console = console_of(flags)
    if flags.forget is not None:
        return _forget(data, flags, console)
    if not data:
        raise UsageError("no pictures to embed", "name a folder, a table or pictures")
    pipeline = _loaded(cls, load, "embed", flags)
    items = _pictures(pipeline, data, "embed", flags)
    if flags.index:
        gallery = _opened(flags.index, pipeline)
        before = len(gallery)
        rejected, count = _added(pipeline, gallery, console.track(items, cls.domain), console)
        gallery.save(flags.index)
        console.say(f"{count:,} faces into {flags.index}, which holds {len(gallery):,} now")
        if (replaced := before + count - len(gallery)) > 0:
            console.say(f"{replaced:,} that had the same names before were taken out of it")
        return REJECTED if rejected else 0
    output = flags.output or "-"
    form = format_of(output, "jsonl" if flags.json else flags.format)
    writer, faults, count = RowWriter(output, form), Counter[str](), 0
    try:
        for chunk in in_chunks(pipeline.encoded(console.track(items, cls.domain)), 2 * BATCH):
            vectors = iter(_vectors(pipeline, [item for item in chunk if item.fault is None]))
            rows = [
                _row(pipeline, item, next(vectors) if item.fault is None else None)
                for item in chunk
            ]
            faults.update(str(item.fault) for item in chunk if item.fault is not None)
            count += len(rows)
            writer.write(rows, len(rows))
        writer.finish()
    finally:
        writer.close()
    wrote = f", wrote {output}" if output != "-" else ""
    good = count - faults.total()
    console.say(f"{good:,} face{'s' * (good != 1)}{wrote}")
    if faults:
        console.say(f"{faults.total():,} rejected ({commonest(faults)})")
    return REJECTED if faults else 0


def _row(pipeline: Any, item: Encoded, vector: np.ndarray | None) -> dict[str, Any]:
    names = ("embedding", "faces", "in_domain", "in_domain_reason")
    own: dict[str, Any] = dict.fromkeys(names) | {"status": "rejected", "reason": item.fault}
    if vector is not None:
        face = item.context
        own = {
            "embedding": [round(float(x), 6) for x in vector], "faces": face.faces,
            "in_domain": not face.doubt, "in_domain_reason": face.doubt, "status": "ok",
            "reason": "",
        }  # fmt: skip
    own["model"] = pipeline.name
    return {**own_columns(item.sample, own), **own}


def _forget(data: Sequence[str], flags: Any, console: Console) -> int:
    if not flags.index or data:
        raise UsageError("--forget takes a name out of an index", "--index FILE --forget NAME")
    gallery = Gallery.load(flags.index)
    gone = gallery.forget(flags.forget)
    if not gone:
        raise _unknown(gallery, flags)
    gallery.save(flags.index)
    console.say(f"faces taken out: {gone:,}; left: {len(gallery):,}")
    return 0


def _unknown(gallery: Gallery, flags: Any) -> DeepfieldError:
    """What to say of a name that is in no index, or is the end of longer ones."""
    near = gallery.ending(flags.forget)
    told = ", ".join(near[:5]) + (f", … ({len(near):,} in all)" if len(near) > 5 else "")
    if len(near) > 1:
        return UsageError(f"{flags.forget!r} may be {told}", "--forget with one of these names")
    return NotFound(
        f"{flags.index!r} holds no {flags.forget!r}",
        f"it holds {told}" if near else "names are those that `find` tells",
    )


# ------------------------------------------------------------------------------------ shared


def _loaded(cls: Any, load: Any, verb: str, flags: Any) -> Any:
    pipeline = asked(cls, load, verb, flags)
    pipeline.verification.point(pipeline.settings.get("fmr"))  # is told before anything is done
    return pipeline


def _one(cls: Any, source: str) -> Sample:
    """The one picture that a name stands for."""
    found = list(_two(cls(None).read(source)))
    if len(found) != 1 or isinstance(found[0].data, Pair):
        raise UsageError(f"{source!r} is not one picture", "name a picture, or - for a pipe")
    return found[0]


def _two(samples: Iterable[Sample]) -> Iterator[Sample]:
    for _, sample in zip(range(2), samples, strict=False):
        yield sample


def _pictures(pipeline: Any, data: Sequence[str], verb: str, flags: Any) -> Iterator[Sample]:
    options = options_of(type(pipeline), verb, flags, reader=True)
    places = [shipped(source, pipeline.samples) for source in data]
    several = sum(map(is_folder, places)) > 1
    for source, place, prefix in zip(data, places, prefixes(places), strict=True):
        # one of several folders, without folders in it, is one of a person, as in a gallery
        someone = several and prefix and is_folder(place) and not folders(Path(place))
        for sample in prefixed(place, pipeline.read(place, **options), prefix):
            if someone and sample.target is None:
                sample.target = sample.group = sample.row["person"] = prefix
            if isinstance(sample.data, Pair):
                raise UsageError(
                    f"{source!r} holds pairs, not pictures", "name a folder or a table of pictures"
                )
            yield sample


def _vectors(pipeline: Any, items: Sequence[Encoded]) -> Iterator[np.ndarray]:
    for at in range(0, len(items), BATCH):
        chips = np.stack([(e.arrays or {})["pixels"] for e in items[at : at + BATCH]])
        yield from pipeline.embeddings(chips)


def digest(pipeline: Any) -> str:
    """What tells networks apart whose vectors cannot be compared."""
    views = "+".join(pipeline.state.get("views", ()))
    return f"{pipeline.bundle.files['model.onnx']['sha256']} {views}"


def _opened(file: str, pipeline: Any) -> Gallery:
    network = digest(pipeline)
    return Gallery.load(file, network) if is_there(file) else Gallery(network)


def _gallery(pipeline: Any, flags: Any, console: Console) -> tuple[Gallery, int]:
    """The index, with the pictures of the gallery that it lacks or that were changed since it was
    written; how many were rejected.
    """
    if not flags.gallery:
        return Gallery.load(flags.index, digest(pipeline)), 0
    gallery = _opened(flags.index, pipeline) if flags.index else Gallery(digest(pipeline))
    before, known = gallery.pictures, set(gallery.pictures)
    written = _written(flags.index) if known else 0
    new = (
        sample
        for sample in _pictures(pipeline, (flags.gallery,), "find", flags)
        if sample.id not in known
        or _written(sample.data if isinstance(sample.data, str) else flags.gallery) >= written
    )
    rejected, count = _added(pipeline, gallery, console.track(new, "gallery"), console)
    if flags.index and (count or gallery.pictures != before):
        gallery.save(flags.index)
    return gallery, rejected


def _written(file: str) -> int:
    """When a file came to be what it is; 0 where it is not there."""
    try:
        about = Path(file).stat()
    except OSError:
        return 0
    return max(about.st_mtime_ns, about.st_ctime_ns)  # a copy may keep the date of what it is of


def _added(
    pipeline: Any, gallery: Gallery, samples: Iterable[Sample], console: Console
) -> tuple[int, int]:
    """Add the faces of pictures to a gallery, and take out those of pictures that are rejected now;
    how many were rejected, how many added. A picture that is named twice is one.
    """
    rejected, faces = 0, {}
    for chunk in in_chunks(pipeline.encoded(samples), 2 * BATCH):
        sound = [item for item in chunk if item.fault is None]
        for item in chunk:
            if item.fault is not None:
                rejected += 1
                console.say(f"{item.sample.id}: {item.fault}")
        if len(sound) < len(chunk):
            gallery.drop(item.sample.id for item in chunk if item.fault is not None)
        for item, vector in zip(sound, _vectors(pipeline, sound), strict=True):
            faces[str(item.sample.target or ""), item.sample.id] = vector
    found = gathered([(*names, vector) for names, vector in faces.items()], gallery.network)
    if faces:
        gallery.add(found.vectors, found.people, found.pictures)
    return rejected, len(faces)
