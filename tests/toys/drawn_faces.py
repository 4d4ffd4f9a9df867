"""Drawn people, and tables of pairs of their pictures."""

from pathlib import Path

import numpy as np

from deepfield.domains.face.drawn import draw_face, write_people

__all__ = ["draw_face", "write_pairs", "write_people"]


def write_pairs(path, people, shots, count, folds=0, seed=0):
    """Write a table of pairs of `write_people`'s pictures, every second one of the same person;
    returns its path as str.
    """
    rng = np.random.default_rng(seed)
    lines = ["a,b,same" + (",fold" if folds else "")]
    for number in range(count):
        one, two = rng.choice(people, 2, replace=False) + 1
        i, j = rng.choice(shots, 2, replace=False) + 1
        same = number % 2
        pair = f"person_{one}/{i}.png,person_{one if same else two}/{j}.png,{same}"
        lines.append(pair + (f",{number * folds // count + 1}" if folds else ""))
    Path(path).write_text("\n".join(lines) + "\n")
    return str(path)
