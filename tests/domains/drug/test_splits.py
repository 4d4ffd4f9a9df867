"""Splits that keep scaffolds and clusters together."""

import numpy as np
import pytest
from rdkit import Chem

from deepfield.domains.drug.splits import SPLITS, scaffold_of
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.splits import Split

RINGS = ["c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccc2ccccc2c1", "C1CCNCC1", "c1ccsc1"]
TAILS = ["C", "CC", "CCC", "OC", "NC", "ClC", "BrC", "FC", "OCC", "NCC"]
SMILES = [tail + ring for ring in RINGS for tail in TAILS] + ["CCO", "CCN", "not one", "CCCC"]
SAMPLES = [Sample(str(i), smiles, {"y": float(i)}) for i, smiles in enumerate(SMILES)]


def scaffolds(indices):
    mols = (Chem.MolFromSmiles(SMILES[i]) for i in indices if SMILES[i] != "not one")
    return {scaffold_of(mol) for mol in mols}


@pytest.mark.parametrize("kind", ["scaffold", "scaffold_balanced"])
def test_no_scaffold_straddles_two_parts(kind):
    dealt = Split(kind, (0.6, 0.2, 0.2), 3).deal(SAMPLES, SPLITS)
    parts = [scaffolds(dealt[part]) for part in ("train", "valid", "test")]
    assert all(parts) and not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert sorted(i for part in dealt.values() for i in part) == list(range(len(SAMPLES)))


def test_rare_scaffolds_are_tested_on_by_scaffold_alone():
    samples = SAMPLES + [Sample(f"b{i}", "C" * i + "c1ccccc1", {"y": 1.0}) for i in range(4, 40)]
    dealt = Split("scaffold", (0.8, 0.1, 0.1), 0).deal(samples, SPLITS)
    assert 0 in dealt["train"] and set(range(64, 100)) <= set(dealt["train"])


def test_no_two_parts_hold_molecules_of_one_cluster():
    dealt = Split("cluster", (0.7, 0.15, 0.15), 1).deal(SAMPLES, SPLITS)
    keys = np.array(SPLITS["cluster"](SAMPLES).keys, dtype=object)
    parts = [set(keys[list(dealt[part])]) for part in ("train", "valid", "test")]
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert len(set(keys)) < len(SAMPLES)


def test_too_many_molecules_for_clusters_are_told(monkeypatch):
    monkeypatch.setattr("deepfield.domains.drug.splits._MOST_CLUSTERED", 10)
    with pytest.raises(UsageError, match="64 molecules are too many"):
        SPLITS["cluster"](SAMPLES)
