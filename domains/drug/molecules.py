"""Text to molecule, and what is wrong with it in chemical words."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rdkit import Chem, rdBase

from deepfield.toolkit.errors import BadInput, shortened

#: Atoms, hydrogens left out, of the largest molecule that is answered.
MOST_ATOMS = 4000
#: A property of molecules that were written without any stereochemistry: nobody need look for it.
FLAT = "_deepfield_flat"


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Numbers that describe a molecule whose structure is not told; what is not named is 0."""

    values: Mapping[str, float]


class MolBlock(str):
    """The text of one record of an SD file, or of a mol file, up to `M  END`."""

    __slots__ = ()


class _Said(logging.Handler):
    """What RDKit said in this thread since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self.own = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(self.own, "lines", [])
        self.own.lines = [*lines[-20:], re.sub(r"^\[[\d:]+\] ", "", record.getMessage())]

    def taken(self) -> list[str]:
        lines, self.own.lines = getattr(self.own, "lines", []), []
        return lines


_SAID = _Said()
#: How many atoms an error names.
_SHOWN = 8


def _listen() -> None:
    # RDKit writes its complaints to standard error: they are told row by row instead.
    rdBase.LogToPythonLogger()
    log = logging.getLogger("rdkit")
    log.handlers, log.propagate = [_SAID], False


_listen()


def molecule(text: Any, standardise: str = "none") -> Chem.Mol:
    """Parse a SMILES, a `MolBlock` or take a molecule as it is.

    Args:
        text: a SMILES, with or without a name behind it; a `MolBlock`; or an `rdkit.Chem.Mol`.
        standardise: see `STANDARDISERS`.

    Returns:
        A sanitised molecule without explicit hydrogens.

    Raises:
        BadInput: no molecule, in chemical words.

    Example:
        >>> molecule("OCC ethanol").GetNumAtoms()
        3
        >>> molecule("C1CC")
        Traceback (most recent call last):
        ...
        deepfield.toolkit.errors.BadInput: ring 1 is opened and never closed in 'C1CC'
    """
    if isinstance(text, Chem.Mol):
        found = text
    elif not isinstance(text, str) or not text.strip():
        raise BadInput("no structure")
    else:
        _SAID.taken()
        if isinstance(text, MolBlock):
            found = Chem.MolFromMolBlock(_ascii(text))
        else:
            lines = [line for line in text.splitlines() if line.strip()]
            if len(lines) > 1:  # RDKit would take the others for a name
                raise BadInput(f"{len(lines)} lines, as {lines[1][:40]!r}: a structure is one")
            found = Chem.MolFromSmiles(_ascii(text.strip()))
        if found is None:
            raise BadInput(_why_not(text, _SAID.taken()))
        if not isinstance(text, MolBlock) and not any(mark in text for mark in "@/\\"):
            found.SetBoolProp(FLAT, True)
    if not found.GetNumAtoms():
        raise BadInput("a structure without atoms")
    if found.GetNumAtoms() > MOST_ATOMS:
        raise BadInput(f"{found.GetNumAtoms():,} atoms, the limit is {MOST_ATOMS:,}")
    if standardise != "none":
        found = standardised(found, standardise)
    return found


def _ascii(text: str) -> str:
    """Without letters that RDKit might cut in two when it complains; no structure has them."""
    return text.encode("ascii", "replace").decode()


#: What may be done to structures before they are encoded, and what it is.
STANDARDISERS: dict[str, str] = {
    "none": "as drawn",
    "parent": "the largest organic part, charges neutralised where they can be",
    "tautomer": "the same, in RDKit's canonical tautomer",
}


def standardised(mol: Chem.Mol, how: str) -> Chem.Mol:
    """A molecule after RDKit's own standardisation.

    Raises:
        BadInput: RDKit cannot.
    """
    from rdkit.Chem.MolStandardize import rdMolStandardize

    try:
        found = rdMolStandardize.FragmentParent(rdMolStandardize.Cleanup(mol))
        found = rdMolStandardize.Uncharger().uncharge(found)
        if how == "tautomer":
            found = rdMolStandardize.TautomerEnumerator().Canonicalize(found)
        Chem.SanitizeMol(found)  # a part of a salt comes without its rings
    except Exception as error:  # RDKit raises several kinds, none of them with a common parent
        first = str(error).strip().splitlines()
        raise BadInput(f"cannot be standardised: {first[0] if first else 'unknown'}") from None
    if not found.GetNumAtoms():
        raise BadInput("nothing is left after standardisation")
    return found


# -- what is wrong with it ---------------------------------------------------------------------


def _why_not(text: str, said: list[str]) -> str:
    """RDKit's complaint in chemical words, with the value."""
    shown = repr(shortened(str(text))) if not isinstance(text, MolBlock) else "the mol block"
    heard = "\n".join(said)
    if match := re.search(r"Explicit valence for atom # (\d+) (\w+), (\d+)", heard):
        atom, element, bonds = int(match[1]) + 1, match[2], match[3]
        return f"atom {atom} ({element}) has {bonds} bonds, more than it can have, in {shown}"
    if match := re.search(r"Unkekulized atoms: ([\d ]+)", heard):
        numbers = [str(int(n) + 1) for n in match[1].split()]
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        atoms = ", ".join(numbers[:_SHOWN]) + more
        return (
            f"the aromatic atoms {atoms} cannot be given double bonds in {shown} "
            "(an aromatic nitrogen with a hydrogen is [nH])"
        )
    if match := re.search(r"non-ring atom (\d+) marked aromatic", heard):
        return f"atom {int(match[1]) + 1} is aromatic, but in no ring, in {shown}"
    if "unclosed ring" in heard:
        opened = _open_rings(str(text))
        which = f"ring {opened[0]}" if opened else "a ring"
        return f"{which} is opened and never closed in {shown}"
    if "extra open parentheses" in heard:
        return f"a branch '(' is never closed in {shown}"
    if "extra close parentheses" in heard:
        return f"a branch ')' is closed that was never opened in {shown}"
    if match := re.search(r"check for mistakes around position (\d+)", heard):
        return f"{_misspelt(text.strip(), int(match[1]))} in {shown}"
    lines = [line for line in said if line and not set(line) <= set("~^ ")]
    kind = "mol block" if isinstance(text, MolBlock) else "SMILES"
    return f"no {kind}: {shortened(lines[0], 120)}" if lines else f"no {kind}: {shown}"


#: What people take for SMILES, and what it is.
_NO_SMILES = {
    r"InChI=.*": "an InChI",
    r"[A-Z]{14}-[A-Z]{10}-[A-Z]": "an InChIKey",
    r"\d{2,7}-\d\d-\d": "a CAS number",
    r"[^ ]*>[^ ]*>[^ ]*( .*)?": "a reaction",
}
_BONDS = "-=#$:~/\\"


def _misspelt(smiles: str, place: int) -> str:
    """What is wrong at a position, counted from 1, at which RDKit could not go on."""
    for form, what in _NO_SMILES.items():
        if re.fullmatch(form, smiles):
            return f"{what}, no SMILES,"
    before, mark = smiles[: place - 1], smiles[place - 1 : place]
    opened = smiles.rfind("[", 0, place)
    if opened >= 0 and "]" not in smiles[opened : place - 1]:
        atom, closed, _ = smiles[opened:].partition("]")
        return (
            f"no atom is written {atom + closed!r}" if closed else "a bracket '[' is never closed"
        )
    if mark and mark in _BONDS and place == len(smiles) and before:
        return f"the bond {mark!r} at the end leads to no atom"
    if mark.isalpha():
        return f"{mark!r} at position {place} is no atom outside brackets"
    if mark and mark in _BONDS + "().[]%0123456789":
        return f"{mark!r} cannot stand at position {place}"
    return f"{mark!r} at position {place} is no part of a SMILES"


def _open_rings(smiles: str) -> list[str]:
    bare = re.sub(r"\[[^\]]*\]", "*", smiles)
    counts: dict[str, int] = {}
    for two, one in re.findall(r"%(\d\d)|(\d)", bare):
        counts[two or one] = counts.get(two or one, 0) + 1
    return [ring for ring, count in counts.items() if count % 2]
