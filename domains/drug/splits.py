"""Splits that ask for more than a random one: new scaffolds, new clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

from deepfield.domains.drug.molecules import molecule
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.splits import Grouping

#: Tanimoto distance within which molecules belong to one cluster.
CLUSTER_DISTANCE = 0.6
#: Molecules up to which all pairs are compared at once.
_MOST_CLUSTERED = 50_000


def scaffold_of(mol: Chem.Mol) -> str:
    """The rings of a molecule and what joins them, as SMILES; "" without a ring.

    Source: Bemis & Murcko 1996, as RDKit computes it, chirality left out.

    Example:
        >>> scaffold_of(Chem.MolFromSmiles("Cc1ccccc1CC(=O)O"))
        'c1ccccc1'
    """
    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)


def scaffold(samples: Sequence[Sample]) -> Grouping:
    """Scaffolds by how common they are: the rare ones are validated and tested on.

    In the order of DeepChem and MoleculeNet: by size, and of equal ones the later first.
    """
    keys = _scaffolds(samples)
    first = {key: place for place, key in reversed(list(enumerate(keys)))}
    sizes = Counter(keys)
    return Grouping([(-sizes[key], -first[key]) for key in keys], ordered=True)


def scaffold_balanced(samples: Sequence[Sample]) -> Grouping:
    """Scaffolds dealt at random, so that common ones are tested on too."""
    return Grouping(_scaffolds(samples))


def cluster(samples: Sequence[Sample]) -> Grouping:
    """Clusters of similar molecules, dealt at random.

    Source: Butina 1999 on ECFP4, at a Tanimoto distance of 0.6.

    Raises:
        UsageError: more molecules than all pairs can be compared of.
    """
    if len(samples) > _MOST_CLUSTERED:
        raise UsageError(
            f"{len(samples):,} molecules are too many to compare all pairs",
            f"--split scaffold_balanced does it for more than {_MOST_CLUSTERED:,}",
        )
    made = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    mols = [_parsed(sample) for sample in samples]
    prints = {i: made.GetFingerprint(mol) for i, mol in enumerate(mols) if mol is not None}
    keys: list[Any] = [f"\0{i}" for i in range(len(samples))]
    for number, members in enumerate(butina(list(prints.values()), CLUSTER_DISTANCE)):
        for member in members:
            keys[list(prints)[member]] = f"cluster {number}"
    return Grouping(keys)


def butina(prints: Sequence[Any], distance: float) -> list[list[int]]:
    """Clusters of fingerprints: the one with most neighbours first, with all that are still free.

    Memory is that of the pairs within the distance alone.
    """
    near: list[np.ndarray] = []
    for one in prints:
        alike = np.array(DataStructs.BulkTanimotoSimilarity(one, list(prints)))
        near.append(np.flatnonzero(alike >= 1 - distance))
    order = sorted(range(len(near)), key=lambda i: -len(near[i]))
    free = np.ones(len(near), bool)
    found = []
    for center in order:
        if not free[center]:
            continue
        members = near[center][free[near[center]]]
        free[members] = False
        found.append(members.tolist())
    return found


def _scaffolds(samples: Sequence[Sample]) -> list[str]:
    keys = []
    for index, sample in enumerate(samples):
        mol = _parsed(sample)
        keys.append(f"\0{index}" if mol is None else scaffold_of(mol))
    return keys


def _parsed(sample: Sample) -> Chem.Mol | None:
    try:
        return molecule(sample.data)
    except BadInput:  # rejected with its reason when it is encoded
        return None


#: Kinds of split, by name.
SPLITS = {
    "scaffold": scaffold,
    "scaffold_balanced": scaffold_balanced,
    "cluster": cluster,
}
