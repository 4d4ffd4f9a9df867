"""Whole processes, cold, with a warm disk cache: help and the first answer of every preset."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from statistics import median

from measuring import deepfield, report, row

from deepfield.domains import DOMAINS, domain
from deepfield.toolkit.presets import preset_folder

#: A sample that a preset can answer; other presets get the domain's first `predict` example.
SAMPLES = {
    "image": {"efficientnet_lite0_imagenet": "sample:china", "": "sample:digit"},
    "qa": {"": "sample:babi"},
    "drug": {"": "sample:aspirin"},
}


def compiled(module: str) -> bool:
    """Whether a module's byte code lies on the disk."""
    spec = importlib.util.find_spec(module)
    return bool(spec and spec.cached and Path(spec.cached).is_file())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()

    rows, every = [], {}

    def time_it(what: str, bar: str, *arguments: str) -> None:
        def seconds() -> float:  # a sample may hold a picture without a face: a rejected row
            return deepfield(*arguments, cwd=folder, ok=(0, 3)).seconds

        with tempfile.TemporaryDirectory() as folder:
            seconds()  # fills the disk cache; adopts where that is needed
            runs = [seconds() for _ in range(given.runs)]
        every[what] = [round(s, 3) for s in runs]
        rows.append(row(what, median(runs), "s", bar))

    time_it("deepfield --help", "<= 0.4", "--help")
    for name in DOMAINS:
        time_it(f"deepfield {name} --help", "<= 0.4", name, "--help")
        cls = domain(name)
        for preset in cls.presets:
            if preset not in cls.adopted and not preset_folder(cls, preset).is_dir():
                print(f"{name}/{preset}: missing, passed over", file=sys.stderr)
                continue
            known = SAMPLES.get(name, {})
            sample = known.get(preset) or known.get("") or cls.examples["predict"][0].split()[3]
            time_it(f"first answer of {name}/{preset}", "<= 1.5",
                    name, "predict", sample, "--model", preset, "--quiet")  # fmt: skip
    byte_code = {m: compiled(m) for m in ("deepfield.cli", "numpy", "onnxruntime")}
    return report("cold_start", rows, runs=every, byte_code_compiled=byte_code)


if __name__ == "__main__":
    sys.exit(main())
