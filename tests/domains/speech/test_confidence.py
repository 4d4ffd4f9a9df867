import numpy as np
import pytest

from deepfield.domains.speech import confidence
from deepfield.domains.speech.decoder import Said
from deepfield.toolkit.calibration import ece


def said(text, scores, rivals=()):
    places = np.arange(len(text))
    return Said(text, places, places, np.array(scores, float), list(rivals))


def test_features_are_those_of_each_words_letters():
    rows = confidence.word_features(said("ab c", [-0.1, -0.3, -5.0, -1.0], [2.0, -3.0]))
    assert np.allclose(rows, [[-0.2, -0.3, 2.0], [-1.0, -1.0, -3.0]])
    assert confidence.word_features(said("", [])).shape == (0, 3)


def test_without_weights_it_is_the_mean_of_the_letters():
    found = confidence.probabilities(said("ab", [np.log(0.5), np.log(0.5)]), None)
    assert found == pytest.approx([0.5])


def test_fitted_chances_come_true():
    rng = np.random.default_rng(0)
    features = np.column_stack([-rng.exponential(0.5, 4000)] * 2 + [rng.normal(size=4000)])
    features[:, 1] -= rng.exponential(0.5, 4000)
    true = 1 / (1 + np.exp(-(3 + 2 * features[:, 1] + features[:, 2])))
    right = rng.random(4000) < true
    weights = confidence.fit(features[:2000], right[:2000])
    texts = [said("a", [f[0]], [f[2]]) for f in features[2000:]]
    rows = [confidence.word_features(t)[0] for t in texts]
    assert rows[0][0] == pytest.approx(max(-8, features[2000][0]))
    chances = 1 / (1 + np.exp(-(features[2000:] @ weights[:3] + weights[3])))
    assert ece(chances, right[2000:].astype(float)) < 0.03


@pytest.mark.parametrize("right", [np.ones(500, bool), np.zeros(500, bool), np.ones(3, bool)])
def test_where_nothing_can_be_learned_nothing_is_fitted(right):
    assert confidence.fit(np.zeros((len(right), 3)), right) is None
