"""What the command line offers for genomes: presets, options, verbs of the domain's own, examples."""

from __future__ import annotations

from deepfield.domains.genomics.verbs import score
from deepfield.domains.genomics.windows import KINDS
from deepfield.toolkit.data import Option
from deepfield.toolkit.verbs import Verb

#: Transcription factors that have a network of their own.
FACTORS = (
    "arid3a", "ctcfl", "elk1", "foxa1", "gabpa", "myc", "rest", "sp1", "usf1", "zbtb7a",
)  # fmt: skip
#: The prebuilt networks.
PRESETS = (
    "splice_donor_human", "splice_acceptor_human", "splice_uci", "promoter_ecoli",
    "promoter_bsubtilis", "promoter_mouse", "promoter_arabidopsis",
    *(f"tf_{factor}" for factor in FACTORS), "spliceai",
)  # fmt: skip

_LEARNING = ("train", "finetune", "inspect")
_READING = (*_LEARNING, "evaluate", "predict", "explain")

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("sequence", "column of the sequences", _READING, reader=True),
    Option("label", "column of the classes", (*_LEARNING, "evaluate"), reader=True),
    Option("group", "column whose values never straddle two parts",
           (*_LEARNING, "evaluate"), reader=True),
    Option("part", "column that names train, valid or test", _LEARNING, reader=True),
    Option("negatives", "FASTA of sequences that are none, or `shuffle`: each one's letters in "
           "another order, with the same neighbours", (*_LEARNING, "evaluate"), reader=True),
    Option("genome", "FASTA from which the intervals of a BED file are read, or variants",
           (*_READING, "score"), reader=True),
    Option("kind", "what is judged: the base in the middle, the stretch as it lies, or what is in "
           "it on either strand", _LEARNING, choices=KINDS),
    Option("length", "letters of a window; what most sequences have without", _LEARNING, int),
    Option("members", "networks that answer together", _LEARNING, int),
    Option("strand", "which strands of a contig are looked at", ("predict",),
           choices=("both", "+", "-")),
    Option("step", "bases from one window of a long sequence to the next", ("predict",), int),
    Option("threshold", "probability from which a place in a contig is told of", ("predict",),
           float),
)  # fmt: skip

#: Verbs of the domain's own.
VERBS: dict[str, Verb] = {
    "score": Verb(
        "What the variants of a VCF change.", "VCF", shared=("model", "output"), run=score,
    ),
}  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {}
