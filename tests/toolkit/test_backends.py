"""What Keras learns on, and that TensorFlow makes the bundle of it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import toys

from deepfield.toolkit import backends, commands, export, fitting
from deepfield.toolkit.errors import UsageError

ROOT = Path(__file__).parents[2]
OTHERS = [name for name in ("torch", "jax") if importlib.util.find_spec(name)]
SETTINGS = {"epochs": 2, "augment": 0.0, "dropout": 0.0}


def program(*words, backend):
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".dev"), "KERAS_BACKEND": backend}
    return subprocess.run(
        [sys.executable, "-m", "deepfield.cli", *words],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_backend_that_cannot_learn_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    with pytest.raises(UsageError, match="'numpy', on which nothing is learnt") as raised:
        backends.backend()
    assert raised.value.hint == "name tensorflow, jax, torch"


def test_a_backend_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="'torch', which is not installed") as raised:
        backends.backend()
    assert raised.value.hint == "unset KERAS_BACKEND, or pip install torch"


def test_what_is_read_once_is_refused_there(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    assert backends.backend("photos") == "torch"
    with pytest.raises(UsageError, match="standard input is read once"):
        backends.backend("-")


@pytest.mark.parametrize("told", [None, ""])
def test_without_a_word_it_is_tensorflow(told, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if told is not None:
        monkeypatch.setenv("KERAS_BACKEND", told)
    assert backends.backend() == "tensorflow" and export.converts()


def test_what_was_learnt_elsewhere_is_finished_by_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "converts", lambda: False)
    out = tmp_path / "m"
    fitted = toys.Pictures().fit("toy", out=out, seed=4, settings=SETTINGS)
    assert fitted.bundle is None and len(fitted.history) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.part"]
    monkeypatch.undo()
    again = toys.Pictures().fit("toy", out=out, seed=4, settings=SETTINGS, resume=True)
    assert [r["loss"] for r in again.history] == [r["loss"] for r in fitted.history]
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert toys.Pictures.load(out).check()["ok"]


def test_without_a_bundle_nothing_is_left_to_finish(monkeypatch):
    monkeypatch.setattr(fitting, "converts", lambda: False)
    fitted = toys.Pictures().fit("toy", seed=4, settings=SETTINGS)
    assert fitted.metrics["valid"]["n"] > 0


def test_the_command_calls_for_who_finishes(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(fitting, "converts", lambda: False)
    monkeypatch.setattr(
        subprocess, "run",
        lambda command, **more: called.append((command, more)) or SimpleNamespace(returncode=7),
    )  # fmt: skip
    flags = {"output": str(tmp_path / "m"), "epochs": 1, "quiet": True, "seed": 0,
             "checkpoint_minutes": 5.0}  # fmt: skip
    assert commands.train(toys.Pictures, None, "toy", commands.Flags(flags)) == 7
    ((command, more),) = called
    assert command[:3] == [sys.executable, "-m", "deepfield.cli"]
    assert command[-2:] == ["--quiet", "--resume"] and "toy" in command
    assert more["env"]["KERAS_BACKEND"] == "tensorflow"


def test_the_program_says_it_in_two_lines():
    done = program("image", "train", "digits", "-o", "m", backend="openvino")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 2
    assert "KERAS_BACKEND is 'openvino'" in done.stderr


def test_all_but_learning_is_tensorflows_whatever_the_backend():
    done = program("image", "describe", "lenet5", "--json", backend="torch")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["layers"][0]["name"] == "C1"


@pytest.mark.slow
@pytest.mark.skipif(not OTHERS, reason="needs torch or jax")
@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "words",
    [
        ("image", "train", "digits", "--architecture", "lenet5"),
        ("genomics", "train", "simulate:motif:200:0"),
        ("qa", "train", "world:200"),
    ],
)
def test_another_backend_ends_with_a_bundle(words, backend, tmp_path):
    out = tmp_path / "m"
    done = program(*words, "-o", str(out), "--epochs", "1", "-q", "--json", backend=backend)
    assert done.returncode in (0, 3), done.stderr
    assert json.loads(done.stdout)["model"] == str(out)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
