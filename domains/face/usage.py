"""What the command line offers for faces: options, verbs of the domain's own, examples."""

from __future__ import annotations

from deepfield.domains.face.features import CHOICES
from deepfield.domains.face.learning import OBJECTIVES
from deepfield.domains.face.verbs import embed, find, verify
from deepfield.toolkit.data import Option
from deepfield.toolkit.options import LEARNING, root
from deepfield.toolkit.verbs import Verb

_ANSWERING = ("evaluate", "predict", "explain", "verify", "find", "embed")

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    root("embed", "find"),
    Option("people", "learn the people in the pictures of a table of pairs, by their folders",
           LEARNING, bool, reader=True),
    Option("crop", "the pictures are faces already: no face is looked for",
           (*LEARNING, *_ANSWERING), bool),
    Option("face", "of several faces in a picture: the clearly largest, the largest, or none",
           (*LEARNING, *_ANSWERING), choices=tuple(CHOICES)),
    Option("fmr", "decide so that this share of different people is taken for the same",
           ("evaluate", "predict", "verify", "find"), float),
    Option("objective", "of training: an angular margin, plain classes, triplets or pairs",
           ("train", "finetune"), choices=tuple(OBJECTIVES)),
    Option("adapt", "what fine-tuning changes: a metric behind the network, or all of it",
           ("finetune",), choices=("metric", "all")),
    Option("gallery", "folder or table of pictures to search", ("find",)),
    Option("index", "file in which the faces of a gallery are kept", ("find", "embed")),
    Option("top", "how many faces are named", ("find",), int, 5),
    Option("forget", "take a person, or a picture, out of the index", ("embed",)),
)  # fmt: skip

#: Verbs of the domain's own.
VERBS: dict[str, Verb] = {
    "verify": Verb(
        "Are the faces in two pictures of the same person?", "PICTURE", several=True,
        shared=("model", "json"), run=verify,
    ),
    "find": Verb(
        "Who in a gallery is most like the face in a picture?", "PICTURE", several=True,
        shared=("model", "json"), run=find,
    ),
    "embed": Verb(
        "The vectors of faces, into a table or an index to search.", "[DATA]", several=True,
        shared=("model", "output", "format", "json"), run=embed,
    ),
}  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield face inspect sample:people --crop --no-timing",
        "deepfield face inspect lfw/pairsDevTrain.tsv --people",
    ),
    "train": (
        "deepfield face train sample:people --crop -o mine --epochs 5",
        "deepfield face train lfw/pairsDevTrain.tsv --people -o mine --epochs 80",
    ),
    "finetune": (
        "deepfield face finetune sample:people --crop --from dlib_resnet -o mine",
        "deepfield face finetune people/ --from small_face --adapt all -o mine",
    ),
    "evaluate": (
        "deepfield face evaluate sample:people --crop",
        "deepfield face evaluate lfw/pairsDevTest.tsv --fmr 1e-3 --html faces.html",
    ),
    "predict": (
        "deepfield face predict sample:pairs",
        "deepfield face predict pairs.tsv --root pictures -o answers.csv --fmr 1e-3",
    ),
    "explain": (
        "deepfield face explain sample:pairs",
        "deepfield face explain pairs.tsv -o why.html",
    ),
    "export": (
        "deepfield face export -o faces.onnx",
        "deepfield face export --model small_face -o small.tflite",
    ),
    "describe": ("deepfield face describe deepface", "deepfield face describe deepid"),
    "verify": (
        "deepfield face verify sample:grace_hopper sample:mirrored",
        "deepfield face verify a.jpg b.jpg --fmr 1e-4",
    ),
    "find": (
        "deepfield face find sample:person_3 --gallery sample:people --crop",
        "deepfield face find who.jpg --index people.index --top 10",
    ),
    "embed": (
        "deepfield face embed sample:people --crop -o vectors.parquet",
        "deepfield face embed --index people.index --forget 'Ada Lovelace'",
    ),
}
