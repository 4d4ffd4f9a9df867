"""Learning with Keras on JAX or PyTorch: whoever learns there, TensorFlow makes the bundle."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence

from deepfield.toolkit.errors import UsageError

#: Backends of Keras that can learn.
LEARNING = ("tensorflow", "jax", "torch")


def backend(source: str = "") -> str:
    """What Keras learns on, as `KERAS_BACKEND` says; asked before Keras is imported.

    Args:
        source: from where it learns.

    Raises:
        UsageError: it cannot learn, or is not installed; or the source is standard input, which
            TensorFlow could not read again.

    Example:
        >>> backend() in LEARNING
        True
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in LEARNING:
        raise UsageError(
            f"KERAS_BACKEND is {name!r}, on which nothing is learnt", f"name {', '.join(LEARNING)}"
        )
    if importlib.util.find_spec(name) is None:
        raise UsageError(
            f"KERAS_BACKEND is {name!r}, which is not installed",
            f"unset KERAS_BACKEND, or pip install {name}",
        )
    if source == "-" and name != "tensorflow":
        raise UsageError(
            f"standard input is read once: with KERAS_BACKEND={name} the data are read twice",
            "write them to a file",
        )
    return name


def parse_machines(told: str, others: Sequence[str]) -> tuple[str, int, int]:
    """The parts of `--machines`, with Keras told to run on JAX, which it is asked once only.

    Args:
        told: `HOST:PORT,INDEX,COUNT`.
        others: names of flags that were given with it and do not go with it.

    Raises:
        UsageError: another form, no such machine, another flag, no JAX.
    """
    form = re.fullmatch(r"(\S+:\d+),(\d+),(\d+)", told)
    if form is None:
        raise UsageError(f"--machines {told!r} is not HOST:PORT,INDEX,COUNT", "as a:1234,0,2")
    if int(form[2]) >= int(form[3]):
        raise UsageError(f"machine {form[2]} of {form[3]}", "machines are counted from 0")
    if others:
        raise UsageError(f"--{others[0]} does not go with --machines", "leave one of them away")
    if importlib.util.find_spec("jax") is None:
        raise UsageError("--machines needs JAX, which is not here", 'pip install "deepfield[jax]"')
    os.environ["KERAS_BACKEND"] = "jax"
    return form[1], int(form[2]), int(form[3])


def finish(command: Sequence[str]) -> int:
    """Make the bundle of trained weights: ONNX needs TensorFlow, so another process resumes the
    run, whose epochs are all done.

    Args:
        command: that of the training, without the program's name.

    Returns:
        The exit code of that process.
    """
    sys.stdout.flush()
    return subprocess.run(
        [sys.executable, "-m", "deepfield.cli", *command, "--resume"],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"}, stderr=sys.stderr, check=False,
    ).returncode  # fmt: skip
