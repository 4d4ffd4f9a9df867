"""Question answering on the toolkit's contract: a story and a question in, an answer out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.qa.data import READERS, SAMPLES
from deepfield.domains.qa.features import Asked, Reading, encode, told_sentences, words_of
from deepfield.domains.qa.names import Lesson, interchangeable, traded
from deepfield.domains.qa.task import Answers
from deepfield.domains.qa.usage import EXAMPLES, OPTIONS, VERBS
from deepfield.domains.qa.vocabulary import FIRST, Vocabulary
from deepfield.toolkit.data import Arrays, Encoded, Sample
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.recipe import Recipe

#: With slots, a word is known if this share of the training stories uses it, and at least three.
KNOWN_SHARE = 0.005
#: A word is silent if it is in more than this share of the sentences of a task.
SILENT_SHARE = 0.95
#: Attention from which on a sentence counts as a ground of the answer.
LEAST_ATTENTION = 0.2


class QAPipeline(Pipeline):
    """The answer to a question about a story, and the sentences it rests on.

    With `--set slots=24` the network learns to follow words that it does not know (names, places,
    things) by what the story tells of them: words that few training stories use are not learnt.

    Example:
        >>> QAPipeline("memn2n").architecture
        'memn2n'
    """

    domain = "qa"
    summary = "question answering: what a story says"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.qa.models"
    default_architecture = "mention_network"
    task_class = Answers
    baseline = "logistic"
    explanation_file = None
    presets = ("story", "babi_10k", "babi_1k", "memn2n_babi_10k")
    known_data: ClassVar = {
        name: ("bAbI tasks 1-20 v1.2 (Weston et al. 2015)", "CC BY 3.0")
        for name in ("babi", "tasks_1-20_v1-2.tar.gz", "tasks_1-20_v1-2-train.tar.gz")
    } | {"world": ("deepfield's own simulated world", "Apache-2.0, as deepfield")}
    recipes: ClassVar = {
        "": Recipe(epochs=40, batch_size=32, learning_rate=3e-3, clip_norm=5.0),
        "mention_network": Recipe(
            epochs=40, batch_size=64, learning_rate=2e-3, warmup=0.05, clip_norm=5.0, jit=True
        ),
        "memn2n": Recipe(epochs=60, batch_size=32, learning_rate=5e-3, clip_norm=40.0),
    }
    options = OPTIONS
    verbs: ClassVar = VERBS
    examples: ClassVar = EXAMPLES

    # ------------------------------------------------------------------ from story to ids

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that the network knows, and its slots."""
        if not hasattr(self, "_vocabulary"):
            self._vocabulary = Vocabulary(**self.state["vocabulary"])
        return self._vocabulary

    def restored(self) -> None:
        """Words and slots of a stranger's bundle must be words and a number."""
        told = self.vocabulary
        if not 0 <= told.slots < 1 << 16 or not all(isinstance(w, str) for w in told.words):
            raise ValueError("the vocabulary makes no sense")

    def encode(self, item: Any) -> tuple[Arrays, Reading]:
        """A story and a question to word ids.

        Raises:
            BadInput: no story, no question.
        """
        return encode(self.asked(item), self.vocabulary)

    @staticmethod
    def asked(item: Any) -> Asked:
        """An item as a story with a question; a dictionary with both keys is one too.

        Raises:
            BadInput: it is neither.
        """
        if isinstance(item, Mapping) and {"story", "question"} <= item.keys():
            try:
                item = Asked(told_sentences(item["story"]), item["question"])
            except ValueError as error:
                raise BadInput(str(error)) from None
        if not isinstance(item, Asked):
            raise BadInput("not a story with a question")
        if not isinstance(item.question, str):
            raise BadInput("no question")
        return item

    def targets(self, sample: Sample) -> Sequence[Any]:
        """The answer: a label, or the slot in which it stands in this story."""
        answer = sample.target
        slots = int(self.hyper.get("slots", 0))
        if not slots or "vocabulary" not in self.state or not isinstance(sample.data, Asked):
            return [answer]
        try:
            place = encode(sample.data, self.vocabulary)[1].place(str(answer))
        except BadInput:  # said when the item itself is encoded
            place = None
        return [answer if place is None else ("slot", place)]

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """Learn the vocabulary from the training stories, and which answers are labels."""
        slots = int(self.hyper.get("slots", 0))
        self.task.state["slots"] = slots
        told: dict[Any, list[tuple[str, ...]]] = {}
        for index, sample in enumerate(items):
            if not isinstance(sample.data, Asked):
                continue
            sentences = told.setdefault(sample.group or index, [])
            sentences += map(words_of, (*sample.data.sentences, sample.data.question))
        if "vocabulary" not in self.state or not slots:
            least = max(3, math.ceil(KNOWN_SHARE * len(told))) if slots else 1
            before = self.state.get("vocabulary", {})
            silent = before.get("silent", ())
            if self.architecture == "mention_network" and not before:
                silent = silent_words(s.data for s in items if isinstance(s.data, Asked))
            words = Vocabulary.learn(told.values(), slots, least, silent).words
            if not slots:  # answers of several words are words too, as in the papers
                words = tuple(dict.fromkeys([*before.get("words", ()), *words, *map(str, targets)]))
            self.state["vocabulary"] = Vocabulary(words, slots, silent).state()
            self.__dict__.pop("_vocabulary", None)
        if slots:
            self.task.learn([answer for sample in items for answer in self.targets(sample)])

    def variation(self, items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]] | None:
        """Names that trade places, found task by task; not where names are slots anyway."""
        trade = self.architecture == "mention_network" and self.hyper.get("trade", True)
        if not trade or self.hyper.get("slots"):
            return None
        task = self.task
        assert isinstance(task, Answers)
        lessons: dict[str, list[Lesson]] = {}
        for item in items:
            asked = self.asked(item.sample.data)
            lessons.setdefault(asked.task, []).append((asked, str(item.sample.target)))
        groups = {name: interchangeable(own) for name, own in lessons.items()}
        # whom several tasks ask for others may tell of without asking
        counts = Counter(w for found in groups.values() for group in found for w in group)
        names = {word for word, count in counts.items() if count > 1}
        groups = {name: interchangeable(own, names) for name, own in lessons.items()}
        if not any(groups.values()):
            return None
        own = [groups[self.asked(item.sample.data).task] for item in items]
        return traded(own, self.vocabulary, task.labels, task.output)

    def lesson(self, name: str, item: Encoded) -> tuple[Arrays, Arrays]:
        """Also which sentences the answer rests on, where the data tell: NaN elsewhere."""
        inputs, targets = super().lesson(name, item)
        if not self.hyper.get("grounds"):
            return inputs, targets
        asked, read = self.asked(item.sample.data), item.context
        grounds = np.full(len(inputs["story"]), np.nan, np.float32)
        if asked.supporting and read.sentences == asked.sentences:
            grounds[:] = 0.0
            grounds[list(asked.supporting)] = 1.0
        return inputs, {**targets, "grounds": grounds}

    def build_arguments(self) -> dict[str, Any]:
        """Number of word ids and of classes; for MemN2N the word of each class."""
        task = self.task
        assert isinstance(task, Answers)
        found: dict[str, Any] = {
            "words": len(self.vocabulary),
            "classes": len(task.labels) + task.slots,
        }
        if "answers" in self.hyper:
            return found
        ids = [self.vocabulary.ids((label,))[0] for label in task.labels]
        slots = map(self.vocabulary.slot_id, range(task.slots))
        if self.architecture == "mention_network":
            found["answers"] = [*(i or 0 for i in ids), *slots]
        adjacent = self.hyper.get("tying", "adjacent") == "adjacent"
        if self.architecture == "memn2n" and adjacent and None not in ids:
            found["answers"] = [*ids, *slots]
        return found

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """About the vocabulary of all 20 tasks of bAbI."""
        return {"words": 180, "classes": 40}

    def ease(self, model: Any, easier: bool) -> None:
        """Leave the softmax of MemN2N's hops out, or put it in: its paper's linear start."""
        hops = [layer for layer in model.layers if hasattr(layer, "linear")]
        if not hops:
            super().ease(model, easier)
        for hop in hops:
            hop.linear = easier

    # ------------------------------------------------------------------ from outputs to answer

    def decode(self, outputs: Arrays, context: Reading) -> dict[str, Any]:
        """The answer, and the sentences that each hop looked at."""
        task = self.task
        assert isinstance(task, Answers)
        answer = task.named(outputs["prediction"], context)
        answer["supporting"] = [context.sentences[i] for i in grounds(outputs, context)]
        if context.missed:
            answer["in_domain"] = False
            words = ", ".join(context.missed[:5]) + (" …" if len(context.missed) > 5 else "")
            answer["in_domain_reason"] = f"words that the network does not know: {words}"
        return answer

    @property
    def fields(self) -> tuple[str, ...]:
        """The answer, its probability, others, and the sentences it rests on."""
        return ("answer", "probability", "alternatives", "supporting")

    # ------------------------------------------------------------------ beside the network

    def baseline_features(self, arrays: Arrays) -> np.ndarray:
        """Most recent mention: how long ago a word stood beside a word of the question.

        The vocabulary twice: 1 / (1 + sentences since the word was last said in a sentence that
        shares a word with the question, or in any).
        """
        story, question = arrays["story"], arrays["question"]
        size = len(self.vocabulary)
        features = np.zeros((2, size), np.float32)
        common = np.isin(story, question) & (story >= FIRST)
        for place, row in enumerate(story):
            recency = 1.0 / (len(story) - place)
            features[1, row] = recency
            if common[place].any():
                features[0, row] = recency
        return features[:, FIRST:].ravel()


def silent_words(stories: Iterable[Asked]) -> list[str]:
    """Words of nearly every sentence of a task, which tell nothing apart: "the"."""
    sentences: dict[str, dict[str, None]] = {}
    for asked in stories:
        sentences.setdefault(asked.task, {}).update(dict.fromkeys(asked.sentences))
    found = set()
    for own in sentences.values():
        counts = Counter(w for s in own for w in {word.casefold() for word in words_of(s)})
        found |= {word for word, count in counts.items() if count > SILENT_SHARE * len(own)}
    return sorted(found)


def grounds(outputs: Arrays, read: Reading) -> list[int]:
    """Places of the sentences that some hop looked at, in the order of the story."""
    if "grounds" in outputs:
        return np.flatnonzero(outputs["grounds"][: len(read.sentences)] > 0).tolist()
    attention = outputs.get("attention")
    if attention is None:
        return []
    attention = attention[:, : len(read.sentences)]
    return np.flatnonzero((attention >= LEAST_ATTENTION).any(axis=0)).tolist()
