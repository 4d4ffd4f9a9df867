import numpy as np
import pytest

from deepfield.domains.face.eigenfaces import fit_eigenfaces, portrait
from deepfield.toolkit import scores


def faces(people, each, seed=0, size=64):
    """Made-up pictures: a direction a person in ten dimensions, and noise."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(7).normal(size=(10, size))
    who = np.repeat(np.arange(people), each)
    own = rng.normal(size=(people, 10))[who] + 0.25 * rng.normal(size=(len(who), 10))
    return own @ basis, who


def test_people_that_were_not_in_training_are_told_apart_with_a_calibrated_probability():
    model = fit_eigenfaces(*faces(60, 6), components=10)
    x, who = faces(40, 6, seed=1)
    rng = np.random.default_rng(2)
    one, two = rng.integers(0, len(x), (2, 4000))
    one, two = np.append(one, np.arange(239)), np.append(two, np.arange(1, 240))
    same = (who[one] == who[two]).astype(float)
    sure = model.predict(np.hstack([x[one], x[two]]))
    assert sure.shape == same.shape and sure.dtype == np.float64
    assert scores.roc_auc(same, sure) > 0.95
    np.testing.assert_allclose(sure, model.predict(np.hstack([x[two], x[one]])))


def test_the_same_seed_gives_the_same_model_also_of_a_draw():
    x, who = faces(30, 8)
    ask = np.hstack([x[:50], x[50:100]])
    models = [fit_eigenfaces(x, who, most_pictures=100, most_pairs=50, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(models[0].predict(ask), models[1].predict(ask))


def test_coordinates_are_white_and_not_more_than_the_pictures_have():
    x, who = faces(50, 6)
    model = fit_eigenfaces(x, who)
    assert model.axes.shape == (10, 64)  # the pictures have ten dimensions
    np.testing.assert_allclose(np.cov(model.embed(x).T), np.eye(10), atol=1e-6)


def test_few_pictures_and_people_of_one_picture_still_give_a_model():
    x, _ = faces(4, 1)
    for who in (np.arange(4), np.zeros(4), np.array([0, 0, 1, 1])):
        sure = fit_eigenfaces(x, who).predict(np.hstack([x, x]))
        assert np.isfinite(sure).all() and (sure >= 0).all() and (sure <= 1).all()
    assert np.isfinite(
        fit_eigenfaces(np.ones((4, 9)), [0, 0, 1, 1]).predict(np.ones((1, 18)))
    ).all()


@pytest.mark.parametrize("size", [(150, 150), (64, 48), (20, 33)])
def test_a_portrait_is_small_grey_and_blind_to_light(size):
    picture = np.random.default_rng(0).integers(0, 120, (*size, 3)).astype(np.uint8)
    small = portrait(picture)
    assert small.shape == (1024,) and small.dtype == np.float32
    assert small.mean() == pytest.approx(0, abs=1e-5) and small.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(small, portrait(2 * picture + 10), atol=1e-3)
    assert not portrait(np.full((*size, 3), 77, np.uint8)).any()


def test_every_pixel_counts_by_its_area():
    picture = np.arange(64.0).reshape(8, 8)
    small = portrait(picture, 4).reshape(4, 4)
    means = picture.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(small, (means - means.mean()) / means.std(), rtol=1e-5)
