"""Which atoms an activity hangs on: what the network says when their surroundings are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rdkit import Chem

from deepfield.domains.drug.features import (
    COMPARED_BITS,
    FAMILY_SIZE,
    FINGERPRINT_RADIUS,
    FINGERPRINT_SIZE,
    Fragments,
    at_least,
    descriptors,
    environments,
    features,
    set_members,
)
from deepfield.domains.drug.molecules import molecule
from deepfield.toolkit.data import Arrays, Sample, batches_that_fit, collate
from deepfield.toolkit.errors import BadInput, UsageError, near_names
from deepfield.toolkit.quantities import pooled
from deepfield.toolkit.report import Report
from deepfield.toolkit.tables import aligned

if TYPE_CHECKING:
    from deepfield.domains.drug.pipeline import DrugPipeline

_MOST_ATOMS = 300
_SIZE = 520
#: Atoms that are listed on the terminal.
_LISTED = 12


@dataclass(slots=True)
class Explanation:
    """A molecule, the answer, and what each atom adds to one of the quantities.

    Args:
        name: of the sample.
        mol: the molecule.
        quantity: which quantity is explained.
        answer: what is said of the whole molecule.
        contributions: (atoms,) how much the quantity falls when an atom and its surroundings are
            taken away, in its own units; for yes-or-no in logits. What is positive speaks for more.
        unit: of the contributions.
    """

    name: str
    mol: Chem.Mol
    quantity: str
    answer: dict[str, Any]
    contributions: np.ndarray
    unit: str

    def _atoms(self) -> list[dict[str, Any]]:
        return [
            {
                "atom": index + 1,
                "element": self.mol.GetAtomWithIdx(index).GetSymbol(),
                "contribution": round(float(self.contributions[index]), 5),
            }
            for index in range(self.mol.GetNumAtoms())
        ]

    def facts(self) -> dict[str, Any]:
        """What is no picture, JSON-able."""
        return {
            "id": self.name,
            "smiles": Chem.MolToSmiles(self.mol, canonical=False),
            "quantity": self.quantity,
            "answer": self.answer,
            "unit": self.unit,
            "atoms": self._atoms(),
        }

    def lines(self) -> Iterator[str]:
        """The answer, and the atoms that matter most."""
        yield from aligned(self.answer.items())
        yield ""
        order = np.argsort(-np.abs(self.contributions))[:_LISTED]
        atoms = self._atoms()
        rows: list[tuple[Any, ...]] = [("atom", "", f"{self.quantity}, {self.unit}")]
        rows += [
            (f"{atoms[i]['element']}{i + 1}", "", f"{atoms[i]['contribution']:+.4f}") for i in order
        ]
        yield from aligned(rows)

    def _drawn(self, canvas: Any) -> Any:
        """The molecule with atoms in red that speak for more, in blue that speak for less."""
        from rdkit.Chem import rdDepictor
        from rdkit.Chem.Draw import rdMolDraw2D

        mol = Chem.Mol(self.mol)
        rdDepictor.Compute2DCoords(mol)
        largest = float(np.abs(self.contributions).max()) or 1.0
        colours = {i: _colour(float(c) / largest) for i, c in enumerate(self.contributions)}
        radii = dict.fromkeys(colours, 0.42)
        options = canvas.drawOptions()
        options.useBWAtomPalette()
        options.highlightBondWidthMultiplier = 1
        rdMolDraw2D.PrepareAndDrawMolecule(
            canvas, mol, highlightAtoms=list(colours), highlightAtomColors=colours,
            highlightAtomRadii=radii, highlightBonds=[],
        )  # fmt: skip
        canvas.FinishDrawing()
        return canvas.GetDrawingText()

    def png(self) -> bytes:
        """The drawing as PNG."""
        from rdkit.Chem.Draw import rdMolDraw2D

        return self._drawn(rdMolDraw2D.MolDraw2DCairo(_SIZE, _SIZE))

    def svg(self) -> bytes:
        """The drawing as SVG."""
        from rdkit.Chem.Draw import rdMolDraw2D

        return self._drawn(rdMolDraw2D.MolDraw2DSVG(_SIZE, _SIZE)).encode()

    def report(self) -> Report:
        """A page with the drawing, the answer and all atoms."""
        page = Report(f"Why: {self.name}")
        page.table([{"": k, "value": v} for k, v in self.answer.items()])
        page.picture(
            self.png(),
            f"{self.quantity}: red atoms speak for more, blue ones for less. An atom counts as "
            f"much as the answer falls when it and its surroundings are gone ({self.unit}).",
        )
        page.table(self._atoms())
        return page


def _colour(share: float) -> tuple[float, float, float]:
    """White at 0, red at 1, blue at -1."""
    pale = 1 - min(1.0, abs(share))
    return (1.0, pale, pale) if share > 0 else (pale, pale, 1.0)


def explain(pipeline: DrugPipeline, sample: Sample, quantity: str | None = None) -> Explanation:
    """Take away every atom in turn and ask the network again.

    Raises:
        BadInput: no molecule, or one too large to be asked about atom by atom.
        UsageError: the network has no such quantity.
    """
    quantity = quantity or pipeline.settings.get("quantity")
    mol = molecule(sample.data, pipeline.state.get("standardise", "none"))
    if mol.GetNumAtoms() > _MOST_ATOMS:
        raise BadInput(f"{mol.GetNumAtoms()} atoms, at most {_MOST_ATOMS} are explained one by one")
    arrays = features(mol, pipeline.wanted)
    variants = [arrays, *without_each_atom(mol, arrays)]
    outputs = _asked(pipeline, variants)
    task: Any = pipeline.task
    if quantity and quantity not in task.names:
        near = near_names(quantity, task.names) or task.names[:_LISTED]
        raise UsageError(
            f"{pipeline.name!r} says nothing of {quantity!r}", f"--quantity {', '.join(near)}"
        )
    place = task.names.index(quantity) if quantity else 0
    weights = getattr(pipeline.calibrator, "weights", ())
    values = pooled(outputs[task.output], task.binary, weights)[0][:, place]
    scale = task.state["scale"][place]
    whole = pipeline.calibrated({k: v[:1] for k, v in outputs.items()})
    answer = pipeline.decode({k: v[0] for k, v in whole.items()}, None)
    unit = "logits" if task.binary[place] else "its own units"
    change = (values[0] - values[1:]) * scale
    return Explanation(sample.id, mol, task.names[place], answer, change, unit)


def _asked(pipeline: DrugPipeline, variants: list[Arrays]) -> Arrays:
    """The outputs for all of them, in order."""
    found: dict[str, list[Any]] = {}
    order: list[int] = []
    for batch in batches_that_fit(variants, 64):
        outputs = pipeline.forward(collate([variants[i] for i in batch], pipeline.padding))
        order += batch
        for name, values in outputs.items():
            found.setdefault(name, []).append(values)
    back = np.argsort(order)
    return {name: np.concatenate(parts)[back] for name, parts in found.items()}


def without_each_atom(mol: Chem.Mol, arrays: Mapping[str, np.ndarray]) -> Iterator[Arrays]:
    """What a network is told where one atom is missing, for every atom in order.

    The atom is gone from the graph with its bonds, and from fingerprints every environment that
    holds it. Descriptors are those of what is left, hydrogens in its place; where that is no
    molecule they stay as they are.
    """
    holding = {
        name: (environments(mol, FINGERPRINT_RADIUS, size), size)
        for name, size in (("fingerprint", FINGERPRINT_SIZE), ("environments", COMPARED_BITS))
        if name in arrays
    }
    families = set_members(mol) if "sets" in arrays else []
    for gone in range(mol.GetNumAtoms()):
        left = dict(arrays)
        if "atoms" in arrays:
            left |= _graph_without(arrays, gone)
        for name, (fragments, size) in holding.items():
            counts = _counted(fragments, size, gone)
            if name == "fingerprint":
                left[name] = counts
            else:
                left[name] = np.packbits(counts > 0)
        if "descriptors" in arrays and (rest := _rest(mol, gone)) is not None:
            left |= descriptors(rest)
        if families:
            left["sets"] = at_least(
                np.stack([_counted(own, FAMILY_SIZE, gone) for own in families])
            ).ravel()
        yield left


def _rest(mol: Chem.Mol, gone: int) -> Chem.Mol | None:
    """The molecule without an atom; None where nothing is left, or nothing that can be."""
    if mol.GetNumAtoms() == 1:
        return None
    rest = Chem.RWMol(mol)
    try:
        Chem.Kekulize(rest, clearAromaticFlags=True)  # an open ring is not aromatic
        rest.RemoveAtom(gone)
        Chem.SanitizeMol(rest)
    except Chem.MolSanitizeException:
        return None
    return rest.GetMol()


def _counted(fragments: Fragments, size: int, gone: int) -> np.ndarray:
    """How often each fragment occurs that does not hold the atom."""
    counts = np.zeros(size, np.float32)
    for bit, atoms in fragments:
        counts[bit] += gone not in atoms
    return counts


def _graph_without(arrays: Mapping[str, np.ndarray], gone: int) -> Arrays:
    atoms, bonds, ends = arrays["atoms"].copy(), arrays["bonds"].copy(), arrays["ends"].copy()
    cut = (ends == gone).any(axis=1)
    # an atom and bonds that are padding in the middle: nothing else changes its place
    atoms[gone], bonds[cut], ends[cut] = 0, 0, -1
    return {"atoms": atoms, "bonds": bonds, "ends": ends}
