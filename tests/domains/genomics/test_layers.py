import itertools

import keras
import numpy as np
import pytest

from deepfield.domains.genomics.features import CHANCES, codes, reverse_complement
from deepfield.domains.genomics.layers import (
    BaseChances,
    CodonWeights,
    MotifConv1D,
    PlacedWords,
    ReadingFrames,
    ReverseComplement,
    StrandPooling,
)
from deepfield.toolkit.testing import check_layer

RNG = np.random.default_rng(0)
SEQUENCES = RNG.integers(0, 15, (3, 20)).astype("int32")
X = CHANCES[SEQUENCES]


def test_letters_become_their_chances_and_some_are_forgotten_in_training():
    layer = BaseChances(forget=0.3, seed=1)
    assert np.array_equal(layer(SEQUENCES), X)
    plain = RNG.integers(1, 5, (4, 2_000)).astype("int32")
    seen = np.asarray(layer(plain, training=True))
    gone = seen.sum(axis=-1) == 0
    assert 0.25 < gone.mean() < 0.35
    assert np.array_equal(seen[~gone], CHANCES[plain][~gone])
    assert BaseChances.from_config(layer.get_config()).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="forget"):
        BaseChances(forget=1.0)


def test_the_other_strand_is_that_of_the_codes():
    check_layer(ReverseComplement, {"both": False}, X, lambda x, _: x[:, ::-1, ::-1])
    other = np.stack([reverse_complement(s.astype(np.uint8)) for s in SEQUENCES])
    assert np.array_equal(ReverseComplement()(X), CHANCES[other])
    both = np.asarray(ReverseComplement(both=True)(X))
    assert np.array_equal(both, np.concatenate([X, CHANCES[other]]))


def test_strands_are_compared():
    y = RNG.standard_normal((6, 5)).astype("float32")
    expected = np.concatenate([np.maximum(y[:3], y[3:]), (y[:3] + y[3:]) / 2], axis=1)
    assert np.allclose(StrandPooling()(y), expected)
    bases = keras.Input((20, 4))
    z = ReverseComplement(both=True)(bases)
    z = StrandPooling()(keras.layers.Flatten()(keras.layers.Conv1D(3, 5, name="c")(z)))
    assert keras.Model(bases, z)(X).shape == (3, 96)


@pytest.mark.parametrize("strands", [True, False])
def test_motifs_are_matched_where_they_fit_better(strands):
    def reference(x, w):
        views = np.lib.stride_tricks.sliding_window_view(x, 4, axis=1)  # batch, place, base, letter
        own = np.einsum("bicj,jck->bik", views, w["kernel"])
        other = np.einsum("bicj,jck->bik", views, w["kernel"][::-1, ::-1])
        return (np.maximum(own, other) if strands else own) + w["bias"]

    check_layer(MotifConv1D, {"filters": 3, "kernel_size": 4, "strands": strands}, X, reference)


def test_motifs_on_either_strand_are_matched_alike():
    layer = MotifConv1D(5, 6)
    found = np.asarray(layer(X)).max(axis=1)
    assert np.allclose(found, np.asarray(layer(ReverseComplement()(X))).max(axis=1), atol=1e-5)


def test_frames_are_read_in_codons_and_the_best_is_told():
    def reference(x, w):
        count = (x.shape[1] - 2) // 3
        frames = []
        for frame in range(3):
            total = 0.0
            for codon in range(count):
                letters = x[:, 3 * codon + frame : 3 * codon + frame + 3]
                chance = np.einsum("ba,bc,bd->bacd", *letters.transpose(1, 0, 2))
                total = total + chance.reshape(len(x), 64) @ w["codons"]
            frames.append(3 * total / count)
        return np.max(frames, axis=0)

    check_layer(ReadingFrames, {"units": 7}, X, reference)


def test_every_codon_has_weights_of_its_own():
    def reference(x, w):
        views = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)  # batch, place, base, letter
        chance = np.einsum("bia,bic,bid->biacd", *np.moveaxis(views, -1, 0))
        return chance.reshape(*chance.shape[:2], 64) @ w["codons"]

    check_layer(CodonWeights, {"units": 5}, X, reference)
    layer = CodonWeights(2)
    told = np.asarray(layer(CHANCES[codes("ATGNCC")][None]))[0]
    word = 0 * 16 + 3 * 4 + 2
    assert np.allclose(told[0], np.asarray(layer.codons)[word]) and not told[1:].any()


@pytest.mark.parametrize("word_bp", [1, 3])
def test_words_are_weighed_by_their_places(word_bp):
    def reference(x, w):
        behind = np.full((len(x), word_bp - 1, 4), 0.25)
        seen = np.concatenate([x, behind], axis=1)
        found = []
        for j in range(x.shape[1] - 8 + 1):
            total = w["bias"].astype(np.float64)
            for place, word in itertools.product(range(8), range(4**word_bp)):
                letters = np.unravel_index(word, (4,) * word_bp)
                chance = np.prod([seen[:, j + place + i, b] for i, b in enumerate(letters)], axis=0)
                total = total + chance[:, None] * w["kernel"][place, word]
            found.append(total)
        return np.stack(found, axis=1)

    check_layer(PlacedWords, {"units": 2, "field": 8, "word_bp": word_bp}, X, reference)
    with pytest.raises(ValueError, match="shorter than a word"):
        PlacedWords(2, 3, word_bp=4)
    assert not PlacedWords(2, 8).trainable


def test_an_open_frame_is_told_wherever_it_begins():
    """Weights that count stop codons see the frame that has none."""
    layer = ReadingFrames(1)
    layer.build((None, 32, 4))
    words = ["".join(word) for word in itertools.product("ACGT", repeat=3)]
    stops = np.array([[-1.0 if word in ("TAA", "TAG", "TGA") else 0.0] for word in words])
    layer.set_weights([stops])
    gene = ["GCC"] * 10 + ["GC"]
    shut = "TAACTAACTAACTAACTAACTAACTAACTAAC"  # a stop in every frame
    for shift in range(3):
        letters = ("C" * shift + "".join(gene))[:32]
        assert np.asarray(layer(CHANCES[codes(letters)][None]))[0, 0] == 0
    assert np.asarray(layer(CHANCES[codes(shut)][None]))[0, 0] < -0.2


@pytest.mark.parametrize(
    "make",
    [
        lambda: MotifConv1D(0, 4),
        lambda: MotifConv1D(4, 0),
        lambda: CodonWeights(0),
        lambda: ReadingFrames(0),
        lambda: ReadingFrames()(X[:, :4]),
        lambda: MotifConv1D(2, 3)(np.ones((1, 9, 5), "float32")),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ValueError):
        make()
