"""What the outputs of a network mean: what was measured of a molecule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepfield.domains.drug.data import YES_NO, Candidates
from deepfield.toolkit.errors import UsageError, listed
from deepfield.toolkit.quantities import Quantities


class Activities(Quantities):
    """What was measured of molecules; assays also say yes or no in words."""

    def learn(self, targets: Sequence[Any]) -> None:
        """As `Quantities`; columns that nobody chose are no targets.

        Raises:
            UsageError: several columns could be the target.
        """
        open_ = next((t for t in targets if isinstance(t, Candidates) and len(t) > 1), None)
        if open_ is not None and "names" not in self.state:
            names = list(open_)
            raise UsageError(
                f"{len(names)} columns could be the target: {listed(names, 8)}",
                "choose with --targets NAME (several by commas; '*' for all of them)",
            )
        super().learn(targets)

    def number(self, name: str, cell: Any) -> float:
        """Also words: active, inactive, yes, no, true, false."""
        word = YES_NO.get(str(cell).strip().lower())
        return super().number(name, cell) if word is None else word
