"""What the verbs print for a person: short aligned tables of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_MOST_CLASSES = 20
#: Groups of a table for a terminal.
_MOST_GROUPS = 100


def aligned(rows: Iterable[Sequence[Any]], left: int = 1) -> Iterator[str]:
    """Rows of cells as lines; the first `left` columns to the left, the others to the right.

    Example:
        >>> list(aligned([("name", "n"), ("train", 1438)]))
        ['name       n', 'train  1,438']
    """
    shown = [[show(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def show(value: Any) -> str:
    """A cell: four decimals, thousands, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.1e}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figures_of_training(
    metrics: Mapping[str, Mapping[str, Any]], baseline: Mapping[str, Any]
) -> Iterator[str]:
    """A line a figure, a column a part, the baseline beside the network."""
    columns: dict[str, Mapping[str, Any]] = {}
    for part, own in metrics.items():
        columns[part] = own
        if isinstance(baseline.get(part), Mapping):
            columns[f"{part}, {baseline.get('kind', 'baseline')}"] = baseline[part]
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    if names:
        rows = [[name, *(column.get(name, "") for column in columns.values())] for name in names]
        yield from aligned([["", *columns], *rows])


def figures_of_evaluation(result: Mapping[str, Any]) -> Iterator[str]:
    """A line a metric: its value, its interval, and what the baseline reached in training."""
    baseline = result["baseline"]
    part = next((p for p in ("test", "valid") if isinstance(baseline.get(p), Mapping)), "")
    known = {name: ends for name, ends in result["intervals"].items() if ends[0] is not None}
    head = ["", "value"]
    if known:
        head.append("95 % interval")
    if part:
        head.append(f"{baseline.get('kind', 'baseline')}, {part} part")
    rows: list[list[Any]] = [head]
    for name, value in result["metrics"].items():
        row = [name, value]
        if known:
            row.append("{:.4f} to {:.4f}".format(*known[name]) if name in known else "")
        if part:
            row.append(baseline[part].get(name, ""))
        rows.append(row)
    yield from aligned(rows)
    if result["by"] != "class" and len(result["groups"]) > 1:
        yield ""
        head, *groups = groups_of_evaluation(result)
        yield from aligned([head, *groups[:_MOST_GROUPS]])
        if len(groups) > _MOST_GROUPS:
            yield f"and {len(groups) - _MOST_GROUPS:,} more: --html or --json has them"
    for where, rows in published_of_evaluation(result).items():
        yield from ("", f"published {where}")
        yield from aligned(rows)


def groups_of_evaluation(result: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of cells: a heading, a row a group, and what others report beside our figures."""
    groups = result["groups"]
    published = {whom: theirs for whom, theirs in result["published"].items() if theirs["groups"]}
    # a figure that no group has (one class, too few samples) needs no column
    figures = list(
        dict.fromkeys(n for own in groups.values() for n, value in own.items() if value is not None)
    )
    beside = [  # which figure of whom
        (whom, name)
        for whom, theirs in published.items()
        for name in next(iter(theirs["groups"].values()))
    ]
    rows = [["", *figures, *(f"{name}, {whom}" for whom, name in beside)]]
    for group, own in groups.items():
        others = (published[whom]["groups"].get(group, {}).get(name, "") for whom, name in beside)
        rows.append([group, *(own.get(name, "") for name in figures), *others])
    if published:
        # sums stand in the columns of the figures that they sum up
        compared = {name for _, name in beside}
        for sum_ in dict.fromkeys(s for theirs in published.values() for s in theirs["metrics"]):
            ours = (result["metrics"].get(sum_, "") if f in compared else "" for f in figures)
            theirs = (published[whom]["metrics"].get(sum_, "") for whom, _ in beside)
            rows.append([sum_, *ours, *theirs])
    return rows


def published_of_evaluation(result: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """What others report of all the data: by what it is on, rows of cells with ours at the head."""
    found: dict[str, list[list[Any]]] = {}
    for whom, theirs in result["published"].items():
        if theirs["groups"]:
            continue
        names = list(theirs["metrics"])
        ours = [result["metrics"].get(name) for name in names]
        rows = found.setdefault(theirs["on"], [["", *names], [result["model"], *ours]])
        rows.append([whom, *theirs["metrics"].values()])
    return found


def contents(found: Mapping[str, Any]) -> Iterator[str]:
    """What `inspect` found, most important first."""
    facts: list[tuple[str, str]] = []
    labelled = found["n"] - found["rejected"] - found["unlabelled"]
    facts.append(("samples", f"{found['n']:,}, {labelled:,} of them labelled"))
    facts.append(("columns", ", ".join(map(str, found["columns"]))))
    facts.append(("sizes", "; ".join(f"{n:,} {s}" for s, n in found["shapes"].items())))
    if found.get("parts"):
        facts.append(("split", ", ".join(f"{n:,} {part}" for part, n in found["parts"].items())))
    if found.get("undealt"):
        facts.append(("split", f"none: {found['undealt']}"))
    if found.get("problem"):
        facts.append(("labels", found["problem"]))
    facts.append(("rejected", _count(found["rejected"])))
    for name in ("duplicates", "near_duplicates", "contradicting_labels"):
        facts.append((name.replace("_", " "), _count(found[name]["count"])))
    for kind, pairs in found.get("leakage", {}).items():
        facts.append((f"{kind} copies across parts", _count(pairs["count"])))
    timing = found.get("training")
    if timing:
        facts.append(("training", timing.get("problem") or _timing(timing)))
    width = max(len(name) for name, _ in facts)
    yield from (f"{name:<{width}}  {value}".rstrip() for name, value in facts)
    yield from _targets(found["targets"])
    yield from _examples(found)


def _count(count: int) -> str:
    return f"{count:,}" if count else "none"


def _timing(timing: Mapping[str, Any]) -> str:
    minutes = timing["minutes"]
    whole = f"about {minutes:g} minutes" if minutes >= 1 else "less than a minute"
    epoch = f"{timing['epochs']} epochs of {timing['seconds_per_epoch']:g} s"
    return f"{timing['architecture']}: {whole} ({epoch})"


def _targets(targets: Mapping[str, Any]) -> Iterator[str]:
    if not targets:
        return
    if not all(isinstance(n, int) for n in targets.values()):
        yield "target    " + ", ".join(f"{name} {show(n)}" for name, n in targets.items())
        return
    yield ""
    items = list(targets.items())
    rows = [("label", "samples"), *items[:_MOST_CLASSES]]
    yield from aligned(rows)
    if len(items) > _MOST_CLASSES:
        least, count = min(items[_MOST_CLASSES:], key=lambda pair: pair[1])
        yield f"and {len(items) - _MOST_CLASSES:,} more, down to {least} with {count:,}"


def _examples(found: Mapping[str, Any]) -> Iterator[str]:
    if found["rejects"]:
        yield from ("", "rejected")
        yield from (f"  {one['id']}: {one['reason']}" for one in found["rejects"])
        yield from _more(found["rejected"], len(found["rejects"]))
    leaks = {f"{kind} copies across parts": p for kind, p in found.get("leakage", {}).items()}
    names = ("contradicting_labels", "duplicates", "near_duplicates")
    for name, pairs in {**{n.replace("_", " "): found[n] for n in names}, **leaks}.items():
        if pairs["count"]:
            yield from ("", name)
            yield from (f"  {'  '.join(map(str, group))}" for group in pairs["examples"])
            yield from _more(pairs["count"], len(pairs["examples"]))


def _more(count: int, shown: int) -> Iterator[str]:
    if count > shown:
        yield f"  and {count - shown:,} more"
