"""The card of a trained network: one page of facts for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfield.toolkit.pipeline import Pipeline


def card(pipeline: Pipeline, config: Mapping[str, Any]) -> str:
    """A model card in Markdown, from a bundle's configuration and the domain's own words."""
    return _card(pipeline.task.name, pipeline.card_text(config), config)


def early_card(task: str, facts: Mapping[str, Any], how: str) -> str:
    """The card of an adopted network that is not converted yet: what is known without its weights.

    Args:
        task: its name.
        facts: `presets.adopted_facts`, with `domain` and `name`.
        how: how to get the weights.
    """
    return _card(task, "", facts) + f"\n## Get it\n\n{how}\n"


def _card(task: str, text: str, config: Mapping[str, Any]) -> str:
    lines = [f"# {config['domain']}/{config['name']}", ""]
    if text:
        lines += [text.strip(), ""]
    data = config.get("data") or {}
    parameters = config.get("parameters")
    counts = ", ".join(f"{n:,} {part}" for part, n in data.get("counts", {}).items())
    facts = {
        "task": task,
        "architecture": config["architecture"],
        "parameters": None if parameters is None else f"{parameters:,}",
        "data": f"{data.get('source', '?')} ({counts})" if data else None,
        "data set": config.get("data_name"),
        "licence of the data": config.get("data_licence"),
        "weights from": config.get("weights_from"),
        "seed": config.get("seed"),
        "training": _seconds(config.get("training_seconds")),
        "machine": config.get("training_machine"),
        "fine-tuned from": config.get("finetuned_from") or None,
    }
    lines += ["| fact | |", "|---|---|"]
    lines += [f"| {k} | {v} |" for k, v in facts.items() if v not in (None, "")]
    lines += ["", "## Measured", "", *_figures(config), ""]
    if config.get("verdict"):
        lines += [f"Against the shallow baseline: {config['verdict']}.", ""]
    if config.get("command"):
        lines += ["## Make it again", "", "```", str(config["command"]), "```", ""]
    return "\n".join(lines)


def calibration(config: Mapping[str, Any]) -> str:
    """A sentence for the card of a network that answers with one of several classes."""
    if config.get("calibration"):
        return "Probabilities are calibrated by temperature on the validation part."
    return "Probabilities are the network's own, not calibrated."


def known_data(pipeline: Pipeline, source: str) -> dict[str, str]:
    """Name and licence of a public data set, by the last part of its source that is known.

    Of data that are made as they are read (`world:2000:1`) the first word counts.
    """
    parts = [part.removeprefix("tfds:") for part in reversed(Path(source).parts)]
    parts.append(source.partition(":")[0])
    known = (pipeline.known_data[part] for part in parts if part in pipeline.known_data)
    name, licence = next(known, ("", ""))
    return {"data_name": name, "data_licence": licence}


def headline(config: Mapping[str, Any]) -> dict[str, Any]:
    """The figure that a network is known by: `metric`, `value`, its `interval` (None where it has
    none), `part` and `n`. Empty where nothing was measured.
    """
    measured = config.get("metrics") or {}
    part = "test" if "test" in measured else next(iter(measured), "")
    figures = measured.get(part, {})
    metric = next((name for name in figures if name != "n"), "")
    if figures.get(metric) is None:
        return {}
    low, high = interval(config, part, metric)
    told = None if low is None or high is None else [low, high]
    return {
        "metric": metric, "value": figures[metric], "interval": told,
        "part": part, "n": figures.get("n"),
    }  # fmt: skip


def interval(config: Mapping[str, Any], part: str, metric: str) -> Sequence[float | None]:
    """Low and high of a recorded figure; None and None where there is no interval."""
    return (config.get("intervals") or {}).get(part, {}).get(metric) or (None, None)


def _figures(config: Mapping[str, Any]) -> list[str]:
    rows: dict[str, Mapping[str, Any]] = {
        f"network, {part}": figures for part, figures in (config.get("metrics") or {}).items()
    }
    for name, parts in (config.get("alone") or {}).items():
        rows |= {f"{name} alone, {part}": figures for part, figures in parts.items()}
    baseline = config.get("baseline") or {}
    for part, figures in baseline.items():
        if isinstance(figures, Mapping):
            rows[f"{baseline.get('kind', 'baseline')}, {part}"] = figures
    if not rows:
        return ["Nothing was measured."]
    names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
    table = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row, figures in rows.items():
        cells = (figures.get(name) for name in names)
        shown = ("" if c is None else f"{c:,}" if isinstance(c, int) else f"{c:.4g}" for c in cells)
        table.append(f"| {row} | " + " | ".join(shown) + " |")
    for part, metrics in (config.get("intervals") or {}).items():
        for metric, (low, high) in metrics.items():
            if low is not None:
                told = f"{low:.4g} to {high:.4g}"
                table += ["", f"95 % interval of the network's {metric}, {part}: {told}."]
    return table


def _seconds(seconds: Any) -> str | None:
    if not seconds:
        return None
    return f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} minutes"
