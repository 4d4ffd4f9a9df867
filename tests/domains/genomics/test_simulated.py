"""What is simulated follows its own grammar, and what is told of it is true."""

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from deepfield.domains.genomics import simulated_files
from deepfield.domains.genomics.features import codes, reverse_complement, text_of
from deepfield.domains.genomics.simulated import (
    FIDELITY,
    MOTIFS,
    SPACING,
    genome,
    matrix,
    simulate,
)


def alike(letters, place, name, strand):
    """How many letters agree with a motif."""
    motif = MOTIFS[name]
    piece = letters[place : place + len(motif)]
    piece = piece if strand == "+" else text_of(reverse_complement(codes(piece)))
    return sum(a == b for a, b in zip(piece, motif, strict=True))


def marks(one):
    return [(n, s, int(p)) for n, s, p in re.findall(r"([AB])([+-])(\d+)", one.motifs)]


@pytest.mark.parametrize("kind", ["motif", "pair"])
def test_motifs_are_where_they_are_said_to_be(kind):
    made = list(simulate(kind, 300, 5))
    agree = [alike(o.letters, p, n, s) / len(MOTIFS[n]) for o in made for n, s, p in marks(o)]
    assert np.mean(agree) == pytest.approx(FIDELITY, abs=0.02)
    assert [o.label for o in made] == ["1", "0"] * 150
    if kind == "motif":
        assert all(bool(marks(o)) == (o.label == "1") for o in made)


def test_pairs_are_right_at_their_spacing_alone():
    made = list(simulate("pair", 900, 6))
    kinds = set()
    for one in made:
        found = sorted(marks(one), key=lambda m: m[2])
        strands = {s for _, s, _ in found}
        if strands == {"-"}:  # read on the other strand, B comes before A
            found = found[::-1]
        names = "".join(n for n, _, _ in found)
        gap = None
        if len(found) == 2:
            (a, _, p), (_, _, q) = sorted(found, key=lambda m: m[2])
            gap = q - p - len(MOTIFS[a])
        assert (names == "AB" and gap in SPACING) == (one.label == "1")
        kinds.add((one.label, names))
    assert kinds == {("1", "AB"), ("0", "AB"), ("0", "BA"), ("0", "A"), ("0", "B"), ("0", "")}


def test_sites_have_gt_in_their_middle():
    for length in (120, 602):
        made = list(simulate("site", 40, 1, length))
        start = (length - 1) // 2
        assert all(len(o.letters) == length and o.letters[start : start + 2] == "GT" for o in made)


def test_the_same_seed_makes_the_same_and_a_longer_one_begins_alike():
    assert list(simulate("pair", 20, 3)) == list(islice(simulate("pair", 500, 3), 20))
    assert list(simulate("pair", 20, 3)) != list(simulate("pair", 20, 4))


def test_a_matrix_is_probabilities():
    np.testing.assert_allclose(matrix("B").sum(axis=1), 1)
    assert matrix("B").argmax(axis=1).tolist() == (codes(MOTIFS["B"]) - 1).tolist()


def test_introns_of_a_genome_begin_with_gt_and_end_with_ag():
    contigs, genes = genome(50_000, seed=7)
    assert list(map(len, contigs.values())) == [30_000, 15_000, 5_000]
    assert {g.strand for g in genes} == {"+", "-"} and len(genes) > 8
    last = {}
    for gene in genes:
        assert gene.exons[0][0] > last.get(gene.contig, 0)
        last[gene.contig] = gene.exons[-1][1]
        for (_, start), (stop, _) in zip(gene.exons, gene.exons[1:], strict=False):
            intron = codes(contigs[gene.contig][start:stop])
            intron = text_of(intron if gene.strand == "+" else reverse_complement(intron))
            assert intron.startswith("GT") and intron.endswith("AG") and len(intron) > 100


def test_the_files_that_ship_are_what_the_simulation_makes():
    folder = Path(simulated_files.__file__).parent / "samples"
    for name, make in simulated_files.FILES.items():
        made = make()
        data = made if isinstance(made, bytes) else made.encode()
        assert (folder / name).read_bytes() == data, name
