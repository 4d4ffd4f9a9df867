"""What the outputs of a network mean: a known word, or what stands in one of the story's slots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.qa import published
from deepfield.domains.qa.features import Reading
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import BadInput, UsageError
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.tasks import Classification

#: A task of bAbI is failed above this error.
FAILED = 0.05


class Answers(Classification):
    """One of the known answers, or one of the story's own words.

    Classes are the labels, then the slots. A target is a label, or `("slot", number)`.

    Example:
        >>> task = Answers({"labels": ["no", "yes"], "slots": 2})
        >>> chances = np.array([0.1, 0.1, 0.7, 0.1])
        >>> task.named(chances, Reading(slots=("Mordor", "Shire")))["answer"]
        'Mordor'
    """

    name = "question answering"
    losses: ClassVar[Mapping[str, str]] = {
        **Classification.losses, "grounds": "masked_binary_crossentropy"
    }  # fmt: skip
    padding: ClassVar[Mapping[str, float]] = {"grounds": math.nan}
    metrics = ("accuracy", "error", "ece")
    fields = ("answer", "probability", "alternatives")
    column: ClassVar[str] = "task"

    @property
    def slots(self) -> int:
        """How many classes are slots."""
        return int(self.state.get("slots", 0))

    def learn(self, targets: Sequence[Any]) -> None:
        """Collect the labels ("none" is one), in natural order.

        Raises:
            UsageError: fewer than two classes.
        """
        labels = sorted({t for t in targets if isinstance(t, str)}, key=natural)
        told = any(isinstance(t, tuple) for t in targets)  # answers that stand in slots
        if len(labels) + self.slots < 2 and not told:
            raise UsageError(f"{len(labels)} different answers", "give stories with more answers")
        self.state["labels"] = labels

    def encode(self, target: Any) -> Arrays:
        """The class index, () int32.

        Raises:
            BadInput: neither a label nor a word of the story that stands in a slot.
        """
        if isinstance(target, tuple):
            return {self.output: np.int32(len(self.labels) + target[1])}  # type: ignore[dict-item]
        place = self._places().get(str(target))
        if place is None:
            raise BadInput(f"the answer {target!r} is no answer that the model can give")
        return {self.output: np.int32(place)}  # type: ignore[dict-item]

    def answer(self, prediction: np.ndarray) -> dict[str, Any]:
        """The likeliest answer without its story: slots go by their numbers."""
        if len(prediction) != len(self.labels) + self.slots:
            raise ValueError(f"{len(prediction)} chances for {len(self.labels)} labels and slots")
        return self.named(prediction, Reading(slots=tuple(f"slot {i}" for i in range(self.slots))))

    def named(self, prediction: np.ndarray, read: Reading) -> dict[str, Any]:
        """The likeliest answer to a story, its probability, and the next ones."""
        names = [*self.labels, *read.slots]
        values = prediction[: len(names)]  # slots in which nothing stands are no answers
        order = np.argsort(-values, kind="stable")[:5]
        best, *others = [(names[i], round(float(values[i]), 6)) for i in order]
        return {"answer": best[0], "probability": best[1], "alternatives": dict(others)}

    def score(self, metric: str, targets: np.ndarray, predictions: np.ndarray) -> float:
        """One figure; `error` is the share of wrong answers."""
        if metric == "error":
            return 1.0 - super().score("accuracy", targets, predictions)
        return super().score(metric, targets, predictions)

    def groups(self, targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
        """Nothing by answer: figures are divided by task."""
        return {}

    def summary(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """What the papers report of several tasks: the mean error and how many failed."""
        wrong = [float(figures["error"]) for figures in groups.values()]
        if len(wrong) < 2:
            return {}
        failed = sum(error > FAILED for error in wrong)
        return {"error": float(np.mean(wrong)), "failed_tasks": float(failed)}

    def published(self, group: str) -> dict[str, dict[str, float]]:
        """Errors of other networks in a task of bAbI."""
        return published.figures(group)

    def plots(self, targets: np.ndarray, predictions: np.ndarray) -> list[tuple[str, bytes]]:
        """Reliability and accuracy against reject rate; a confusion of slots says nothing."""
        return super().plots(targets, predictions)[1:] if not self.slots else []
