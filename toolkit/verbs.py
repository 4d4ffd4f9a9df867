"""The command line as data: every verb and every flag, in one place.

The program, its help and the tests are all made from these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the command line.

    Args:
        help: one line.
        argument: what the help calls its argument; in brackets if it may be left out, empty if
            there is none.
        several: whether the argument may be given several times.
        shared: shared flags that a domain's own verb takes, by name (those for all verbs come by
            themselves).
        run: of a domain's own verb: `(pipeline class, load, argument, flags) -> exit code`.
    """

    help: str
    argument: str = ""
    several: bool = False
    shared: tuple[str, ...] = ()
    run: Callable[..., int] | None = None


#: Verbs that every domain has; `toolkit.commands` holds what they do.
VERBS: dict[str, Verb] = {
    "inspect": Verb(
        "What DATA holds: classes, sizes, duplicates, leakage, rejects, training time.", "DATA"
    ),
    "train": Verb("Train a network on DATA and write it as a bundle.", "DATA"),
    "finetune": Verb("Adapt a trained network to the classes of DATA.", "DATA"),
    "evaluate": Verb("Measure a network on labelled DATA.", "DATA"),
    "predict": Verb("Answer for every sample of DATA.", "DATA", several=True),
    "explain": Verb("Show why the network says so, for one sample.", "SAMPLE"),
    "export": Verb("Write a network as ONNX or LiteRT, and measure that it agrees."),
    "describe": Verb(
        "The layers of an architecture or a bundle, with parameters and connections.", "[NAME]"
    ),
}

#: Verbs above the domains.
PROGRAM_VERBS: dict[str, str] = {
    "demo": "Run every domain on inputs that ship with it; a table and an HTML report.",
    "doctor": "What is installed, and whether every preset answers here as it should.",
    "models": "The prebuilt networks: list, show, check.",
}

_LEARN = ("train", "finetune")
_ALL = tuple(VERBS)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that means the same in every verb of every domain.

    Args:
        name: without dashes; underscores for the dashes inside.
        help: one line.
        verbs: which verbs take it.
        type: of the value; `bool` is a flag without one.
        default: value when it is not given.
        short: one letter.
        choices: allowed values.
        repeat: may be given several times.
        metavar: what the help calls the value.
        least: of a number.
    """

    name: str
    help: str
    verbs: tuple[str, ...]
    type: type = str
    default: object = None
    short: str = ""
    choices: tuple[str, ...] = ()
    repeat: bool = False
    metavar: str = ""
    least: float | None = None


FLAGS: tuple[Flag, ...] = (
    Flag("model", "preset or bundle; the domain's first preset without it",
         ("evaluate", "predict", "explain", "export"), short="m", metavar="MODEL"),
    Flag("output", "where to write; '-' is standard output",
         (*_LEARN, "evaluate", "predict", "explain", "export"), short="o", metavar="PATH"),
    Flag("architecture", "which network to build", ("train", "inspect"), short="a",
         metavar="NAME"),
    Flag("from", "preset or bundle to start from; A,B: from the mean of their weights",
         ("finetune",), metavar="MODEL"),
    Flag("json", "machine-readable output, one object a line",
         ("inspect", *_LEARN, "evaluate", "predict", "explain", "export", "describe"), bool,
         False),
    Flag("format", "of the output, if its suffix does not say", ("evaluate", "predict"),
         choices=("csv", "tsv", "jsonl", "parquet")),
    Flag("html", "also write a report with plots", ("evaluate",), metavar="FILE"),
    Flag("on_error", "what becomes of a row that cannot be answered", ("predict",),
         default="null", choices=("null", "skip", "fail")),
    Flag("batch_size", "samples the network sees at once",
         (*_LEARN, "evaluate", "predict"), int, metavar="N", least=1),
    Flag("split", "KIND:TRAIN/VALID/TEST, as group:80/10/10",
         (*_LEARN, "inspect"), metavar="SPLIT"),
    Flag("save_split", "write the data with their part: train, valid, test", _LEARN,
         metavar="FILE"),
    Flag("folds", "cross-validate: K networks, rows out of fold written to the output",
         ("train",), int, metavar="K", least=2),
    Flag("epochs", "passes over the training part", (*_LEARN, "inspect"), int, metavar="N",
         least=1),
    Flag("set", "NAME=VALUE of the network's or of the training's settings",
         (*_LEARN, "inspect"), repeat=True, metavar="NAME=VALUE"),
    Flag("seed", "of everything that is random", (*_LEARN, "inspect"), int, 0, metavar="N",
         least=0),
    Flag("resume", "go on with an interrupted run", (*_LEARN, "predict"), bool, False),
    Flag("device", "cpu, gpu, or several as gpu:0,gpu:1", (*_LEARN, "evaluate", "predict"),
         metavar="NAME"),
    Flag("precision", "of training", _LEARN,
         choices=("float32", "mixed_float16", "mixed_bfloat16")),
    Flag("machines", "train on several: HOST:PORT,INDEX,COUNT (Keras on JAX)", ("train",),
         metavar="SPEC"),
    Flag("checkpoint_minutes", "how often a checkpoint is written inside an epoch", _LEARN,
         float, 5.0, metavar="MIN", least=0.0),
    Flag("no_timing", "do not time training steps", ("inspect",), bool, False),
    Flag("all", "also layers without parameters", ("describe",), bool, False),
    Flag("config", "TOML file with values for these flags; the command line wins", _ALL,
         metavar="FILE"),
    Flag("quiet", "say nothing but errors", _ALL, bool, False, short="q"),
    Flag("verbose", "say more", _ALL, bool, False, short="v"),
    Flag("debug", "show where an error came from", _ALL, bool, False),
)  # fmt: skip


def flags_of(verb: str, shared: Sequence[str] = ()) -> list[Flag]:
    """The shared flags of a verb; for a domain's own verb those it names and those of all."""
    return [f for f in FLAGS if verb in f.verbs or f.name in shared or f.verbs is _ALL]
