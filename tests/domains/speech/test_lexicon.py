import keras
import numpy as np
import pytest

from deepfield.domains.speech import SpeechPipeline, recombination
from deepfield.domains.speech.formants import WORDS
from deepfield.domains.speech.lexicon import Lexicon
from deepfield.domains.speech.models import ARCHITECTURES, with_sounds
from deepfield.toolkit.errors import NotFound, UsageError

LINES = ";;; a comment\nA  AH0\nA(2)  EY1\nBEE  B IY1\nUNUSED  Z\n\nHALF H AE F"


@pytest.fixture
def dictionary(tmp_path):
    path = tmp_path / "words.dic"
    path.write_text(LINES)
    return str(path)


def test_the_last_pronunciation_counts_without_its_stress(dictionary):
    lexicon = Lexicon.read(dictionary, ["bee a", "half"])
    assert lexicon.words == {"a": ["EY"], "bee": ["B", "IY"], "half": ["H", "AE", "F"]}
    assert [lexicon.phones[i - 1] for i in lexicon.symbols("a bee")] == ["EY", "B", "IY"]
    assert lexicon.symbols("nothing known").tolist() == []


def test_words_that_it_lacks_are_named(dictionary):
    with pytest.raises(UsageError, match="pronounce c, d, e and 1 more"):
        Lexicon.read(dictionary, ["a c d", "e f"])
    with pytest.raises(NotFound, match=r"no such dictionary: 'no\.dic'"):
        Lexicon.read("no.dic", ["a"])


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_sounds_are_told_by_layers_of_the_network_itself(name):
    small = {"quartznet_small": {"filters": 8}, "tdnn": {"units": 8}, "blstm_ctc": {"units": 8},
             "cnn_ctc": {"units": 8},
             "conformer_ctc_small": {"units": 8, "heads": 2}}[name]  # fmt: skip
    network = ARCHITECTURES[name](symbols=5, **small)
    learner = with_sounds(network, 3)
    assert learner.output_names == ["log_probs", "sounds"]
    x = np.random.default_rng(0).normal(0, 0.1, (2, 8000)).astype("float32")
    letters, sounds = learner.predict(x, verbose=0)
    assert letters.shape[:2] == sounds.shape[:2] and sounds.shape[2] == 4
    np.testing.assert_allclose(np.exp(sounds).sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(letters, network.predict(x, verbose=0), atol=1e-5)
    own = {id(w) for w in network.weights}
    assert len([w for w in learner.weights if id(w) not in own]) == 2
    assert isinstance(learner, keras.Model)


@pytest.fixture
def spelled(tmp_path):
    path = tmp_path / "words.dic"
    path.write_text("\n".join(f"{word} {' '.join(word)}" for word in WORDS))
    return str(path)


def test_a_network_learns_from_a_lexicon_and_ships_without_it(spelled, tmp_path, monkeypatch):
    small = {"filters": 8, "blocks": 1, "epochs": 1}
    monkeypatch.setattr(recombination, "_ALIGNER", {**recombination._ALIGNER, **small})
    drawn, draw = [], recombination.Recombination.draw
    monkeypatch.setattr(
        recombination.Recombination, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1]
    )
    pipeline = SpeechPipeline(lexicon=spelled, recombined=0.3)
    fitted = pipeline.fit(
        "synthetic:24:1", out=tmp_path / "m", split="clip:75/25/0",
        settings={"filters": 8, "blocks": 1, "repeats": 1, "epochs": 6},
    )  # fmt: skip
    losses = [epoch["sounds_loss"] for epoch in fitted.history]  # of recordings that vary
    assert sum(losses[3:]) < sum(losses[:3])
    assert 9 <= len(drawn) <= 75 and all(drawn)  # of six epochs of 18 recordings
    loaded = SpeechPipeline.load(tmp_path / "m")
    assert not {"lexicon", "recombined"} & set(loaded.settings) and loaded.check()["ok"]


@pytest.mark.parametrize("share", [0.4, 1.5, float("nan")])
def test_words_are_recombined_by_their_sounds_in_a_share_of_recordings(spelled, share):
    told = {} if share == 0.4 else {"lexicon": spelled}
    with pytest.raises(UsageError, match="--recombined") as error:
        SpeechPipeline(recombined=share, **told).fit("synthetic:24:1")
    assert "--lexicon FILE" in error.value.hint
