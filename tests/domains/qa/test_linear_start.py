import csv

import numpy as np
import pytest
from digests import digests

from deepfield.domains.qa.pipeline import QAPipeline
from deepfield.toolkit.bundle import open_bundle
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.recipe import Recipe

DATA, SPLIT = "world:40:1:usual", "group:70/30/0"
BATCHES = 2  # steps an epoch of these data
SETTINGS = {"start_epochs": 3, "epochs": 2, "units": 8, "hops": 2, "batch_size": 64}


class Watched(QAPipeline):
    """Notes the hops and the weights at the beginning of every stage."""

    baseline = ""  # nothing here is asked of it

    def __init__(self, architecture="memn2n", **settings):
        super().__init__(architecture, **settings)
        self.seen = []

    def ease(self, model, easier):
        super().ease(model, easier)
        linear = {hop.linear for hop in model.layers if hop.name.startswith("hop")}
        self.seen.append((linear, [np.array(w) for w in model.get_weights()]))


def fit(out, **arguments):
    pipeline = Watched()
    pipeline.fit(DATA, out=out, settings=SETTINGS, split=SPLIT, seed=3, **arguments)
    return pipeline


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out, steps = tmp_path_factory.mktemp("linear") / "m", set()
    pipeline = fit(out, progress=lambda epoch, epochs, batch, batches, logs: steps.add(batches))
    pipeline.steps = steps
    return out, pipeline


def test_the_softmax_comes_after_a_linear_start_with_the_same_weights(whole):
    out, pipeline = whole
    (first, drawn), (second, started) = pipeline.seen
    assert first == {True} and second == {False}
    assert any((a != b).any() for a, b in zip(drawn, started, strict=True))
    with (out / "training.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["stage"] for row in rows] == ["0"] * 3 + ["1"] * 2
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[0] == rates[2] > rates[3] > rates[4]  # constant at first
    loaded = QAPipeline.load(out)
    sample = next(iter(loaded.read("world:1:9:usual")))
    shares = loaded.explain(sample).attention  # of a softmax, some of it for empty places
    assert (shares > 0).all() and (shares.sum(axis=1) < 1).all()


def test_the_start_is_over_when_validation_stops_improving():
    start = Recipe(epochs=60, start_epochs=20, schedule="cosine", ema=0.9, keep="last").start()
    assert (start.epochs, start.patience, start.keep) == (20, 2, "best")
    assert (start.schedule, start.ema, start.start_epochs) == ("constant", 0.0, 0)


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "at",
    [
        "in the start",
        pytest.param("between", marks=pytest.mark.slow),
        pytest.param("after", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_ends_in_the_same_bits(at, whole, tmp_path):
    left = {"in the start": 3, "between": 3 * BATCHES, "after": 3 * BATCHES + BATCHES + 1}[at]

    def progress(*_):
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    with pytest.raises(Killed):
        fit(tmp_path / "m", progress=progress, checkpoint_minutes=0.0)
    fit(tmp_path / "m", resume=True)
    assert digests(tmp_path / "m") == digests(whole[0])
    assert open_bundle(tmp_path / "m").config["metrics"] == open_bundle(whole[0]).config["metrics"]


def test_there_are_as_many_steps_as_the_runs_above_count_on(whole):
    assert whole[1].steps == {BATCHES}


def test_a_network_without_an_easier_start_says_so():
    with pytest.raises(UsageError, match="query_reduction has no easier start"):
        QAPipeline("query_reduction").fit(DATA, settings=SETTINGS, split=SPLIT)
