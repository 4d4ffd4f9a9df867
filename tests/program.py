"""The program as a user types it, and a small bundle to type it with."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from deepfield import cli

_START = "import sys; from deepfield import _program; sys.exit(_program())"
_ROOT = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def two_lines(self) -> bool:
        """Whether standard error ends with an error and a hint, and standard output is empty."""
        lines = self.err.splitlines()[-2:]
        starts = [line.split(":")[0] for line in lines]
        return starts == ["error", "hint"] and not self.out and "Traceback" not in self.err


def here(*arguments: str) -> Run:
    """Run the program in this process."""
    raw, talk = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
        code = cli.main(list(arguments))
    return Run(code, raw.getvalue().decode(), talk.getvalue())


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT / ".dev"), **extra}


def start(*arguments: str, prefix: str = "", **settings) -> subprocess.Popen:
    """Start the program in a process of its own."""
    code = prefix + _START
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
    settings.setdefault("env", environment())
    return subprocess.Popen([sys.executable, "-c", code, *arguments], **settings)


def typed(*arguments: str, prefix: str = "", stdin: bytes | None = None, **settings) -> Run:
    """Run the program in a process of its own, to its end."""
    if stdin is not None:
        settings["stdin"] = subprocess.PIPE
    process = start(*arguments, prefix=prefix, **settings)
    out, err = process.communicate(stdin, timeout=240)
    return Run(process.returncode, out.decode("utf-8", "replace"), err.decode())


def loads(code: str) -> set[str]:
    """The modules that a process of its own has loaded when it has run some code."""
    told = "\nimport sys; print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code + told]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return {*done.stderr.splitlines()[-1].split()}


def once(folder: Path, make) -> Path:
    """A folder that one of several test processes makes, and the others wait for."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.with_suffix(".lock").mkdir()
    except FileExistsError:
        for _ in range(1200):
            if folder.with_suffix(".done").exists():
                return folder
            time.sleep(0.1)
        raise TimeoutError(f"nobody finished {folder}") from None
    make(folder)
    folder.with_suffix(".done").touch()
    return folder
