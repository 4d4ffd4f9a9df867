"""Names that no network has seen: long simulated stories, all names invented, a seed of its own.

The stories have 60 sentences, twice the longest of `world:COUNT`, which the preset learns from;
each kind of question is told apart. One question a story, at its end, so that questions do not
depend on each other and Wilson's interval holds.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

from measuring import report, row

from deepfield.domains import load
from deepfield.domains.qa.world import simulate


def wilson(right: int, n: int, z: float = 1.96) -> list[float]:
    """Wilson's 95 % interval of a share."""
    p = right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return [round(middle - half, 5), round(middle + half, 5)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="story", help="a preset or a bundle")
    parser.add_argument("--stories", type=int, default=2_000)
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20_151_027)
    given = parser.parse_args()

    pipeline = load(given.model, "qa")
    tales = simulate(given.stories, given.seed, given.sentences, questions=1, names="invented")
    asked, answers = zip(*(pair for tale in tales for pair in tale.asked()), strict=True)
    right: dict[str, list[bool]] = defaultdict(list)
    rested, known = [], 0
    for one, answer, got in zip(asked, answers, pipeline.predict(asked), strict=True):
        right["all"].append(str(got["answer"]).casefold() == answer.casefold())
        right[one.task].append(right["all"][-1])
        rested.append(got["supporting"] == [one.sentences[i] for i in one.supporting])
        known += got["in_domain"] is not False
    shares = {kind: (sum(ok), len(ok)) for kind, ok in sorted(right.items())}
    every = shares.pop("all")
    low, high = wilson(*every)
    what = f"unseen names, stories of {given.sentences} sentences"
    rows = [
        row(f"{what}, accuracy", every[0] / every[1], ""),
        row(f"{what}, lower end of the 95 % interval", low, ""),
        row(f"{what}, upper end of the 95 % interval", high, ""),
        row(f"{what}, exactly the supporting sentences", sum(rested) / len(rested), ""),
        *(row(f"{what}, {kind}", ok / n, "") for kind, (ok, n) in shares.items()),
    ]
    return report(
        "unseen_names", rows, model=given.model, seed=given.seed, questions=every[1],
        stories=given.stories, with_slots_enough=known,
        intervals={kind: wilson(ok, n) for kind, (ok, n) in shares.items()},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
