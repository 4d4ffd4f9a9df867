import numpy as np
import pytest

from deepfield.domains.genomics import scanning
from deepfield.domains.genomics.features import codes, reverse_complement
from deepfield.domains.genomics.scanning import scan
from deepfield.domains.genomics.windows import middle

WIDTH = 9
_RNG = np.random.default_rng(0)
_WEIGHTS = _RNG.standard_normal((WIDTH, 15, 3))


def of_windows(bases):
    """A network of windows: a weight for every letter at every place."""
    return _WEIGHTS[np.arange(WIDTH), bases].sum(axis=1)


def of_sites(bases):
    """The same, of every window in a longer stretch."""
    views = np.lib.stride_tricks.sliding_window_view(bases, WIDTH, axis=1)
    return np.stack([of_windows(view) for view in views])


def expected(contig, strand):
    """Every base by itself, by plain loops."""
    left = middle(WIDTH)
    found = []
    for place in range(len(contig)):
        own = [
            contig[place - left + k] if 0 <= place - left + k < len(contig) else 0
            for k in range(WIDTH)
        ]
        if strand == "-":  # the middle of an odd number of letters is the middle of both strands
            own = reverse_complement(np.array(own, np.uint8))
        found.append(of_windows(np.array(own)[None])[0])
    return np.array(found)


@pytest.mark.parametrize("slides", [True, False])
@pytest.mark.parametrize("steps", [1, 8, 40, 41, 100])
def test_every_base_of_both_strands_is_judged_by_the_window_around_it(slides, steps, monkeypatch):
    monkeypatch.setattr(scanning, "CHUNK", 20)
    contig = np.random.default_rng(steps).integers(0, 6, steps).astype(np.uint8)
    parts = list(scan(of_sites if slides else of_windows, contig, WIDTH, slides))
    for strand in "+-":
        own = [part for part in parts if part.strand == strand]
        places = np.concatenate([part.positions for part in own])
        assert places.tolist() == list(range(steps))
        assert np.allclose(np.concatenate([part.logits for part in own]), expected(contig, strand))


@pytest.mark.parametrize("slides", [True, False])
def test_only_bases_with_the_letters_of_the_site_are_told_of(slides, monkeypatch):
    monkeypatch.setattr(scanning, "CHUNK", 7)
    contig = codes("AAGTCCACTTGTAAAACAAAAAAAAAAAAAAGT")
    parts = list(
        scan(of_sites if slides else of_windows, contig, WIDTH, slides, letters={0: "G", 1: "T"})
    )
    told = {
        s: sorted(int(p) for part in parts if part.strand == s for p in part.positions)
        for s in "+-"
    }
    assert told == {
        "+": [2, 10, 31],
        "-": [7, 16],
    }  # AC on the other strand, read from its G's mate
    for part in parts:
        assert np.allclose(part.logits, expected(contig, part.strand)[part.positions])


def test_steps_are_counted_from_the_start_of_the_contig(monkeypatch):
    monkeypatch.setattr(scanning, "CHUNK", 10)
    contig = np.ones(35, np.uint8)
    for strand in "+-":
        parts = list(scan(of_windows, contig, WIDTH, False, strand, step=4))
        assert np.concatenate([p.positions for p in parts]).tolist() == list(range(0, 35, 4))


def test_a_contig_without_a_site_gives_nothing():
    assert list(scan(of_sites, codes("AAAA"), WIDTH, True, letters={0: "G"})) == []
