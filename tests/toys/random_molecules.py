"""Molecules that no chemist would draw, as arrays; and a `fusion` that is trained in seconds."""

import numpy as np

from deepfield.domains.drug.features import ATOM_CODES, BOND_CODES, SETS

SMALL_FUSION = {
    "members": 1, "units": 16, "steps": 2, "head_units": 16, "circle_units": 16, "trees": 8,
    "boosted": 20, "leaves": 8,
}  # fmt: skip


def random_molecule(random):
    """A chain of atoms, with everything that any network of the domain may ask."""
    count = int(random.integers(2, 12))
    ends = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    return {
        "atoms": random.integers(1, ATOM_CODES, (count, 7)).astype(np.int32),
        "bonds": random.integers(1, BOND_CODES, (count - 1, 3)).astype(np.int32),
        "ends": ends.reshape(-1, 2),
        "fingerprint": random.integers(0, 3, 2048).astype(np.float32),
        "descriptors": random.normal(0, 20, 217).astype(np.float32),
        "sets": random.integers(0, 256, SETS[1]).astype(np.uint8),
        "environments": random.integers(0, 256, 128).astype(np.uint8),
    }
