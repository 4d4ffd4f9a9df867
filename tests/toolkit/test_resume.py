"""A run that is killed and resumed ends in the very bundle of one that was not."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toys
from digests import digests

from deepfield.toolkit.bundle import is_bundle, open_bundle
from deepfield.toolkit.errors import UsageError

ROOT = Path(__file__).parents[2]
#: Augmentation, dropout, batch normalisation, an average of the weights: all that has a state.
SETTINGS = {"epochs": 4, "ema": 0.9, "recalibrate_bn": True, "batch_size": 16}


def command(out, toy="Pictures", **arguments):
    arguments = {"settings": SETTINGS, "checkpoint_minutes": 0.0, "seed": 5} | arguments
    return [
        sys.executable, str(ROOT / "tests/toys/resumed_run.py"), toy, str(out),
        json.dumps(arguments),
    ]  # fmt: skip


def environment():
    paths = os.pathsep.join([str(ROOT / ".dev"), str(ROOT / "tests/toys")])
    return os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}


def run(out, **arguments):
    return subprocess.run(
        command(out, **arguments), env=environment(), capture_output=True, text=True, timeout=300
    )


def trained(bundle):
    """All that training left in a bundle, but for times."""
    config = dict(open_bundle(bundle).config)
    with (bundle / "training.csv").open() as stream:
        history = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(stream)]
    kept = ("calibration", "novelty", "metrics", "state", "task", "recipe")
    return {k: config[k] for k in kept}, history, digests(bundle)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "m"
    arguments = {"settings": SETTINGS, "seed": 5}
    toys.Pictures().fit("toy", out=out, **arguments)
    return out


def test_a_run_killed_in_mid_epoch_ends_as_if_it_had_not_been(whole, tmp_path):
    out = tmp_path / "m"
    killed = run(out, kill_after=12)  # of 8 batches an epoch: in the middle of the second
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert (tmp_path / "m.part" / "run.json").is_file()
    toys.Pictures().fit("toy", out=out, settings=SETTINGS, seed=5, resume=True)
    assert trained(out) == trained(whole)
    assert not (tmp_path / "m.part").exists()


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["Pictures", "Ensemble", "Bumps"])
@pytest.mark.parametrize("patience", [0, 1])
def test_a_run_killed_twice_ends_as_if_it_had_not_been(toy, patience, tmp_path):
    settings = {"epochs": 6, "patience": patience, "batch_size": 16, "learning_rate": 0.05}
    whole, out = tmp_path / "whole", tmp_path / "m"
    getattr(toys, toy)().fit("toy", out=whole, settings=settings, seed=5)
    for kill_after in (13, 10):
        killed = run(out, toy=toy, settings=settings, kill_after=kill_after, resume=True)
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
    if not out.exists():
        assert run(out, toy=toy, settings=settings, resume=True).returncode == 0
    assert trained(out) == trained(whole)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_that_is_taken_for_whole(whole, tmp_path):
    rng = random.Random(0)
    out = tmp_path / "m"
    for _ in range(40):
        process = subprocess.Popen(
            command(out, resume=True), env=environment(), stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(4.0, 9.0))
        process.kill()
        if process.wait() == 0:
            break
        if out.exists():  # only ever the whole bundle
            assert is_bundle(out)
            break
    if not out.exists():  # a busy machine had not come to the end in any of them
        assert run(out, resume=True).returncode == 0
    assert trained(out) == trained(whole)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 6}, "seed"),
        ({"data": "toy:120"}, "data"),
        ({"settings": SETTINGS | {"learning_rate": 0.5}}, "recipe"),
        ({"settings": SETTINGS | {"filters": 3}}, "hyper"),
    ],
)
def test_another_run_is_not_resumed(changed, named, tmp_path):
    arguments = {"settings": SETTINGS, "seed": 5} | changed
    part = tmp_path / "m.part"
    pipeline = toys.Pictures()

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        pipeline.fit("toy", out=tmp_path / "m", settings=SETTINGS, seed=5, progress=stop)
    with pytest.raises(UsageError, match=named) as raised:
        data = arguments.pop("data", "toy")
        toys.Pictures().fit(data, out=tmp_path / "m", resume=True, **arguments)
    assert raised.value.hint
    with pytest.raises(UsageError, match="unfinished run"):
        toys.Pictures().fit("toy", out=tmp_path / "m", settings=SETTINGS, seed=5)
    assert part.is_dir()
