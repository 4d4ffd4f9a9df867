"""Programs of others, each in an environment of its own under `build/peers`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from measuring import ROOT

#: What is installed for each.
REQUIREMENTS = {"chemprop": ("torch==2.13.0", "chemprop>=2.3,<2.4")}


def program(name: str) -> Path:
    """The peer's own command, installed if it is not there yet."""
    folder = ROOT / "build" / "peers" / name
    found = folder / "bin" / name
    if not found.is_file():
        print(f"installing {name} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        for requirement in REQUIREMENTS[name]:  # torch first, or the largest build is taken
            subprocess.run([*pip, requirement], check=True, stdout=sys.stderr)
    return found
