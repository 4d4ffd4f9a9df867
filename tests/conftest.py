"""Fixtures that several rooms share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

# Several processes of pytest-xdist have a core each, and so has what they start: with more threads
# than cores each waits for the others. Before TensorFlow is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(_name, "1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # with one thread: toolkit/runtime.py

# With --import-mode=importlib the tests' own module is found by nobody: it is loaded here, once.
_spec = importlib.util.spec_from_file_location("program", Path(__file__).with_name("program.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("program", _module)
_spec.loader.exec_module(sys.modules["program"])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, worker_id):
    """A bundle of the image domain: `small_cnn` with eight filters, two epochs on `digits`."""
    from program import once, typed

    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent

    def make(folder: Path) -> None:
        arguments = ("--epochs", "2", "--set", "filters=8", "-q")
        run = typed("image", "train", "digits", "-o", str(folder), *arguments)
        assert run.code == 0, run.err

    return once(root / "shared" / "tiny", make)
