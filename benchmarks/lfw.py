"""Labeled Faces in the Wild, View 1, and the AT&T faces: what every step of the chain is worth.

Everything is chosen on pairsDevTrain: the steps, the thresholds, the calibration. pairsDevTest,
which shares no person with it, is only measured: in ten random folds, each decided at the threshold
that is best on the other nine, and at the threshold of pairsDevTrain. `--record` keeps the
thresholds and the figures for the converted network. The pictures are grey crops of a detector,
160 pixels wide: their figures are not to be compared with those that are published for LFW.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measuring import report, row

from deepfield.toolkit.console import silence_tensorflow

silence_tensorflow()

import numpy as np  # noqa: E402

from deepfield.domains import load  # noqa: E402
from deepfield.domains.face.eigenfaces import fit_eigenfaces, portrait  # noqa: E402
from deepfield.domains.face.features import cropped  # noqa: E402
from deepfield.domains.face.task import Verification  # noqa: E402
from deepfield.domains.face.views import VIEWS, unit  # noqa: E402
from deepfield.toolkit import matching, scores  # noqa: E402
from deepfield.toolkit.calibration import Platt  # noqa: E402
from deepfield.toolkit.errors import BadInput  # noqa: E402
from deepfield.toolkit.presets import shipped_folder  # noqa: E402

SEED, FOLDS, BATCH = 0, 10, 16
#: How the converted network sees a face, in the order in which the views are added.
CHOSEN = ("plain", "mirrored", "wider", "closer, mirrored")
WHOLE, CHAIN = "whole picture, resized", f"and {CHOSEN[-1]}"
Rows = list[dict[str, Any]]


class Faces(NamedTuple):
    """The faces of a set of pictures; where none was found, the whole picture."""

    names: list[str]
    chips: np.ndarray
    whole: np.ndarray
    lost: int
    seconds: float


class Pairs(NamedTuple):
    """Pairs as places in `Faces`."""

    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    folds: np.ndarray


def faces_of(pipeline: Any, root: Path, names: Sequence[str]) -> Faces:
    """Find the face of every picture."""
    chips, whole, lost = [], [], 0
    began = time.perf_counter()
    for name in names:
        whole.append(cropped(root / name).chip)
        try:
            chips.append(pipeline.faces(root / name).chip)
        except BadInput as error:
            print(f"{name}: {error.reason}", file=sys.stderr)
            chips.append(whole[-1])
            lost += 1
    seconds = (time.perf_counter() - began) / len(names)
    return Faces(list(names), np.stack(chips), np.stack(whole), lost, seconds)


def view_1(pipeline: Any, root: Path, part: str) -> tuple[Faces, Pairs]:
    """The pictures and the pairs of pairsDevTrain or pairsDevTest."""
    with (root / f"pairsDev{part}.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    names = sorted({r[side] for r in rows for side in ("a", "b")})
    place = {name: at for at, name in enumerate(names)}
    a, b = (np.array([place[r[side]] for r in rows]) for side in ("a", "b"))
    folds = np.random.default_rng(SEED).permutation(len(rows)) % FOLDS
    same = np.array([float(r["same"]) for r in rows])
    return faces_of(pipeline, root, names), Pairs(a, b, same, folds)


def steps_of(pipeline: Any, faces: Faces) -> dict[str, np.ndarray]:
    """Vectors of all faces after every step of the chain."""

    def embed(chips: np.ndarray) -> np.ndarray:
        parts = [chips[at : at + BATCH] for at in range(0, len(chips), BATCH)]
        said = [pipeline.run("model", {"pixels": part})["embedding"] for part in parts]
        return np.concatenate(said)

    found = {WHOLE: embed(faces.whole)}
    seen: list[np.ndarray] = []
    for view in CHOSEN:
        seen.append(embed(VIEWS[view](faces.chips)))
        if len(seen) == 1:
            found["face found, turned upright"] = seen[0]
        name = "vectors of length 1" if len(seen) == 1 else f"and {view}"
        found[name] = unit(np.sum(seen, axis=0))
    return found


def apart(vectors: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Distances of the pairs."""
    return np.linalg.norm(vectors[pairs.a].astype(float) - vectors[pairs.b], axis=1)


def all_apart(vectors: np.ndarray, people: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of all pairs of pictures: the same person or not (1 or 0), and the distance."""
    _, who = np.unique(people, return_inverse=True)
    x = vectors.astype(np.float64)
    square = (x * x).sum(axis=1)
    one, two = np.triu_indices(len(x), 1)
    between = np.sqrt(np.maximum(square[:, None] + square - 2 * x @ x.T, 0))[one, two]
    return (who[one] == who[two]).astype(float), between


def figures(
    pairs: Pairs, distances: np.ndarray, threshold: float | None = None
) -> dict[str, float]:
    """The protocol's; with a threshold also the accuracy at it."""
    mean, error = matching.folded_accuracy(pairs.same, -distances, pairs.folds)
    found = {
        "accuracy": mean, "accuracy_se": error,
        "roc_auc": scores.roc_auc(pairs.same, -distances),
        "eer": matching.eer(pairs.same, -distances), "n": len(distances),
    }  # fmt: skip
    if threshold is not None:
        found["accuracy_at_threshold"] = float(
            ((distances <= threshold) == (pairs.same > 0.5)).mean()
        )
    return found


def best(pairs: Pairs, distances: np.ndarray) -> float:
    """The distance up to which two faces are best taken for the same person's."""
    return -matching.best_threshold(pairs.same, -distances)


def among_all(vectors: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """What the pairs of View 1 are too few for: all pairs of its pictures."""
    same, distances = all_apart(vectors, [name.partition("/")[0] for name in names])
    rates = {f"tar_at_far_1e-{k}": matching.tar_at_far(same, -distances, 10.0**-k) for k in (3, 4)}
    return rates | {"n_same": int(same.sum()), "n_different": int((1 - same).sum())}


def measured(
    vectors: np.ndarray, faces: Faces, pairs: Pairs, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """What the converted network is told of itself, from pairsDevTrain alone but for `metrics`."""
    near = -apart(vectors, pairs)
    curve = Platt.fit(near, pairs.same)  # as many of the same as of different people: even odds
    task = Verification()
    same, distances = all_apart(vectors, [name.partition("/")[0] for name in faces.names])
    task.measure_points(
        same, distances, curve.apply(-distances),
        "all pairs of the pictures of LFW's pairsDevTrain (grey crops, 160 pixels)",
        best(pairs, -near),
    )  # fmt: skip
    # Best accuracy is meant at even odds: of all pairs 2,600 times as many are of different people.
    edge = best(pairs, -near)
    false, missed = (
        int((distances[same < 0.5] <= edge).sum()),
        int((distances[same > 0.5] > edge).sum()),
    )
    different, alike = int((same < 0.5).sum()), int((same > 0.5).sum())
    task.state["operating_points"][0] |= {
        "fmr": false / different, "fmr_interval": list(matching.rate_interval(false, different)),
        "fnmr": missed / alike, "fnmr_interval": list(matching.rate_interval(missed, alike)),
        "distance": edge, "probability": float(curve.apply(np.array([-edge]))[0]),
    }  # fmt: skip
    return {
        "views": list(CHOSEN), "task": task.state, "calibration": curve.config(),
        "metrics": metrics,
    }  # fmt: skip


def lfw(root: Path, record: bool) -> tuple[Rows, dict[str, Any], tuple[Faces, Pairs, Faces, Pairs]]:
    """The converted network, step by step."""
    pipeline = load("dlib_resnet", "face")
    train, train_pairs = view_1(pipeline, root, "Train")
    test, test_pairs = view_1(pipeline, root, "Test")
    began = time.perf_counter()
    on_train, on_test = steps_of(pipeline, train), steps_of(pipeline, test)
    count = (len(train.names) + len(test.names)) * (1 + len(CHOSEN))
    embedding = (time.perf_counter() - began) / count
    table: dict[str, Any] = {}
    for step in on_train:
        known, new = apart(on_train[step], train_pairs), apart(on_test[step], test_pairs)
        table[step] = {
            "pairsDevTrain": figures(train_pairs, known) | among_all(on_train[step], train.names),
            "pairsDevTest": figures(test_pairs, new, best(train_pairs, known)),
        }
        print(step, json.dumps(table[step]), file=sys.stderr, flush=True)
    last = table[CHAIN]["pairsDevTest"]
    if record:
        metrics = {"LFW View 1, pairsDevTest (grey crops), ten random folds": last}
        kept = measured(on_train[CHAIN], train, train_pairs, metrics)
        file = shipped_folder(type(pipeline), "dlib_resnet") / "measured.json"
        file.write_text(json.dumps(kept, indent=1) + "\n")
    what = "LFW View 1, pairsDevTest"
    rows = [
        row(f"{what}, accuracy", last["accuracy"], "", ">= 0.983"),
        row(f"{what}, standard error", last["accuracy_se"], ""),
        row(f"{what}, at the threshold of pairsDevTrain", last["accuracy_at_threshold"], ""),
        *(row(f"{what}, {s}", table[s]["pairsDevTest"]["accuracy"], "") for s in table),
        *(row(f"pairsDevTrain, {s}", table[s]["pairsDevTrain"]["accuracy"], "") for s in table),
        row("pictures of pairsDevTrain without a face", train.lost, f"of {len(train.names):,}"),
        row("pictures of pairsDevTest without a face", test.lost, f"of {len(test.names):,}"),
        row("finding a face in 160 x 160 pixels", train.seconds, "s"),
        row("embedding a view", embedding, "s"),
    ]
    return rows, table, (train, train_pairs, test, test_pairs)


def att(root: Path) -> tuple[Rows, dict[str, Any]]:
    """All pairs of the AT&T faces, by the same chain."""
    pipeline = load("dlib_resnet", "face")
    names = sorted(str(p.relative_to(root)) for p in root.glob("*/*.pgm"))
    faces = faces_of(pipeline, root, names)
    people = [name.partition("/")[0] for name in names]
    found = {}
    for step, vectors in steps_of(pipeline, faces).items():
        same, distances = all_apart(vectors, people)
        found[step] = scores.roc_auc(same, -distances)
    rows = [
        row("AT&T faces, all pairs, ROC-AUC", found[CHAIN], "", ">= 0.999"),
        row("AT&T faces without a face", faces.lost, f"of {len(names)}"),
    ]
    return rows, found


def small(train: Faces, pairs: Pairs, test: Faces, test_pairs: Pairs) -> tuple[Rows, dict]:
    """The network that was trained here, and eigenfaces, on the same chips."""
    pipeline: Any = load("small_face", "face")
    people = [name.partition("/")[0] for name in train.names]
    drawn, new = (np.stack([portrait(c) for c in f.chips]) for f in (train, test))
    axes = fit_eigenfaces(drawn, people, seed=SEED)

    def embedded(faces: Faces) -> np.ndarray:
        parts = [faces.chips[at : at + BATCH] for at in range(0, len(faces.chips), BATCH)]
        return np.concatenate([pipeline.embeddings(part) for part in parts])

    table = {}
    for name, known, unknown in (
        ("small_face", embedded(train), embedded(test)),
        ("eigenfaces", axes.embed(drawn), axes.embed(new)),
    ):
        edge = best(pairs, apart(known, pairs))
        table[name] = figures(test_pairs, apart(unknown, test_pairs), edge)
    own, shallow = (table[name]["accuracy"] for name in ("small_face", "eigenfaces"))
    rows = [
        row("small_face, LFW View 1, accuracy", own, "", ">= 0.8"),
        row("small_face, LFW View 1, standard error", table["small_face"]["accuracy_se"], ""),
        row("eigenfaces, LFW View 1, accuracy", shallow, ""),
        row("eigenfaces, LFW View 1, standard error", table["eigenfaces"]["accuracy_se"], ""),
        row("small_face above eigenfaces, LFW View 1", own - shallow, "", ">= 0.02"),
    ]
    return rows, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/face", type=Path)
    parser.add_argument("--record", action="store_true", help="keep thresholds and figures")
    given = parser.parse_args()
    rows, table, sets = lfw(given.data / "lfw", given.record)
    more, areas = att(given.data / "att-faces")
    own, shallow = small(*sets)
    return report("lfw", rows + more + own, steps=table, att=areas, small=shallow, seed=SEED)


if __name__ == "__main__":
    sys.exit(main())
