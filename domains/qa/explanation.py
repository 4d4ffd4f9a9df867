"""Why a network answered so: how much each sentence counted in each of its hops.

The numbers are outputs of the network itself, so they come from ONNX Runtime where the pipeline was
loaded from a bundle, without Keras. Only a picture imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import DeepfieldError
from deepfield.toolkit.report import Report

if TYPE_CHECKING:
    from deepfield.domains.qa.pipeline import QAPipeline

#: A terminal and a picture show so many sentences, those that counted most; JSON holds all.
MOST_SENTENCES = 30
_BAR = 8  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"

#: What the numbers of an architecture are.
METHODS = {
    "memn2n": "attention: the share of a sentence in what the hop read; a hop adds up to 1 at most",
    "query_reduction": (
        "what is left of a sentence at the end of the story, as it is read forward: its update"
        " gate times (1 - gate) of every later sentence; a hop adds up to 1 at most"
    ),
    "mention_network": (
        "attention: how the question, in each block, shared its look among the sentences; a hop"
        " adds up to 1 (messages also pass from mention to mention, which is not shown)"
    ),
}
_GROUNDS = "; grounds: how likely the network holds it that the answer rests on the sentence"


@dataclass(slots=True)
class Explanation:
    """An answer, and how much each sentence counted.

    Args:
        name: of the sample.
        question: as it was asked.
        scores: probability by answer, best first.
        sentences: the story.
        attention: (hops, sentences), 0 to 1.
        method: what the numbers are.
        grounds: (sentences,), 0 to 1: how likely the answer rests on each, where the network
            says so.
    """

    name: str
    question: str
    scores: dict[str, float]
    sentences: tuple[str, ...]
    attention: np.ndarray
    method: str
    grounds: np.ndarray | None = None

    @property
    def answer(self) -> str:
        """The likeliest one."""
        return next(iter(self.scores))

    def facts(self) -> dict[str, Any]:
        """Everything as a JSON-able dictionary; sentences are counted from 1, as in bAbI."""
        return {
            "id": self.name,
            "question": self.question,
            "answer": self.answer,
            "probability": self.scores[self.answer],
            "scores": self.scores,
            "method": self.method,
            "sentences": [
                {"number": n, "text": text, "hops": [round(float(p), 6) for p in column]}
                | (
                    {}
                    if self.grounds is None
                    else {"grounds": round(float(self.grounds[n - 1]), 6)}
                )
                for n, (text, column) in enumerate(
                    zip(self.sentences, self.attention.T, strict=True), start=1
                )
            ],
        }

    def lines(self) -> Iterator[str]:
        """For a terminal: the answer, then a bar for each hop beside each sentence."""
        yield f"{self.question}  {self.answer} ({self.scores[self.answer]:.0%})"
        yield ""
        cell = _BAR + 5
        looks = self._looks()
        yield "  ".join(f"{name:<{cell}}" for name in looks).rstrip()
        shown = self._shown()
        wide = len(str(shown[-1] + 1))
        for place in shown:
            bars = (f"{_bar(p[place])} {p[place]:.2f}" for p in looks.values())
            yield "  ".join([*bars, f"{place + 1:>{wide}} {self.sentences[place]}"])
        if len(shown) < len(self.sentences):
            yield f"{len(self.sentences) - len(shown):,} more sentences that counted less"
        yield ""
        yield self.method

    def png(self) -> bytes:
        """The same as a picture."""
        from deepfield.toolkit import plots

        shown = self._shown()
        labels = [f"{place + 1}  {self.sentences[place]}" for place in shown]
        caption = f"{self.question}  {self.answer}, {self.scores[self.answer]:.1%}"
        looks = self._looks()
        shares = np.stack(list(looks.values()))[:, shown]
        return plots.attention_plot(labels, shares, caption, list(looks))

    def report(self) -> Report:
        """A page with the answers, the picture, and all sentences that are shown."""
        page = Report(f"Why: {self.question}")
        page.table([{"answer": k, "probability": v} for k, v in self.scores.items()])
        page.picture(self.png(), f"How much each sentence counted ({self.method})")
        return page.table([
            {"sentence": place + 1, "text": self.sentences[place]}
            | {name: float(p[place]) for name, p in self._looks().items()}
            for place in self._shown()
        ])  # fmt: skip

    def _looks(self) -> dict[str, np.ndarray]:
        """What stands beside a sentence, by name: each hop, and the grounds where there are any."""
        looks = {f"hop {k}": shares for k, shares in enumerate(self.attention, start=1)}
        return looks if self.grounds is None else {**looks, "grounds": self.grounds}

    def _shown(self) -> list[int]:
        """Places of the sentences that counted most in any hop, in the order of the story."""
        order = np.argsort(-np.max(list(self._looks().values()), axis=0), kind="stable")
        return sorted(int(place) for place in order[:MOST_SENTENCES])


def explain(pipeline: QAPipeline, sample: Sample) -> Explanation:
    """Explain the answer to one question.

    Raises:
        BadInput: the question cannot be asked.
        DeepfieldError: the network has no look at single sentences.
    """
    arrays, reading = pipeline.encode(sample.data)
    outputs = pipeline.calibrated(pipeline.forward({k: v[None] for k, v in arrays.items()}))
    if "attention" not in outputs:
        raise DeepfieldError(
            f"{pipeline.architecture} does not look at single sentences",
            f"explain answers of {' or '.join(METHODS)}",
        )
    own = {name: values[0] for name, values in outputs.items()}
    answer = pipeline.decode(own, reading)
    count = len(reading.sentences)
    method = METHODS.get(pipeline.architecture, METHODS["memn2n"])
    grounds = None
    if "grounds" in own:
        grounds = 1.0 / (1.0 + np.exp(-np.asarray(own["grounds"], np.float64)[:count]))
        method += _GROUNDS
    return Explanation(
        sample.id,
        pipeline.asked(sample.data).question,
        {answer["answer"]: answer["probability"], **answer["alternatives"]},
        reading.sentences,
        np.asarray(own["attention"], np.float64)[:, :count],
        method,
        grounds,
    )


def _bar(share: float) -> str:
    """A bar of `_BAR` characters, to an eighth of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * 8 * _BAR)
    whole, rest = divmod(eighths, 8)
    return f"{'█' * whole}{_EIGHTHS[rest] if rest else ''}".ljust(_BAR)
