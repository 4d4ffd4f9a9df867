"""What a model card says of a network for DNA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepfield.domains.genomics.kmers import PLACED

if TYPE_CHECKING:
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

_JUDGED = {
    "site": "the base in its middle; of a longer sequence every base that has the letters of the "
    "site, on both strands",
    "window": "it as it lies: place and direction matter",
    "peak": "whether what it looks for is anywhere in it, on either strand",
}


def card_text(pipeline: GenomicsPipeline, config: Mapping[str, Any]) -> str:
    """What the network takes and answers."""
    labels = pipeline.task.state["labels"]
    yes_or_no = labels == ["0", "1"]
    answers = (
        "1 (this is what is looked for) or 0"
        if yes_or_no
        else f"one of {len(labels)} classes: {', '.join(labels)}"
    )
    site = "".join(pipeline.site.values())
    heard = (
        " A regression on words of up to four letters by their places has two fifths of the say, "
        "its networks the rest."
        if PLACED in pipeline.members
        else ""
    )
    needs = f" All training sequences have {site} there." if site else ""
    return (
        f"Takes {pipeline.length:,} letters of DNA (A, C, G, T, IUPAC's codes, N) and judges "
        f"{_JUDGED[pipeline.kind]}.{needs} Answers with {answers}.{heard} "
        "A shorter sequence is filled up with N, at most to twice its "
        "length, and is then told to be outside the domain. Probabilities are those of the "
        "training data, where the classes are about as frequent as below: in a whole genome sites "
        "are far rarer, so raise `--threshold`. `in_domain` is false where letters follow one "
        "another (a Markov chain of order 4) as in fewer than 1 % of the validation sequences. For "
        "research: no figure here replaces an experiment."
    )
