"""The architectures: functions that return a plain functional `keras.Model`.

Every builder has the signature `name(words, classes, slots=0, **hyper)`. Inputs are `story`
(batch, sentences, words) and `question` (batch, words), int32 word ids with 0 for padding, of any
size. The output `logits` gives (batch, classes) numbers whose softmax are probabilities. Those that
look at sentences also give `attention`, (batch, hops, sentences): how much each sentence counted.

`words` is the number of ids (see `Vocabulary`), of which the last `slots` are slots for unknown
words; of the classes too the last `slots` stand for them. In training slots are shuffled
anew in every story, so that no slot means anything by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deepfield.domains.qa.layers import (
    OrderedLogits,
    Places,
    PointedWords,
    RandomEmptySentences,
    RandomSlots,
    WithQuestion,
)
from deepfield.domains.qa.vocabulary import UNKNOWN
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.layers import (
    MemoryHop,
    MentionBlock,
    MentionOrder,
    PositionEncoding,
    PositionWeights,
    QueryReduction,
    RecurrentEntityCell,
    TemporalEncoding,
)
from deepfield.toolkit.registry import Registry

#: Every builder of the domain, by name.
ARCHITECTURES = Registry("architecture")


# -- beginnings and ends -------------------------------------------------------------------------


def _check(words: int, classes: int, slots: int, name: str) -> None:
    if words < 3 or classes < 2 or not 0 <= slots < min(words, classes + 1):
        raise UsageError(
            f"{name}: {words} word ids and {classes} classes, {slots} of them slots",
            "there must be 3 ids, 2 classes, and no more slots than either",
        )


def _story_and_question() -> tuple[Any, Any]:
    story = keras.Input((None, None), dtype="int32", name="story")
    return story, keras.Input((None,), dtype="int32", name="question")


def _inputs(words: int, classes: int, slots: int, name: str) -> tuple[list[Any], Any, Any, Any]:
    """Inputs, story and question with shuffled slots, and the order of the slots."""
    _check(words, classes, slots, name)
    story, question = _story_and_question()
    if not slots:
        return [story, question], story, question, None
    told, asked, order = RandomSlots(words - slots, slots, name="slots")([story, question])
    return [story, question], told, asked, order


def _logits(scores: Any, order: Any, slots: int) -> Any:
    """Finish with what is called `logits`, in single precision whatever the policy."""
    return OrderedLogits(slots, dtype="float32", name="logits")(scores, order=order)


def _answer(x: Any, classes: int, use_bias: bool = True, drawn: Any = "glorot_uniform") -> Any:
    return layers.Dense(
        classes, use_bias=use_bias, kernel_initializer=drawn, dtype="float32", name="answer"
    )(x)


def _attention(hops: Sequence[Any]) -> Any:
    """(batch, hops, sentences) from one (batch, sentences) a hop, in single precision."""
    return layers.Concatenate(axis=1, dtype="float32", name="attention")(
        [ops.expand_dims(hop, 1) for hop in hops]
    )


def _table(words: int, units: int, name: str, deviation: float = 0.1) -> Any:
    drawn = keras.initializers.RandomNormal(0.0, deviation)
    return layers.ReversibleEmbedding(words, units, embeddings_initializer=drawn, name=name)


# -- the architectures -----------------------------------------------------------------------------


@ARCHITECTURES.register()
def memn2n(
    words: int,
    classes: int,
    slots: int = 0,
    units: int = 50,
    hops: int = 3,
    tying: str = "adjacent",
    answers: Sequence[int] | None = None,
    position_encoding: bool = True,
    memories: int = 50,
    noise: float = 0.1,
    linear: bool = False,
    rectified: bool = False,
) -> keras.Model:
    """End-to-end memory network: several looks of the question into the sentences.

    Args:
        words: number of word ids.
        classes: number of answers.
        slots: how many of both are slots.
        units: features of a word, a sentence and the question.
        hops: looks into the memory.
        tying: `"adjacent"`: the sentences as one hop reads them are those that the next one
            addresses, and as the first one addresses them the question is read;
            `"layerwise"`: all hops share their sentences, and the query passes through a matrix.
        answers: with adjacent tying, the word id of each class: scores are then products with the
            last hop's word vectors (W = C). Without, the answer has a matrix of its own.
        position_encoding: weight words by their position; otherwise a bag of words.
        memories: places of the memory: it keeps so many sentences, the last ones, and places that
            no sentence takes are empty, see `MemoryHop`.
        noise: empty sentences for each sentence in training.
        linear: leave the softmax of the hops out. The weights are those of the network with
            softmax. (`start_epochs` of a recipe does it for the start of training alone.)
        rectified: a ReLU on half of the query's features behind every hop.

    Returns:
        A model from `story` and `question` to `logits` and `attention`.

    Raises:
        UsageError: numbers that do not fit together.

    Example:
        >>> from deepfield.domains.qa.models import memn2n
        >>> memn2n(20, 6, units=10, answers=range(6)).count_params()  # 4 x (20 + 50) x 10
        2800

    Source:
        Sukhbaatar, Szlam, Weston, Fergus, "End-to-end memory networks", NIPS 2015, sections 2 and
        4.1; `rectified` is what section 5 does for language. Answers of several words are classes
        of their own, as there. No deviation.
    """
    inputs, story, question, order = _inputs(words, classes, slots, "memn2n")
    if tying not in ("adjacent", "layerwise"):
        raise UsageError(f"tying must be 'adjacent' or 'layerwise', got {tying!r}")
    if answers is not None and (tying != "adjacent" or len(answers) != classes):
        raise UsageError(
            f"{len(answers)} answers for {classes} classes, tying {tying!r}",
            "answers are the word ids of the classes, for adjacent tying",
        )
    story, told = RandomEmptySentences(noise, name="noise")(story)
    count = ops.cast(told, "int32")
    back = ops.sum(count, axis=1, keepdims=True) - ops.cumsum(count, axis=1)
    kept = ops.logical_and(told, back < memories)

    def read(table: Any, ids: Any) -> Any:
        known = ops.not_equal(ids, 0)
        if position_encoding:
            return PositionEncoding()(table(ids), mask=known)
        return ops.sum(table(ids) * ops.cast(ops.expand_dims(known, -1), "float32"), axis=-2)

    def sentences(table: Any, number: str) -> Any:
        drawn = keras.initializers.RandomNormal(0.0, 0.1)
        times = TemporalEncoding(memories, embeddings_initializer=drawn, name=f"times_{number}")
        return times(read(table, story), mask=told)

    def rectify(query: Any) -> Any:
        if not rectified:
            return query
        half = units // 2
        return ops.concatenate([ops.relu(query[:, :half]), query[:, half:]], axis=-1)

    attention = []
    if tying == "adjacent":
        tables = [_table(words, units, f"words_{k}") for k in range(hops + 1)]
        query = read(tables[0], question)
        memory = [sentences(table, str(k)) for k, table in enumerate(tables)]
        for k in range(hops):
            hop = MemoryHop(linear=linear, places=memories, name=f"hop_{k + 1}")
            query, p = hop([query, memory[k], memory[k + 1]], mask=kept)
            query = rectify(query)
            attention.append(p)
    else:
        query = read(_table(words, units, "words_question"), question)
        memory = [sentences(_table(words, units, f"words_{k}"), k) for k in ("input", "output")]
        hop = MemoryHop(transform=True, linear=linear, places=memories, name="hop")
        for _ in range(hops):
            query, p = hop([query, *memory], mask=kept)
            query = rectify(query)
            attention.append(p)
    if answers is None:
        scores = _answer(query, classes, use_bias=False)
    else:
        scores = ops.take(tables[-1](query, reverse=True), np.asarray(answers, "int32"), axis=-1)
    outputs = {"logits": _logits(scores, order, slots), "attention": _attention(attention)}
    return keras.Model(inputs, outputs, name="memn2n")


@ARCHITECTURES.register()
def mention_network(
    words: int,
    classes: int,
    slots: int = 0,
    units: int = 32,
    hops: int = 4,
    positions: int = 16,
    answers: Sequence[int] | None = None,
    grounds: bool = False,
    trade: bool = True,
    messages: int | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Mention network: what is asked for passes from mention to mention of the same word.

    Story and question are one text. Messages pass along all mentions of a word, inside sentences
    and from sentence to sentence (`MentionBlock`). Then every word says how likely it is the
    answer, and the question says so of answers that need not be in the story. Slots share one
    vector, so what the network does with one unknown name it does with every other, but for
    rounding.

    Args:
        words: number of word ids.
        classes: number of answers.
        slots: how many of both are slots.
        units: features of a word.
        hops: blocks. Each passes a message from one mention to others, then to other words of
            their sentences.
        positions: words of a sentence with a weight of their own.
        answers: the word id of each class, 0 for a class that is no word. Without, only slots
            can be pointed at.
        grounds: also tell which sentences the answer rests on, learnt from the data.
        trade: names trade places in training, where the data show which may (see `names.py`; the
            pipeline does it, the network is the same).
        messages: features of what a mention says to the next one; half of `units` by default.
        dropout: fraction of each exchange of messages left out in training.

    Returns:
        A model from `story` and `question` to `logits`, `attention`, and if wanted `grounds`,
        (batch, sentences) logits.

    Raises:
        UsageError: numbers that do not fit together.

    Example:
        >>> from deepfield.domains.qa.models import mention_network
        >>> mention_network(20, 6, slots=6, units=8, hops=1).count_params()
        1777

    Source:
        Ours; see `MentionBlock` and `PointedWords`.
    """
    _check(words, classes, slots, "mention_network")
    story, question = _story_and_question()
    if answers is None:
        answers = [*[0] * (classes - slots), *range(words - slots, words)]
    if len(answers) != classes:
        raise UsageError(f"{len(answers)} answers for {classes} classes", "one word id a class")
    ids = WithQuestion(name="text")([story, question])
    there = ops.not_equal(ids, 0)
    seen = ops.where(ids >= words - slots, UNKNOWN, ids) if slots else ids
    # made here: an initializer draws its seed when it is made
    drawn = keras.initializers.RandomNormal(0.0, 0.3)
    place = layers.Embedding(2 * positions, units, embeddings_initializer=drawn, name="places")
    drawn = keras.initializers.RandomNormal(0.0, 1.0)
    h = layers.Embedding(words - slots, units, embeddings_initializer=drawn, name="words")(seen)
    h = h + place(Places(positions, name="place")(ids))
    order = MentionOrder(name="mentions")(ids)
    attention = []
    for k in range(1, hops + 1):
        block = MentionBlock(positions, messages, dropout=dropout, name=f"block_{k}")
        h, p = block([h, *order], mask=there)
        attention.append(p)
    h = layers.LayerNormalization(name="normalize")(h)
    score = layers.Dense(1, dtype="float32", name="score")(h)
    logits = PointedWords(answers, dtype="float32", name="pointed")([ids, ops.squeeze(score, -1)])
    weight = ops.cast(ops.expand_dims(there, -1), h.dtype)
    sentences = ops.sum(h * weight, axis=2) / ops.maximum(ops.sum(weight, axis=2), 1.0)
    if classes > slots:
        x = layers.Dense(2 * units, activation="relu", name="asked")(sentences[:, -1])
        known = layers.Dense(classes - slots, dtype="float32", name="answer")(x)
        logits = logits + ops.pad(known, [[0, 0], [0, slots]])
    outputs = {
        "logits": layers.Identity(dtype="float32", name="logits")(logits),
        "attention": _attention(attention),
    }
    if grounds:
        x = layers.Dense(units, activation="relu", name="rests")(sentences[:, :-1])
        x = layers.Dense(1, dtype="float32", name="ground")(x)
        outputs["grounds"] = layers.Reshape((-1,), dtype="float32", name="grounds")(x)
    return keras.Model([story, question], outputs, name="mention_network")


@ARCHITECTURES.register()
def query_reduction(
    words: int,
    classes: int,
    slots: int = 0,
    units: int = 50,
    hops: int = 2,
    reset: bool = True,
    gate: str = "scalar",
    both: bool = True,
    tied: bool = False,
    gate_bias: float = -2.5,
    dropout: float = 0.0,
) -> keras.Model:
    """Query-reduction network: the question is carried through the story, several times.

    Args:
        words: number of word ids.
        classes: number of answers.
        slots: how many of both are slots.
        units: features of a word, a sentence and the question.
        hops: layers; each takes the reduced question of the one before, sentence by sentence.
        reset: whether the layers but the last have a reset gate.
        gate: `"scalar"` or `"vector"` gates.
        both: read in both directions in all layers but the last.
        tied: all layers have the same weights.
        gate_bias: of the update gates at the start; below 0 a sentence changes little at first.
        dropout: fraction of the features of sentences and question left out in training.

    Returns:
        A model from `story` and `question` to `logits` and `attention`. The attention of a layer
        is what is left of each sentence at the end of the story; it adds up to 1 at most.

    Raises:
        UsageError: numbers that do not fit together.

    Example:
        >>> from deepfield.domains.qa.models import query_reduction
        >>> query_reduction(20, 6, units=10, hops=1).count_params()
        487

    Source:
        Seo, Min, Farhadi, Hajishirzi, "Query-reduction networks for question answering", ICLR 2017,
        sections 2 and 5.2: words and answers drawn with a deviation of 1/sqrt(units), kernels
        of the layers as Glorot and Bengio do, forget bias 2.5 (`gate_bias` is its negative).
        Deviations: layers have weights of their own unless `tied`, as the paper ties them; the
        answer has a bias; dropout on the encoded sentences; no limit on sentences.
    """
    inputs, story, question, order = _inputs(words, classes, slots, "query_reduction")
    table = _table(words, units, "words", deviation := units**-0.5)
    known = ops.not_equal(story, 0)
    told = ops.any(known, axis=-1)
    sentences = PositionEncoding(name="sentences")(table(story), mask=known)
    query = PositionEncoding(name="asked")(table(question), mask=ops.not_equal(question, 0))
    if dropout:
        sentences = layers.Dropout(dropout, name="drop_sentences")(sentences)
        query = layers.Dropout(dropout, name="drop_question")(query)

    def reduction(name: str, last: bool) -> Any:
        return QueryReduction(
            direction="both" if both and not last else "forward",
            reset=reset and not last,
            gate=gate,
            gate_bias_initializer=keras.initializers.Constant(gate_bias),
            name=name,
        )

    attention = []
    layer = reduction("reduce", hops == 1) if tied else None
    for k in range(1, hops + 1):
        last = k == hops
        step = layer or reduction(f"reduce_{k}", last)
        query, update = step([sentences, query], mask=told, closing=last)
        attention.append(_left_at_the_end(update))
    drawn = keras.initializers.RandomNormal(0.0, deviation)
    outputs = {
        "logits": _logits(_answer(query[:, -1], classes, drawn=drawn), order, slots),
        "attention": _attention(attention),
    }
    return keras.Model(inputs, outputs, name="query_reduction")


def _left_at_the_end(update: Any) -> Any:
    """z_t times the product of all later (1 - z_j), the mean over gates: (batch, sentences)."""
    keep = ops.log(ops.maximum(1.0 - ops.cast(update, "float32"), 1e-7))
    later = ops.sum(keep, axis=1, keepdims=True) - ops.cumsum(keep, axis=1)
    return ops.mean(ops.cast(update, "float32") * ops.exp(later), axis=-1)


@ARCHITECTURES.register()
def entity_network(
    words: int,
    classes: int,
    slots: int = 0,
    units: int = 100,
    entities: int = 20,
    positions: int = 12,
    activation: str = "prelu",
) -> keras.Model:
    """Recurrent entity network: slots of a memory follow entities through the story.

    Args:
        words: number of word ids.
        classes: number of answers.
        slots: how many of both are slots for unknown words (not those of the memory).
        units: features of a word, a sentence and a slot of the memory.
        entities: slots of the memory.
        positions: words of a sentence with a learned weight of their own.
        activation: `"prelu"` or `"linear"`.

    Returns:
        A model from `story` and `question` to `logits`.

    Raises:
        UsageError: numbers that do not fit together.

    Example:
        >>> entity_network(words=20, classes=5, units=8, entities=3).output_shape
        (None, 5)

    Source:
        Henaff, Weston, Szlam, Bordes, LeCun, "Tracking the world state with recurrent entity
        networks", ICLR 2017: eq. (1) to (5), and (6) for the answer. Story and question have word
        weights of their own. No deviation.
    """
    inputs, story, question, order = _inputs(words, classes, slots, "entity_network")
    table = _table(words, units, "words")
    known = ops.not_equal(story, 0)
    sentences = PositionWeights(positions, name="sentences")(table(story), mask=known)
    asked = PositionWeights(positions, name="asked")(
        table(question), mask=ops.not_equal(question, 0)
    )
    cell = RecurrentEntityCell(entities, units, activation=activation, name="cell")
    memory = layers.RNN(cell, name="memory")(sentences, mask=ops.any(known, axis=-1))
    memory = layers.Reshape((entities, units), name="entities")(memory)
    match = ops.softmax(ops.sum(memory * ops.expand_dims(asked, 1), axis=-1), axis=-1)
    found = ops.sum(ops.expand_dims(match, -1) * memory, axis=1)
    x = asked + layers.Dense(units, use_bias=False, name="transform")(found)
    x = layers.PReLU("ones", name="squash")(x) if activation == "prelu" else x
    scores = _answer(x, classes, use_bias=False)
    return keras.Model(inputs, _logits(scores, order, slots), name="entity_network")


@ARCHITECTURES.register()
def lstm(
    words: int, classes: int, slots: int = 0, units: int = 50, dropout: float = 0.0
) -> keras.Model:
    """An LSTM that reads the story word by word, then the question: what memory is measured by.

    Args:
        words: number of word ids.
        classes: number of answers.
        slots: how many of both are slots.
        units: features of a word and of the state.
        dropout: fraction of the last state left out in training.

    Returns:
        A model from `story` and `question` to `logits`.

    Raises:
        UsageError: numbers that do not fit together.

    Example:
        >>> from deepfield.domains.qa.models import lstm
        >>> lstm(20, 6, units=10).count_params()  # 200 + 4 x (10 + 10 + 1) x 10 + 11 x 6
        1106

    Source:
        Weston et al., "Towards AI-complete question answering", ICLR 2016, section 4 (baseline);
        Hochreiter, Schmidhuber, "Long short-term memory", 1997. Deviation: Keras' LSTM, with
        a forget gate.
    """
    inputs, story, question, order = _inputs(words, classes, slots, "lstm")
    flat = layers.Reshape((-1,), name="one_line")(story)
    text = layers.Concatenate(axis=1, name="text")([flat, question])
    x = layers.Embedding(words, units, name="words")(text)
    x = layers.LSTM(units, name="reader")(x, mask=ops.not_equal(text, 0))
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, _logits(_answer(x, classes), order, slots), name="lstm")
