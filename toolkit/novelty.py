"""A warning that goes with an answer: this input is unlike what the network knows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

#: Where infinite outputs are cut: far beyond any logit, near enough for float64 to add.
_LARGEST = 1e6


@dataclass(frozen=True)
class Novelty:
    r"""Says whether an input is unlike what the network knows, by the outputs it causes.

    The score is the energy of the logits, $E = -\log\sum_k e^{z_k}$: low where some class fits,
    high where none does. For a network of radial basis functions, whose logits are negative
    distances, it is the (soft) distance to the nearest class.

    Args:
        threshold: largest score that is still in the domain.
        quantile: share of the validation samples that stay below it.
        measure: `"energy"`, or `"given"`: the outputs are themselves a score (n,), larger for
            what is stranger, such as the distance to the nearest training sample.
        name: what the score is called in a reason.

    Raises:
        ValueError: values of other types, a quantile outside 0 to 1, an unknown measure.

    Example:
        >>> import numpy as np
        >>> known = Novelty.fit(np.eye(3).repeat(50, axis=0) * 9)
        >>> inside, score = known.apply(np.array([[9.0, 0, 0], [0.5, 0.4, 0.3]]))
        >>> inside.tolist()
        [True, False]
        >>> print(known.reason(score[1]))
        unlike the training data: energy -1.5 is above -9, where 99 % of known inputs stay below

    Source: Liu et al. 2020, "Energy-based Out-of-distribution Detection", eq. 4, at temperature 1.
    Largest logit, softmax, margin and Mahalanobis distance were tried beside it on LeNet-like
    networks with softmax and with radial outputs: none told strange pictures better on both.
    """

    kind: ClassVar[str] = "novelty"
    threshold: float | None = None
    quantile: float = 0.99
    measure: str = "energy"
    name: str = "energy"

    def __post_init__(self) -> None:
        number = isinstance(self.quantile, int | float) and 0 < self.quantile <= 1
        limited = self.threshold is None or isinstance(self.threshold, int | float)
        if not (number and limited and isinstance(self.name, str)):
            raise ValueError(f"novelty {self.name!r} above {self.threshold!r} of {self.quantile!r}")
        if self.measure not in ("energy", "given"):
            raise ValueError(f"novelty measured by {self.measure!r}")

    @classmethod
    def fit(
        cls,
        outputs: np.ndarray,
        quantile: float = 0.99,
        *,
        measure: str = "energy",
        name: str | None = None,
    ) -> Novelty:
        """Set the threshold from validation outputs.

        Args:
            outputs: logits (n, classes), of known inputs; a single column is a binary logit.
                Scores (n,) for the measure `"given"`.
            quantile: share of known inputs that are to count as known.
            measure: see the class.
            name: see the class.
        """
        score = _novelty(outputs, measure)
        score = score[np.isfinite(score)]
        threshold = float(np.quantile(score, quantile)) if len(score) else None
        return cls(threshold, quantile, measure, name or measure)

    def apply(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """In-domain flags (n,) bool and scores (n,) float64; NaN outputs are not in the domain."""
        score = _novelty(outputs, self.measure)
        limit = np.inf if self.threshold is None else self.threshold
        # Scores that differ only by rounding (one by one or in a batch) get the same answer.
        return score <= limit + 1e-6 * max(1.0, abs(limit)), score

    def reason(self, score: float) -> str:
        """One score in plain words, with the number and the threshold."""
        if self.threshold is None:
            return "not known: there was nothing to learn the usual range from"
        if not np.isfinite(score):
            return f"unlike the training data: {self.name} is not a number"
        share = f"{100 * self.quantile:g} %"
        inside = score <= self.threshold + 1e-6 * max(1.0, abs(self.threshold))
        if inside:
            return (
                f"{self.name} {score:.3g}; {share} of known inputs are below {self.threshold:.3g}"
            )
        return (
            f"unlike the training data: {self.name} {score:.3g} is above {self.threshold:.3g}, "
            f"where {share} of known inputs stay below"
        )

    def config(self) -> dict[str, Any]:
        """Everything needed to make it again, JSON-able: the kind and the fitted numbers."""
        return {"kind": self.kind, **asdict(self)}


def _novelty(outputs: np.ndarray, measure: str) -> np.ndarray:
    z = np.asarray(outputs, dtype=np.float64)
    if measure == "given":
        return z.reshape(len(z))
    z = np.clip(z, -_LARGEST, _LARGEST)
    z = z[:, None] if z.ndim == 1 else z
    if z.shape[1] == 1:  # a binary logit is a difference of two: both classes alike
        z = np.concatenate([-z / 2, z / 2], axis=1)
    top = z.max(axis=1)
    return -(top + np.log(np.exp(z - top[:, None]).sum(axis=1)))
