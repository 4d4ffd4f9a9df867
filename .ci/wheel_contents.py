"""Check what a wheel holds: the package, its samples and presets, and nothing beside it."""

from __future__ import annotations

import sys
import tomllib
import zipfile
from pathlib import Path

NEEDED = (
    "deepfield/__init__.py",
    "deepfield/py.typed",
    "deepfield/cli.py",
    "deepfield/toolkit/pipeline.py",
    "deepfield/domains/image/samples/digits.zip",
    "deepfield/domains/image/presets/small_cnn_digits/config.json",
    "deepfield/domains/image/presets/small_cnn_mnist/config.json",
    "deepfield/domains/image/presets/lenet5_mnist/config.json",
)
MOST_MB = 40


def main(path: str) -> int:
    """Print the wheel's size; name what is missing or does not belong."""
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    faults = [f"missing: {name}" for name in NEEDED if name not in names]
    for name in names:
        top, *rest = name.split("/")
        if top not in ("deepfield", f"deepfield-{version}.dist-info"):
            faults.append(f"outside the package: {name}")
        if "__pycache__" in rest or "tests" in rest or ".part" in name:
            faults.append(f"does not belong: {name}")
    megabytes = Path(path).stat().st_size / 1e6
    if megabytes > MOST_MB:
        faults.append(f"{megabytes:.1f} MB, at most {MOST_MB}")
    print(f"{Path(path).name}: {len(names)} files, {megabytes:.1f} MB")
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
