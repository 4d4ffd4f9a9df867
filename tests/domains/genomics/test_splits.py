"""Similar sequences are found, on either strand and where they overlap, and kept in one part."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.genomics import splits
from deepfield.domains.genomics.features import codes, reverse_complement, text_of
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.splits import SPLITS, near_pairs
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import PARTS, Split, across_parts, folds, kept_together, linked


def random_codes(rng, length):
    return rng.integers(1, 5, length).astype(np.uint8)


def mutated(rng, sequence, count):
    found = sequence.copy()
    places = rng.choice(len(found), count, replace=False)
    found[places] = (found[places] + rng.integers(0, 3, count)) % 4 + 1
    return found


def brute(sequences, word, shared):
    """Pairs by sets of words, from the definition."""

    def words(sequence):
        text = text_of(sequence)
        both = text, text_of(reverse_complement(sequence))
        count = len(text) - word + 1
        pieces = [(both[0][i : i + word], both[1][count - 1 - i :][:word]) for i in range(count)]
        return {min(pair) for pair in pieces if set(pair[0]) <= set("ACGT")}

    sets = [words(one) for one in sequences]
    pairs = []
    for i, j in itertools.combinations(range(len(sequences)), 2):
        one, other = sequences[i], sequences[j]
        copies = len(one) == len(other) > 0 and (
            (one == other).all() or (one == reverse_complement(other)).all()
        )
        least = max(1, shared * min(len(sets[i]), len(sets[j])))
        if copies or len(sets[i] & sets[j]) >= least:
            pairs.append([i, j])
    return pairs


@settings(deadline=None)
@given(st.lists(st.text("ACGN", max_size=16), max_size=8), st.sampled_from([0.1, 0.5, 1.0]))
def test_pairs_are_those_of_the_definition(texts, shared):
    sequences = [codes(text) for text in texts]
    clusters = linked(len(texts), near_pairs(sequences, 4, shared))
    expected = linked(len(texts), brute(sequences, 4, shared))
    firsts = {text: i for i, text in reversed(list(enumerate(texts)))}
    if len(firsts) == len(texts):
        found = near_pairs(sequences, 4, shared).tolist()
        assert [p for p in found if p in brute(sequences, 4, shared)] == found
    assert clusters == expected


def test_overlaps_mutations_and_the_other_strand_are_found():
    rng = np.random.default_rng(1)
    genome = random_codes(rng, 2000)
    sequences = [
        genome[100:300], genome[200:400], reverse_complement(genome[150:350]),
        mutated(rng, genome[1000:1200], 8), genome[1000:1200], random_codes(rng, 200),
        genome[100:300], genome[390:590],
    ]  # fmt: skip
    found = {tuple(p) for p in near_pairs(sequences).tolist()}
    assert {(0, 1), (0, 2), (1, 2), (3, 4), (0, 6)} <= found
    assert not any(5 in pair or 7 in pair for pair in found)
    assert linked(8, near_pairs(sequences)) == [0, 0, 0, 3, 3, 5, 0, 7]


def test_short_unknown_and_empty_sequences_are_alike_as_copies_alone():
    texts = ["ACGT", "ACGT", "ACGA", "N" * 40, "N" * 40, "N" * 41, "", "", "TTTTT"]
    assert near_pairs([codes(t) for t in texts]).tolist() == [[0, 1], [3, 4]]
    assert near_pairs([]).shape == (0, 2)


def test_families_of_many_are_one_cluster():
    rng = np.random.default_rng(2)
    first = random_codes(rng, 150)
    family = [mutated(rng, first, 3) for _ in range(300)]
    strange = [random_codes(rng, 150) for _ in range(50)]
    clusters = linked(350, near_pairs(family + strange))
    assert len(set(clusters[:300])) == 1 and len(set(clusters)) == 51


def test_of_very_many_words_a_sample_is_enough(monkeypatch):
    rng = np.random.default_rng(3)
    genome = random_codes(rng, 40_000)
    sequences = [genome[i * 300 : i * 300 + 600] for i in range(100)]
    sequences += [random_codes(rng, 600) for _ in range(20)]
    monkeypatch.setattr(splits, "_MOST_WORDS", 6000)
    clusters = linked(120, near_pairs(sequences))
    assert len(set(clusters[:100])) == 1 and len(set(clusters)) == 21


def samples_of(count=200):
    rng = np.random.default_rng(4)
    genome = random_codes(rng, 8000)
    found = []
    for index in range(count):
        start = int(rng.integers(7900))
        piece = genome[start : start + 100]
        piece = reverse_complement(piece) if rng.integers(2) else piece
        label = str(int(rng.integers(2)))
        data = DNA(text_of(piece).encode(), f"chr{start // 2000}", start)
        found.append(Sample(f"s{index}", data, label))
    return found


def straddling(sequences, parts):
    return across_parts(near_pairs(sequences).tolist(), parts)


def test_no_similar_pair_straddles_parts_or_folds():
    samples = samples_of()
    sequences = [codes(s.data.letters) for s in samples]
    random = Split("random", (0.6, 0.2, 0.2)).deal(samples)
    assert len(straddling(sequences, random)) > 20
    dealt = Split("similarity", (0.6, 0.2, 0.2)).deal(samples, SPLITS)
    assert straddling(sequences, dealt) == [] and all(len(dealt[p]) > 20 for p in PARTS)
    together = folds(kept_together(samples, "similarity", SPLITS), 4)
    assert straddling(sequences, {str(i): fold for i, fold in enumerate(together)}) == []


def test_groups_are_kept_whole_by_similarity_too():
    samples = samples_of(40)
    for index, sample in enumerate(samples):
        sample.group = None if index % 3 else f"g{index % 2}"
    keys = np.array(SPLITS["similarity"](samples).keys)
    assert len(set(keys[::6])) == len(set(keys[3::6])) == 1 < len(set(keys))


def test_letters_that_are_no_bases_do_not_stop_a_split():
    samples = [Sample("a", DNA(b"ACGTQ"), "0"), Sample("b", None, "1"), *samples_of(10)]
    assert len(SPLITS["similarity"](samples).keys) == 12


def test_chromosomes_are_kept_whole():
    samples = samples_of()
    dealt = Split("chromosome", (0.5, 0.25, 0.25)).deal(samples, SPLITS)
    where = [{samples[i].data.contig for i in dealt[part]} for part in PARTS]
    assert sorted(itertools.chain(*where)) == [f"chr{n}" for n in range(4)]
    with pytest.raises(UsageError, match="nobody says on which 'x' is"):
        SPLITS["chromosome"]([*samples, Sample("x", DNA(b"ACGT"), "0")])


def test_thirteen_thousand_sequences_take_seconds():
    import time

    rng = np.random.default_rng(6)
    genome = random_codes(rng, 300_000)
    sequences = [genome[i : i + 200] for i in rng.integers(0, 299_800, 3000)]
    began = time.monotonic()
    assert len(near_pairs(sequences)) > 3000
    assert time.monotonic() - began < 10
