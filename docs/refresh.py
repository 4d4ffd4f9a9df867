"""Run every ```console block of README.md and docs/*.md and write its output into the page.

The blocks of a page run in order, in one empty folder that is new for every page; commands are the
lines after `$ `. Comments right before a block steer it:
`<!-- lines: N -->` cuts each output after N lines (12 without it), `<!-- refresh -->` says that the
output is old or missing (removed once the block has run).

`python docs/refresh.py` runs all pages, `python docs/refresh.py docs/image.md` some; `--check`
writes nothing.
A block whose command fails is left as it is, named, and the exit code is 1.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?P<notes>(?:<!--[^\n]*-->\n)*)```console\n(?P<body>.*?)```", re.DOTALL | re.MULTILINE
)
WIDEST, MOST_LINES, MOST_SECONDS = 150, 12, 600
GOOD = (0, 3)


def pages() -> list[Path]:
    """Every page that may hold blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(body: str) -> list[str]:
    """The commands of a block; a line that ends in a backslash goes on in the next."""
    found, lines = [], iter(body.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            found.append(command)
    return found


def execute(command: str, folder: Path) -> tuple[int, str]:
    """Run a command as a person would in this folder; its exit code and all it said."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, text=True, timeout=MOST_SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout


def shortened(output: str, most: int) -> str:
    """What fits on a page, without this machine's own paths."""
    for own, shown in ((str(ROOT), "."), (str(Path.home()), "~")):
        output = output.replace(own, shown)
    lines = [
        line if len(line) <= WIDEST else line[: WIDEST - 2] + " …" for line in output.splitlines()
    ]
    if len(lines) > most:
        lines = [*lines[:most], "…"]
    return "".join(line.rstrip() + "\n" for line in lines)


def refreshed(text: str, folder: Path, faults: list[str]) -> Iterator[str]:
    """The page, piece by piece, with new outputs; what failed is added to `faults`."""
    end = 0
    for block in BLOCK.finditer(text):
        yield text[end : block.start()]
        end = block.end()
        notes, body = block["notes"], ""
        limit = re.search(r"lines: (\d+)", notes)
        failed = False
        for command in commands(block["body"]):
            code, output = execute(command, folder)
            body += f"$ {command}\n" + shortened(output, int(limit[1]) if limit else MOST_LINES)
            if code not in GOOD:
                last = (output.strip().splitlines() or [""])[0]
                faults.append(f"{command}: exit code {code}: {last}")
                failed = True
        if failed:
            yield block[0]
        else:
            yield re.sub(r"<!-- refresh -->\n", "", notes) + f"```console\n{body}```"
    yield text[end:]


def run_page(page: Path, write: bool) -> list[str]:
    """Run a page's blocks; what failed."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(refreshed(page.read_text(), Path(folder), faults))
    if write:
        page.write_text(text)
    return faults


def main(arguments: list[str]) -> int:
    """Refresh the named pages, or all."""
    write = "--check" not in arguments
    named = [Path(a).resolve() for a in arguments if a != "--check"]
    failed = False
    for page in named or pages():
        for fault in run_page(page, write):
            failed = True
            print(f"{page.name}: {fault}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
