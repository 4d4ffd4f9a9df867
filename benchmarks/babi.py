"""The 20 tasks of bAbI: what the presets answer on the part that they set aside, task by task.

The part is dealt again as each preset's config.json records it (source, edition, split, seed) and
must have as many questions as it had in training. `--test` measures on labelled files of your own
instead, bAbI's test files say. Published figures are test errors: see docs/qa.md for the sources.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measuring import report, row

from deepfield.domains import load
from deepfield.domains.qa import QAPipeline
from deepfield.domains.qa.published import ERRORS, number
from deepfield.domains.qa.task import FAILED
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.splits import Split

#: The presets that were trained on bAbI.
PRESETS = [name for name in QAPipeline.presets if name != "story"]


def flag(command: str, name: str) -> str | None:
    """A flag's value in a recorded command."""
    words = shlex.split(command)
    if f"--{name}" in words:
        return words[words.index(f"--{name}") + 1]
    return next((w.partition("=")[2] for w in words if w.startswith(f"--{name}=")), None)


def set_aside(pipeline: Pipeline, data: Path) -> list[Any]:
    """The validation part of a bundle's own data, dealt as its config records it."""
    assert pipeline.bundle is not None
    config = pipeline.bundle.config
    facts = config["data"]
    source = Path(facts["source"])
    if not source.exists():  # recorded as it was called where it was trained
        found = sorted(p for p in data.rglob(source.name))
        if not found:
            raise SystemExit(f"{pipeline.name}: no {source.name} under {data} (--data)")
        source = found[0]
    options = {"edition": flag(config["command"], "edition")}
    samples = [s for s in pipeline.read(str(source), **options) if not s.fault and s.target]
    split = facts["split"]
    dealt = Split(split["kind"], tuple(split["fractions"]), split["seed"]).deal(samples)
    part = [samples[i] for i in dealt["valid"]]
    if len(part) != facts["counts"]["valid"]:
        raise SystemExit(
            f"{pipeline.name}: {len(part)} questions are set aside here, "
            f"{facts['counts']['valid']} were in training: the data differ"
        )
    return part


def folded(answer: Any) -> str:
    """An answer without upper case."""
    return str(answer).casefold()


def summed(errors: Mapping[int, float]) -> tuple[float, int]:
    """Mean error in percent, and how many tasks are above 5 %."""
    return sum(errors.values()) / len(errors), sum(e > 100 * FAILED for e in errors.values())


def show(columns: Mapping[str, Mapping[int, float]], names: Mapping[int, str]) -> None:
    """The table, in percent."""
    print("| task |" + "".join(f" {name} |" for name in columns), file=sys.stderr)
    print("|---|" + "---:|" * len(columns), file=sys.stderr)
    for task in sorted(names):
        cells = (f"{own[task]:.1f}" if task in own else "–" for own in columns.values())
        print(f"| {names[task]} | " + " | ".join(cells) + " |", file=sys.stderr)
    sums = [summed(own) for own in columns.values()]
    print("| mean | " + " | ".join(f"{mean:.2f}" for mean, _ in sums) + " |", file=sys.stderr)
    print("| failed | " + " | ".join(f"{failed}" for _, failed in sums) + " |", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default="../shared/data/qa", help="where bAbI lies")
    parser.add_argument("--test", help="labelled files to measure on instead")
    parser.add_argument("--edition", help="of --test, where it holds several")
    parser.add_argument("models", nargs="*", default=PRESETS, help="presets or bundles")
    given = parser.parse_args()

    columns: dict[str, dict[int, float]] = {}
    names: dict[int, str] = {}
    rows, details = [], {}
    for model in given.models:
        pipeline = load(model, "qa")
        if given.test:
            read = pipeline.read(given.test, edition=given.edition)
            part = [s for s in read if not s.fault and s.target]
        else:
            part = set_aside(pipeline, given.data)
        wrong: dict[str, list[bool]] = defaultdict(list)
        for sample, got in zip(part, pipeline.predict(part), strict=True):
            # an answer that the network cannot give is an error, too
            wrong[sample.data.task].append(folded(got["answer"]) != folded(sample.target))
        errors = {number(t): 100 * sum(w) / len(w) for t, w in wrong.items() if number(t)}
        if not errors:
            raise SystemExit(f"{model}: no question belongs to a task of bAbI")
        names |= {number(t): t.replace("_", " ", 1) for t in wrong if number(t)}
        columns[pipeline.name] = errors
        mean, failed = summed(errors)
        rows += [
            row(f"{pipeline.name}, mean error over {len(errors)} tasks", mean / 100, ""),
            row(f"tasks failed by {pipeline.name}", failed, "tasks"),
        ]
        details[pipeline.name] = {
            "n": len(part), "by_task": {number(t): len(w) for t, w in wrong.items()},
            "error_percent": {t: round(e, 3) for t, e in sorted(errors.items())},
        }  # fmt: skip
    published = {
        f"{name} (published)": dict(enumerate(figures, start=1)) for name, figures in ERRORS.items()
    }
    show(columns | published, names)
    return report("babi", rows, on=given.test or "validation parts", presets=details)


if __name__ == "__main__":
    sys.exit(main())
