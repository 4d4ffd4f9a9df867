"""Text to molecule; what is wrong is said in chemical words."""

import pytest
from rdkit import Chem

from deepfield.domains.drug.features import FEATURES
from deepfield.domains.drug.molecules import MOST_ATOMS, STANDARDISERS, MolBlock, molecule
from deepfield.toolkit.errors import BadInput


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("C1CC", "ring 1 is opened and never closed in 'C1CC'"),
        ("C%12CC", "ring 12 is opened and never closed"),
        ("CN(C)(C)(C)C", r"atom 2 \(N\) has 5 bonds, more than it can have"),
        ("c1cccc1N", r"aromatic atoms 1, 2, 3, 4, 5 cannot be given double bonds .*\[nH\]"),
        ("c1" + "c" * 18 + "1", "atoms 1, 2, 3, 4, 5, 6, 7, 8 and 11 more cannot be given"),
        ("cC", "atom 1 is aromatic, but in no ring"),
        ("xyz", "^'x' at position 1 is no atom outside brackets in 'xyz'$"),
        ("C2H6O", "'H' at position 3 is no atom outside brackets"),
        ("CCé", "'é' at position 3 is no atom outside brackets"),
        ("CCO,ethanol", "',' at position 4 is no part of a SMILES in 'CCO,ethanol'"),
        ("C[Xx]C", r"no atom is written '\[Xx\]' in 'C\[Xx\]C'"),
        ("[O-]C[13C", r"a bracket '\[' is never closed"),
        ("C=C=", "the bond '=' at the end leads to no atom"),
        ("=CC", "'=' cannot stand at position 1"),
        ("C]", r"'\]' cannot stand at position 2"),
        ("CCO>>CC=O", "^a reaction, no SMILES, in 'CCO>>CC=O'$"),
        ("InChI=1S/CH4/h1H4", "an InChI, no SMILES"),
        ("QTBSBXVTEAMEQO-UHFFFAOYSA-N", "an InChIKey, no SMILES"),
        ("64-19-7", "a CAS number, no SMILES"),
        ("C(C", r"a branch '\(' is never closed"),
        ("CC)", r"a branch '\)' is closed that was never opened"),
        ("", "no structure"),
        (" \t", "no structure"),
        (None, "no structure"),
        (7, "no structure"),
        ("CCO\nCCC", "2 lines, as 'CCC': a structure is one"),
        ("C" * (MOST_ATOMS + 1), "4,001 atoms, the limit is 4,000"),
        (MolBlock("what\never\n\n  nothing\n"), "no mol block"),
        ("C" * 100 + "(", "CCC…"),
    ],
)
def test_what_is_no_molecule_says_why(text, reason):
    with pytest.raises(BadInput, match=reason):
        molecule(text)


@pytest.mark.parametrize(
    ("text", "atoms"),
    [("CCO ethanol", 3), (" CCO\t", 3), ("[Na+].[Cl-]", 2), ("[Pt](Cl)(Cl)(N)N", 5), ("[H][H]", 2)],
)
def test_what_chemists_write_is_read(text, atoms):
    assert molecule(text).GetNumAtoms() == atoms


def test_a_molecule_is_taken_as_it_is():
    mol = Chem.MolFromSmiles("CCO")
    assert molecule(mol) is mol
    assert molecule(MolBlock(Chem.MolToMolBlock(mol))).GetNumAtoms() == 3


def test_rdkit_does_not_talk_past_us(capfd):
    for text in ("C1CC", "CN(C)(C)(C)C"):
        with pytest.raises(BadInput):
            molecule(text)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("how", "text", "wanted"),
    [
        ("none", "CC(=O)[O-].[Na+]", "CC(=O)[O-].[Na+]"),
        ("parent", "CC(=O)[O-].[Na+]", "CC(=O)O"),
        ("parent", "C[NH3+].[Cl-]", "CN"),
        ("parent", "CC(O)=CC(C)=O", "CC(=O)C=C(C)O"),
        ("tautomer", "CC(O)=CC(C)=O", "CC(=O)CC(C)=O"),
    ],
)
def test_structures_are_standardised_as_asked(how, text, wanted):
    assert how in STANDARDISERS
    found = Chem.MolToSmiles(molecule(text, how))
    assert found == Chem.CanonSmiles(wanted)


@pytest.mark.parametrize("how", ["parent", "tautomer"])
@pytest.mark.parametrize("salt", ["C[NH3+].[Cl-]", "c1ccccc1C(=O)[O-].[Na+]", "C[C@H](N)O.Cl"])
def test_of_a_salt_everything_can_be_computed_as_of_its_parent(how, salt):
    found = molecule(salt, how)
    parent = molecule(Chem.MolToSmiles(found), how)
    for of in FEATURES.values():
        told, wanted = of(found), of(parent)
        for name in told.keys() - {"ends"}:  # atoms are numbered as they were written
            assert sorted(map(str, told[name])) == sorted(map(str, wanted[name])), name
