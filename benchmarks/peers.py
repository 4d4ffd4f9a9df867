"""Programs and libraries of others, each in an environment of its own under `build/peers`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from measuring import ROOT

#: What is installed for each, in this order: torch first, or the largest build of it is taken.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "chemprop": ("torch==2.13.0", "chemprop>=2.3,<2.4"),
    "dlib": ("numpy>=2.1,<3", "dlib-bin==20.0.1.post1"),
    # it reads text by a function that NumPy 2.3 lacks, and imports pkg_resources
    "spliceai": (
        "numpy>=2.1,<2.3",
        "tensorflow-cpu==2.21.*",
        "keras==3.15.*",
        "pandas<3",
        "setuptools<81",
        "pysam==0.23.*",
        "pyfaidx==0.8.*",
        "spliceai==1.3.1",
    ),
    "pocketsphinx": ("pocketsphinx==5.1.1",),
}


def program(name: str) -> Path:
    """The peer's own command, installed if it is not there yet."""
    return _programs(name) / name


def python(name: str) -> Path:
    """The Python that can import the peer, installed if it is not there yet."""
    return _programs(name) / "python"


def _programs(name: str) -> Path:
    folder = ROOT / "build" / "peers" / name
    installed = folder / "installed.txt"  # written last, so half an environment is made again
    wanted = "\n".join(REQUIREMENTS[name])
    if not installed.is_file() or installed.read_text() != wanted:
        print(f"installing {name} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        for requirement in REQUIREMENTS[name]:
            subprocess.run([*pip, requirement], check=True, stdout=sys.stderr)
        installed.write_text(wanted)
    return folder / "bin"
