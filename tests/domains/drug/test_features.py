"""Molecule to arrays."""

import time

import numpy as np
import pytest
from rdkit import Chem

from deepfield.domains.drug import features
from deepfield.domains.drug.features import ATOM_CODES, ATOM_SIZES, BOND_CODES, BOND_SIZES, graph
from deepfield.domains.drug.molecules import molecule

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@H](N)/C=C/c1ccccc1",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "[Na+].[O-]S(=O)(=O)c1ccc2[nH]ccc2c1",
    "C1CC2CCC1CC2",
    "[Pt](Cl)(Cl)(N)N",
    "C",
    "FC(F)(F)[S@](=O)c1ccccc1",
]


def values(codes, sizes):
    """Codes as values of their properties."""
    starts = np.cumsum([1, *sizes.values()])[:-1]
    return dict(zip(sizes, (codes - starts).T, strict=True))


def by_asking(mol):
    """The properties of every atom as RDKit's own methods have them."""
    rings = mol.GetRingInfo()
    for atom in mol.GetAtoms():
        size = rings.MinAtomRingSize(atom.GetIdx())
        yield {
            "neighbours": min(atom.GetTotalDegree(), 7),
            "charge": atom.GetFormalCharge() + 2,
            "hydrogens": min(atom.GetTotalNumHs(), 5),
            "aromatic": int(atom.GetIsAromatic()),
            "ring": min(size, 9) - 2 if size else 0,
            "stereo": {"R": 1, "S": 2}.get(atom.GetPropsAsDict().get("_CIPCode"), 0),
        }


@pytest.mark.parametrize("smiles", DRUGS)
def test_atoms_are_what_rdkit_says_of_them(smiles):
    mol = molecule(smiles)
    found = values(graph(mol)["atoms"], ATOM_SIZES)
    for index, wanted in enumerate(by_asking(mol)):
        assert {name: found[name][index] for name in wanted} == wanted
    elements = [atom.GetSymbol() for atom in mol.GetAtoms()]
    same = np.array(elements)[:, None] == elements
    np.testing.assert_array_equal(found["element"][:, None] == found["element"], same)


@pytest.mark.parametrize("smiles", DRUGS)
def test_bonds_are_what_rdkit_says_of_them(smiles):
    mol = molecule(smiles)
    arrays = graph(mol)
    if not mol.GetNumBonds():
        assert (arrays["ends"] == -1).all() and not arrays["bonds"].any()
        return
    found = values(arrays["bonds"], BOND_SIZES)
    assert len(arrays["ends"]) == mol.GetNumBonds()
    for index, (begin, end) in enumerate(arrays["ends"].tolist()):
        bond = mol.GetBondBetweenAtoms(begin, end)
        order = {"SINGLE": 0, "DOUBLE": 1, "TRIPLE": 2, "AROMATIC": 3}.get(
            bond.GetBondType().name, 4
        )
        assert found["order"][index] == order
        size = mol.GetRingInfo().MinBondRingSize(bond.GetIdx())
        assert found["ring"][index] == (min(size, 9) - 2 if size else 0)
        stereo = {"STEREOZ": 1, "STEREOE": 2}.get(bond.GetStereo().name, 0)
        assert found["stereo"][index] == stereo


@pytest.mark.parametrize("smiles", DRUGS)
def test_codes_stay_inside_their_tables(smiles):
    arrays = graph(molecule(smiles))
    assert arrays["atoms"].min() > 0 and arrays["atoms"].max() < ATOM_CODES
    assert arrays["bonds"].max() < BOND_CODES
    assert all(array.dtype == np.int32 for array in arrays.values())


def test_mirror_images_differ_and_numbering_does_not_matter():
    left, right = (np.sort(graph(molecule(f"C[{c}H](N)O"))["atoms"], axis=0) for c in ("C@", "C@@"))
    assert (left != right).any()
    mol = molecule(DRUGS[1])
    turned = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::-1])
    one, other = graph(mol), graph(turned)
    np.testing.assert_array_equal(one["atoms"][::-1], other["atoms"])
    np.testing.assert_array_equal(np.sort(one["bonds"], axis=0), np.sort(other["bonds"], axis=0))


def test_a_fingerprint_counts_what_occurs_twice():
    one, two = (features.fingerprint(molecule(s))["fingerprint"] for s in ("CCO", "CCO.CCO"))
    np.testing.assert_array_equal(two, 2 * one)


def test_descriptors_are_rdkits_and_0_where_there_is_none():
    from rdkit.Chem import Descriptors

    found = features.descriptors(molecule("CCO"))["descriptors"]
    place = features.descriptor_names().index("MolWt")
    assert found[place] == pytest.approx(Descriptors.MolWt(Chem.MolFromSmiles("CCO")))
    metal = features.descriptors(molecule("[Pt](Cl)(Cl)(N)N"))["descriptors"]
    assert np.isfinite(metal).all() and (metal != 0).sum() > 20


@pytest.mark.parametrize("atoms", [400, 1200])
def test_descriptors_of_the_largest_molecules_take_no_seconds(atoms):
    began = time.process_time()
    found = features.descriptors(molecule("C" * atoms))["descriptors"]
    assert time.process_time() - began < 3
    names = features.descriptor_names()
    assert found[names.index("Ipc")] == 0 < found[names.index("MolWt")]
    assert (found[names.index("BertzCT")] > 0) == (atoms <= 500)


def test_descriptors_of_usual_molecules_are_all_told():
    found = features.descriptors(molecule("C" * 100))["descriptors"]
    names = features.descriptor_names()
    told = [names.index(name) for name in ("Ipc", "BertzCT", "BCUT2D_MWHI", "MaxEStateIndex")]
    assert (found[told] > 0).all()


def test_only_what_is_wanted_is_computed():
    assert set(features.features(molecule("CCO"), ("graph", "fingerprint"))) == {
        "atoms", "bonds", "ends", "fingerprint",
    }  # fmt: skip
