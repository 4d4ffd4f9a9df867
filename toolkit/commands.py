"""What the verbs do. Each takes a domain's pipeline class and its flags, and returns an exit code.

Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from deepfield.toolkit import backends, tables
from deepfield.toolkit import console as console_module
from deepfield.toolkit.console import Console
from deepfield.toolkit.data import BATCH, read_source
from deepfield.toolkit.errors import (
    REJECTED,
    BadInput,
    DeepfieldError,
    NotFound,
    UsageError,
    called,
    commonest,
    names_for,
)
from deepfield.toolkit.naming import prefixed
from deepfield.toolkit.paths import is_there
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.writers import (
    RowWriter,
    escaped,
    format_of,
    in_samples,
    refuse_input,
    write_whole,
)

#: Loads a model by name or folder, for a domain: `domains.load`, handed in by the program.
Load = Callable[..., Pipeline]


class Flags(dict[str, Any]):
    """The values of a command's flags, as attributes; None where a flag was not given."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def options_of(cls: type[Pipeline], verb: str, flags: Flags, reader: bool) -> dict[str, Any]:
    """The given values of the domain's own options, for the reader or for the pipeline."""
    names = [o.name for o in cls.options if verb in o.verbs and o.reader == reader]
    return {n: flags[n] for n in names if _given(flags.get(n))}


def _given(value: Any) -> bool:
    """Whether a flag was given: 0 is a value too."""
    return not (value is None or value is False or value == ())


def settings_of(flags: Flags) -> dict[str, Any]:
    """`--set` and the flags that are settings of training, checked for form."""
    settings: dict[str, Any] = {}
    for pair in flags.get("set") or ():
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r} is not NAME=VALUE", "for example --set dropout=0.5")
        try:
            settings[name.strip()] = json.loads(text)
        except ValueError:
            settings[name.strip()] = {"True": True, "False": False}.get(text, text)
    for name in ("epochs", "precision", "batch_size"):
        if flags.get(name) is not None:
            settings[name] = flags[name]
    return settings


def emit(thing: Mapping[str, Any]) -> None:
    """One JSON object on a line of standard output."""
    text = json.dumps(thing, ensure_ascii=False, default=_plain)
    sys.stdout.write(escaped(text).decode() + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def command_line(cls: type[Pipeline], verb: str, argument: str, flags: Flags, **extra: Any) -> str:
    """The command that would do this again, for the record."""
    parts = ["deepfield", cls.domain, verb, argument]
    quiet = {"quiet", "verbose", "debug", "resume", "json", "config", "device", "save_split"}
    for name, value in flags.items():
        if name in quiet or not _given(value):
            continue
        flag = "--" + name.replace("_", "-")
        values = value if isinstance(value, tuple) else (value,)
        for one in values:
            parts += [flag] if one is True else [flag, str(one)]
    return shlex.join(parts)


# ------------------------------------------------------------------------------------- learning


def inspect(cls: type[Pipeline], load: Load, data: str, flags: Flags) -> int:
    """Report what a data set holds."""
    from deepfield.toolkit.inspection import inspect as look

    console_module.silence_tensorflow()
    pipeline = cls(flags.architecture, **options_of(cls, "inspect", flags, reader=False))
    result = look(
        pipeline, data, flags.split, flags.seed, options_of(cls, "inspect", flags, reader=True),
        timed=not flags.no_timing, settings=settings_of(flags),
    )  # fmt: skip
    if flags.json:
        emit(result)
    else:
        sys.stdout.write("\n".join(tables.contents(result)) + "\n")
    return REJECTED if result["rejected"] else 0


def train(cls: type[Pipeline], load: Load, data: str, flags: Flags) -> int:
    """Train and write a bundle, or cross-validate."""
    if not flags.output or flags.output == "-":
        raise UsageError("train needs a name for the model", "add -o NAME")
    if flags.machines:
        others = [n for n in ("resume", "folds", "device") if flags.get(n)]
        together = backends.parse_machines(flags.machines, others)
    backends.backend(data)
    console_module.silence_tensorflow(learning=True)
    console = console_of(flags)
    options = options_of(cls, "train", flags, reader=False)
    shared = _learning(cls, "train", data, flags, console)
    if flags.folds:
        from deepfield.toolkit.folds import cross_validate

        result = cross_validate(
            lambda: cls(flags.architecture, **options), data, flags.folds, flags.output,
            format_of(flags.output, None), shared,
        )  # fmt: skip
        emit(result) if flags.json else _lines(tables.figures_of_evaluation(result))
        return REJECTED if result["rejected"] else 0
    pipeline = cls(flags.architecture, **options)
    if flags.machines:
        from deepfield.toolkit.machines import several_machines

        with console_module.stdout_away(), several_machines(*together):
            pipeline.fit(data, out=flags.output, **shared)
        return 0 if together[1] else _finish(cls, "train", data, flags)
    fitted = pipeline.fit(data, out=flags.output, **shared)
    if fitted.bundle is None:
        return _finish(cls, "train", data, flags)
    return _trained(fitted, flags, console)


def finetune(cls: type[Pipeline], load: Load, data: str, flags: Flags) -> int:
    """Adapt a trained network and write a new bundle."""
    if not flags.output or flags.output == "-":
        raise UsageError("finetune needs a name for the model", "add -o NAME")
    _known(cls, "finetune", flags, data)
    names = _preset_or(cls, flags.get("from")).split(",")
    if not all(name.strip() for name in names):
        raise UsageError("--from names nothing between its commas", "give A or A,B")
    backends.backend(data)
    base, *others = (load(name, cls.domain) for name in names)
    console_module.silence_tensorflow(learning=True)
    console = console_of(flags)
    base.settings.update(options_of(cls, "finetune", flags, reader=False))
    learning = _learning(cls, "finetune", data, flags, console)
    _, fitted = base.finetune(data, out=flags.output, others=others, **learning)
    if fitted.bundle is None:
        return _finish(cls, "finetune", data, flags)
    return _trained(fitted, flags, console)


def _learning(
    cls: type[Pipeline], verb: str, data: str, flags: Flags, console: Console
) -> dict[str, Any]:
    return {
        "settings": settings_of(flags), "split": flags.split, "seed": flags.seed,
        "resume": bool(flags.resume), "device": flags.device, "say": console.say,
        "progress": console.training(), "command": command_line(cls, verb, data, flags),
        "reader_options": options_of(cls, verb, flags, reader=True),
        "checkpoint_minutes": flags.checkpoint_minutes,
    }  # fmt: skip


def _finish(cls: type[Pipeline], verb: str, data: str, flags: Flags) -> int:
    """Make the bundle of what was learnt without TensorFlow."""
    again = Flags({k: v for k, v in flags.items() if k not in ("machines", "resume")})
    command = shlex.split(command_line(cls, verb, data, again))[1:]
    told = [f"--{n}" for n in ("json", "quiet", "verbose", "debug") if flags.get(n)]
    return backends.finish([*command, *told])


def _trained(fitted: Any, flags: Flags, console: Console) -> int:
    if flags.get("save_split"):
        writer = RowWriter(flags.save_split, format_of(flags.save_split, None))
        rows = fitted.parts.rows()
        writer.write(rows, len(rows))
        writer.finish()
    if flags.json:
        emit({
            "model": flags.output, "rejected": len(fitted.parts.rejected),
            "seconds": fitted.seconds, "metrics": fitted.metrics, "intervals": fitted.intervals,
            "baseline": fitted.baseline, "verdict": fitted.verdict,
        })  # fmt: skip
    else:
        _lines(tables.figures_of_training(fitted.metrics, fitted.baseline))
    console.say(f"wrote {flags.output} in {fitted.seconds:.0f} s")
    return 0


def _lines(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def console_of(flags: Flags) -> Console:
    """Where the talk goes, as much of it as was asked for."""
    return Console(bool(flags.quiet), verbose=bool(flags.verbose))


def asked(cls: type[Pipeline], load: Load, verb: str, flags: Flags) -> Any:
    """The network that a verb asks, set as the domain's own options say."""
    pipeline = load(_preset_or(cls, flags.model), cls.domain, flags.device or "cpu")
    pipeline.settings.update(options_of(cls, verb, flags, reader=False))
    return pipeline


def tell(row: Mapping[str, Any], lines: Iterable[str], flags: Flags) -> None:
    """Print a row of `predict`: as JSON, or its answer in lines for a person, with what is in
    doubt; lines are not asked for where there is no answer.
    """
    if flags.json:
        emit(row)
    elif row["status"] != "ok":
        _lines([f"not answered: {row['reason']}"])
    else:
        doubted = row["in_domain"] is False
        _lines(chain(lines, [f"    in doubt: {row['in_domain_reason']}"] if doubted else ()))


def _preset_or(cls: type[Pipeline], name: str | None) -> str:
    """The model that is named, or the domain's first preset."""
    if name is None:
        if not cls.presets:
            raise NotFound(
                f"{cls.domain} has no prebuilt network yet", "--model MODEL; `train` one"
            )
        return cls.presets[0]
    if not name.strip():
        raise UsageError("--model names nothing", f"the first preset is {cls.presets[0]}")
    return name


# ------------------------------------------------------------------------------------ answering


def evaluate(cls: type[Pipeline], load: Load, data: str, flags: Flags) -> int:
    """Measure a network on labelled data."""
    from deepfield.toolkit import evaluation

    if flags.json and flags.output == "-":
        raise UsageError(
            "--json and --output - would both go to standard output", "name a file for the rows"
        )
    if flags.format and not flags.output:
        raise UsageError("--format is of the rows, and there are none", "add -o FILE")
    form = format_of(flags.output, flags.format) if flags.output else ""
    if flags.html and Path(flags.html).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"cannot write a report into {flags.html!r}", "end the name in .html")
    _known(cls, "evaluate", flags, data)
    pipeline = asked(cls, load, "evaluate", flags)
    console = console_of(flags)
    rows: list[dict[str, Any]] = []
    evaluated = evaluation.evaluate_fully(
        pipeline, data, batch_size=flags.batch_size or BATCH,
        reader_options=options_of(cls, "evaluate", flags, reader=True),
        row=rows.append if flags.output else None,
    )  # fmt: skip
    result = evaluated.result
    fault = result.pop("commonest_fault")
    if flags.output:
        writer = RowWriter(flags.output, form)
        try:
            writer.write(rows, len(rows))
            writer.finish()
        finally:
            writer.close()
    if flags.html:
        console_module.keep_out_of_home()
        write_whole(flags.html, evaluation.report(pipeline, evaluated).html().encode())
        console.say(f"wrote {flags.html}")
    if flags.json:
        emit(result)
    elif flags.output != "-":
        _lines(tables.figures_of_evaluation(result))
    else:
        for line in tables.figures_of_evaluation(result):
            console.say(line)
    console.say(f"{result['n']:,} answered in {result['seconds']:.1f} s")
    if result["rejected"]:
        console.say(f"{result['rejected']:,} rejected ({fault})")
        return REJECTED
    return 0


def _known(cls: type[Pipeline], verb: str, flags: Flags, *data: str) -> None:
    """Tell a wrong name at once: an adopted network may first be converted for half a minute."""
    for source in data:
        read_source(source, cls.readers, cls.samples, **options_of(cls, verb, flags, reader=True))


def predict(cls: type[Pipeline], load: Load, data: tuple[str, ...], flags: Flags) -> int:
    """Answer for every sample, one row each, in order."""
    console = console_of(flags)
    output = "-" if flags.output is None else flags.output
    if flags.json and flags.format not in (None, "jsonl"):
        raise UsageError(f"--json and --format {flags.format}", "leave one of them away")
    form = format_of(output, "jsonl" if flags.json else flags.format)
    _known(cls, "predict", flags, *data)
    pipeline = asked(cls, load, "predict", flags)
    reader_options = options_of(cls, "predict", flags, reader=True)
    several = prefixed if len(data) > 1 else lambda source, found: found
    samples = (
        s for source in data for s in several(source, pipeline.read(source, **reader_options))
    )
    first = next(samples, None)
    if first is None:
        raise UsageError(f"{called(data[0])} is empty", "name something that holds samples")
    identity = {
        "data": list(data), "model": _identity(pipeline), "options": reader_options,
        "settings": options_of(cls, "predict", flags, reader=False),
        "on_error": flags.on_error, "format": form,
    }  # fmt: skip
    writer = RowWriter(output, form, identity, resume=bool(flags.resume))
    began, rejected = time.monotonic(), Counter[str]()
    start, before = writer.samples, writer.rejected
    rest = _after(first, samples, start)
    together, pipeline.resumed = flags.batch_size or BATCH, start > 0
    pairs = pipeline.answers(console.track(rest, cls.domain), together)
    try:
        for done, count in in_samples(pairs, 2 * together):
            rows, faulty = [], 0
            for item, answer in done:
                if item.fault is not None:
                    rejected[item.fault] += 1
                    faulty += 1
                    console.detail(f"rejected {item.sample.id}: {item.fault}")
                    if flags.on_error == "fail":
                        raise BadInput(f"{item.sample.id}: {item.fault}")
                    if flags.on_error == "skip":
                        continue
                rows.append(pipeline.row(item, answer))
            writer.write(rows, count, faulty)
        writer.finish()
    except (BadInput, UsageError):  # the same command would end here again
        writer.discard()
        raise
    finally:
        writer.close()
    seconds = time.monotonic() - began
    number = writer.samples - start
    line = f"{number:,} sample{'s' * (number != 1)} in {seconds:.1f} s"
    if number >= 100:
        line += f" ({number / max(seconds, 1e-9):,.0f}/s)"
    console.say(line + (f", wrote {output}" if output != "-" else ""))
    if writer.left_out:
        names = ", ".join(sorted(map(str, writer.left_out))[:5])
        console.say(f"columns that only later rows have are left out: {names} (JSONL keeps them)")
    if start:
        console.say(f"after {start:,} of an earlier run, {before:,} rejected among them")
    if rejected:
        console.say(f"{rejected.total():,} rejected ({commonest(rejected)})")
    return REJECTED if writer.rejected else 0


def _after(first: Any, samples: Iterator[Any], start: int) -> Iterator[Any]:
    if start == 0:
        yield first
        yield from samples
    else:
        yield from islice(samples, start - 1, None)


def _identity(pipeline: Pipeline) -> str:
    bundle = pipeline.bundle
    return "" if bundle is None else bundle.files[f"{pipeline.members[0]}.onnx"]["sha256"]


def explain(cls: type[Pipeline], load: Load, sample: str, flags: Flags) -> int:
    """Show why the network says so: lines or JSON, and a PNG or HTML file."""
    output = flags.output or cls.explanation_file
    suffix = Path(output or "").suffix.lower()
    if output and suffix not in cls.explanation_forms:
        forms = " or ".join(cls.explanation_forms)
        raise UsageError(f"cannot explain into {output!r}", f"end the name in {forms}")
    refuse_input(output or "-", sample)
    _known(cls, "explain", flags, sample)
    pipeline = asked(cls, load, "explain", flags)
    console_module.silence_tensorflow()
    options = options_of(cls, "explain", flags, reader=True)
    samples = iter(pipeline.read(sample, **options))
    one = next(samples, None)
    if one is None or one.fault is not None:
        raise NotFound(f"no sample in {sample!r}: {one.fault if one else 'empty'}", "name another")
    try:
        explanation = pipeline.explain_several(chain([one], samples))
    except BadInput as error:
        raise DeepfieldError(f"{one.id}: {error.reason}", "name another sample") from None
    if output:
        console_module.keep_out_of_home()
        made = explanation.report().html if suffix == ".html" else getattr(explanation, suffix[1:])
        content = made()
        write_whole(output, content.encode() if isinstance(content, str) else content)
    if flags.json:
        emit(explanation.facts())
    else:
        _lines(explanation.lines())
    if cls.explain_several is Pipeline.explain_several and next(samples, None):
        console_of(flags).say(f"of several samples the first: {one.id}")
    if output:
        console_of(flags).say(f"wrote {output}")
    return 0


# ------------------------------------------------------------------------------------- networks


def export(cls: type[Pipeline], load: Load, flags: Flags) -> int:
    """Write a network in another form and measure its agreement with Keras."""
    if not flags.output:
        raise UsageError("export needs a file to write", "add -o NAME.onnx or -o NAME.tflite")
    pipeline = asked(cls, load, "export", flags)
    console_module.silence_tensorflow()
    from deepfield.toolkit.exporting import export_files

    results = export_files(pipeline, flags.output)
    for result in results:
        if flags.json:
            emit(result)
        else:
            _lines(tables.aligned(result.items()))
    return 0


def describe(cls: type[Pipeline], load: Load, name: str | None, flags: Flags) -> int:
    """Print the layers of an architecture or of a bundle."""
    console_module.silence_tensorflow()
    from deepfield.toolkit.structure import layer_table

    if name is None:
        others = ", ".join(n for n in cls.builders().names() if n != cls.default_architecture)
        console_of(flags).say(
            f"{cls.default_architecture}, the default. Others: {others}; a preset; "
            "the folder of a trained model"
        )
    try:
        model = cls.described(cls.default_architecture if name is None else name, load)
    except NotFound as error:
        if name is None or (name and is_there(name)):
            raise
        raise _undescribed(cls, name) from error
    table = layer_table(model, all=bool(flags.all))
    if flags.json:
        emit(table)
        return 0
    rows = [
        (r["name"], r["type"], "x".join(map(str, r["output_shape"] or ())), r["parameters"],
         r["connections"])
        for r in table["layers"]
    ]  # fmt: skip
    total = table["total"]
    heads = ("layer", "type", "output", "parameters", "connections")
    rows = [heads, *rows, ("total", "", "", total["parameters"], total["connections"])]
    _lines(tables.aligned(rows, left=3))
    return 0


def _undescribed(cls: type[Pipeline], name: str) -> NotFound:
    known = [*cls.builders().names(), *cls.presets]
    return NotFound(
        f"no architecture, preset or model's folder is called {name!r}",
        names_for(name, known),
    )


#: The function of every shared verb.
RUN: dict[str, Callable[..., int]] = {
    "inspect": inspect, "train": train, "finetune": finetune, "evaluate": evaluate,
    "predict": predict, "explain": explain, "export": export, "describe": describe,
}  # fmt: skip
