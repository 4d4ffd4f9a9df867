"""Several machines train one network: Keras on JAX, two processes stand for two."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys

from deepfield.toolkit import commands, machines
from deepfield.toolkit.batches import Batches, Share
from deepfield.toolkit.errors import UsageError

ROOT = Path(__file__).parents[2]
JAX = importlib.util.find_spec("jax") is not None
SETTINGS = {"epochs": 3, "augment": 0.0, "dropout": 0.0, "recalibrate_bn": True}

CHILD = """
import contextlib, json, sys
import numpy as np, toys
from deepfield.toolkit import machines
address, index, count, out, settings = json.loads(sys.argv[1])
join = machines.several_machines if count > 1 else lambda *_: contextlib.nullcontext()
with join(address, index, count):
    fitted = toys.Pictures().fit("toy", out=out, seed=4, split="random:80/20/0", settings=settings)
print(json.dumps([row | {"seconds": 0} for row in fitted.history]))
"""


# -- the shares of a batch


def shared(share, items, **arguments):
    batches = Batches([{"x": v} for v in items], [{"y": v} for v in items], 6, 0, share=share)
    batches.on_epoch_begin()
    return [batches[i] for i in range(len(batches))]


def test_the_shares_of_a_batch_are_the_batch():
    items = np.arange(24, dtype="float32")[:, None]
    whole = shared(Share(), items)
    parts = [shared(Share(i, 3, 3), items) for i in range(3)]
    for index, (x, y) in enumerate(whole):
        together = np.concatenate([part[index][0] for part in parts])
        np.testing.assert_array_equal(together, x)
        np.testing.assert_array_equal(np.concatenate([part[index][1] for part in parts]), y)


def test_a_batch_is_filled_up_so_that_all_devices_get_as_much():
    items = np.arange(19, dtype="float32")[:, None]  # the last batch has one item
    parts = [shared(Share(i, 2, 4), items) for i in range(2)]
    for one, two in zip(*parts, strict=True):
        assert len(one[0]) == len(two[0]) and len(one[0]) % 2 == 0
    seen = np.concatenate([x for part in parts for x, _ in part])
    assert set(seen[:, 0]) == set(range(19))


def test_shares_of_ragged_items_have_one_shape():
    items = [np.ones((2 + i % 5, 1), "float32") for i in range(18)]
    targets = [{"y": np.int32(0)} for _ in items]
    parts = []
    for index in range(2):
        batches = Batches([{"x": v} for v in items], targets, 6, 0, share=Share(index, 2, 2))
        batches.on_epoch_begin()
        parts.append([batches[i][0].shape for i in range(len(batches))])
    assert parts[0] == parts[1]


# -- what is refused


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"machines": "a:1,0"}, "HOST:PORT,INDEX,COUNT"),
        ({"machines": "a,0,2"}, "HOST:PORT,INDEX,COUNT"),
        ({"machines": "a:1,0,2", "resume": True}, "--resume"),
        ({"machines": "a:1,0,2", "folds": 3}, "--folds"),
        ({"machines": "a:1,0,2", "device": "gpu"}, "--device"),
        ({"machines": "a:1,0,2"}, "needs JAX"),
        ({"machines": "a:1,2,2"}, "machine 2 of 2"),
    ],
)
def test_machines_that_cannot_be_are_refused(flags, named, monkeypatch):
    before = os.environ.get("KERAS_BACKEND")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as raised:
        commands.train(toys.Pictures, None, "toy", commands.Flags(flags, output="m"))
    assert named in raised.value.message and raised.value.hint
    assert os.environ.get("KERAS_BACKEND") == before


def test_joining_without_jax_says_what_to_install():
    with pytest.raises(UsageError, match="need Keras on JAX") as raised:
        machines.join_machines("127.0.0.1:1", 0, 2)
    assert "pip install" in raised.value.hint


# -- two processes


def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def start(*command, backend="jax"):
    paths = os.pathsep.join([str(ROOT / ".dev"), str(ROOT / "tests/toys")])
    environment = os.environ | {
        "PYTHONPATH": paths, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, *command], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err[-3000:]
    return out, err


@pytest.mark.slow
@pytest.mark.skipif(not JAX, reason="needs jax")
def test_two_machines_train_the_network_of_one(tmp_path):
    def child(place, index, count, out):
        return start("-c", CHILD, json.dumps([place, index, count, out, SETTINGS]))

    place, out = address(), tmp_path / "m"
    outs = [str(out), str(tmp_path / "other")]
    pair = [child(place, index, 2, outs[index]) for index in range(2)]
    one, two = (json.loads(ended(p)[0].splitlines()[-1]) for p in pair)
    assert one == two and len(one) == 3
    alone = json.loads(ended(child(place, 0, 1, None))[0].splitlines()[-1])
    # The same batches, the same statistics of batch normalisation, the same validation part.
    for name in ("loss", "val_loss"):
        ours, theirs = ([row[name] for row in rows] for rows in (one, alone))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.part"]  # machine 0 alone writes
    pipeline = toys.Pictures()
    fitted = pipeline.fit(
        "toy", out=out, seed=4, split="random:80/20/0", settings=SETTINGS, resume=True
    )
    assert [row["loss"] for row in fitted.history] == [row["loss"] for row in one]
    assert fitted.metrics["valid"]["accuracy"] >= 0.8
    assert toys.Pictures.load(out).check()["ok"]


@pytest.mark.slow
@pytest.mark.skipif(not JAX, reason="needs jax")
def test_the_command_ends_with_one_bundle(tmp_path):
    place, pair = address(), []
    for index in range(2):
        arguments = ["-o", str(tmp_path / f"m{index}"), "--epochs", "1", "--set", "filters=4"]
        command = ["image", "train", "digits", *arguments, "--json", "-q"]
        command += ["--machines", f"{place},{index},2"]
        pair.append(start("-m", "deepfield.cli", *command, backend="tensorflow"))
    said = [ended(process) for process in pair]
    assert json.loads(said[0][0])["metrics"]["test"]["accuracy"] > 0.2
    assert said[1] == ("", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m0"]
