import json

import numpy as np
import pytest
from rdkit import Chem

from deepfield.domains.drug import DrugPipeline
from deepfield.domains.drug.explanation import explain, without_each_atom
from deepfield.domains.drug.features import FAMILY_SIZE, at_least, features, set_members
from deepfield.toolkit.data import Sample, collate
from deepfield.toolkit.errors import UsageError

SOLUBILITY = "measured log solubility in mols per litre"
WANTED = ("graph", "fingerprint", "sets", "compared")


@pytest.fixture(scope="module")
def shipped():
    """Networks of what is computed of a structure, and of how well it dissolves."""
    presets = {"dmpnn": "encoder", "fusion": "fusion_esol"}
    return {name: DrugPipeline.from_preset(preset) for name, preset in presets.items()}


def test_fragments_that_hold_no_atom_are_those_of_the_molecule():
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    whole = features(mol, WANTED)
    counts = [
        np.bincount([bit for bit, _ in own], minlength=FAMILY_SIZE) for own in set_members(mol)
    ]
    np.testing.assert_array_equal(at_least(np.stack(counts)).ravel(), whole["sets"])
    variants = list(without_each_atom(mol, whole))
    assert len(variants) == mol.GetNumAtoms()
    for gone, left in enumerate(variants):
        assert not left["atoms"][gone].any() and not (left["ends"] == gone).any()
        assert left["fingerprint"].sum() < whole["fingerprint"].sum()
        bits = np.unpackbits(left["sets"]).sum(), np.unpackbits(whole["sets"]).sum()
        assert bits[0] < bits[1]
        assert {k: v.shape for k, v in left.items()} == {k: v.shape for k, v in whole.items()}


@pytest.mark.parametrize(("architecture", "quantity"), [("dmpnn", "TPSA"), ("fusion", SOLUBILITY)])
def test_contributions_are_what_the_answer_falls_by(architecture, quantity, shipped):
    pipeline = shipped[architecture]
    found = explain(pipeline, Sample("octanol", "CCCCCCCCO"), quantity)
    assert found.contributions.shape == (9,) and found.quantity == quantity
    place = pipeline.task.names.index(quantity)
    mol = Chem.MolFromSmiles("CCCCCCCCO")
    arrays = features(mol, pipeline.wanted)
    asked = collate([arrays, list(without_each_atom(mol, arrays))[8]], pipeline.padding)
    values = pipeline.calibrated(pipeline.forward(asked))["prediction"][:, place, 0]
    fall = (values[0] - values[1]) * pipeline.task.state["scale"][place]
    assert found.contributions[8] == pytest.approx(fall, abs=1e-3 * abs(fall) + 1e-3)
    assert found.contributions[8] == found.contributions.max() > 0  # it is polar, and dissolves
    assert -4 < found.answer.get("value", -2.5) < -1


def test_a_quantity_that_the_network_does_not_know_is_said(shipped):
    with pytest.raises(UsageError, match=rf"says nothing of 'boiling'.*--quantity {SOLUBILITY}"):
        explain(shipped["fusion"], Sample("octanol", "CCCCCCCCO"), "boiling")


def test_it_is_drawn_listed_and_told(shipped):
    found = explain(shipped["fusion"], Sample("octanol", "CCCCCCCCO"))
    assert found.png().startswith(b"\x89PNG") and b"<svg" in found.svg()
    assert "O9" in "\n".join(found.lines())
    facts = json.loads(json.dumps(found.facts()))
    assert len(facts["atoms"]) == 9 and facts["smiles"] == "CCCCCCCCO"
    assert "octanol" in found.report().html()
