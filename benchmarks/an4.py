"""AN4: word error rates on speakers that the network never heard, and pocketsphinx's beside them.

Without `--test` they are the speakers of the validation part that the preset's own split kept from
its training; with it, those of another table (path, text, speaker), such as the set's test part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import speech_sets
from held_out import held_out
from measuring import report, row

from deepfield.domains.speech import SpeechPipeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/speech/an4", type=Path)
    parser.add_argument("--model", default="an4", help="a preset, or a bundle's folder")
    parser.add_argument("--test", help="a table of other recordings")
    given = parser.parse_args()
    there = Path(given.model).is_dir()
    pipeline = (SpeechPipeline.load if there else SpeechPipeline.from_preset)(given.model)
    if given.test:
        samples = [s for s in pipeline.read(given.test) if s.target is not None]
    else:
        samples = held_out(pipeline, str(given.data / "transcripts.tsv"))
    rows, details = [], {"n": len(samples), "speakers": len({s.group for s in samples})}
    for how, bar in (("greedy", "<= 0.07"), ("search", "<= 0.035")):
        pipeline.settings["decoder"] = how
        result = pipeline.evaluate(samples)
        rows.append(row(f"word error rate, {how}", result["metrics"]["wer"], "", bar))
        details[how] = {k: result[k] for k in ("metrics", "intervals", "rejected", "seconds")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [speech_sets.raw(s, folder, i) for i, s in enumerate(samples)]
        for what, more in (
            ("default model", {}), ("the set's grammar", speech_sets.grammar(given.data, folder)),
        ):  # fmt: skip
            heard = speech_sets.sphinx(files, **more)
            rate = speech_sets.word_error_rate(samples, heard["texts"])
            rows.append(row(f"word error rate, pocketsphinx, {what}", rate, ""))
            details[f"pocketsphinx, {what}"] = {"seconds": sum(heard["seconds"])}
    return report("an4", rows, **details)


if __name__ == "__main__":
    sys.exit(main())
