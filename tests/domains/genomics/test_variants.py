"""Scores of variants are those of a reference that judges one variant after another."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfield.domains.genomics.annotation import Annotation
from deepfield.domains.genomics.comparing import PlainJudge, ResidualJudge, aligned
from deepfield.domains.genomics.features import codes, reverse_complement
from deepfield.domains.genomics.genome import Genome
from deepfield.domains.genomics.splice_models import splice_resnet
from deepfield.domains.genomics.variants import UNSCORED, Scorer, Settings
from deepfield.domains.genomics.vcf import read_row
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.errors import DeepfieldError

LABELS = ("neither", "acceptor", "donor")
CONTEXT, DISTANCE = 80, 12
LETTERS = "".join(np.random.default_rng(3).choice(list("ACGT"), 1500))
TABLE = """#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END
PLUS\tchr1\t+\t200\t700\t200,400,640,\t260,470,700,
MINUS\tchr1\t-\t600\t1300\t600,900,1200,\t720,960,1300,
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A network with random weights, a genome, and two genes that overlap."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "g.fa").write_text(f">chr1\n{LETTERS}\n>chr2\nACGTNNNN\n")
    (folder / "genes.tsv").write_text(TABLE)
    model = splice_resnet("site", 3, 602, context=CONTEXT, filters=6)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "kernel" in variable.path:
            size = 1.5 / np.sqrt(np.prod(variable.shape[:-1]))
            variable.assign(rng.normal(0, size, variable.shape).astype(np.float32))
        elif "moving" not in variable.path:
            variable.assign(variable + rng.normal(0, 0.2, variable.shape).astype(np.float32))

    known = {}

    def chances(bases):
        key = bases.shape, bases.tobytes()
        if key not in known:
            known[key] = softmax(np.asarray(model(bases)["logits"]))
        return known[key]

    weights = {v.path: np.asarray(v) for v in model.weights}
    genome, genes = Genome(str(folder / "g.fa")), Annotation.read(str(folder / "genes.tsv"))
    judges = {
        "residual": ResidualJudge([weights, weights], CONTEXT),
        "plain": PlainJudge(chances, CONTEXT + 1, False),
    }
    return chances, genome, genes, judges


def line(at, ref, alt, contig="chr1", info="."):
    """A row; the place counts from 0."""
    return f"{contig}\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t{info}\n".encode()


def scored(world, lines, which="residual", distance=DISTANCE, mask=False, splicing=True, **more):
    _, genome, genes, judges = world
    given = Settings("SpliceAI", LABELS, distance, mask, splicing)
    own = Scorer(judges[which], genome, more.get("genes", genes), given, threads=2)
    rows = [read_row(text, number) for number, text in enumerate(lines, start=1)]
    return [text for piece, _ in own.lines(rows) for text in piece], own.tally


def values(text, key="SpliceAI"):
    info = dict(part.partition("=")[::2] for part in text.decode().split("\t")[7].split(";"))
    return [value.split("|") for value in info.get(key, "").strip().split(",") if value]


def naively(chances, at, ref, alt, gene, mask, distance=DISTANCE):
    """One allele in one gene, by whole windows, as SpliceAI's program describes it."""
    name, _, strand, start, stop, firsts, lasts = gene.split("\t")
    width = CONTEXT + 2 * distance + 1
    left = at - width // 2
    window = "".join(
        LETTERS[p] if int(start) <= p < int(stop) else "N" for p in range(left, left + width)
    )
    before, after = (
        codes(window),
        codes(window[: width // 2] + alt + window[width // 2 + len(ref) :]),
    )
    said = []
    for one in (before, after):
        read = one if strand == "+" else reverse_complement(one)
        own = chances(read[None].astype(np.int32))[0].astype(float)
        said.append(own if strand == "+" else own[::-1])
    old, new = said
    if len(alt) < len(ref):
        new = np.concatenate(
            [new[: distance + 1], np.zeros((len(ref) - 1, 3)), new[distance + 1 :]]
        )
    elif len(alt) > len(ref):
        most = new[distance : distance + len(alt)].max(axis=0)
        new = np.concatenate([new[:distance], [most], new[distance + len(alt) :]])
    assert len(old) == len(new) == 2 * distance + 1
    ends = sorted(
        {int(p) for p in firsts.strip(",").split(",")}
        | {int(p) - 1 for p in lasts.strip(",").split(",")}
    )
    near = min((end - at for end in ends), key=abs)
    scores, places = [], []
    for kind in (1, 2):
        for sign in (1, -1):
            apart = sign * (new - old)[:, kind]
            place = int(apart.argmax()) - distance
            hide = mask and ((place == near) if sign == 1 else (place != near))
            scores.append(0.0 if hide else apart.max())
            places.append(place)
    return name, scores, places


def genes_at(at):
    return [
        g for g in TABLE.splitlines()[1:] if int(g.split("\t")[3]) <= at < int(g.split("\t")[4])
    ]


def agree(found, allele, expected):
    name, scores, places = expected
    assert found[:2] == [allele, name]
    np.testing.assert_allclose([float(s) for s in found[2:6]], scores, atol=0.00501)
    for told, place, score in zip(found[6:], places, scores, strict=True):
        # where nothing changes, the last bits of the arithmetic say where it changes most
        assert int(told) == place or score < 1e-6


VARIANTS = [
    (450, 1, "A"), (455, 1, "C"), (650, 1, "G"), (650, 1, "T"), (640, 1, "ACGTT"), (645, 4, ""),
    (900, 1, "G"), (905, 1, "GATTACA"), (950, 7, ""), (1250, 1, "C"), (210, 1, "T"), (690, 3, ""),
    (699, 1, "A"), (699, 1, "AC"), (600, 24, ""), (700, 1, "G"), (719, 13, ""), (400, 1, "TT"),
]  # fmt: skip


def row_of(at, removed, new):
    ref = LETTERS[at : at + removed]
    return at, ref, (ref[0] + new[1:] if len(new) > 1 else new) or ref[0]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("which", ["residual", "plain"])
def test_every_kind_of_variant_scores_as_one_by_one(world, which, mask):
    rows = [row_of(*own) for own in VARIANTS]
    lines, tally = scored(world, [line(*own) for own in rows], which, mask=mask)
    for text, (at, ref, alt) in zip(lines, rows, strict=True):
        found, genes = values(text), genes_at(at)
        assert len(found) == len(genes) > 0
        for told, gene in zip(found, genes, strict=True):
            agree(told, alt, naively(world[0], at, ref, alt, gene, mask))
    assert tally.scored == len(rows) and not tally.faulty_rows


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(200, 1299), st.integers(1, 2 * DISTANCE), st.text("ACGT", min_size=1,
                  max_size=9)),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_any_variants_in_any_order_score_as_one_by_one(world, drawn):
    rows = []
    for at, removed, new in drawn:
        ref = LETTERS[at : at + removed]
        rows.append((at, ref, ref[0] if removed > 1 else new))
    lines, _ = scored(world, [line(*own) for own in rows])
    for text, (at, ref, alt) in zip(lines, rows, strict=True):
        for told, gene in zip(values(text), genes_at(at), strict=True):
            agree(told, alt, naively(world[0], at, ref, alt, gene, False))


def test_alleles_of_a_row_are_told_one_after_another_in_every_gene(world):
    at = 650
    alts = ["C", "G", "CCC", "<DEL>", "*", "A[chr2:5["]
    alts = [alt for alt in alts if alt != LETTERS[at]]
    (text,), tally = scored(world, [line(at, LETTERS[at], ",".join(alts))])
    told = [(v[0], v[1]) for v in values(text)]
    plain = [alt for alt in alts if set(alt) <= set("ACGT")]
    assert told == [(alt, name) for alt in plain for name in ("PLUS", "MINUS")]
    assert [v[0] for v in values(text, UNSCORED)] == ["<DEL>", "*", "A[chr2:5["]
    assert tally.unscored["no_letters"] == 3 and tally.scored == len(plain)
    assert not tally.faulty_rows


def test_several_letters_for_several_are_told_without_scores(world):
    (text,), _ = scored(world, [line(450, LETTERS[450:452], "GGG")])
    assert values(text) == [["GGG", "PLUS", *"........"]]
    assert values(text, UNSCORED) == [["GGG", "several_for_several"]]


def test_names_of_genes_are_escaped_with_scores_and_without(world, tmp_path):
    (tmp_path / "g.tsv").write_text(TABLE.replace("PLUS", "P,L|US"))
    genes = Annotation.read(str(tmp_path / "g.tsv"))
    rows = [line(450, LETTERS[450:452], "GGG"), line(450, LETTERS[450], "GGG")]
    texts, _ = scored(world, rows, genes=genes)
    assert [values(text)[0][1] for text in texts] == ["P%2CL%7CUS"] * 2


def test_a_row_in_no_gene_is_told_too_where_the_genome_has_other_letters(world):
    wrong = "A" if LETTERS[1400] != "A" else "C"
    rows = [
        line(1400, wrong, "G"),
        line(1400, "A", "C", contig="chr9"),
        line(1400, LETTERS[1400], "G"),
    ]
    texts, tally = scored(world, rows)
    told = [values(text, UNSCORED) for text in texts]
    assert told == [[["G", "ref_mismatch"]], [["C", "no_such_contig"]], []]
    assert (tally.faulty_rows, tally.no_gene) == (2, 1)


@pytest.mark.parametrize(
    ("row", "reason", "faulty"),
    [
        ((450, "A" if LETTERS[450] != "A" else "C", "G"), "ref_mismatch", True),
        ((450, LETTERS[450:480], LETTERS[450]), "ref_too_long", False),
        ((650, LETTERS[650], "*"), "no_letters", False),
        ((1299, LETTERS[1299] + "N" * 5, "A"), "ref_mismatch", True),
    ],
)
def test_what_has_no_score_says_why(world, row, reason, faulty):
    (text,), tally = scored(world, [line(*row)])
    assert values(text, UNSCORED) == [[row[2], reason]] and not values(text)
    assert tally.faulty_rows == faulty


def test_rows_that_cannot_be_judged_are_left_alone(world):
    lines = [b"\n", b"chr1\tx\t.\tA\tC\t.\t.\t.\n", line(1400, LETTERS[1400], "G"),
             line(450, LETTERS[450], "."), b"half a row"]  # fmt: skip
    found, tally = scored(world, lines)
    assert found == lines
    assert (tally.rows, tally.no_gene, tally.no_alternative) == (5, 1, 1)
    assert tally.unscored["malformed"] == 2
    assert tally.first["malformed"].startswith("line 2: POS")


def test_the_first_row_with_each_fault_is_told(world):
    rows = [line(1299, LETTERS[1299] + "N" * 5, "A"), line(1400, "N" * 5, "G"), b"half a row"]
    _, tally = scored(world, rows)
    assert tally.first["ref_mismatch"] == "chr1:1300" and len(tally.first) == 2
    assert tally.first["malformed"].startswith("line 3: ")


def test_near_the_ends_of_a_contig_there_is_no_score_of_splicing(world, tmp_path):
    (tmp_path / "g.tsv").write_text(TABLE.replace("\t200\t", "\t0\t").replace("200,", "0,", 1))
    genes = Annotation.read(str(tmp_path / "g.tsv"))
    least = CONTEXT // 2 + DISTANCE
    rows = [line(at, LETTERS[at], "A" if LETTERS[at] != "A" else "C") for at in (least - 1, least)]
    (one, two), _ = scored(world, rows, genes=genes)
    assert values(one, UNSCORED)[0][1] == "near_contig_end" and not values(one)
    assert values(two) and not values(two, UNSCORED)


def test_names_of_contigs_need_not_agree(world):
    own, tally = scored(world, [line(450, LETTERS[450], "AAA", contig="1")])
    assert values(own[0])[0][1] == "PLUS"
    other = line(3, "A", "C", contig="chr9")
    (text,), tally = scored(world, [other], genes=None, splicing=False)
    assert values(text, UNSCORED) == [["C", "no_such_contig"]] and tally.faulty_rows == 1


def test_lower_case_is_read(world):
    at = 450
    new = "a" if LETTERS[at] != "A" else "c"
    small, _ = scored(world, [line(at, LETTERS[at].lower(), new)])
    large, _ = scored(world, [line(at, LETTERS[at], new.upper())])
    assert values(small[0])[0][2:] == values(large[0])[0][2:]


def test_older_scores_are_replaced_and_other_info_stays(world):
    at, new = 450, "A" if LETTERS[450] != "A" else "C"
    old = "DP=3;SpliceAI=G|OLD|1|1|1|1|0|0|0|0;AF=0.5"
    (text,), tally = scored(world, [line(at, LETTERS[at], new, info=old)])
    info = text.decode().split("\t")[7]
    assert info.startswith("DP=3;AF=0.5;SpliceAI=") and "OLD" not in info and tally.replaced == 1


def test_many_rows_keep_their_order_across_pieces_and_threads(world):
    rng = np.random.default_rng(0)
    rows = [(int(at), LETTERS[at], "ACGT"[("ACGT".index(LETTERS[at]) + 1) % 4])
            for at in rng.integers(200, 1300, 300)]  # fmt: skip
    lines, tally = scored(world, [line(*own) for own in rows])
    assert [text.split(b"\t")[1] for text in lines] == [b"%d" % (at + 1) for at, _, _ in rows]
    alone = {own: scored(world, [line(*own)])[0][0] for own in rows[:12]}
    for own, text in list(zip(rows, lines, strict=True))[:12]:
        assert values(text) == values(alone[own])
    assert tally.rows == tally.scored == 300


def test_rows_before_a_broken_end_are_written_and_then_it_is_told(world):
    def rows():
        for number in range(7):
            yield read_row(line(450 + number, LETTERS[450 + number], "AA"), number)
        raise DeepfieldError("the file is cut", "copy it again")

    own = Scorer(world[3]["residual"], world[1], world[2], Settings("S", LABELS, 5, False, True))
    found = []
    with pytest.raises(DeepfieldError, match="is cut"):
        for piece, _ in own.lines(rows()):
            found += piece
    assert len(found) == 7


# --------------------------------------------------------------------------- any other network


def counting(width, site):
    """A network whose probability of the second class grows with what it sees of A and AC."""

    def chances(bases):
        windows = np.lib.stride_tricks.sliding_window_view(bases, width, axis=1)
        weights = np.linspace(0.5, 1.5, width)
        score = ((windows == 1) * weights).sum(axis=-1) / width
        score += (((windows[..., :-1] == 1) & (windows[..., 1:] == 2)) * 0.3).sum(axis=-1)
        told = np.stack([np.zeros_like(score), score, score / 2], axis=-1)
        said = softmax(told)
        return said if site else said[:, :1]

    return chances


@pytest.mark.parametrize("width", [20, 21])
@pytest.mark.parametrize("site", [True, False])
def test_any_network_tells_the_largest_change_on_either_strand(world, width, site):
    chances = counting(width, site)
    labels, distance = ("0", "1", "2"), 9
    given = Settings("deepfield_x", labels, distance)
    own = Scorer(PlainJudge(chances, width, not site), world[1], None, given, threads=2)
    reach, left = (distance if site else 0), (width - 1) // 2
    rng = np.random.default_rng(1)
    for at in (*rng.integers(100, 1400, 12).tolist(), 0, 3, len(LETTERS) - 2):
        ref = LETTERS[at : at + int(rng.integers(1, 3))]
        alt = "".join(rng.choice(list("ACGT"), int(rng.integers(1, 5))))
        (text,) = next(own.lines([read_row(line(at, ref, alt), 1)]))[0]
        ((allele, symbol, strand, label, *numbers),) = values(text, "deepfield_x")
        expected = {}
        for way in "+-":
            shift = len(alt) - len(ref) if site else 0
            long = "N" * 60 + LETTERS + "N" * 60
            after = long[: at + 60] + alt + long[at + 60 + len(ref) :]
            said = []
            for whole, last in ((long, reach), (after, reach + shift)):
                right = width - 1 - left
                a, b = (left, right) if way == "+" else (right, left)
                cut = codes(whole[at + 60 - reach - a : at + 60 + last + 1 + b])
                read = cut if way == "+" else reverse_complement(cut)
                one = chances(read[None].astype(np.int32))[0]
                said.append(one if way == "+" else one[::-1])
            old, new = said
            if site:
                new = aligned(new, reach, len(ref), len(alt))
            apart = (new - old)[:, 1:]
            place, kind = np.unravel_index(np.abs(apart).argmax(), apart.shape)
            expected[way] = (
                abs(apart).max(), old[place, kind + 1], new[place, kind + 1], place - reach, kind
            )  # fmt: skip
        best = expected[strand]
        if not best[0]:  # the allele is what was there: any place says so
            assert float(numbers[2]) == 0
            continue
        assert best[0] >= max(own[0] for own in expected.values()) - 1e-6
        assert (allele, symbol) == (alt, ".") and label == labels[best[4] + 1]
        found = [float(number) for number in numbers]
        np.testing.assert_allclose(found[:3], [best[1], best[2], best[2] - best[1]], atol=6e-5)
        if best[0] > 1e-4:
            assert found[3] == best[3]


def test_with_genes_other_networks_judge_their_strand_alone(world):
    given = Settings("deepfield_x", ("0", "1", "2"), 5)
    own = Scorer(PlainJudge(counting(21, True), 21, False), world[1], world[2], given)
    rows = [line(650, LETTERS[650], "AC"), line(1400, LETTERS[1400], "AC")]
    (inside, outside), _ = next(own.lines([read_row(text, 1) for text in rows]))
    assert [v[1:3] for v in values(inside, "deepfield_x")] == [["PLUS", "+"], ["MINUS", "-"]]
    assert outside == rows[1]


def test_the_header_says_what_the_columns_are():
    told = Settings("SpliceAI", LABELS, splicing=True).described
    assert "Format: ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL" in str(told)
    assert set(told) == {"SpliceAI", UNSCORED}
