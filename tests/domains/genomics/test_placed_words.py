import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from deepfield.domains.genomics import GenomicsPipeline
from deepfield.domains.genomics.features import codes
from deepfield.domains.genomics.kmers import MOST_PLACED
from deepfield.domains.genomics.placed_words import beside, settle
from deepfield.toolkit.data import Encoded, Sample

RNG = np.random.default_rng(0)
QUICK = {"epochs": 1, "least_steps": 1, "filters": 4, "frames": 0}


def items(bases, labels):
    return [
        Encoded(Sample(str(i), None), arrays={"bases": b}, target={"logits": y})
        for i, (b, y) in enumerate(zip(bases, labels, strict=True))
    ]


def sequences(count, length, classes):
    """A word of each class (but the first) at about the same place, one letter of it wrong."""
    bases = RNG.integers(1, 5, (count, length)).astype(np.int32)
    labels = RNG.integers(0, classes, count)
    for row, label in zip(bases, labels, strict=True):
        if label:
            start = 10 + RNG.integers(-1, 2)
            row[start : start + 6] = codes(("TATAAT", "TTGACA")[label - 1])
            row[start + RNG.integers(6)] = RNG.integers(1, 5)
    return bases, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_its_weights_are_those_of_a_regression_on_words_in_stretches(classes, monkeypatch):
    """All sizes, widths and offsets add up to one weight a word and place, to the last letter."""
    bases, labels = sequences(300, 30, classes)
    bases[0, 4] = 0  # a word with N is none
    seen = []
    whole = LogisticRegression.fit

    def fit(self, features, told):
        whole(self, features, told)
        seen.append(self.decision_function(features))
        return self

    monkeypatch.setattr(LogisticRegression, "fit", fit)
    model = beside(None, "window", classes, 30)
    settle(model, items(bases, labels), "logits")
    logits = model.predict(bases[1:], verbose=0)["logits"]
    (expected,) = seen
    expected = expected[1:, None] if classes == 2 else expected[1:, 1:] - expected[1:, :1]
    assert np.allclose(logits[:, 1:] - logits[:, :1], expected, atol=1e-4)
    asked, truth = sequences(300, 30, classes)
    assert np.mean(model.predict(asked, verbose=0)["logits"].argmax(-1) == truth) > 0.8


def test_of_a_site_it_slides_over_a_contig_and_hangs_on_as_many_letters_as_the_network():
    bases, labels = sequences(200, 41, 2)
    net = keras.Input((None,), name="bases", dtype="int32")
    told = keras.layers.Conv1D(2, 21)(keras.layers.Embedding(15, 4)(net))
    model = beside(keras.Model(net, {"logits": told}), "site", 2, 41)
    settle(model, items(bases, labels), "logits")
    contig = RNG.integers(1, 5, (1, 100)).astype(np.int32)
    along = np.asarray(model(contig)["logits"])[0]
    assert along.shape == (80, 2) and np.ptp(along[:, 1]) > 0
    alone = np.concatenate([model(contig[:, j : j + 21])["logits"] for j in range(80)])[:, 0]
    # The last three places see the letters that follow; their words are of fewer letters.
    assert np.allclose(along, alone, atol=1e-5)


def test_a_class_that_is_missing_is_the_least_likely():
    bases, labels = sequences(200, 30, 2)
    model = beside(None, "window", 3, 30)
    settle(model, items(bases, labels), "logits")
    assert (model.predict(bases, verbose=0)["logits"].argmin(-1) == 2).all()
    model = beside(None, "window", 3, 30)
    settle(model, items(bases, 0 * labels + 1), "logits")
    assert not model.predict(bases, verbose=0)["logits"].any()


def test_it_has_two_fifths_of_the_say(tmp_path):
    pipeline = GenomicsPipeline(kind="window", members=2)
    pipeline.fit("simulate:motif:200:1", out=tmp_path / "two", settings=QUICK, seed=1)
    loaded = GenomicsPipeline.load(tmp_path / "two")
    assert loaded.members == ["model_1", "model_2", "words"]
    assert loaded.shares == {"model_1": 0.3, "model_2": 0.3, "words": 0.4}
    bases = np.stack([codes(s.data.letters) for s in loaded.read("simulate:motif:6:5")]).astype(
        np.int32
    )
    first, second, words = (loaded.run(n, {"bases": bases})["logits"] for n in loaded.members)
    assert np.ptp(words[:, 1]) > 0 and not words[:, 0].any()
    assert np.allclose(loaded.logits(bases), 0.3 * first + 0.3 * second + 0.4 * words, atol=1e-6)
    tuned, _ = loaded.finetune("simulate:motif:100:2", settings={"epochs": 1})
    assert not np.allclose(tuned.run("words", {"bases": bases})["logits"], words)


@pytest.mark.parametrize(
    ("kind", "architecture", "size"),
    [("peak", "dilated_cnn", 1), ("window", "motif_cnn", 1), ("window", "dilated_cnn", 10**9)],
)
def test_large_sets_peaks_and_other_networks_do_without(kind, architecture, size, monkeypatch):
    monkeypatch.setattr("deepfield.domains.genomics.kmers.MOST_PLACED", MOST_PLACED // size)
    pipeline = GenomicsPipeline(architecture, kind=kind)
    samples = list(pipeline.read("simulate:motif:20:1"))
    pipeline.task.learn([s.target for s in samples])
    pipeline.prepare(samples, [s.target for s in samples])
    assert "words" not in pipeline.build()
