import json

import numpy as np
import pytest

from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.features import codes, reverse_complement, text_of
from deepfield.domains.genomics.sequences import DNA
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError

SETTINGS = {"epochs": 6, "batch_size": 32, "learning_rate": 0.01}


def trained(folder, source, architecture="motif_cnn", **settings):
    pipeline = GenomicsPipeline(architecture, **settings)
    pipeline.fit(source, out=folder, settings=SETTINGS, seed=1)
    return GenomicsPipeline.load(folder)


@pytest.fixture(scope="module")
def peak(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genomics") / "peak"
    return trained(folder, "simulate:motif:600:1", kind="peak")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genomics") / "site"
    return trained(folder, "simulate:site:600:1", "dilated_cnn")


def windows(pipeline, count=6, seed=5):
    kind = "site" if pipeline.kind == "site" else "motif"
    return list(pipeline.read(f"simulate:{kind}:{count}:{seed}"))


def test_a_site_is_recognised_by_the_letters_that_all_share(site, peak):
    assert site.kind == "site" and site.site == {0: "G", 1: "T"}
    assert peak.kind == "peak" and peak.site == {}


def test_in_a_list_a_bad_sequence_costs_its_own_row(peak):
    good = text_of(np.random.default_rng(0).integers(1, 5, peak.length).astype(np.uint8))
    rows = list(peak.predict([good, "", None, "AC", 7, good.encode()]))
    assert [row["status"] for row in rows] == ["ok", *["rejected"] * 4, "ok"]
    assert rows[0]["score"] == rows[-1]["score"]
    assert rows[2]["reason"] == "not a sequence: NoneType" and "letters" in rows[3]["reason"]
    for odd in (np.array([b"\xff"] * 81), np.zeros((27, 3), np.uint8)):
        (row,) = peak.predict([odd])
        assert row["status"] == "rejected"
    (row,) = peak.predict(["R" * 81])
    assert "no such file" not in (row["reason"] or "")
    arrays = [np.frombuffer(good.encode(), np.uint8), np.array([*good], "S1"), memoryview(b"ACGT")]
    assert [row["score"] for row in peak.predict(arrays)] == [rows[0]["score"]] * 2 + [None]
    lost = list(peak.predict(["data/reads", "positives", "x.vcf"]))
    assert all("no such file" in row["reason"] for row in lost)


def test_a_peak_has_the_same_answer_on_both_strands(peak):
    for sample in windows(peak):
        letters = codes(sample.data.letters)
        other = text_of(reverse_complement(letters)).encode()
        ours, theirs = peak.predict([Sample("a", DNA(text_of(letters).encode())),
                                     Sample("b", DNA(other))])  # fmt: skip
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


def test_a_base_of_a_contig_has_the_answer_of_the_window_around_it(site):
    rng = np.random.default_rng(0)
    contig = text_of(rng.integers(1, 5, 3_000).astype(np.uint8))
    site.settings = {"threshold": 1e-9}
    rows = list(site.predict([Sample("c", DNA(contig.encode(), "chr1", 1_000))]))
    site.settings = {}
    assert {row["strand"] for row in rows} == {"+", "-"} and len(rows) > 200
    half = (site.length - 1) // 2
    for row in rows[:: len(rows) // 12]:
        place = row["position"] - 1_001
        if not half <= place < len(contig) - half - 1:
            continue
        letters = codes(contig)[place - half : place + site.length - half]
        if row["strand"] == "-":
            start = place - (site.length - 1 - half)
            letters = reverse_complement(codes(contig)[start : start + site.length])
        (alone,) = site.predict([Sample("w", DNA(text_of(letters).encode()))])
        assert alone["score"] == pytest.approx(row["score"], abs=2e-6)
        assert alone["letters"] == row["letters"] and row["letters"][10:12] == "GT"
        assert alone["in_domain"] == row["in_domain"]
    for row in rows:  # where the window reaches beyond the contig, that is said
        place = row["position"] - 1_001
        left, right = (half, site.length - 1 - half)[:: 1 if row["strand"] == "+" else -1]
        lack = max(0, left - place) + max(0, place + right + 1 - len(contig))
        assert (f"{lack} of {site.length} letters are missing" in row["in_domain_reason"]) == bool(
            lack
        )
        assert not lack or row["in_domain"] is False


def test_only_places_above_the_threshold_are_told_of_and_none_leaves_a_row(site):
    samples = [Sample("c", DNA(b"ACGT" * 100)), Sample("d", DNA(b"A" * 400))]
    site.settings = {"threshold": 0.999999}
    rows = list(site.predict(samples))
    site.settings = {}
    assert [row["status"] for row in rows if row["id"] == "d"] == ["ok"]
    assert rows[-1]["position"] is None and "reaches 0.999999" in rows[-1]["in_domain_reason"]


@pytest.mark.parametrize(
    ("letters", "reason"),
    [
        (b"ACGTZ", "'Z' at position 5 is no nucleotide"),
        (b"", "0 letters are too few"),
        (b"ACGTACGTAC", "10 letters are too few"),
        (b"ACGT" * 200, "800 letters, and the network reads 80; `predict --step N` slides"),
        (b"ACG!" * 200, "'!' at position 4"),
    ],
)
def test_what_cannot_be_judged_costs_its_own_row(peak, letters, reason):
    good = windows(peak, 2)
    rows = list(peak.predict([good[0], Sample("bad", DNA(letters)), good[1]]))
    assert [row["status"] for row in rows] == ["ok", "rejected", "ok"]
    assert reason in rows[1]["reason"]
    assert ("slides" in rows[1]["reason"]) == ("slides" in reason)


def test_missing_letters_are_the_reason_where_none_is_known(site, peak):
    for pipeline in (site, peak):
        length = pipeline.length
        (row,) = pipeline.predict([Sample("n", DNA(b"N" * length))])
        assert row["status"] == "ok" and row["in_domain"] is False
        assert row["in_domain_reason"].startswith(f"{length} of {length} letters are missing")
    peak.settings = {"step": 10, "threshold": 0.0, "strand": "+"}
    rows = list(peak.predict([Sample("c", DNA(b"ACGT" * 50 + b"N" * 200))]))
    peak.settings = {}
    assert any(f"{peak.length} of {peak.length} letters" in r["in_domain_reason"] for r in rows)
    assert not any("not a number" in row["in_domain_reason"] for row in rows)


def test_no_threshold_at_all_tells_of_every_place_and_none_but_a_probability_is_taken(site):
    contig = [Sample("c", DNA(b"ACGT" * 100))]
    site.settings = {"threshold": 0.0}
    rows = list(site.predict(contig))
    assert [row["position"] for row in rows if row["strand"] == "+"] == list(range(3, 400, 4))
    for wrong in ({"threshold": 1.5}, {"threshold": -0.1}, {"threshold": float("nan")},
                  {"step": 0}, {"step": -5}):  # fmt: skip
        site.settings = wrong
        with pytest.raises(UsageError, match=f"--{next(iter(wrong))}"):
            list(site.predict(contig))
    site.settings = {}


def test_long_sequences_are_slid_over_where_a_step_is_given(peak):
    one = windows(peak, 20)
    planted = next(s for s in one if s.target == "1")
    rng = np.random.default_rng(3)
    around = [text_of(rng.integers(1, 5, 200).astype(np.uint8)).encode() for _ in range(2)]
    contig = around[0] + planted.data.letters + around[1]
    peak.settings = {"step": 10, "threshold": 1e-9, "strand": "+"}
    rows = list(peak.predict([Sample("c", DNA(contig))]))
    peak.settings = {}
    assert [row["position"] for row in rows] == list(range(1, len(contig) + 1, 10))


def test_short_sequences_are_filled_up_and_said_to_be(site):
    sample = windows(site, 1)[0]
    letters = sample.data.letters
    cut = letters[4:-4] if len(letters) % 2 == 0 else letters[5:-5]
    (row,) = site.predict([Sample("s", DNA(cut))])
    assert row["in_domain"] is False and "missing at its ends" in row["in_domain_reason"]


def test_a_window_without_the_letters_of_the_site_is_told(site):
    letters = bytearray(windows(site, 1)[0].data.letters)
    letters[(len(letters) - 1) // 2] = ord("C")
    (row,) = site.predict([Sample("s", DNA(bytes(letters)))])
    assert row["in_domain"] is False and "is not GT" in row["in_domain_reason"]


def test_nothing_but_unknown_letters_is_out_of_the_domain(peak):
    (row,) = peak.predict([Sample("s", DNA(b"N" * 80))])
    assert row["in_domain"] is False
    assert row["in_domain_reason"] == "80 of 80 letters are missing"


def test_members_answer_by_the_mean_of_their_logits(tmp_path):
    pipeline = trained(tmp_path / "two", "simulate:motif:200:1", kind="peak", members=2)
    assert pipeline.members == ["model_1", "model_2"]
    bases = np.stack([codes(s.data.letters) for s in windows(pipeline)]).astype(np.int32)
    each = [pipeline.run(name, {"bases": bases})["logits"] for name in pipeline.members]
    assert np.allclose(pipeline.logits(bases), np.mean(each, axis=0), atol=1e-6)
    with pytest.raises(UsageError, match="members"):
        GenomicsPipeline(members=21).fit("simulate:motif:60:1", settings=SETTINGS)


def test_spliceais_members_answer_by_the_mean_of_their_probabilities(site):
    pair = GenomicsPipeline("splice_resnet")
    logits = {"a": [[[2.0, 0.0, -1.0]]], "b": [[[-3.0, 0.5, 4.0]]]}
    pair._networks = {k: lambda batch, v=v: {"logits": np.array(v)} for k, v in logits.items()}
    pair._models = dict.fromkeys(logits)
    powers = [np.exp(np.array(v)) for v in logits.values()]
    expected = np.mean([p / p.sum(-1, keepdims=True) for p in powers], axis=0)
    found = pair.logits(np.ones((1, 3), np.int32))
    assert np.allclose(np.exp(found), expected)


def test_shuffled_sequences_are_shuffled_anew_in_every_batch(peak):
    real = windows(peak, 4)
    samples = [
        Sample(s.id, DNA(s.data.letters, shuffled=at % 2 == 1), "0") for at, s in enumerate(real)
    ]
    items = list(peak.encoded(samples))
    vary = peak.variation(items)
    bases = np.stack([item.arrays["bases"] for item in items])
    places = np.array([3, 0, 1])
    seen = [vary(np.random.default_rng(seed), places, {"bases": bases[places]}, {})[0]["bases"]
            for seed in (0, 1)]  # fmt: skip
    assert np.array_equal(seen[0][1], bases[0]) and np.array_equal(seen[1][1], bases[0])
    for row, place in ((0, 3), (2, 1)):
        pairs = [sorted(zip(s[row], s[row][1:], strict=False)) for s in seen]
        assert pairs[0] == pairs[1] == sorted(zip(bases[place], bases[place][1:], strict=False))
        assert not np.array_equal(seen[0][row], seen[1][row])
    assert peak.variation(list(peak.encoded(real))) is None


def test_a_strangers_bundle_must_make_sense(site, tmp_path):
    for part in ({"kind": "gene"}, {"length_bp": -1}, {"site": {"0": "Q"}}, {"usual": "much"}):
        broken = GenomicsPipeline.load(site.bundle.path)
        broken.state = {**broken.state, **part}
        with pytest.raises((ValueError, TypeError)):
            broken.restored()


def test_the_card_and_the_state_can_be_written(site):
    json.dumps(site.state)
    assert "GT" in site.card_text({}) and "both strands" in site.card_text({})
