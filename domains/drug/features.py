"""Molecule to arrays: its graph, its circular fingerprint, its descriptors.

Codes of atoms and bonds are numbers of rows in a table of the network: every property has rows of
its own, and what is rarer than the table knows has a row for "other". 0 is padding.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from deepfield.domains.drug.molecules import FLAT, Descriptors, molecule
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput

#: Length of the folded fingerprint, and how many bonds its circles reach.
FINGERPRINT_SIZE, FINGERPRINT_RADIUS = 2048, 2
#: Bits by which molecules are compared.
COMPARED_BITS = 1024

_ELEMENTS = (
    "C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "B", "Si", "Se", "H", "Na", "K", "Li", "Ca",
    "Mg", "Zn", "Fe", "Cu", "Pt", "As", "Sn", "Hg", "Al", "Ag", "Au", "Co", "Mn", "Ni", "Cr", "Ti",
    "Sb", "Bi", "Ge", "Te", "Ru", "Pd", "Pb",
)  # fmt: skip
_Z = {Chem.GetPeriodicTable().GetAtomicNumber(e): i for i, e in enumerate(_ELEMENTS)}
_CIP = {"R": 1, "S": 2}

#: Properties of an atom, and how many values each has, the last one for all others.
ATOM_SIZES = {
    "element": len(_ELEMENTS) + 1,
    "neighbours": 8,  # with hydrogens
    "charge": 6,  # -2 to 2
    "hydrogens": 6,
    "aromatic": 2,
    "ring": 8,  # atoms of the smallest one: none, 3 to 8, more
    "stereo": 3,  # none, R, S
}
_BOND_STEREO = {"STEREOZ": 1, "STEREOE": 2, "STEREOCIS": 1, "STEREOTRANS": 2}
#: Properties of a bond, and how many values each has.
BOND_SIZES = {"order": 5, "ring": 8, "stereo": 3}


def _starts(sizes: Mapping[str, int]) -> tuple[list[int], int]:
    *starts, end = itertools.accumulate([1, *sizes.values()])
    return starts, end


_ATOM_STARTS, ATOM_CODES = _starts(ATOM_SIZES)
_BOND_STARTS, BOND_CODES = _starts(BOND_SIZES)
*_KIND_STARTS, _AROMATIC, _RING, _STEREO = _ATOM_STARTS
_ORDER, _BOND_RING, _GEOMETRY = _BOND_STARTS
#: Codes of the orders of bonds, as RDKit's adjacency matrix has them; others are dative and such.
_ORDERS = {order: _ORDER + place for place, order in enumerate((1.0, 2.0, 3.0, 1.5))}
_OTHER_ORDER = _ORDER + len(_ORDERS)

# Codes of element, neighbours, charge and hydrogens of atoms, by RDKit's hash of just those (and of
# the isotope and whether it is in a ring). Asking every atom of every molecule for them would take
# as long as parsing it; there are some hundred kinds.
_KINDS: dict[int, tuple[int, ...]] = {}
_MOST_KINDS = 100_000


def _kind(atom: Chem.Atom) -> tuple[int, ...]:
    charge = atom.GetFormalCharge()
    values = (
        _Z.get(atom.GetAtomicNum(), len(_ELEMENTS)),
        min(atom.GetTotalDegree(), 7),
        charge + 2 if -2 <= charge <= 2 else 5,
        min(atom.GetTotalNumHs(), 5),
    )
    return tuple(start + value for start, value in zip(_KIND_STARTS, values, strict=True))


def graph(mol: Chem.Mol) -> Arrays:
    """Atoms, bonds, and which atoms a bond joins.

    Returns:
        `atoms` (atoms, 7) and `bonds` (bonds, 3), int32 codes (see `ATOM_SIZES` and `BOND_SIZES`);
        `ends` (bonds, 2), int32. A molecule without bonds has one that is padding, with ends -1.

    Example:
        >>> {name: array.shape for name, array in graph(Chem.MolFromSmiles("CCO")).items()}
        {'atoms': (3, 7), 'bonds': (2, 3), 'ends': (2, 2)}
    """
    # Lists until the end: molecules are small, and every step in NumPy costs more than a loop.
    adjacency = Chem.GetAdjacencyMatrix(mol, useBO=True)
    count = len(adjacency)
    ring_of = [0] * count  # atoms of the smallest ring, less two
    ring_of_bond: dict[int, int] = {}
    for ring in sorted(mol.GetRingInfo().AtomRings(), key=len, reverse=True):
        size = min(len(ring), 9) - 2
        before = ring[-1]
        for atom in ring:
            ring_of[atom] = size
            ring_of_bond[min(before, atom) * count + max(before, atom)] = size
            before = atom
    aromatic = [0] * count
    bonds: list[int] = []
    ends: list[int] = []
    orders = adjacency.ravel()
    places = orders.nonzero()[0]
    for place, order in zip(places.tolist(), orders[places].tolist(), strict=True):
        first, second = divmod(place, count)
        if first > second:
            continue
        if order == 1.5:
            aromatic[first] = aromatic[second] = 1
        ends += (first, second)
        bonds += (
            _ORDERS.get(order, _OTHER_ORDER),
            _BOND_RING + ring_of_bond.get(place, 0),
            _GEOMETRY,
        )
    atoms: list[int] = []
    for index, kind in enumerate(rdMolDescriptors.GetConnectivityInvariants(mol)):
        atoms += _KINDS.get(kind) or _met(mol, index, kind)
        atoms += (_AROMATIC + aromatic[index], _RING + ring_of[index], _STEREO)
    found = {
        "atoms": np.array(atoms, np.int32).reshape(count, len(ATOM_SIZES)),
        "bonds": np.array(bonds, np.int32).reshape(-1, len(BOND_SIZES)),
        "ends": np.array(ends, np.int32).reshape(-1, 2),
    }
    if not mol.HasProp(FLAT):
        _add_stereo(mol, found)
    if not bonds:  # networks want one bond at least: padding
        found["bonds"] = np.zeros((1, len(BOND_SIZES)), np.int32)
        found["ends"] = np.full((1, 2), -1, np.int32)
    return found


def _met(mol: Chem.Mol, index: int, kind: int) -> tuple[int, ...]:
    """What an atom of a kind not met before is."""
    known = _kind(mol.GetAtomWithIdx(index))
    if len(_KINDS) < _MOST_KINDS:
        _KINDS[kind] = known
    return known


def _add_stereo(mol: Chem.Mol, found: Arrays) -> None:
    """Chirality of atoms, and geometry of double bonds."""
    for atom in mol.GetAtoms():
        if atom.HasProp("_CIPCode"):
            found["atoms"][atom.GetIdx(), -1] += _CIP.get(atom.GetProp("_CIPCode"), 0)
    for bond in mol.GetBonds():
        if label := _BOND_STEREO.get(bond.GetStereo().name):
            ends = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
            found["bonds"][(found["ends"] == ends).all(axis=1), -1] += label


@functools.cache
def _morgan(radius: int, size: int) -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(
        radius=radius, fpSize=size, includeChirality=True
    )


def fingerprint(mol: Chem.Mol) -> Arrays:
    """How often each circular environment occurs: `fingerprint` (2048,) float32, folded ECFP4.

    Example:
        >>> int(fingerprint(Chem.MolFromSmiles("CCO"))["fingerprint"].sum())
        6
    """
    counts = _morgan(FINGERPRINT_RADIUS, FINGERPRINT_SIZE).GetCountFingerprintAsNumPy(mol)
    return {"fingerprint": counts.astype(np.float32)}


def compared(mol: Chem.Mol) -> Arrays:
    """What molecules are compared by: `environments` (128,) uint8, ECFP4 as 1,024 packed bits."""
    bits = _morgan(FINGERPRINT_RADIUS, COMPARED_BITS).GetFingerprintAsNumPy(mol)
    return {"environments": np.packbits(bits)}


Fragments = list[tuple[int, frozenset[int]]]


def environments(mol: Chem.Mol, radius: int, size: int) -> Fragments:
    """Every circular environment that the fingerprint counts: its bit, and the atoms it holds."""
    return _fragments(mol, _morgan(radius, size), circular=True)


def _fragments(mol: Chem.Mol, generator: Any, circular: bool) -> Fragments:
    told = rdFingerprintGenerator.AdditionalOutput()
    told.AllocateBitInfoMap()
    told.AllocateBitPaths()
    generator.GetCountFingerprint(mol, additionalOutput=told)
    found = []
    for bit, places in (told.GetBitInfoMap() or told.GetBitPaths()).items():
        for place in places:
            if not circular:  # the atoms themselves
                found.append((bit, frozenset(place)))
                continue
            center, reach = place
            bonds = Chem.FindAtomEnvironmentOfRadiusN(mol, reach, center) if reach else []
            held = {center}
            for bond in bonds:
                one = mol.GetBondWithIdx(bond)
                held |= {one.GetBeginAtomIdx(), one.GetEndAtomIdx()}
            found.append((bit, frozenset(held)))
    return found


#: Counts that `sets` tells apart: at least so many.
LEVELS = (1, 2)
#: Places of the folded counts of each family in `sets`: pairs of atoms are many.
FAMILY_SIZE = 2048


@functools.cache
def _families() -> tuple[Any, ...]:
    """Circles of atoms, circles of roles, pairs of atoms, chains of four."""
    roles = rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
    size: dict[str, Any] = {"fpSize": FAMILY_SIZE, "includeChirality": True}
    return (
        rdFingerprintGenerator.GetMorganGenerator(radius=2, **size),
        rdFingerprintGenerator.GetMorganGenerator(radius=2, atomInvariantsGenerator=roles, **size),
        rdFingerprintGenerator.GetAtomPairGenerator(countSimulation=False, **size),
        rdFingerprintGenerator.GetTopologicalTorsionGenerator(countSimulation=False, **size),
    )


_CIRCULAR = 2  # families of circles come first
#: How many families there are, and bytes of them all.
SETS = 4, 4 * FAMILY_SIZE * len(LEVELS) // 8


def sets(mol: Chem.Mol) -> Arrays:
    """What kernels compare: `sets` (2048,) uint8, packed bits.

    Four families of fragments (ECFP4, FCFP4, atom pairs, topological torsions), each with the
    places where it has at least one, at least two of a kind.
    """
    counts = np.stack([family.GetCountFingerprintAsNumPy(mol) for family in _families()])
    return {"sets": at_least(counts).ravel()}


def set_members(mol: Chem.Mol) -> list[Fragments]:
    """Every fragment of each family of `sets`: its place, and the atoms it holds."""
    return [
        _fragments(mol, family, circular=at < _CIRCULAR) for at, family in enumerate(_families())
    ]


def at_least(counts: np.ndarray) -> np.ndarray:
    """Counts (…, places) as packed sets of places with at least one, at least two of a kind."""
    return np.packbits(np.concatenate([counts >= level for level in LEVELS], axis=-1), axis=-1)


@functools.cache
def descriptor_names() -> tuple[str, ...]:
    """RDKit's 2D descriptors, in its order."""
    from rdkit.Chem import Descriptors

    return tuple(name for name, _ in Descriptors.descList)


#: Parts of descriptors' names, and the most atoms of which these are told: their time grows with
#: the fourth power of the atoms (the characteristic polynomial), or with the third (all pairs).
_MOST_ATOMS = {"Ipc": 150, "BCUT2D": 500, "BalabanJ": 500, "BertzCT": 500, "EState": 500}


def descriptors(mol: Chem.Mol) -> Arrays:
    """RDKit's 2D descriptors: `descriptors` float32, 0 where one is not defined.

    Some are told of smaller molecules alone (`_MOST_ATOMS`): of larger ones they take seconds.
    """
    from rdkit.Chem import Descriptors

    values = np.zeros(len(descriptor_names()))
    atoms = mol.GetNumAtoms()
    for place, (name, function) in enumerate(Descriptors.descList):
        if any(atoms > most for part, most in _MOST_ATOMS.items() if part in name):
            continue
        # what RDKit cannot compute: some raise, with no common parent
        with contextlib.suppress(Exception):
            values[place] = function(mol)
    values[~np.isfinite(values)] = 0.0
    return {"descriptors": np.clip(values, -1e30, 1e30).astype(np.float32)}


#: Arrays of a molecule by the name of what they tell.
FEATURES: dict[str, Callable[[Chem.Mol], Arrays]] = {
    "graph": graph,
    "fingerprint": fingerprint,
    "descriptors": descriptors,
    "sets": sets,
    "compared": compared,
}


def features(mol: Chem.Mol, wanted: Sequence[str]) -> Arrays:
    """All the arrays that a network wants of a molecule."""
    return {name: array for kind in wanted for name, array in FEATURES[kind](mol).items()}


def encoded(standardise: str, wanted: Sequence[str], item: Any) -> tuple[Arrays, Any]:
    """The arrays of a structure as it was written.

    Raises:
        BadInput: no molecule, in chemical words; or descriptors alone.
    """
    if isinstance(item, Descriptors):
        raise BadInput("descriptors without a structure, for a network of structures")
    return features(molecule(item, standardise), wanted), None


def described(names: Sequence[str], counts: bool, item: Any) -> tuple[Arrays, Any]:
    """The arrays of a table's descriptors; counts also as sets.

    Raises:
        BadInput: a structure.
    """
    if not isinstance(item, Descriptors):
        raise BadInput("a structure, for a network of a table's descriptors")
    values = np.array([item.values.get(n, 0.0) for n in names], np.float32)
    values[~np.isfinite(values)] = 0.0
    return {"descriptors": values, **({"sets": at_least(values)} if counts else {})}, None
