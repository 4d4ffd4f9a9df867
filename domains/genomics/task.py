"""What is said of a stretch of DNA: one of several classes, mostly yes or no."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfield.toolkit.tasks import Classification

#: Figures that are of the second class alone where there are two.
_OF_POSITIVES = ("roc_auc", "pr_auc", "top_k_accuracy")


class Function(Classification):
    """One of several classes; of two the second is what is looked for, and has a `score`.

    Example:
        >>> task = Function({"labels": ["0", "1"]})
        >>> task.answer(np.array([0.2, 0.8]))["score"]
        0.8
    """

    metrics = ("accuracy", "roc_auc", "pr_auc", "mcc", "top_k_accuracy", "ece")

    @property
    def two(self) -> bool:
        """Whether there are two classes."""
        return len(self.labels) == 2

    @property
    def fields(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of a class, and of two the score."""
        return ("label", "probability", *(("score",) if self.two else ()), "alternatives")

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The likeliest class; of two also the probability of the second, whichever was said."""
        answer = super().answer(prediction)
        if not self.two:
            return answer
        alternatives = answer.pop("alternatives")
        return {**answer, "score": round(float(prediction[1]), 6), "alternatives": alternatives}

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """As the toolkit has it; of two classes the curves are of the second."""
        if metric in _OF_POSITIVES and self.two and predictions.ndim == 2:
            predictions = predictions[:, 1]
        return super().score(metric, targets, predictions)
