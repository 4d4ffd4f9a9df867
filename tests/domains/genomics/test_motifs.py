"""Motifs: counting, comparing, MEME's format; what was planted is found again."""

import numpy as np
import pytest

from deepfield.domains.genomics.features import CHANCES, LETTERS, codes, text_of
from deepfield.domains.genomics.motifs import (
    Motif,
    from_sites,
    match,
    matches,
    parse_meme,
    read_meme,
    write_meme,
)
from deepfield.toolkit.errors import NotFound, UsageError


def random_motif(rng, width, name="m", sharp=0.3):
    return Motif(name, rng.dirichlet(np.full(4, sharp), width), 50)


def sites(texts):
    return np.stack([codes(text) for text in texts])


# -- counting


def test_frequencies_are_counted_letter_by_letter():
    motif = from_sites(sites(["ACGT", "ACGA", "ACTN", "RCGA"]))
    np.testing.assert_allclose(motif.probabilities[0], [3.5 / 4, 0, 0.5 / 4, 0])
    np.testing.assert_allclose(motif.probabilities[3], [2.25 / 4, 0.25 / 4, 0.25 / 4, 1.25 / 4])
    assert motif.sites == 4 and len(motif) == 4
    np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1)


def test_a_pseudocount_is_spread_as_the_background():
    q = (0.4, 0.1, 0.1, 0.4)
    motif = from_sites(sites(["A", "A", "C"]), background=q, pseudocount=2)
    np.testing.assert_allclose(motif.probabilities[0], [2.8 / 5, 1.2 / 5, 0.2 / 5, 0.8 / 5])
    with pytest.raises(ValueError, match="no site"):
        from_sites(np.zeros((0, 4), np.uint8))


def test_information_is_that_of_shannon():
    motif = Motif("m", np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]))
    np.testing.assert_allclose(motif.information, [2, 1, 0])
    uneven = Motif("m", np.array([[1, 0, 0, 0.0]]), background=(0.5, 0.2, 0.2, 0.1))
    np.testing.assert_allclose(uneven.information, [1])
    rng = np.random.default_rng(0)
    any_ = random_motif(rng, 9)
    naive = [2 + sum(p * np.log2(p) for p in row if p > 0) for row in any_.probabilities]
    np.testing.assert_allclose(any_.information, naive)


@pytest.mark.parametrize(
    ("row", "letter"),
    [([1, 0, 0, 0], "A"), ([0.1, 0.1, 0.7, 0.1], "G"), ([0.48, 0, 0, 0.52], "W"),
     ([0.4, 0.2, 0.2, 0.2], "N"), ([0.25] * 4, "N"), ([0.02, 0.5, 0.46, 0.02], "S")],
)  # fmt: skip
def test_consensus_letters(row, letter):
    assert Motif("m", np.array([row], float)).consensus == letter


def test_the_other_strand_is_the_reverse_complement():
    rng = np.random.default_rng(1)
    motif = random_motif(rng, 7)
    turned = motif.reverse_complement()
    np.testing.assert_array_equal(turned.probabilities[0], motif.probabilities[-1][::-1])
    np.testing.assert_array_equal(turned.reverse_complement().probabilities, motif.probabilities)
    letters = rng.integers(1, 5, (30, 6)).astype(np.uint8)
    from deepfield.domains.genomics.features import reverse_complement

    np.testing.assert_allclose(
        from_sites(reverse_complement(letters)).probabilities,
        from_sites(letters).reverse_complement().probabilities,
    )


def test_ends_that_tell_nothing_are_cut():
    even, sharp = [0.25] * 4, [1.0, 0, 0, 0]
    motif = Motif("m", np.array([even, sharp, even, sharp, even, even]))
    assert motif.trimmed(0.5).consensus == "ANA"
    assert len(Motif("m", np.array([even, [0.3, 0.3, 0.2, 0.2]])).trimmed(1.0)) == 1


# -- comparing


def naive_similarity(one, other):
    """Return the best mean correlation over offsets and strands, by loops."""
    best = -np.inf
    least = min(4, len(one), len(other))
    for strand in (other, other.reverse_complement()):
        for offset in range(least - len(one), len(other) - least + 1):
            total = 0.0
            for i in range(len(one)):
                if 0 <= i + offset < len(other):
                    a, b = one.probabilities[i], strand.probabilities[i + offset]
                    if a.std() > 1e-6 and b.std() > 1e-6:
                        total += np.corrcoef(a, b)[0, 1]
            best = max(best, total / min(len(one), len(other)))
    return best


@pytest.mark.parametrize(("one", "other"), [(8, 8), (5, 12), (12, 5), (3, 9), (1, 1), (4, 3)])
def test_similarity_is_the_best_mean_correlation(one, other):
    rng = np.random.default_rng(one * 100 + other)
    for _ in range(5):
        a, b = random_motif(rng, one), random_motif(rng, other)
        assert match(a, b, shuffles=0).similarity == pytest.approx(naive_similarity(a, b))


@pytest.mark.parametrize("turned", [False, True])
def test_a_part_of_a_motif_is_placed(turned):
    rng = np.random.default_rng(2)
    known = random_motif(rng, 14, "known")
    strand = known.reverse_complement() if turned else known
    part = Motif("part", strand.probabilities[3:11])
    found = match(part, known)
    assert found.similarity == pytest.approx(1)
    assert (found.offset, found.strand, found.known) == (3, "+-"[turned], "known")
    assert found.p_value == pytest.approx(1 / 1000)
    back = match(known, part)  # hangs over on the left
    assert back.similarity == pytest.approx(1) and back.strand == found.strand


def test_p_values_of_unlike_motifs_are_even():
    rng = np.random.default_rng(3)
    values = [
        match(random_motif(rng, 10), random_motif(rng, 10), shuffles=199, seed=i).p_value
        for i in range(100)
    ]
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) <= 0.05) <= 0.12
    assert min(values) >= 1 / 200


def test_even_columns_neither_help_nor_break():
    even = Motif("even", np.full((6, 4), 0.25))
    found = match(even, random_motif(np.random.default_rng(0), 6))
    assert found.similarity == 0 and found.p_value == 1


def test_the_most_similar_is_first():
    rng = np.random.default_rng(4)
    known = [random_motif(rng, 9, f"k{i}") for i in range(5)]
    noisy = 0.9 * known[3].probabilities + 0.1 * rng.dirichlet(np.ones(4), 9)
    found = matches(Motif("m", noisy), known)
    assert found[0].known == "k3" and found[0].similarity > 0.9
    assert [m.similarity for m in found] == sorted((m.similarity for m in found), reverse=True)
    assert matches(known[0], []) == []


# -- MEME's format


def test_what_is_written_is_read_again(tmp_path):
    rng = np.random.default_rng(5)
    background = (0.3, 0.2, 0.2, 0.3)
    motifs = [
        Motif("first motif", rng.dirichlet(np.ones(4), 8), 40, background),
        Motif("second", rng.dirichlet(np.ones(4), 1), 0, background),
    ]
    path = tmp_path / "found.meme"
    path.write_text(write_meme(motifs))
    again = read_meme(path)
    assert [m.name for m in again] == ["first_motif", "second"]
    assert [m.sites for m in again] == [40, 0]
    for one, other in zip(motifs, again, strict=True):
        np.testing.assert_allclose(other.probabilities, one.probabilities, atol=2e-6)
        assert other.background == pytest.approx(one.background)
    assert write_meme(again) == write_meme(read_meme(path))


JASPAR = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0006.1 Ahr::Arnt
letter-probability matrix: alength= 4 w= 6 nsites= 24 E= 0
 0.125000  0.333333  0.083333  0.458333
 0.000000  0.000000  0.958333  0.041667
 0.000000  0.958333  0.000000  0.041667
 0.000000  0.000000  0.958333  0.041667
 0.000000  0.000000  0.000000  1.000000
 0.000000  0.000000  1.000000  0.000000
URL http://jaspar.genereg.net/matrix/MA0006.1
"""


def test_files_of_jaspar_are_read():
    (motif,) = parse_meme(JASPAR)
    assert (motif.name, motif.consensus, motif.sites) == ("MA0006.1", "YGCGTG", 24)


def test_meme_s_own_long_output_is_read():
    long = JASPAR.replace(
        "letter-probability",
        "\tMOTIF  sites sorted by position p-value\n----\n1 2 3 text\n----\nletter-probability",
    ).replace(" E= 0\n", " E= 1.2e-004 \n")
    assert parse_meme(long)[0].consensus == "YGCGTG"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not MEME's format"),
        (">MA1\nA [1 2]\n", "not MEME's format"),
        ("MEME version 4\n", "no motif"),
        (JASPAR.replace("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY"), "line 3: the alph"),
        (JASPAR.replace("0.083333", "0.9"), "line 12: .* no four probabilities"),
        (JASPAR.replace("0.083333", "nan"), "line 12: .* no four probabilities"),
        (JASPAR.replace("  0.458333", ""), "line 12: .* no four probabilities"),
        (JASPAR.replace("0.083333", "much"), "line 12: .* no numbers"),
        (JASPAR.replace("w= 6", "w= 7"), "line 18: .* no numbers"),
        (JASPAR.split(" 0.125")[0], "0 rows"),
        (JASPAR.replace("T 0.25", ""), "line 8: no frequencies"),
        (JASPAR.replace("T 0.25", "T 0"), "line 8: .* not positive"),
    ],
)  # fmt: skip
def test_what_is_no_motif_is_told_with_its_line(text, told, tmp_path):
    path = tmp_path / "x.meme"
    path.write_text(text)
    with pytest.raises(UsageError, match=told) as error:
        read_meme(path)
    assert error.value.hint
    with pytest.raises(NotFound, match="no file of motifs"):
        read_meme(tmp_path / "missing.meme")


def test_random_text_never_ends_in_another_error():
    rng = np.random.default_rng(6)
    lines = JASPAR.splitlines()
    for _ in range(200):
        mixed = [lines[0], *rng.permutation(lines)]
        cut = [line[: rng.integers(0, 90)] for line in mixed]
        try:
            for motif in parse_meme("\n".join(cut)):
                np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1)
        except UsageError:
            continue


def test_every_letter_has_a_consensus_of_itself():
    for code in range(1, 5):
        motif = from_sites(np.full((3, 2), code, np.uint8))
        assert motif.consensus == text_of(np.full(2, code)) == LETTERS[code] * 2
        assert (motif.probabilities == CHANCES[code]).all()
