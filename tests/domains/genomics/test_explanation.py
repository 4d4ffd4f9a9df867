"""What is explained is what the network read, letter by letter, in the positions of the genome."""

import json

import numpy as np
import pytest
from program import loads

from deepfield.domains.genomics import explanation as module
from deepfield.domains.genomics.explanation import explain
from deepfield.domains.genomics.features import CHANCES, codes, reverse_complement, text_of
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.genomics.task import Function
from deepfield.domains.genomics.windows import middle, window
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError

MOTIF = "TGACGTAA"  # not its own reverse complement


class Pipeline:
    """The part of the pipeline that explanations ask, around a network written by hand.

    Of a window, the best place of a motif; of a site, the letters GTA at the base that is judged.
    """

    nothing = 0

    def __init__(self, kind="window", length=60, field=None, labels=("0", "1"), **settings):
        self.kind, self.length, self.field = kind, length, field or length
        self.task = Function({"labels": list(labels)})
        self.settings, self.site, self.asked = settings, {}, 0

    def logits(self, bases):
        self.asked += bases.size
        x = CHANCES[bases]
        wanted = CHANCES[codes(MOTIF if self.kind == "window" else "GTA")]
        windows = np.lib.stride_tricks.sliding_window_view(x, len(wanted), axis=1)
        score = np.einsum("npbw,wb->np", windows, wanted)
        if self.kind == "window":
            score = score.max(axis=1) - 5.0
        else:
            first = middle(self.field)
            positions = bases.shape[1] - self.field + 1
            score = 3 * score[:, first : first + positions] - 7.0
        others = [np.zeros_like(score)] * (len(self.task.labels) - 1)
        return np.stack([others[0], score, *others[1:]], axis=-1)

    def forward(self, batch):
        logits = self.logits(batch["bases"])
        if logits.ndim == 3:
            logits = logits[:, middle(batch["bases"].shape[1]) - middle(self.field)]
        return {"logits": logits, "unusual": np.zeros(len(logits))}

    def calibrated(self, outputs):
        return outputs | {"prediction": self.task.predictions(outputs, None)}

    def encode(self, item):
        found, lack = window(codes(item.letters), self.length)
        return {"bases": found.astype(np.int32)}, (item, found, lack)

    def decode(self, outputs, context):
        return self.task.answer(outputs["prediction"])


def random_dna(length, seed=0):
    return text_of(np.random.default_rng(seed).integers(1, 5, length).astype(np.uint8))


def with_(text, letters, place):
    return text[:place] + letters + text[place + len(letters) :]


def asked(pipeline, text, *where):
    return explain(pipeline, Sample("one", DNA(text.encode(), *where)))


def shown(found):
    return text_of(found.sequence.astype(np.uint8))


def best_letters(found, count):
    """Return the positions of the letters that add most."""
    rows = sorted(found.letters(), key=lambda row: -row["contribution"])[:count]
    return {row["position"]: row["letter"] for row in rows}


def test_every_letter_is_weighed_as_a_loop_would():
    pipeline = Pipeline()
    text = with_(random_dna(60), MOTIF, 20)
    found = asked(pipeline, text)
    assert shown(found) == text and found.label == "1" and found.unit == "log-odds of 1"
    score = lambda t: float(pipeline.logits(codes(t)[None].astype(np.int32))[0, 1])  # noqa: E731
    for place in range(60):
        for base in range(4):
            expected = score(with_(text, "ACGT"[base], place)) - score(text)
            assert found.changes[place, base] == pytest.approx(expected, abs=1e-9)
        others = [b for b in range(4) if "ACGT"[b] != text[place]]
        assert found.contributions[place] == pytest.approx(-found.changes[place, others].mean())
    assert best_letters(found, 8) == {21 + i: letter for i, letter in enumerate(MOTIF)}
    assert found.answer["label"] == "1" and found.site is None


def test_the_class_is_the_one_asked_for():
    text = with_(random_dna(60), MOTIF, 20)
    yes = asked(Pipeline(), text)
    no = asked(Pipeline(**{"class": "0"}), text)
    np.testing.assert_allclose(no.contributions, -yes.contributions, atol=1e-12)
    assert no.label == "0"
    several = asked(Pipeline(labels=("a", "b", "c")), text)
    assert several.label == "b"  # the answer
    with pytest.raises(UsageError, match="no class '2'") as error:
        asked(Pipeline(**{"class": "2"}), text)
    assert "0, 1" in error.value.hint


def test_short_sequences_and_unknown_letters_are_explained():
    text = with_(random_dna(40), MOTIF, 10)
    text = with_(text, "NNNR", 30)
    found = asked(Pipeline(), text)
    assert shown(found) == text  # without the N around it
    assert best_letters(found, 8) == {11 + i: letter for i, letter in enumerate(MOTIF)}
    assert (found.contributions[30:33] == 0).all() and found.first == 1
    with pytest.raises(BadInput, match="every letter is N"):
        asked(Pipeline(), "N" * 60)
    with pytest.raises(BadInput, match="too few"):
        asked(Pipeline(), "ACGT")
    with pytest.raises(BadInput, match="no nucleotide"):
        asked(Pipeline(), "ACGJ" * 15)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_positions_are_those_of_the_genome(strand):
    text = with_(random_dna(60), MOTIF, 20)
    found = asked(Pipeline(), text, "chr1", 1000, strand)
    if strand == "+":
        expected = {1021 + i: letter for i, letter in enumerate(MOTIF)}
    else:  # the first letter of the sequence is the last of the interval
        expected = {1060 - 20 - i: letter for i, letter in enumerate(MOTIF)}
    assert best_letters(found, 8) == expected
    assert found.stretches()[0]["from"] in range(min(expected) - 3, max(expected) + 4)


def site_contig(length=400, place=200, strand="+", seed=0):
    """Return a contig without GTA on either strand, but for one at a place."""
    text = random_dna(length, seed)
    for _ in range(3):
        text = text.replace("GTA", "GGA").replace("TAC", "TCC")
    letters, start = ("GGTAA", place - 1) if strand == "+" else ("TTACC", place - 3)
    whole = list(text)
    for i, letter in enumerate(letters, start):
        if 0 <= i < length:
            whole[i] = letter
    return "".join(whole)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("item", ["+", "-"])
@pytest.mark.parametrize("place", [2, 200, 397])
def test_the_surest_site_of_a_contig_is_found_and_explained(strand, item, place):
    text = site_contig(400, place, strand)
    read = text if item == "+" else text_of(reverse_complement(codes(text)))
    found = asked(Pipeline("site", 40, 21), read, "chr1", 5000, item)
    assert found.site == 5001 + place and found.step == (1 if strand == "+" else -1)
    expected = {found.site + found.step * i: letter for i, letter in enumerate("GTA")}
    assert best_letters(found, 3) == expected
    assert found.answer["label"] == "1"
    # asked for by its position, as predict tells it, it is the same
    again = asked(
        Pipeline("site", 40, 21, position=found.site, strand=strand), read, "chr1", 5000, item
    )
    np.testing.assert_array_equal(again.changes, found.changes)
    assert (again.first, again.step, again.site) == (found.first, found.step, found.site)


def test_a_sample_of_a_site_is_judged_in_its_middle():
    text = with_(random_dna(40).replace("GTA", "GGA"), "GTA", middle(40))
    found = asked(Pipeline("site", 40, 21), text)
    assert len(found.sequence) == 21 and found.site == middle(40) + 1
    assert best_letters(found, 3) == dict(
        zip(range(found.site, found.site + 3), "GTA", strict=True)
    )


def test_a_site_is_explained_as_what_it_may_be():
    text = site_contig(100, 50)
    pipeline = Pipeline("site", 40, 21, labels=("N", "EI", "IE"))
    assert asked(pipeline, text).label == "EI"
    off = Pipeline("site", 40, 21, labels=("N", "EI", "IE"), position=20)
    assert asked(off, text).answer["label"] == "N" and asked(off, text).label in ("EI", "IE")


@pytest.mark.parametrize("position", [0, -3, 5000, 5401])
def test_a_position_outside_is_told(position):
    with pytest.raises(UsageError, match="is not in 5,001 to 5,400"):
        asked(Pipeline("site", 40, 21, position=position), site_contig(), "chr1", 5000)


def test_a_window_of_a_long_sequence_can_be_explained():
    text = with_(random_dna(900), MOTIF, 700)
    found = asked(Pipeline(), text)
    assert len(found.sequence) == 60 and found.answer["label"] == "1"
    assert best_letters(found, 8) == {701 + i: letter for i, letter in enumerate(MOTIF)}


def test_a_very_long_sequence_is_covered_first(monkeypatch):
    monkeypatch.setattr(module, "_MOST_READ", 1_000_000)
    pipeline = Pipeline(length=3000)
    text = with_(random_dna(3000), MOTIF, 2100)
    found = asked(pipeline, text)
    assert len(found.sequence) == 111 and found.overview.shape == (3000,)
    assert best_letters(found, 8) == {2101 + i: letter for i, letter in enumerate(MOTIF)}
    assert found.before + 1 == found.first and "111 of 3,000" in found.method
    assert pipeline.asked < 3_000_000
    assert found.png().startswith(b"\x89PNG")
    short = asked(Pipeline(length=3000), text[:2000])  # N around it, which is no part of it
    assert short.overview.shape == (2000,) and short.before + 1 == short.first


def test_a_site_far_from_everything_stays_in_view(monkeypatch):
    monkeypatch.setattr(module, "_MOST_READ", 1_000_000)
    found = asked(Pipeline("site", 3001, 3001, position=1300), site_contig(3001, 1299))
    assert len(found.sequence) == 111
    assert found.first <= found.site - 40 and found.site + 40 <= found.first + 110
    assert best_letters(found, 3) == {1300: "G", 1301: "T", 1302: "A"}


def test_methods_are_checked():
    with pytest.raises(UsageError, match="no method 'shap'") as error:
        asked(Pipeline(method="shap"), random_dna(60))
    assert "ism, gradient" in error.value.hint


def test_gradients_tell_the_same_of_a_linear_network():
    import keras

    keras.utils.set_random_seed(0)
    bases = keras.Input((None,), name="bases", dtype="int32")
    letters = keras.layers.Embedding(15, 4, weights=[CHANCES], name="letters")(bases)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(6, 5)(letters))
    model = keras.Model(bases, keras.layers.Dense(2, name="logits")(x))
    pipeline = Pipeline(length=50, method="gradient")
    pipeline.models, pipeline.shares = {"model": model}, {"model": 1.0}
    pipeline.logits = lambda bases: keras.ops.convert_to_numpy(model(bases))
    text = random_dna(50)
    slope = asked(pipeline, text)
    pipeline.settings = {}
    exact = asked(pipeline, text)
    np.testing.assert_allclose(slope.changes, exact.changes, atol=1e-5)
    assert shown(slope) == text and "Gradients" in slope.method


@pytest.fixture
def told():
    text = with_(random_dna(60), MOTIF, 20)
    return asked(Pipeline(), text, "chr1", 1000, "+")


def test_it_is_listed_drawn_and_told(told):
    facts = json.loads(json.dumps(told.facts()))
    assert facts["class"] == "1" and len(facts["letters"]) == 60
    assert set(facts["letters"][0]) == {"position", "letter", "contribution", *"ACGT"}
    assert facts["stretches"][0]["contribution"] > 0
    strongest = facts["mutations"][0]
    assert strongest["from"] == MOTIF[strongest["position"] - 1021] and strongest["change"] < 0
    lines = "\n".join(told.lines())
    assert "probability" in lines and "stretch" in lines
    assert f"{strongest['from']}{strongest['position']}{strongest['to']}" in lines
    assert told.png() == told.png() and told.png().startswith(b"\x89PNG")
    assert b"<svg" in told.svg()
    with pytest.raises(UsageError, match="several sequences") as error:
        told.meme()
    assert "--motifs" in error.value.hint
    page = told.report().html()
    assert page.count("data:image/png") == 1 and "hang from it" in page


def test_a_network_that_minds_nothing_is_told_too():
    pipeline = Pipeline()
    pipeline.logits = lambda bases: np.zeros((len(bases), 2))
    found = asked(pipeline, random_dna(60))
    assert not found.changes.any() and found.mutations() == [] and found.stretches() == []
    assert list(found.lines()) and found.png() and found.report().html()


def test_explaining_loads_neither_keras_nor_matplotlib():
    loaded = loads("from deepfield.domains.genomics import discovery, explanation")
    assert not {"keras", "tensorflow", "matplotlib", "scipy"} & loaded
