"""How long the default test suite takes, with two processes."""

from __future__ import annotations

import sys

from measuring import ROOT, report, row, run


def main() -> int:
    done = run([sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal"], cwd=ROOT)
    rows = [row("default test suite", done.seconds / 60, "min", "<= 10")]
    return report("suite", rows, said=done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
