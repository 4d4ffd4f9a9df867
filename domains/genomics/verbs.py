"""The domain's own verb: `score`, what the variants of a VCF file change."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from deepfield.domains.genomics.annotation import Annotation
from deepfield.domains.genomics.comparing import Judge, PlainJudge, ResidualJudge
from deepfield.domains.genomics.genome import Genome
from deepfield.domains.genomics.variants import REASONS, Scorer, Settings, Tally
from deepfield.domains.genomics.vcf import VCFReader, VCFWriter, contig_lengths, with_header
from deepfield.domains.genomics.windows import at_sites, middle
from deepfield.toolkit.commands import asked, console_of
from deepfield.toolkit.data import shipped
from deepfield.toolkit.errors import REJECTED, BadInput, UsageError
from deepfield.toolkit.weights import weights_of

#: Letters on each side of a variant whose scores are looked at, unless told otherwise.
DISTANCE = 50
_MOST_DISTANCE = 4_999
#: Classes by which a network is known to judge splice sites as SpliceAI does.
_SPLICING = {"acceptor", "donor"}


def score(cls: Any, load: Any, variants: str | tuple[str, ...], flags: Any) -> int:
    """Score the variants of a VCF file, which is written again with the scores in it."""
    name = variants if isinstance(variants, str) else "".join(variants[:1])
    source = shipped(name, cls.samples)
    distance = DISTANCE if flags.distance is None else flags.distance
    if not 0 <= distance <= _MOST_DISTANCE:
        raise UsageError(f"--distance {distance}", f"0 to {_MOST_DISTANCE} letters")
    if not flags.genome:
        raise UsageError("no genome that the variants are of", "--genome FILE.fa")
    console = console_of(flags)
    reader = VCFReader(source)
    genome = Genome(shipped(flags.genome, cls.samples))
    if apart := _another_build(reader, genome):
        console.say(apart)
    genes = flags.annotation and shipped(flags.annotation, cls.samples)
    annotation = Annotation.read(genes) if genes else None
    if annotation and annotation.strandless:
        console.say(f"{_count(annotation.strandless, 'transcript')} of no strand left out: {genes}")
    pipeline = asked(cls, load, "score", flags)
    settings = settings_of(pipeline, distance, bool(flags.mask))
    if settings.splicing and annotation is None:
        raise UsageError(
            f"{pipeline.name} judges the letters of genes, and none are named",
            "--annotation FILE.gtf; or grch38, grch37 with deepfield[spliceai]",
        )
    if settings.mask and not settings.splicing:
        raise UsageError(f"--mask is of splice sites, which {pipeline.name} does not tell apart",
                         "leave --mask away")  # fmt: skip
    output = flags.output or "-"
    identity = {
        "data": source, "model": pipeline.bundle.files[f"{pipeline.members[0]}.onnx"]["sha256"],
        "genome": flags.genome, "annotation": flags.annotation, "distance": distance,
        "mask": settings.mask,
    }  # fmt: skip
    writer = VCFWriter(output, identity, resume=bool(flags.resume))
    scorer = Scorer(judge_of(pipeline), genome, annotation, settings)
    began, start = time.monotonic(), writer.samples
    try:
        if not writer.begun:
            writer.write_lines(with_header(reader.header, settings.described), 0)
        rows = islice(reader.rows(), start, None)
        pieces = _written(scorer.lines(rows), writer, scorer.tally)
        for _ in console.track(pieces, "variants"):
            pass
        writer.finish()
    finally:
        writer.close()
    for warning in reader.warnings:
        console.say(warning)
    for line in _summary(scorer.tally, time.monotonic() - began, output):
        console.say(line)
    return REJECTED if writer.rejected else 0


def _another_build(reader: VCFReader, genome: Genome) -> str:
    """Where header and genome disagree about the length of a contig; "" where nowhere."""
    for contig, told in contig_lengths(reader.header).items():
        with suppress(BadInput):  # the genome has it not; its rows will tell
            length = genome.lengths[genome.name_of(contig)]
            if length != told:
                return (
                    f"{contig} has {told:,} letters in the header of {reader.source!r}, and"
                    f" {length:,} in {genome.source!r}: a genome of another build?"
                )
    return ""


def _written(
    pieces: Iterator[tuple[list[bytes], int]], writer: VCFWriter, tally: Tally
) -> Iterator[bytes]:
    """Every line, once it is written."""
    before = writer.rejected  # of the run that is resumed
    for lines, count in pieces:
        writer.rejected = before + tally.faulty_rows
        writer.write_lines(lines, count)
        yield from lines


def _summary(tally: Tally, seconds: float, output: str) -> Iterator[str]:
    """What became of the rows, for the person."""
    rate = f" ({tally.scored / max(seconds, 1e-9):,.1f}/s)" if tally.scored >= 10 else ""
    wrote = "" if output == "-" else f", wrote {output}"
    rows, scored = _count(tally.rows, "row"), _count(tally.scored, "allele")
    yield f"{rows}, {scored} scored in {seconds:.1f} s{rate}{wrote}"
    if tally.no_gene:
        yield f"{_count(tally.no_gene, 'row')} in no gene: no score"
    if tally.no_alternative:
        yield f"{_count(tally.no_alternative, 'row')} without ALT: no score"
    for reason, times in tally.unscored.most_common():
        what = _count(times, "row" if reason == "malformed" else "allele")
        first = f", the first {tally.first[reason]}" if reason in tally.first else ""
        yield f"{what} without a score: {reason} ({REASONS[reason]}){first}"
    if tally.unscored["ref_mismatch"] > tally.scored:
        yield "most REF are not what the genome has there: a genome of another build?"
    if tally.replaced:
        yield f"older scores of {_count(tally.replaced, 'row')} were replaced"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


# ------------------------------------------------------------------------------------ the network


def settings_of(pipeline: Any, distance: int, mask: bool) -> Settings:
    """How a network's scores are told."""
    labels = tuple(pipeline.task.state["labels"])
    splicing = set(labels) >= _SPLICING and pipeline.kind == "site"
    name = re.sub(r"[^0-9A-Za-z_.]", "_", pipeline.name)
    key = "SpliceAI" if pipeline.name == "spliceai" else f"deepfield_{name}"
    return Settings(key, labels, distance, mask, splicing, pipeline.nothing)


def judge_of(pipeline: Any) -> Judge:
    """A network by whichever way it compares sequences soonest."""

    def told(chances: np.ndarray) -> np.ndarray:
        return _calibrated(pipeline, np.log(np.maximum(chances, 1e-30)))

    if pipeline.architecture == "splice_resnet" and pipeline.bundle is not None:
        context = pipeline.hyper.get("context", 400)
        weights = [weights_of(pipeline.bundle, name) for name in pipeline.members]
        return ResidualJudge(weights, context, told if pipeline.calibrator else None)

    def chances(bases: np.ndarray) -> np.ndarray:
        logits = pipeline.logits(bases)
        logits = logits if logits.ndim == 3 else logits[:, None]
        flat = _calibrated(pipeline, logits.reshape(-1, logits.shape[-1]))
        found = flat.reshape(logits.shape)
        if pipeline.site:  # where its letters are not, the network has learnt nothing
            start = middle(bases.shape[1] - found.shape[1] + 1)
            for own, letters in zip(found, bases, strict=True):
                there = at_sites(letters, pipeline.site)[start : start + len(own)]
                own[~there] = np.eye(own.shape[1])[pipeline.nothing]
        return found

    return PlainJudge(chances, pipeline.field, pipeline.kind != "site")


def _calibrated(pipeline: Any, logits: np.ndarray) -> np.ndarray:
    said: Callable[..., Any] = pipeline.calibrated
    return np.asarray(said({pipeline.task.output: logits})["prediction"])
