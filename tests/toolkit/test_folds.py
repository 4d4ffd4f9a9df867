"""Cross-validation: every sample is answered once, by a network that never saw it."""

import csv
from dataclasses import replace
from typing import ClassVar

import pytest
import toys

from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.folds import cross_validate
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import Grouping
from deepfield.toolkit.tables import figures_of_evaluation


class Watched(toys.Measured):
    """Remembers of which samples each network has learnt."""

    seen: ClassVar = []

    def fit(self, data, **arguments):
        self.seen.append({s.id for s in data})
        return Pipeline.fit(self, data, **arguments)


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr(Watched, "seen", [])
    return Watched


def validate(make, data, tmp_path, count=3, **more):
    out = tmp_path / "rows.csv"
    arguments = {"settings": {"epochs": 1}, "seed": 1, **more}
    result = cross_validate(make, data, count, str(out), "csv", arguments)
    with out.open() as stream:
        return result, list(csv.DictReader(stream))


def test_every_sample_is_answered_once_by_a_network_that_never_saw_it(watched, tmp_path):
    result, rows = validate(watched, "toy:90", tmp_path)
    assert sorted(r["id"] for r in rows) == sorted(f"toy{i}" for i in range(90))
    for row in rows:
        assert row["id"] not in watched.seen[int(row["fold"]) - 1]
        assert row["target"] and row["mass"]
    assert all(len(seen) == 60 for seen in watched.seen)
    assert (result["n"], result["rejected"]) == (90, 0)
    assert set(result["groups"]) == {"fold 1", "fold 2", "fold 3"}
    assert set(result["metrics"]) == set(result["groups"]["fold 1"])
    shown = "\n".join(figures_of_evaluation(result))
    assert all(f"\nfold {number} " in shown for number in (1, 2, 3))


def test_groups_are_kept_whole(watched, tmp_path):
    samples = [replace(s, group=f"family {i % 9}") for i, s in enumerate(watched().read("toy:90"))]
    _, rows = validate(watched, samples, tmp_path)
    folds = {}
    for row in rows:
        folds.setdefault(int(row["id"].removeprefix("toy")) % 9, set()).add(row["fold"])
    assert all(len(where) == 1 for where in folds.values())
    assert set.union(*folds.values()) == {"1", "2", "3"}


def folds_of(rows, family):
    """The folds in which the samples of each family are."""
    found = {}
    for row in rows:
        found.setdefault(family(int(row["id"].removeprefix("toy"))), set()).add(row["fold"])
    return list(found.values())


def test_a_split_of_the_domains_own_deals_the_folds_too(watched, tmp_path, monkeypatch):
    families = {"family": lambda samples: Grouping([int(s.id[3:]) % 11 for s in samples])}
    monkeypatch.setattr(watched, "splits", families)
    _, rows = validate(watched, "toy:90", tmp_path, split="family:80/10/10")
    assert all(len(where) == 1 for where in folds_of(rows, lambda i: i % 11))
    with pytest.raises(UsageError, match="no split of kind 'clan'"):
        validate(watched, "toy:90", tmp_path, split="clan")


def test_copies_are_in_one_fold(watched, tmp_path):
    samples = list(watched().read("toy:60"))
    copies = [replace(s, id=f"toy{100 + i}") for i, s in enumerate(samples[:20])]
    _, rows = validate(watched, samples + copies, tmp_path)
    assert len(rows) == 80
    assert all(len(where) == 1 for where in folds_of(rows, lambda i: i % 100))


def test_rows_are_in_the_order_of_the_data_and_rejected_ones_in_their_place(watched, tmp_path):
    samples = list(watched().read("toy:60"))
    samples[3] = replace(samples[3], target=None)
    samples[7] = replace(samples[7], fault="cut off")
    result, rows = validate(watched, samples, tmp_path, 2)
    assert (result["n"], result["rejected"]) == (58, 2)
    assert [row["id"] for row in rows] == [sample.id for sample in samples]
    assert [(i, r["reason"]) for i, r in enumerate(rows) if r["status"] == "rejected"] == [
        (3, "no label"), (7, "cut off")
    ]  # fmt: skip
    assert all(bool(row["fold"]) == (row["status"] == "ok") for row in rows)


def test_what_is_interrupted_leaves_no_half_file(watched, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(watched, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        validate(watched, "toy:90", tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_fold_is_refused(watched, tmp_path):
    with pytest.raises(UsageError, match="--folds 1"):
        validate(watched, "toy:90", tmp_path, 1)
