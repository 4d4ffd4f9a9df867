"""What the command line offers for genomes: presets, options, verbs, examples."""

from __future__ import annotations

from deepfield.domains.genomics.verbs import DISTANCE, score
from deepfield.domains.genomics.windows import KINDS
from deepfield.toolkit.data import Option
from deepfield.toolkit.options import LABELLED, LEARNING, READING, group, label, part
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

#: Options of the domain's own.
OPTIONS: tuple[Option, ...] = (
    Option("sequence", "column of the sequences", READING, reader=True),
    label(),
    group(),
    part(),
    Option("negatives", "file of sequences that are none; or `shuffle`: the letters of each in "
           "another order, with the same neighbours", LABELLED, reader=True),
    Option("genome", "FASTA that intervals or variants are of", (*READING, "score"), reader=True),
    Option("width", "letters about the middle of each interval of a BED file", READING, int,
           reader=True, least=1),
    Option("kind", "what is judged: the base in the middle, the stretch as it lies, or what is in "
           "it on either strand", LEARNING, choices=KINDS),
    Option("length", "letters of a window; what most sequences have without", LEARNING, int,
           least=1),
    Option("members", "networks that answer together", ("train", "inspect"), int, least=1),
    Option("strand", "which strands of a contig are looked at", ("predict", "explain"),
           choices=("both", "+", "-")),
    Option("step", "bases from one window of a long sequence to the next", ("predict",), int,
           least=1),
    Option("threshold", "probability from which a place in a contig is told of, 0.5 without",
           ("predict",), float),
    Option("class", "which of the classes is explained", ("explain",)),
    Option("method", "every letter changed, or gradients times letters", ("explain",),
           choices=("ism", "gradient")),
    Option("position", "base of a contig that is explained, as `predict` counts", ("explain",),
           int, least=1),
    Option("motifs", "explain all sequences together: find so many motifs at most", ("explain",),
           int, least=1),
    Option("known", "motifs to compare them with, in MEME's format", ("explain",)),
    Option("annotation", "genes: GTF, GFF3 or SpliceAI's table; with deepfield[spliceai] also "
           "grch37 or grch38", ("score",)),
    Option("distance", "letters on each side of a variant that are looked at", ("score",), int,
           DISTANCE, least=0),
    Option("mask", "tell no gain of sites that are there, and no loss of others", ("score",), bool),
)  # fmt: skip

#: Verbs of the domain's own.
VERBS: dict[str, Verb] = {
    "score": Verb(
        "What the variants of a VCF change, written into it.", "VCF",
        shared=("model", "output", "resume"), run=score,
    ),
}  # fmt: skip

#: Commands by verb.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "deepfield genomics inspect sample:pairs --no-timing",
        "deepfield genomics inspect peaks.fa --negatives shuffle --split similarity",
    ),
    "train": (
        "deepfield genomics train sample:pairs -o mine --epochs 5",
        "deepfield genomics train peaks.bed --genome hg38.fa --negatives shuffle --kind peak"
        " -o mine",
    ),
    "finetune": (
        "deepfield genomics finetune sample:pairs --from tf_gabpa -o mine --epochs 3",
        "deepfield genomics finetune mine.tsv --from splice_donor_human -o mine",
    ),
    "evaluate": (
        "deepfield genomics evaluate sample:peaks --negatives shuffle --model tf_gabpa",
        "deepfield genomics evaluate donor.tsv.gz --html donor.html",
    ),
    "predict": (
        "deepfield genomics predict sample:sites",
        "deepfield genomics predict genome.fa.gz --threshold 0.99 -o sites.csv",
    ),
    "explain": (
        "deepfield genomics explain sample:sites -o why.png",
        "deepfield genomics explain peaks.fa --model tf_gabpa --motifs 5 -o why.html",
    ),
    "export": (
        "deepfield genomics export -o donor.onnx",
        "deepfield genomics export --model promoter_ecoli -o promoter.tflite",
    ),
    "describe": (
        "deepfield genomics describe motif_cnn",
        "deepfield genomics describe splice_donor_human",
    ),
    "score": (
        "deepfield genomics score sample:variants --genome sample:genome -o scored.vcf",
        "deepfield genomics score in.vcf.gz --genome hg38.fa --annotation genes.gtf -o out.vcf.gz"
        " --model spliceai",
    ),
}
