"""What a model card says of a network for molecules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepfield.toolkit.errors import listed

if TYPE_CHECKING:
    from deepfield.domains.drug.pipeline import DrugPipeline


def card_text(pipeline: DrugPipeline, config: Mapping[str, Any]) -> str:
    """What the network takes and answers."""
    task: Any = pipeline.task
    named = listed(task.names)
    takes = (
        f"{len(pipeline.state['descriptors']):,} descriptors of a molecule"
        if "descriptors" in pipeline.state
        else "a molecule, as SMILES or from an SD file; salts and charges as they are written"
        if pipeline.state.get("standardise", "none") == "none"
        else f"a molecule, standardised first ({pipeline.state['standardise']})"
    )
    few = getattr(pipeline.calibrator, "doubt", "")
    kinds = [
        word
        for word, there in (
            ("calibrated probabilities, with the interval in which its members differ",
             any(task.binary)),
            ("values, of too few validation molecules for intervals" if few else
             "values with intervals that hold nine in ten validation molecules",
             not all(task.binary)),
        )
        if there
    ]  # fmt: skip
    near = (
        " `similarity` is the Tanimoto similarity (ECFP4, 1,024 bits) to the nearest of "
        f"{len(pipeline.state['references']):,} training molecules that are kept, which `nearest` "
        "names; `in_domain` is false where it is less than for 99 % of the validation "
        "molecules."
        if pipeline.tables
        else ""
    )
    return (
        f"Takes {takes}, and answers with {' and '.join(kinds)}: {named}.{near} For research: "
        "no figure here replaces a measurement, least of all where `in_domain` is false."
    )
