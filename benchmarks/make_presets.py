"""Name and run the commands of every shipped preset, as its config.json records them.

Several are joined by `&&`: the last one makes the preset, from what those before it made; one that
begins with `python` is a script of this repository, which is told where the data lie.

Run from the root of the repository. Records name training files as `data/...` (or
`form:data/...`): `--data` says where that folder lies here. `--list` only names the commands.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys

from measuring import PROGRAM, ROOT

RECORDED = re.compile(r"^(\w+:)?data/")


def commands(data: str, names: list[str]) -> list[tuple[str, list[str]]]:
    """Pairs of a preset and one of its commands, in their order: the program's without its name, of
    a script its path first.
    """
    found = []
    configs = sorted(ROOT.glob("domains/*/presets/*/config.json"))
    if unknown := sorted({*names} - {config.parent.name for config in configs}):
        raise SystemExit(f"no preset {unknown[0]!r} (bare names, without the domain)")
    for config in configs:
        folder = config.parent
        if names and folder.name not in names:
            continue
        recorded = json.loads(config.read_text())["command"].split(" && ")
        for line in recorded:
            words = [
                ",".join(RECORDED.sub(lambda found: f"{found[1] or ''}{data}/", n)
                         for n in word.split(","))
                for word in shlex.split(line)[1:]
            ]  # fmt: skip
            for flag in ("--output", "-o"):
                if flag in words and line is recorded[-1]:
                    words[words.index(flag) + 1] = str(folder.relative_to(ROOT))
            if line.startswith("python "):
                words += ["--data", data]
            found.append((f"{folder.parents[1].name}/{folder.name}", words))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*", help="presets; all without one")
    given = parser.parse_args()
    done: list[list[str]] = []
    for name, words in commands(given.data, given.names):
        if words in done:  # several presets begin from one network
            continue
        done.append(words)
        script = words[0].endswith(".py")
        print(f"# {name}\n{'python' if script else 'deepfield'} {shlex.join(words)}", flush=True)
        if not given.list:
            program = [sys.executable] if script else PROGRAM
            subprocess.run([*program, *words], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
