"""Drug activity on the toolkit's contract: a molecule in, its activities out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.drug.data import READERS, SAMPLES
from deepfield.domains.drug.features import (
    ATOM_CODES,
    BOND_CODES,
    at_least,
    compared,
    described,
    encoded,
)
from deepfield.domains.drug.molecules import Descriptors, MolBlock, molecule
from deepfield.domains.drug.neighbours import (
    MOST_REFERENCES,
    Neighbours,
    environments_hash,
    unordered,
)
from deepfield.domains.drug.splits import SPLITS
from deepfield.domains.drug.task import Activities
from deepfield.domains.drug.usage import EXAMPLES, OPTIONS
from deepfield.toolkit.data import Arrays, Encoded, Sample
from deepfield.toolkit.errors import BadInput, UsageError, shortened
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.quantities import told_and_heard
from deepfield.toolkit.recipe import Recipe

#: What each architecture wants to know of a molecule.
INPUTS: Mapping[str, tuple[str, ...]] = {
    "dmpnn": ("graph",),
    "graph_attention": ("graph",),
    "fingerprint_mlp": ("fingerprint",),
    "descriptor_dnn": ("descriptors",),
    "fusion": ("graph", "fingerprint", "descriptors", "sets"),
}


class DrugPipeline(Pipeline):
    """Activities and properties of molecules, with their uncertainty.

    Settings:
        standardise: what is done to structures first (see `molecules.STANDARDISERS`).

    Example:
        >>> DrugPipeline("dmpnn").architecture
        'dmpnn'
    """

    domain = "drug"
    summary = "drug activity: what a molecule does"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.drug.models"
    default_architecture = "fusion"
    presets: ClassVar = (
        "fusion_tox21", "fusion_esol", "fusion_lipophilicity", "fusion_bbbp", "fusion_hiv",
        "encoder",
    )  # fmt: skip
    task_class = Activities
    baseline = "forest"
    cached_by = "rdkit"
    padding: ClassVar = {"ends": -1}
    splits: ClassVar = SPLITS
    known_data: ClassVar = {
        f"{name}.csv": (f"MoleculeNet {title}", "MIT")
        for name, title in (
            ("bbbp", "BBBP (Martins et al. 2012)"), ("bace", "BACE (Subramanian et al. 2016)"),
            ("esol", "ESOL (Delaney 2004)"), ("freesolv", "FreeSolv (Mobley & Guthrie 2014)"),
            ("lipo", "Lipophilicity (ChEMBL)"), ("clintox", "ClinTox (Gayvert et al. 2016)"),
            ("sider", "SIDER (Kuhn et al. 2015)"), ("tox21", "Tox21 challenge (NIH 2014)"),
            ("hiv", "HIV (NCI DTP antiviral screen)"),
        )
    } | {
        "METAB_training.csv.gz": ("Merck METAB (Ma et al. 2015)", ""),
        "drug": ("structures of MoleculeNet and MoleculeACE, no labels", "MIT"),
    }  # fmt: skip
    explanation_file = "explanation.svg"
    explanation_forms = (".svg", ".png", ".html")
    finetune_recipe = Recipe(
        epochs=40, batch_size=32, optimizer="adamw", learning_rate=1e-3, schedule="onecycle",
        warmup=0.1, weight_decay=1e-4, clip_norm=5.0, least_steps=2000, patience=12,
    )  # fmt: skip
    recipes: ClassVar = {
        "": finetune_recipe,
        "descriptor_dnn": Recipe(epochs=40, batch_size=128, optimizer="sgd", learning_rate=0.05,
                                 weight_decay=1e-4, clip_norm=5.0),
    }  # fmt: skip
    options = OPTIONS
    examples: ClassVar = EXAMPLES

    # ------------------------------------------------------------------ from molecule to arrays

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the network wants to know of a molecule, and what its neighbours are found by."""
        own = INPUTS[self.architecture]
        if not self.hyper.get("fragments", True) or self.hyper.get("references") == 0:
            own = tuple(kind for kind in own if kind != "sets")
        if "descriptors" in self.state:
            return tuple(kind for kind in own if kind in ("descriptors", "sets"))
        return own if self.neighbours is None else (*own, "compared")

    @property
    def neighbours(self) -> Neighbours | None:
        """The training molecules to compare with; None of a table without structures, and where
        nobody wants to know.
        """
        if "environments" not in self.tables or self.settings.get("no_neighbours"):
            return None
        if not hasattr(self, "_neighbours"):
            self._neighbours = Neighbours(self.tables["environments"], self.state["references"])
        return self._neighbours

    def restored(self) -> None:
        """A stranger's bundle must be of a network that is known, and compare with as many
        fingerprints as names.
        """
        if self.architecture not in INPUTS:
            raise ValueError(f"no architecture {shortened(self.architecture)!r}")
        # said of the training that made it: who fine-tunes `encoder` wants to know the nearest
        self.settings.pop("neighbours", None)
        if self.neighbours is not None and not all(
            isinstance(n, str) for n in self.neighbours.names
        ):
            raise ValueError("the names of the training molecules make no sense")

    def encode(self, item: Any) -> tuple[Arrays, Any]:
        """A molecule, or a table's descriptors of one, to arrays.

        Raises:
            BadInput: no molecule, in chemical words.
        """
        encode = self.encoder()
        return encode(item)

    def encoder(self) -> Callable[[Any], tuple[Arrays, Any]]:
        """RDKit takes longer than the network: it works in as many processes as there are cores."""
        if (names := self.state.get("descriptors")) is not None:
            return functools.partial(described, tuple(names), bool(self.state.get("counts")))
        return functools.partial(encoded, self.state.get("standardise", "none"), self.wanted)

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """Settle the standardisation, and the descriptors of a table."""
        wish = self.settings.get("standardise")
        if wish is not None or "standardise" not in self.state:
            self.state["standardise"] = wish or "none"
        described = [s.data for s in items if isinstance(s.data, Descriptors)]
        if described and "descriptors" not in self.state:
            if "descriptors" not in INPUTS[self.architecture]:
                raise UsageError(
                    f"{self.architecture} needs structures, and the table has descriptors alone",
                    "add --architecture fusion or descriptor_dnn",
                )
            names = {name for one in described for name in one.values}
            self.state["descriptors"] = sorted(names)
            values = (value for one in described for value in one.values.values())
            self.state["counts"] = all(value >= 0 and value == int(value) for value in values)
        self.state["samples"] = len(items) + self.held
        if not described:
            self._remember(items)

    def _remember(self, items: Sequence[Sample]) -> None:
        """Keep some of the training molecules to compare with."""
        self.__dict__.pop("_neighbours", None)
        most = self.settings.get("neighbours")
        most = MOST_REFERENCES if most is None else most
        if not 0 <= most <= 2 * MOST_REFERENCES:
            raise UsageError(f"--neighbours {most}", f"0 (none) to {2 * MOST_REFERENCES}")
        step = -(-len(items) // most) if most else len(items)
        prints, names = [], []
        for sample in items[:: max(1, step)] if most else ():
            try:
                mol = molecule(sample.data, self.state["standardise"])
            except BadInput:  # rejected with its reason when it is encoded
                continue
            prints.append(compared(mol)["environments"])
            names.append(sample.data if not isinstance(sample.data, MolBlock) else sample.id)
        if prints:
            self.tables["environments"] = np.stack(prints)
            self.state["references"] = names

    def build_arguments(self) -> dict[str, Any]:
        """How many quantities, descriptors and molecules there are."""
        from deepfield.domains.drug.features import SETS, descriptor_names

        named = self.state.get("descriptors")
        found: dict[str, Any] = {"quantities": len(self.task.names)}  # type: ignore[attr-defined]
        if "descriptors" in INPUTS[self.architecture]:
            found["descriptors"] = len(named or descriptor_names())
        if self.architecture == "fusion":
            of_counts = (1, at_least(np.zeros(len(named or ()))).size)
            sets = SETS if named is None else of_counts if self.state["counts"] else (0, 0)
            found |= {
                "yes_or_no": list(self.task.binary),  # type: ignore[attr-defined]
                "samples": self.state["samples"], "sets": sets, "structures": named is None,
            }  # fmt: skip
        return found

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """One quantity of molecules; as many descriptors as RDKit has."""
        from deepfield.domains.drug.features import SETS

        found: dict[str, Any] = {"quantities": 1}
        if "descriptors" in INPUTS[architecture]:
            found["descriptors"] = 217
        if architecture == "fusion":
            found |= {"yes_or_no": [False], "samples": 3000, "sets": SETS, "structures": True}
        return found

    def settle(self, model: Any, items: Sequence[Encoded]) -> None:
        """The kernel machine and the trees of `fusion`, and the scale of its descriptors."""
        if self.architecture == "fusion":
            from deepfield.domains.drug.fusion import settle

            task: Any = self.task
            settle(model, items, task.binary, task.output, bool(self.state.get("counts")))

    def learner(self, model: Any) -> Any:
        """Of `fusion` the networks."""
        if self.architecture == "fusion":
            from deepfield.domains.drug.models import networks

            return networks(model, self.task.output)
        return model

    def alone(self, outputs: Arrays) -> dict[str, Arrays]:
        """Of `fusion` the networks, without the trees and the kernel machine."""
        if self.architecture != "fusion":
            return {}
        columns = 1 if "descriptors" in self.state else 2
        own, _ = told_and_heard(outputs[self.task.output])
        return {"networks": {self.task.output: own[..., :columns]}}

    def identity(self, arrays: Arrays) -> Arrays:
        """The molecule, in whatever order its atoms were written."""
        return unordered(arrays) if "atoms" in arrays else arrays

    def near_hash(self, arrays: Arrays) -> int | None:
        """Close for molecules whose circular environments are nearly all the same."""
        return environments_hash(arrays["environments"]) if "environments" in arrays else None

    # ------------------------------------------------------------------ from outputs to answer

    def forward(self, batch: Arrays) -> Arrays:
        """Also how far the nearest training molecule is, and which it is."""
        outputs = super().forward(batch)
        if self.neighbours is not None and "environments" in batch:
            similarity, place = self.neighbours.nearest(batch["environments"])
            outputs |= {"distance": 1 - similarity, "nearest": place}
        return outputs

    def novelty_outputs(self, outputs: Arrays) -> np.ndarray | None:
        """The distance to the nearest training molecule."""
        return outputs.get("distance")

    def fit_novelty(self, outputs: Arrays) -> Novelty | None:
        """Unlike the training molecules is what is further from them than validation ones are."""
        if "distance" not in outputs:
            return None
        return Novelty.fit(outputs["distance"], measure="given", name="distance to the nearest one")

    def decode(self, outputs: Arrays, context: Any) -> dict[str, Any]:
        """The activities, and the training molecule that is most like this one."""
        answer = super().decode(outputs, context)
        if "distance" in outputs and self.neighbours is not None:
            answer["similarity"] = round(1 - float(outputs["distance"]), 4)
            answer["nearest"] = self.neighbours.names[int(outputs["nearest"])]
        return answer

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's, and the nearest training molecule."""
        return (*self.task.fields, *(("similarity", "nearest") if self.neighbours else ()))

    # ------------------------------------------------------------------ beside the network

    def baseline_features(self, arrays: Arrays) -> np.ndarray:
        """What chemists give a forest, as far as it was computed: circular environments (ECFP4,
        counts where the network has them), and descriptors.
        """
        told = [arrays[name] for name in ("fingerprint", "descriptors") if name in arrays]
        if "fingerprint" not in arrays and "environments" in arrays:
            told.insert(0, np.unpackbits(arrays["environments"]))
        if not told:  # a graph alone, whose neighbours nobody wants to know
            codes = (("atoms", ATOM_CODES), ("bonds", BOND_CODES))
            told = [np.bincount(arrays[name].ravel(), minlength=most) for name, most in codes]
        return np.concatenate(told).astype(np.float32)
