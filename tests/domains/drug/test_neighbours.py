import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from deepfield.domains.drug.features import compared, features
from deepfield.domains.drug.neighbours import Neighbours, environments_hash, unordered
from deepfield.toolkit.splits import fingerprint

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CN(C)C(=N)NC(=N)N", "OC(=O)C(O)(CC(=O)O)CC(=O)O", "C[C@H](N)C(=O)O", "CCO",
]  # fmt: skip
MOLS = [Chem.MolFromSmiles(smiles) for smiles in DRUGS]


def test_the_nearest_is_rdkits_nearest():
    known = Neighbours(np.stack([compared(mol)["environments"] for mol in MOLS]), DRUGS)
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024, includeChirality=True)
    prints = [morgan.GetFingerprint(mol) for mol in MOLS]
    for smiles in ("CC(=O)Oc1ccccc1", "CC(N)C(=O)O", "c1ccncc1"):
        mol = Chem.MolFromSmiles(smiles)
        similarity, place = known.nearest(compared(mol)["environments"][None])
        expected = DataStructs.BulkTanimotoSimilarity(morgan.GetFingerprint(mol), prints)
        assert similarity[0] == pytest.approx(max(expected)) and expected[place[0]] == max(expected)


@pytest.mark.parametrize("mol", MOLS, ids=DRUGS)
def test_a_molecule_is_the_same_in_whatever_order_its_atoms_are_written(mol):
    wanted = ("graph", "compared")
    own = fingerprint(unordered(features(mol, wanted)))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
        text = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        again = features(Chem.MolFromSmiles(text), wanted)
        assert fingerprint(unordered(again)) == own, text


def test_other_molecules_are_other_molecules():
    prints = {fingerprint(unordered(features(mol, ("graph", "compared")))) for mol in MOLS}
    assert len(prints) == len(MOLS)
    pair = [Chem.MolFromSmiles(s) for s in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")]
    left, right = (fingerprint(unordered(features(mol, ("graph",)))) for mol in pair)
    assert left != right


def test_hashes_are_close_for_like_molecules():
    def differing(a, b):
        x, y = (environments_hash(compared(Chem.MolFromSmiles(s))["environments"]) for s in (a, b))
        return (x ^ y).bit_count()

    assert differing("CCCCCCCCCCCCCCCC", "CCCCCCCCCCCCCCCCC") <= 3
    assert differing(DRUGS[0], DRUGS[0]) == 0
    assert differing(DRUGS[0], DRUGS[1]) > 10
