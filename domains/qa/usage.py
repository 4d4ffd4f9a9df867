"""What the command line offers for stories: options, verbs of the domain's own, examples."""

from __future__ import annotations

from deepfield.domains.qa.verbs import ask, write_stories
from deepfield.domains.qa.world import NAMES
from deepfield.toolkit.data import Option
from deepfield.toolkit.options import READING
from deepfield.toolkit.verbs import Verb

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("edition", "of several side by side: en-10k; en-10k,en,world:99 adds what it lacks",
           READING, reader=True),
    Option("question", "what to ask a plain text", ("predict", "explain"), repeat=True,
           reader=True),
    Option("story", "a plain text; '-' is standard input", ("ask",)),
    Option("count", "how many stories", ("simulate",), int, 100),
    Option("length", "sentences of a story: 12, or 4-30", ("simulate",), default="4-30"),
    Option("questions", "how many a story", ("simulate",), int, 5),
    Option("names", "of people, places and things", ("simulate",), default="mixed",
           choices=NAMES),
)  # fmt: skip

#: Verbs of the domain's own.
VERBS: dict[str, Verb] = {
    "ask": Verb(
        "Answer questions about a story; without one they are typed in.",
        "[QUESTION]", several=True, shared=("model", "json"), run=ask,
    ),
    "simulate": Verb(
        "Write stories of a simulated world in bAbI's form.",
        shared=("output", "seed"), run=write_stories,
    ),
}  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield qa inspect sample:babi --no-timing",
        "deepfield qa inspect world:200:1:usual",
    ),
    "train": (
        "deepfield qa train world:2000:1:invented -o mine --set slots=64 --set grounds=true",
        "deepfield qa train babi.tar.gz --edition en-10k,en -o tasks",
    ),
    "finetune": (
        "deepfield qa finetune stories.jsonl --from story -o mine",
        "deepfield qa finetune stories_train.txt --from story -o mine --epochs 5",
    ),
    "evaluate": (
        "deepfield qa evaluate sample:babi",
        "deepfield qa evaluate babi/en --model babi_1k --html tasks.html",
    ),
    "predict": (
        'deepfield qa predict sample:lotr --question "Where is the ring?"',
        "deepfield qa predict sample:babi -o answers.csv",
    ),
    "explain": (
        'deepfield qa explain sample:lotr --question "Where is the ring?"',
        'deepfield qa explain sample:lotr --question "Where is Bilbo now?" -o why.html',
    ),
    "export": (
        "deepfield qa export -o story.onnx",
        "deepfield qa export --model story -o story.tflite",
    ),
    "describe": ("deepfield qa describe", "deepfield qa describe memn2n --json"),
    "ask": (
        'deepfield qa ask --story sample:lotr "Where is the ring?"',
        "deepfield qa ask --story lotr.txt",
    ),
    "simulate": ("deepfield qa simulate --count 1000 -o stories_train.txt",),
}
