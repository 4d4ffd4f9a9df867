"""FSDD: digits of speakers that the network knows, and of one that it never heard, six times over.

Known speakers: the preset, on recordings that its own split kept from training (`--test FOLDER`: on
others). Strangers: `--base ARCHITECTURE` is trained from nothing without each of them in turn,
`--base PRESET` fine-tuned (`an4` knows none of these six); `--voices en` lets voices of espeak-ng
say half. `--known-only` and `--speakers` keep the other figures of strangers that
`benchmarks/results.json` has.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np
from held_out import held_out
from measuring import recorded, report, row

from deepfield.domains.speech import SpeechPipeline
from deepfield.domains.speech.models import ARCHITECTURES

#: Of a network that is trained from nothing: FSDD's rate, and the greatest rate of learning.
RATE_HZ, LEARNING_RATE = 8000, 2e-3


def deal(samples, stranger) -> None:
    """One speaker is tested; one in twenty recordings of the others is for calibration.

    Speakers are not kept apart among those five: a fifth of the voices would be lost to training.
    """
    chance = np.random.default_rng(0).random(len(samples))
    for s, drawn in zip(samples, chance, strict=True):
        s.part = "test" if s.group == stranger else "valid" if drawn < 0.05 else "train"


def of_a_stranger(samples, given, speaker) -> float:
    """The share of digits right of those that are dealt to the test part."""
    settings = {"epochs": given.epochs} if given.epochs else {}
    with tempfile.TemporaryDirectory() as folder:
        shared = {
            "out": Path(folder) / "m", "split": "source",
            "say": lambda line: print(f"{speaker}: {line}", file=sys.stderr),
        }  # fmt: skip
        if given.base in ARCHITECTURES:
            settings |= {"rate_hz": RATE_HZ, "learning_rate": LEARNING_RATE, **given.settings}
            anew = SpeechPipeline(given.base, voices=given.voices)
            fitted = anew.fit(samples, settings=settings, **shared)
        else:
            base = SpeechPipeline.from_preset(given.base)
            base.settings["voices"] = given.voices
            fitted = base.finetune(samples, settings=settings, **shared)[1]
    return fitted.metrics["test"]["accuracy"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/speech/fsdd", type=Path)
    parser.add_argument("--model", default="digits", help="a preset, or a bundle's folder")
    parser.add_argument("--test", help="a folder of other recordings")
    parser.add_argument("--base", default="cnn_ctc", help="an architecture, or a preset")
    parser.add_argument("--epochs", type=int, help="of each network")
    parser.add_argument("--voices", help="language of espeak-ng, whose voices say half")
    parser.add_argument("--settings", type=json.loads, default={},
                        help="of what is trained from nothing, as JSON")  # fmt: skip
    parser.add_argument("--speakers", help="some of the six, by commas")
    parser.add_argument("--known-only", action="store_true", help="do not train")
    given = parser.parse_args()
    if given.settings and (given.base not in ARCHITECTURES or given.known_only):
        parser.error("--settings are of an --base ARCHITECTURE that is trained for strangers")
    there = Path(given.model).is_dir()
    pipeline = (SpeechPipeline.load if there else SpeechPipeline.from_preset)(given.model)
    learnt_on = pipeline.bundle.config["data"]["source"]
    if not given.test and Path(learnt_on).name != given.data.name:
        parser.error(f"{given.model} learnt on {learnt_on!r}, dealt otherwise: give --test FOLDER")
    known = (
        [s for s in pipeline.read(given.test) if s.target is not None]
        if given.test
        else held_out(pipeline, str(given.data))
    )
    result = pipeline.evaluate(known)
    rows = [row("digits right, known speakers", result["metrics"]["accuracy"], "", ">= 0.997")]
    manner = {k: getattr(given, k) for k in ("base", "epochs", "voices", "settings")}
    earlier = {"settings": {}} | recorded("fsdd")
    if given.known_only:
        manner = {k: earlier.get(k) for k in manner}
    same = all(earlier.get(k) == told for k, told in manner.items())
    details = {
        "n": len(known), "known": result["metrics"],
        "strangers": earlier.get("strangers", {}) if same else {}, **manner,
    }  # fmt: skip
    if not given.known_only:
        samples = [s for s in pipeline.read(str(given.data)) if s.target is not None]
        speakers = sorted({str(s.group) for s in samples})
        for speaker in given.speakers.split(",") if given.speakers else speakers:
            deal(samples, speaker)
            figure = of_a_stranger(samples, given, speaker)
            details["strangers"][speaker] = figure
            print(f"{speaker}: {figure:.4f}", file=sys.stderr, flush=True)
    if details["strangers"]:
        figure = mean(details["strangers"].values())
        count = len(details["strangers"])
        rows.append(row(f"digits right, a stranger, mean of {count}", figure, "", ">= 0.95"))
    return report("fsdd", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
