"""Every sample lies in one part, groups stay whole, and copies are found."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import (
    PARTS,
    Grouping,
    Split,
    across_parts,
    exact_duplicates,
    fingerprint,
    folds,
    kept_together,
    near_duplicates,
    part_named,
)  # fmt: skip

SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", 1.5, None]),
        st.sampled_from([None, "g", "h", "i", "j", ""]),
        st.sampled_from([None, "train", "valid", "test"]),
    ),
    min_size=1,
    max_size=60,
)


def samples_of(facts):
    return [Sample(str(i), i, target=t, group=g, part=p) for i, (t, g, p) in enumerate(facts)]


@settings(deadline=None)
@given(facts=SAMPLES, kind=st.sampled_from(["auto", "random", "group", "source"]),
       seed=st.integers(0, 9))  # fmt: skip
def test_every_index_is_dealt_once_and_groups_stay_whole(facts, kind, seed):
    samples = samples_of(facts)
    try:
        dealt = Split(kind, seed=seed).deal(samples)
    except UsageError:
        return
    assert sorted(i for part in PARTS for i in dealt[part]) == list(range(len(samples)))
    again = Split(kind, seed=seed).deal(samples)
    assert all((dealt[p] == again[p]).all() for p in PARTS)
    if kind == "group":
        where = {}
        for part in PARTS:
            for i in dealt[part]:
                if samples[i].group:
                    where.setdefault(samples[i].group, set()).add(part)
        assert all(len(parts) == 1 for parts in where.values())
    if kind == "source":
        assert all(samples[i].part == "test" for i in dealt["test"])


@given(facts=SAMPLES, count=st.integers(2, 5))
def test_folds_hold_every_index_once_and_whole_groups(facts, count):
    samples = samples_of(facts)
    try:
        dealt = folds(samples, count)
    except UsageError:
        return
    assert sorted(i for fold in dealt for i in fold) == list(range(len(samples)))
    for group in {s.group for s in samples} - {None}:
        holding = [f for f in dealt if any(samples[i].group == group for i in f)]
        assert len(holding) == 1


def test_what_must_stay_together_becomes_one_group():
    samples = [Sample(str(i), data, group=group) for i, (data, group) in enumerate(
        [("a", None), ("b", "g"), ("c", "g"), ("a", "h"), ("d", "h"), ([1], None), ([1], None),
         (np.arange(3), None), (np.arange(3), None)]
    )]  # fmt: skip
    groups = [s.group for s in kept_together(samples)]
    assert groups[0] == groups[3] == groups[4] and groups[1] == groups[2]
    assert groups[7] == groups[8] and len(set(groups)) == 5
    own = {"last": lambda samples: Grouping([i in (5, 6) for i in range(len(samples))])}
    groups = [s.group for s in kept_together(samples, "last", own)]
    assert len(set(groups)) == 2 and groups[7] == groups[8] == groups[0] != groups[6]
    alone = samples[:2]
    assert kept_together(alone) == alone
    with pytest.raises(UsageError, match="no split of kind 'foo'"):
        kept_together(samples, "foo", own)


@given(facts=SAMPLES, count=st.integers(2, 5))
def test_samples_that_are_no_copies_are_dealt_to_folds_as_before(facts, count):
    samples = samples_of([(t, g or None, p) for t, g, p in facts])
    try:
        before = folds(samples, count)
    except UsageError:
        return
    after = folds(kept_together(samples), count)
    assert all((one == other).all() for one, other in zip(before, after, strict=True))


def test_a_random_split_is_stratified():
    samples = [Sample(str(i), i, target="ab"[i % 10 == 0]) for i in range(1000)]
    dealt = Split("random").deal(samples)
    assert [len(dealt[p]) for p in PARTS] == [800, 100, 100]
    assert sum(samples[i].target == "b" for i in dealt["test"]) == 10


def test_what_is_measured_later_is_in_no_earlier_part():
    years = [2001] * 70 + [2002] * 15 + [2003] * 7 + [2004] * 8
    order = np.random.default_rng(0).permutation(len(years))
    samples = [Sample(str(i), i, time=float(years[i])) for i in order]
    dealt = Split("time").deal(samples)
    when = {part: {samples[i].time for i in dealt[part]} for part in PARTS}
    assert max(when["train"]) < min(when["valid"]) and max(when["valid"]) < min(when["test"])


def test_dates_are_in_the_order_of_the_calendar():
    told = ["2001-12-31", "2002-01", "2002-02-01T00:30+01:00", "2002-02-01", "2003-01-01"]
    samples = [Sample(t, t, time=t) for t in reversed(told)]
    dealt = Split("time", (0.6, 0.2, 0.2)).deal(samples)
    assert [[samples[i].id for i in dealt[p]] for p in PARTS] == [
        told[2::-1], [told[3]], [told[4]]
    ]  # fmt: skip
    same = [
        ["2001/12/31", "2001.12.31", "2001-12-31 00:00:00 UTC", "2001-12-31T00:00Z"],
        ["2002/01"],
    ]
    samples = [Sample(t, t, time=t) for told in same for t in told]
    assert [len(p) for p in Split("time", (0.5, 0, 0.5)).deal(samples).values()] == [4, 0, 1]
    for odd in ("9/21/2000", "spring"):
        with pytest.raises(UsageError, match=f"'{odd}' of 'x' is no date") as raised:
            Split("time").deal([*samples, Sample("x", 0, time=odd)])
        assert "2007-08-31" in raised.value.hint


@pytest.mark.parametrize(("groups", "labels"), [(3, 3), (5, 2), (7, 3), (4, 1)])
def test_few_groups_leave_no_part_empty(groups, labels):
    rng = np.random.default_rng(groups)
    samples = [
        Sample(str(i), i, target=f"label{rng.integers(labels)}", group=f"chr{rng.integers(groups)}")
        for i in range(400)
    ]
    dealt = Split("group").deal(samples)
    assert all(len(dealt[part]) for part in PARTS) and len(dealt["train"]) > 100
    assert {samples[i].target for i in dealt["train"]} == {s.target for s in samples}
    assert len(Split("group", (0.8, 0.2, 0)).deal(samples)["test"]) == 0


def test_no_label_leaves_training_for_a_part_that_is_empty():
    rare = [("a", 30)] * 2 + [("b", 30)] * 2 + [("rare", 10), ("rare", 12)]
    samples = [
        Sample(f"{g}.{i}", i, target=label, group=f"g{g}" if label != "rare" else "r")
        for g, (label, count) in enumerate(rare)
        for i in range(count)
    ]
    dealt = Split("group").deal(samples)
    assert "r" in {samples[i].group for i in dealt["train"]} and len(dealt["valid"]) == 30
    few = [Sample(str(i), i, target="abcd"[i % 4]) for i in range(8)]
    assert len(Split("random").deal(few)["train"]) == 8


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ((50, 50), (50, 0, 50)), ((70, 30), (70, 0, 30)), ((25, 25, 25, 25), (50, 25, 25)),
        ((33, 33, 34), (33, 33, 34)), ((60, 30, 10), (60, 30, 10)), ((2, 98), (2, 0, 98)),
        ((1,) * 100, (80, 10, 10)),
    ],
)  # fmt: skip
def test_the_latest_are_tested_on_however_few_times_there_are(counts, wanted):
    times = [float(t) for t, count in enumerate(counts) for _ in range(count)]
    samples = [Sample(str(i), i, time=t) for i, t in enumerate(times)]
    dealt = Split("time").deal(samples)
    assert tuple(len(dealt[part]) for part in PARTS) == wanted
    assert len(Split("time", (0.5, 0.0, 0.5)).deal(samples)["test"])
    assert len(Split("time", (1.0, 0.0, 0.0)).deal(samples)["train"]) == len(samples)
    with pytest.raises(UsageError, match="all samples are of one time"):
        Split("time").deal([s for s in samples if s.time == 0.0])


def test_parts_of_the_source_must_be_there():
    with pytest.raises(UsageError, match="--split source, but the samples have no part"):
        Split("source").deal([Sample(str(i), i) for i in range(9)])


def test_labels_that_are_names_of_nearly_every_sample_do_not_stratify():
    """Dealt label by label, single samples would all be training."""
    for targets in ([f"name {i}" for i in range(100)], [f"name {i // 2 * 2}" for i in range(51)]):
        samples = [Sample(str(i), i, target=t) for i, t in enumerate(targets)]
        dealt = Split("random").deal(samples)
        total = len(samples)
        assert [len(dealt[p]) for p in PARTS] == pytest.approx(
            [0.8 * total, 0.1 * total, 0.1 * total], abs=1
        )


def test_groups_with_names_of_their_own_are_dealt_whole_by_their_number():
    samples = [Sample(str(i), i, target=f"name {i}", group=f"g{i // 5}") for i in range(500)]
    dealt = Split("group").deal(samples)
    assert [len(dealt[p]) for p in PARTS] == [400, 50, 50]
    parts = [{samples[i].group for i in dealt[p]} for p in PARTS]
    assert not set.intersection(*parts) and sum(map(len, parts)) == 100


def test_labels_of_two_samples_each_are_stratified_still():
    samples = [Sample(str(i), i, target=f"label {i // 2}") for i in range(20)]
    dealt = Split("random", (0.5, 0.0, 0.5)).deal(samples)
    for part in ("train", "test"):
        assert len({samples[i].target for i in dealt[part]}) == 10


@pytest.mark.parametrize("text", ["1/2", "a/b/c", "0/1/1", "-1/1/1", "group:1/1", "x/"])
def test_a_split_that_makes_no_sense_is_refused(text):
    with pytest.raises(UsageError, match="KIND"):
        Split.parse(text)


def test_a_part_of_no_known_name_is_refused_where_parts_matter_only():
    cells = ["Dev", " TRAIN", "eval", "", None, float("nan")]
    named = [part_named(cell) for cell in cells]
    assert named == ["valid", "train", "eval", None, None, None]

    def faults(split):
        samples = [Sample(str(i), "", part=part) for i, part in enumerate(named)]
        return [s.fault for s in Split.parse(split).placed(samples)]

    assert faults("random:80/20/0") == [None] * 6
    told = "part 'eval' is none of train, valid and test"
    assert faults(None) == faults("source") == [None, None, told, None, None, None]


def test_splits_are_read_in_fractions_or_percent():
    assert Split.parse("group:70/15/15").fractions == Split.parse("group:.7/.15/.15").fractions
    assert Split.parse(None).kind == "auto" and Split.parse("source").kind == "source"
    with pytest.raises(UsageError, match="no split of kind"):
        Split.parse("foo").deal([Sample("1", 1)])


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.lists(st.integers(0, 63), max_size=5)), max_size=20),
    st.integers(0, 3),
)
def test_near_duplicates_are_those_of_brute_force(hashes, flips, distance):
    for index, bits in flips:
        if hashes:
            value = hashes[index % len(hashes)]
            for bit in bits:
                value ^= 1 << bit
            hashes = [*hashes, value]
    pairs = itertools.combinations(range(len(hashes)), 2)
    expected = [(i, j) for i, j in pairs if (hashes[i] ^ hashes[j]).bit_count() <= distance]
    assert near_duplicates(hashes, distance) == expected


def test_copies_are_told_by_content_type_and_shape():
    zeros = [np.zeros(4, np.uint8), np.zeros((2, 2), np.uint8), np.zeros(4, np.int8)]
    prints = [fingerprint({"x": a}) for a in [*zeros, np.zeros(4, np.uint8)]]
    assert exact_duplicates(prints) == [[0, 3]]
    parts = {"train": np.array([0, 1]), "test": np.array([3])}
    assert across_parts([[0, 3], [0, 1]], parts) == [[0, 3]]
