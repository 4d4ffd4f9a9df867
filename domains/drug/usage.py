"""What the command line offers for molecules: options, examples."""

from __future__ import annotations

from deepfield.domains.drug.molecules import STANDARDISERS
from deepfield.domains.drug.neighbours import MOST_REFERENCES
from deepfield.toolkit.data import Option
from deepfield.toolkit.options import LABELLED, LEARNING, READING, group, part

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("smiles", "column of the structures", READING, reader=True),
    Option("targets", "columns to learn: names by commas, or a pattern ('*')",
           LABELLED, repeat=True, reader=True),
    part(),
    group(),
    Option("time", "column of dates or numbers, for --split time", LEARNING, reader=True),
    Option("descriptors", "what the names of descriptors begin with, in tables without "
           "structures", (*LABELLED, "predict"), reader=True),
    Option("quantity", "which of several is explained; the first one without", ("explain",)),
    Option("no_neighbours", "do not look for the nearest training molecule: quicker, "
           "without `in_domain`",
           ("predict",), bool),
    Option("neighbours", "training molecules that are kept to compare with, at most"
           f" ({MOST_REFERENCES})", LEARNING, int),
    Option("standardise", "what is done to structures first", LEARNING,
           choices=tuple(STANDARDISERS)),
)  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield drug inspect sample:boiling --targets boiling_c --no-timing",
        "deepfield drug inspect sample:boiling --targets boiling_c --split scaffold",
    ),
    "train": (
        "deepfield drug train sample:boiling --targets boiling_c -o boiling",
        "deepfield drug train sample:boiling --targets boiling_c -o tiny --split cluster"
        " --architecture fingerprint_mlp",
    ),
    "predict": (
        'deepfield drug predict "CC(=O)Oc1ccccc1C(=O)O"',
        "deepfield drug predict sample:drugs -o answers.csv",
    ),
    "explain": (
        "deepfield drug explain sample:aspirin",
        "deepfield drug explain sample:aspirin -o why.png",
    ),
    "finetune": (
        "deepfield drug finetune sample:boiling --from encoder -o mine",
        "deepfield drug finetune mine.csv --targets pIC50 --from encoder -o mine --split scaffold",
    ),
    "evaluate": (
        "deepfield drug evaluate mine.csv --targets logS --model fusion_esol",
        "deepfield drug evaluate assays.csv --targets '*' --html assays.html",
    ),
    "export": (
        "deepfield drug export --model fusion_esol -o esol.onnx",
        "deepfield drug export -o tox21.onnx",
    ),
    "describe": ("deepfield drug describe dmpnn", "deepfield drug describe graph_attention"),
}
