"""Collect what was measured and write the tables of README.md and docs/results.md.

Figures come from `build/bench/*.json` (made by `make bench`), which are kept in
`benchmarks/results.json`, and from the config.json of the shipped presets. Nothing is typed in:
what has no figure says "not measured yet".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bars import BARS, Figures, part_of, percent
from measuring import RECORD, ROOT

from deepfield.domains import domain
from deepfield.toolkit import cards

NEW = ROOT / "build" / "bench"
MISSING = "not measured yet"


def collect() -> dict[str, Any]:
    """Kept figures, with new ones in the place of old ones."""
    kept = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for file in sorted(NEW.glob("*.json")):
        text = file.read_text().strip()
        if text:
            result = json.loads(text.splitlines()[-1])
            kept[result["benchmark"]] = result
    if kept:
        RECORD.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return kept


def presets() -> dict[str, dict[str, Any]]:
    """The configs of the shipped presets, by `domain/name`."""
    found = {}
    for file in sorted(ROOT.glob("domains/*/presets/*/config.json")):
        config = json.loads(file.read_text())
        config["megabytes"] = sum(p.stat().st_size for p in file.parent.iterdir()) / 1e6
        found[f"{config['domain']}/{file.parent.name}"] = config
    return found


def bars_table(bench: Figures, shipped: Figures, full: bool) -> str:
    heads = ["what", "bar", "measured", *(["protocol", "command"] if full else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for what, bar, sign, limit, find, protocol, command in BARS:
        found = find(bench, shipped)
        measured = MISSING
        if found is not None:
            shown, value = found
            met = value <= limit if sign == "<=" else value >= limit
            measured = shown if met else f"{shown}, **missed**"
        cells = [what, bar, measured, *([protocol, f"`{command}`"] if full else [])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def presets_table(shipped: Figures) -> str:
    heads = (
        "preset", "task", "parameters", "MB", "data", "licence", "figure (95 % interval)",
        "baseline", "ECE before", "ECE",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, config in shipped.items():
        part = part_of(config)
        figures = (config.get("metrics") or {}).get(part, {})
        baseline = (config.get("baseline") or {}).get(part, {})
        data = config.get("data") or {}
        cells = [
            f"`{name}`", domain(config["domain"]).task_class(config["task"]).name,
            f"{config['parameters']:,}", f"{config['megabytes']:.1f}",
            Path(str(data.get("source", ""))).name + f", {part} {figures.get('n', 0):,}",
            config.get("data_licence") or "–",
            _figure(figures) + _ends(config), _figure(baseline),
            _small(figures.get("ece_uncalibrated")), _small(figures.get("ece")),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) if shipped else f"No preset is shipped yet: {MISSING}."


def _figure(figures: Figures) -> str:
    """The one figure that says most."""
    if (wrong := figures.get("wer")) is not None:
        return f"{percent(wrong)} of words wrong"
    if (accuracy := figures.get("accuracy")) is not None:
        return percent(accuracy)
    for metric, name in (("roc_auc", "ROC-AUC"), ("rmse", "RMSE")):
        if (value := figures.get(metric)) is not None:
            return f"{name} {value:.3f}"
    return "–"


def _ends(config: Figures) -> str:
    """The interval of that figure, in brackets, where there is one on record."""
    found = cards.headline(config)
    if not found.get("interval"):
        return ""
    share = found["metric"] in ("wer", "accuracy")
    ends = (f"{100 * end:.2f}" if share else f"{end:.3f}" for end in found["interval"])
    return f" ({' to '.join(ends)})"


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def conditions(bench: Figures) -> str:
    lines = []
    for name, result in sorted(bench.items()):
        m = result["machine"]
        lines.append(
            f"- `{name}`: {result['date']}, {m['system']} {m['processor']}, {m['cores']} cores, "
            f"Python {m['python']}, load {m['load']}"
        )
    return "\n".join(lines) or MISSING


def between(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    page = path.read_text()
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, found, rest = page.partition(start)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{path.name} has no {start} … {end}")
    path.write_text(f"{head}{start}\n{text}\n{end}{tail}")


def main() -> int:
    bench, shipped = collect(), presets()
    between(ROOT / "README.md", "results", bars_table(bench, shipped, full=False))
    page = ROOT / "docs" / "results.md"
    between(page, "results", bars_table(bench, shipped, full=True))
    between(page, "presets", presets_table(shipped))
    between(page, "conditions", conditions(bench))
    print(f"{len(bench)} benchmarks, {len(shipped)} presets: README.md, docs/results.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
