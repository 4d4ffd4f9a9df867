"""What every benchmark does the same: run whole processes, and say what came out.

A benchmark prints one JSON object on standard output and the same in words on standard error:
`{"benchmark", "rows": [{"what", "value", "unit", "bar", "ok"}], "details", "machine", "date"}`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results.json"
PROGRAM = [sys.executable, "-m", "deepfield.cli"]
#: The installed script, as people start it; the module where it is not installed.
_SCRIPT = Path(sys.executable).with_name("deepfield")
if _SCRIPT.is_file():
    PROGRAM = [str(_SCRIPT)]


@dataclass
class Process:
    """A process that has ended."""

    seconds: float
    code: int
    peak_mb: float
    stdout: str
    stderr: str


def run(
    command: Sequence[str | Path], cwd: str | Path | None = None, ok: Sequence[int] = (0,)
) -> Process:
    """Run a whole process, timed from outside, with its own peak of memory."""
    began = time.perf_counter()
    with (
        subprocess.Popen(
            [str(c) for c in command], cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as child
    ):  # fmt: skip
        # Our programs say little on standard error, so reading one after the other cannot block.
        stdout = child.stdout.read() if child.stdout else ""
        stderr = child.stderr.read() if child.stderr else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = code = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    unit = 1 / (1 << 20) if sys.platform == "darwin" else 1 / 1024
    if code not in ok:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {code}:\n{stderr[-2000:]}")
    return Process(seconds, code, usage.ru_maxrss * unit, stdout, stderr)


def deepfield(*arguments: str | Path, **settings: Any) -> Process:
    """Run the program itself."""
    return run([*PROGRAM, *arguments], **settings)


def last_json(text: str) -> dict[str, Any]:
    """The JSON object on the last line of a command's output."""
    return json.loads(text.strip().splitlines()[-1])


def row(what: str, value: float, unit: str, bar: str = "") -> dict[str, Any]:
    """One measured figure; `bar` is `"<= 1.5"` or `">= 5"`."""
    ok = None
    if bar:
        sign, limit = bar.split()
        ok = value <= float(limit) if sign == "<=" else value >= float(limit)
    return {"what": what, "value": value, "unit": unit, "bar": bar, "ok": ok}


def machine() -> dict[str, Any]:
    """Where it was measured, without naming the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(), "processor": platform.machine(), "cores": cores,
        "python": platform.python_version(), "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def recorded(benchmark: str) -> dict[str, Any]:
    """The details of what earlier runs of a benchmark measured."""
    kept = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    return kept.get(benchmark, {}).get("details", {})


def report(name: str, rows: Sequence[dict[str, Any]], **details: Any) -> int:
    """Print the figures; 1 if one of them misses its bar."""
    result = {
        "benchmark": name, "rows": list(rows), "details": details, "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip
    print(json.dumps(result))
    for r in rows:
        verdict = "" if r["ok"] is None else ("  ok" if r["ok"] else "  MISSED")
        bar = f"  (bar {r['bar']})" if r["bar"] else ""
        print(f"{r['what']}: {r['value']:.4g} {r['unit']}{bar}{verdict}", file=sys.stderr)
    return 1 if any(r["ok"] is False for r in rows) else 0
