"""Questions from bAbI's files to answers in a file, whole process; the first answer of `qa ask`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import chain, cycle
from pathlib import Path
from statistics import median

from measuring import deepfield, report, row

from deepfield.domains.qa.data import story_text
from deepfield.domains.qa.pipeline import QAPipeline


def write_tasks(source: str, edition: str | None, folder: Path, count: int) -> tuple[int, int]:
    """`count` questions of a source as files of bAbI's form, a task a file, in turns.

    Stories are written as far as their last question that is taken.

    Returns:
        Questions, and words of the longest story.
    """
    tasks: dict[str, list[list]] = {}
    last = None
    for sample in QAPipeline().read(source, edition=edition):
        if sample.fault is not None or sample.data is None:
            continue
        stories = tasks.setdefault(sample.data.task, [])
        if sample.group != last:
            stories.append([])
        last = sample.group
        stories[-1].append(sample)
    if not tasks:
        raise SystemExit(f"no question in {source!r}")
    taken: dict[str, list[list]] = {task: [] for task in tasks}
    left, waiting = count, {task: iter(stories) for task, stories in tasks.items()}
    for task in cycle(list(tasks)):
        if not left or not waiting:
            break
        story = next(waiting[task], None) if task in waiting else None
        if story is None:
            waiting.pop(task, None)
            continue
        taken[task].append(story[:left])
        left -= len(taken[task][-1])
    folder.mkdir()
    for task, stories in taken.items():
        lines = chain.from_iterable(map(numbered, stories))
        (folder / f"{task}_test.txt").write_text("".join(lines))
    longest = max(len(s[-1].data.sentences) for stories in taken.values() for s in stories)
    return count - left, longest


def numbered(story: list) -> list[str]:
    """The lines of one story in bAbI's form."""
    lines: list[str] = []
    told, places = 0, []
    for sample in story:
        for sentence in sample.data.sentences[told:]:
            lines.append(f"{len(lines) + 1} {sentence}\n")
            places.append(len(lines))
        told = len(sample.data.sentences)
        rests = " ".join(str(places[p]) for p in sample.data.supporting)
        question, answer = sample.data.question, sample.target
        lines.append(f"{len(lines) + 1} {question} \t{answer}\t{rests}\n")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", default="../shared/data/qa/babi/tasks_1-20_v1-2-train.tar.gz",
        help="bAbI's archive, or a folder of its files",
    )  # fmt: skip
    parser.add_argument("--edition", default="en")
    parser.add_argument("--model", default="babi_10k", help="a preset or a bundle")
    parser.add_argument("--asked", default="story", help="the preset or bundle that `ask` asks")
    parser.add_argument("--questions", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()

    def found(model: str) -> str | Path:
        return Path(model).resolve() if Path(model).is_dir() else model

    model, asked = found(given.model), found(given.asked)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        edition = given.edition or None
        count, longest = write_tasks(given.data, edition, work / "tasks", given.questions)
        (work / "story.txt").write_text(story_text("sample:lotr"))
        runs, peaks, asks = [], [], []
        for _ in range(given.turns):
            done = deepfield("qa", "predict", work / "tasks", "--model", model, "--quiet",
                             "-o", work / "out.csv", ok=(0, 3))  # fmt: skip
            runs.append(done.seconds)
            peaks.append(done.peak_mb)
        for _ in range(given.turns + 1):
            done = deepfield("qa", "ask", "--story", work / "story.txt", "--model", asked,
                             "Where is the ring?", cwd=work)  # fmt: skip
            asks.append(done.seconds)
    rows = [
        row("bAbI questions from files, answered", count / median(runs), "questions/s"),
        row(f"{count:,} bAbI questions, whole process", median(runs), "s"),
        row("bAbI questions, peak of memory", median(peaks), "MB"),
        row("cold `qa ask`", median(asks[1:]), "s", "<= 1.0"),
    ]
    return report("qa_speed", rows, model=str(given.model), questions=count,
                  longest_story=longest, predict=runs, ask=asks)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
