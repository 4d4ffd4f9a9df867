"""What the command line offers for speech: options, verbs, examples."""

from __future__ import annotations

from deepfield.domains.speech.subtitles import FORMS
from deepfield.domains.speech.verbs import transcribe
from deepfield.toolkit.data import Option
from deepfield.toolkit.options import LABELLED, LEARNING, part, root
from deepfield.toolkit.verbs import Verb

_ANSWERING = ("evaluate", "predict", "explain", "transcribe")

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("text", "column with what was said", LABELLED, reader=True),
    Option("speaker", "column with who said it", LABELLED, reader=True),
    part(),
    root("transcribe"),
    Option("decoder", "how letters become words: a search with the language model, greedy, or the"
           " same search by flashlight-text (an extra)", _ANSWERING,
           choices=("search", "greedy", "flashlight")),
    Option("sentences", "text, a sentence a line: the language model of these instead (train: of"
           " these too)", (*LEARNING, *_ANSWERING)),
    Option("lexicon", "pronunciations, in the form of CMU's dictionary: sounds are learnt too",
           ("train", "finetune")),
    Option("recombined", "share of training recordings made of words of one speaker in any order"
           " (with --lexicon)", ("train", "finetune"), float),
    Option("voices", "language of espeak-ng, as en: its voices say half of what is learnt from, for"
           " speakers that nobody recorded", ("train", "finetune")),
    Option("variation", "how much recordings vary in training: 1 is usual, 0 not at all",
           ("train", "finetune"), float),
    Option("form", "may be given several times; txt without it", ("transcribe",),
           choices=tuple(FORMS), repeat=True, short="f"),
    Option("live", "print words as they are decided, with a network that can (digits)",
           ("transcribe",), bool),
)  # fmt: skip

#: Verbs of the domain's own.
VERBS: dict[str, Verb] = {
    "transcribe": Verb(
        "Write what recordings say: as text, JSON, subtitles or a table.", "RECORDING",
        several=True, shared=("model", "output", "json"), run=transcribe,
    ),
}  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield speech inspect sample:voices --no-timing",
        "deepfield speech inspect an4/transcripts.tsv",
    ),
    "train": (
        "deepfield speech train sample:voices -o mine --epochs 20",
        "deepfield speech train an4/transcripts.tsv -o mine -a quartznet_small",
    ),
    "finetune": (
        "deepfield speech finetune sample:voices --from an4 -o mine",
        "deepfield speech finetune my.tsv --from an4 -o mine --sentences more.txt",
        "deepfield speech finetune words/ --from english -o mine --voices en",
    ),
    "evaluate": (
        "deepfield speech evaluate fsdd --model digits",
        "deepfield speech evaluate an4/transcripts.tsv --decoder greedy --html words.html",
    ),
    "predict": (
        "deepfield speech predict sample:said",
        "deepfield speech predict recordings/ -o words.csv",
    ),
    "explain": (
        "deepfield speech explain sample:said",
        "deepfield speech explain clip.wav -o why.html",
    ),
    "export": (
        "deepfield speech export -o english.onnx",
        "deepfield speech export --model digits -o digits.tflite",
    ),
    "describe": ("deepfield speech describe quartznet_small", "deepfield speech describe tdnn"),
    "transcribe": (
        "deepfield speech transcribe sample:said",
        "deepfield speech transcribe *.wav -f srt -o subtitles",
        "deepfield speech transcribe talk.wav -o talk.srt",
    ),
}
