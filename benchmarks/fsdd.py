"""FSDD: digits of speakers that the network knows, and of one that it never heard, six times over.

Known speakers: the preset, on the takes that its own split kept from training (`--test FOLDER`: on
other recordings). Strangers: a network like it, trained without each speaker in turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import mean

import speech_sets
from measuring import report, row

from deepfield.domains.speech import SpeechPipeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/speech/fsdd", type=Path)
    parser.add_argument("--model", default="digits", help="a preset, or a bundle's folder")
    parser.add_argument("--test", help="a folder of other recordings")
    parser.add_argument("--epochs", type=int, help="of each network; as the preset's without it")
    parser.add_argument("--known-only", action="store_true", help="do not train")
    given = parser.parse_args()
    there = Path(given.model).is_dir()
    pipeline = (SpeechPipeline.load if there else SpeechPipeline.from_preset)(given.model)
    known = (
        [s for s in pipeline.read(given.test) if s.target is not None]
        if given.test
        else speech_sets.held_out(str(given.data), pipeline.bundle)
    )
    result = pipeline.evaluate(known)
    rows = [row("digits right, known speakers", result["metrics"]["accuracy"], "", ">= 0.997")]
    details = {"n": len(known), "known": result["metrics"], "strangers": {}}
    if not given.known_only:
        config = pipeline.bundle.config
        recipe = {k: config["recipe"][k] for k in ("epochs", "batch_size", "learning_rate")}
        settings = {**config["hyper"], **recipe}
        if given.epochs:
            settings["epochs"] = given.epochs
        samples = [s for s in pipeline.read(str(given.data)) if s.target is not None]
        for speaker in sorted({str(s.group) for s in samples}):
            for s in samples:
                s.part = "test" if s.group == speaker else "train"
            with tempfile.TemporaryDirectory() as folder:
                made = SpeechPipeline(pipeline.architecture)
                fitted = made.fit(
                    samples, out=Path(folder) / "m", settings=settings, split="source",
                    say=lambda line, who=speaker: print(f"{who}: {line}", file=sys.stderr),
                )  # fmt: skip
            details["strangers"][speaker] = fitted.metrics["test"]["accuracy"]
        figure = mean(details["strangers"].values())
        rows.append(row("digits right, a stranger, mean of six", figure, "", ">= 0.95"))
    return report("fsdd", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
