"""What other networks are reported to reach on bAbI, to stand beside ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Test error in percent by task, trained on 10,000 questions a task at a time: Henaff et al.,
#: "Tracking the world state with recurrent entity networks", ICLR 2017, table 2.
ERRORS: Mapping[str, tuple[float, ...]] = {
    "MemN2N": (0, 0.3, 2.1, 0, 0.8, 0.1, 2.0, 0.9, 0.3, 0, 0.0, 0, 0, 0.2, 0, 51.8, 18.6, 5.3,
               2.3, 0),
    "DMN+": (0, 0.3, 1.1, 0, 0.5, 0, 2.4, 0.0, 0.0, 0, 0.0, 0.2, 0, 0.2, 0, 45.3, 4.2, 2.1, 0.0,
             0),
    "EntNet": (0, 0.1, 4.1, 0, 0.3, 0.2, 0, 0.5, 0.1, 0.6, 0.3, 0, 1.3, 0, 0, 0.2, 0.5, 0.3, 2.3,
               0),
}  # fmt: skip


def number(task: str) -> int:
    """17 of qa17_positional-reasoning; 0 for what is none of bAbI's.

    Example:
        >>> number("qa17_positional-reasoning"), number("qa21_cooking"), number("minutes")
        (17, 0, 0)
    """
    found = re.match(r"qa(\d+)(_|$)", task.casefold())
    return int(found[1]) if found and 1 <= int(found[1]) <= 20 else 0


def figures(task: str) -> dict[str, dict[str, float]]:
    """The published errors in a task, as fractions; nothing for what is none of bAbI's.

    Example:
        >>> figures("qa17_positional-reasoning")["EntNet"]
        {'error': 0.005}
    """
    place = number(task)
    if not place:
        return {}
    return {name: {"error": round(own[place - 1] / 100, 6)} for name, own in ERRORS.items()}
