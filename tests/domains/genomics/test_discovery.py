"""What was planted is found again: by a network written by hand, and by one that has learnt it."""

import json

import numpy as np
import pytest

from deepfield.domains.genomics import discovery
from deepfield.domains.genomics.attribution import contributions, log_odds, mutagenesis, scorer
from deepfield.domains.genomics.discovery import (
    MotifExplanation,
    discover,
    explain_motifs,
    surest,
)
from deepfield.domains.genomics.features import CHANCES, LETTERS, codes, reverse_complement
from deepfield.domains.genomics.motifs import Motif, match, matches, parse_meme
from deepfield.domains.genomics.simulated import matrix, simulate
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, DeepfieldError, NotFound, UsageError


def motif_of(text, fidelity=0.85):
    """Return a motif that mostly is what its IUPAC letters say."""
    rows = [CHANCES[LETTERS.index(c)] if c != "N" else np.full(4, 0.25) for c in text]
    return Motif(text, fidelity * np.array(rows, float) + (1 - fidelity) / 4)


def planted(motifs, count, length, seed, share=0.7):
    """Return random sequences with each motif, on either strand, in some of them."""
    rng = np.random.default_rng(seed)
    sequences = rng.integers(1, 5, (count, length)).astype(np.uint8)
    for sequence in sequences:
        for motif in motifs:
            if rng.random() < share:
                site = np.array([rng.choice(4, p=row) + 1 for row in motif.probabilities], np.uint8)
                start = rng.integers(0, length - len(site) + 1)
                turned = rng.random() < 0.5
                sequence[start : start + len(site)] = reverse_complement(site) if turned else site
    return sequences


def scanner(motifs):
    """Return a network written by hand: log-likelihood ratios of motifs, softly thresholded."""

    def ask(batch):
        total = 0.0
        for motif in motifs:
            for strand in (motif, motif.reverse_complement()):
                ratio = np.log2(strand.probabilities / 0.25)
                windows = np.lib.stride_tricks.sliding_window_view(
                    CHANCES[batch], len(motif), axis=1
                )
                score = np.einsum("npbw,wb->np", windows, ratio) - ratio.max(axis=1).sum() / 2
                total = total + np.log1p(np.exp(score)).sum(axis=1)
        return total

    return ask


@pytest.mark.parametrize("texts", [["TGASTCAY"], ["CCACNAGGGGGC", "ACCGGAAGTR"]])
def test_a_network_written_by_hand_shows_its_motifs(texts):
    motifs = [motif_of(text) for text in texts]
    sequences = planted(motifs, 120, 70, seed=1)
    ask = scanner(motifs)
    weights = [contributions(mutagenesis(ask, s), s) for s in sequences]
    found, shares = discover(sequences, weights)
    assert len(found) == len(motifs) and len(shares) == len(found)
    best = [matches(motif, motifs)[0] for motif in found]
    assert {one.known for one in best} == set(texts)
    assert all(one.similarity > 0.9 and one.p_value < 0.01 for one in best)
    for motif, share in zip(found, shares, strict=True):
        assert 0.25 < share < 0.9 and motif.sites >= share * 120 - 1e-9
        np.testing.assert_allclose(motif.probabilities.sum(axis=1), 1)
    assert [m.sites for m in found] == sorted((m.sites for m in found), reverse=True)
    again, _ = discover(sequences, weights)
    assert all(
        (a.probabilities == b.probabilities).all() for a, b in zip(found, again, strict=True)
    )
    assert len(discover(sequences, weights, count=1)[0]) == 1


def test_a_network_that_has_learnt_the_simulated_set_shows_its_motif():
    import keras

    keras.utils.set_random_seed(0)
    data = list(simulate("motif", 1200, seed=3))
    bases = np.stack([codes(one.letters) for one in data]).astype(np.int32)
    labels = np.array([float(one.label) for one in data])
    model = keras.Sequential([
        keras.Input((80, 4)),
        keras.layers.Conv1D(16, 10, activation="relu", name="filters"),
        keras.layers.GlobalMaxPooling1D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(1, name="logit"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(CHANCES[bases], labels, epochs=25, batch_size=64, verbose=0)

    def ask(batch):
        return model.predict_on_batch(CHANCES[batch])[:, 0]

    right = bases[labels == 1][:100]
    weights = [contributions(mutagenesis(ask, s), s) for s in right]
    found, shares = discover(right.astype(np.uint8), weights, count=3)
    best = match(found[0], Motif("A", matrix("A")))
    assert best.similarity > 0.9 and best.p_value < 0.01 and shares[0] > 0.5


def test_nothing_is_found_where_nothing_is():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sequences = rng.integers(1, 5, (100, 60)).astype(np.uint8)
        for weights in (rng.normal(size=(100, 60)), rng.exponential(size=(100, 60)),
                        np.zeros((100, 60)), -np.ones((100, 60))):  # fmt: skip
            assert discover(sequences, weights) == ([], [])


def test_sequences_of_all_lengths_and_letters_are_taken():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 15, n).astype(np.uint8) for n in (1, 3, 11, 40, 200)]
    assert discover(sequences, [rng.normal(size=len(s)) for s in sequences]) == ([], [])
    motif = motif_of("TGACGTCA", 0.97)
    sequences = list(planted([motif], 60, 40, seed=5, share=1))
    sequences = [s[: 30 + i % 11] for i, s in enumerate(sequences)]
    for sequence in sequences[::7]:
        sequence[:3] = 0
    weights = [contributions(mutagenesis(scanner([motif]), s), s) for s in sequences]
    found, _ = discover(sequences, weights)
    assert match(found[0], motif).similarity > 0.9


# -- of a pipeline


class Whole:
    """What `explain_motifs` asks of a pipeline, for a network written by hand."""

    kind, length, nothing = "window", 60, 0

    def __init__(self, motifs, **settings):
        from deepfield.domains.genomics.task import Function

        self.task = Function({"labels": ["0", "1"]})
        self.settings, self.ask = settings, scanner(motifs)

    def logits(self, bases):
        score = self.ask(bases) - 3.0
        return np.stack([np.zeros_like(score), score], axis=1)

    def forward(self, batch):
        return {"logits": self.logits(batch["bases"])}

    def calibrated(self, outputs):
        return outputs | {"prediction": self.task.predictions(outputs, None)}

    def encode(self, item):
        found = codes(item.letters)
        if len(found) != self.length:
            raise BadInput("too short")
        return {"bases": found.astype(np.int32)}, None

    def decode(self, outputs, context):
        return self.task.answer(outputs["prediction"])


def samples(sequences):
    from deepfield.domains.genomics.features import text_of
    from deepfield.domains.genomics.sequences import DNA

    return [Sample(str(i), DNA(text_of(s).encode())) for i, s in enumerate(sequences)]


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    motif = motif_of("ACCGGAAGTR")
    given = samples(planted([motif], 120, 60, seed=2))
    broken = [Sample("short", given[0].data.__class__(b"ACGT")), Sample("x", None, fault="no")]
    known = tmp_path_factory.mktemp("known") / "known.meme"
    from deepfield.domains.genomics.motifs import write_meme

    known.write_text(write_meme([motif_of("TGASTCAY"), motif]))
    return explain_motifs(Whole([motif]), [*broken, *given], 3, str(known))


def test_the_motifs_of_a_set_are_told_drawn_and_written(explained):
    assert isinstance(explained, MotifExplanation) and explained.label == "1"
    assert explained.read + explained.counts["of another class"] == 120
    assert explained.counts["rejected"] == 2
    facts = json.loads(json.dumps(explained.facts()))
    (told,) = facts["motifs"]
    assert told["known"] == "ACCGGAAGTR" and told["similarity"] > 0.9
    assert len(told["probabilities"]) == len(told["consensus"])
    lines = list(explained.lines())
    assert lines[0].split()[:2] == ["motif", "consensus"] and "rejected" in lines[-1]
    assert explained.png().startswith(b"\x89PNG") and b"<svg" in explained.svg()
    page = explained.report().html()
    assert "MEME version" in page and page.count("data:image/png") == 1
    (again,) = parse_meme(explained.meme())
    assert match(again, explained.motifs[0]).similarity == pytest.approx(1)


def test_too_few_sequences_and_wrong_settings_are_told(tmp_path):
    motif = motif_of("ACCGGAAGTR")
    given = samples(planted([motif], 30, 60, seed=2))
    with pytest.raises(DeepfieldError, match="motifs need 8"):
        explain_motifs(Whole([motif]), given[:5], 3)
    with pytest.raises(DeepfieldError, match="0 of 0"):
        explain_motifs(Whole([motif]), [], 3)
    with pytest.raises(UsageError, match="no class 'x'"):
        explain_motifs(Whole([motif], **{"class": "x"}), given, 3)
    with pytest.raises(UsageError, match="no method 'shap'"):
        explain_motifs(Whole([motif], method="shap"), given, 3)
    with pytest.raises(UsageError, match="0 motifs"):
        explain_motifs(Whole([motif]), given, 0)
    with pytest.raises(NotFound):
        explain_motifs(Whole([motif]), given, 3, str(tmp_path / "no.meme"))


def test_long_sequences_are_left_to_gradients(monkeypatch):
    motif = motif_of("ACCGGAAGTR", 0.97)
    given = samples(planted([motif], 40, 60, seed=2, share=1))
    monkeypatch.setattr(discovery, "_MOST_READ", 3 * 60 * 60 * 9)
    some = explain_motifs(Whole([motif]), given, 3)
    assert some.read == 9 and sum(some.counts.values()) == 31
    sure, _, label = surest(Whole([motif]), given)
    odds = [float(log_odds(one.logits, 1)) for one in sure]
    assert label == "1" and min(odds) > 0
    assert odds == sorted(odds, reverse=True)
    monkeypatch.setattr(discovery, "_MOST_READ", 3 * 60 * 60)
    with pytest.raises(UsageError, match="changing 60 letters") as error:
        explain_motifs(Whole([motif]), given, 3)
    assert "--method gradient" in error.value.hint
    # weights that the network's own mutations give stand for its slopes
    monkeypatch.setattr(
        discovery, "gradients", lambda p, bases, label: mutagenesis(scorer(p, label), bases)
    )
    found = explain_motifs(Whole([motif], method="gradient"), given, 3)
    assert found.read > 30 and match(found.motifs[0], motif).similarity > 0.9
    assert "gradients" in found.method


def test_no_motif_is_an_answer_too():
    nothing = MotifExplanation("1", [], [], [], 12, {"rejected": 0}, "weighed")
    assert "no motif" in next(nothing.lines())
    assert nothing.facts()["motifs"] == [] and nothing.report().html()
    assert nothing.png().startswith(b"\x89PNG")
