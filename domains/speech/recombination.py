"""Words of recordings put together to new ones, for training.

A network that hears a few people say a few hundred sentences learns the sentences by heart, and
then hears them where they are not. Where it is known when each word was said, the words of one
speaker can follow each other in any order (Lam et al. 2021, "On-the-fly aligned data augmentation
for sequence-to-sequence ASR").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from deepfield.domains.speech.decoder import align, heard_frames
from deepfield.domains.speech.features import Sound
from deepfield.domains.speech.task import Transcription
from deepfield.toolkit.data import Arrays, Encoded, Sample
from deepfield.toolkit.export import keras_network
from deepfield.toolkit.splits import Split

_HOP_S = 0.01
#: The network that says where words are, and its training.
_ALIGNER = {
    "filters": 128, "blocks": 3, "repeats": 1, "kernel_size": 7, "growth": 0, "noise": 0.2,
    "masks": 1, "dropout": 0.1, "epochs": 24,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word in a recording.

    Args:
        item: place of the recording among all.
        start: its first sample.
        end: the sample behind its last one.
        text: its symbols, by what they are symbols of.
    """

    item: int
    start: int
    end: int
    text: Arrays


class Recombination:
    """Draws the words of one speaker in any order.

    Args:
        words: of each recording, in order; none where it is not known when they were said.
        names: what each of these words is, so that rare words are drawn as often as others.
        speakers: who speaks in each recording; None is one more.
    """

    def __init__(
        self,
        words: Sequence[Sequence[Word]],
        names: Sequence[Sequence[str]],
        speakers: Sequence[Hashable],
    ) -> None:
        found: dict[Hashable, dict[str, list[Word]]] = defaultdict(lambda: defaultdict(list))
        for own, named, speaker in zip(words, names, speakers, strict=True):
            for word, name in zip(own, named, strict=True):
                if word.end > word.start:  # else it was cut away
                    found[speaker][name].append(word)
        self._kinds = {speaker: list(kinds.values()) for speaker, kinds in found.items()}
        self._speakers = list(speakers)

    @classmethod
    def of(cls, items: Sequence[Encoded], task: Transcription, rate_hz: int) -> Recombination:
        """When the words of training items were said, by a small network that first learns the
        sounds of these items.

        Args:
            items: encoded recordings with their texts.
            task: has a lexicon.
            rate_hz: samples a second.
        """
        assert task.lexicon is not None
        texts = [task.alphabet.text(np.asarray((e.target or {})[task.output])) for e in items]
        sounds = {word: "".join(map(_letter, task.lexicon.symbols(word)))
                  for text in texts for word in text.split()}  # fmt: skip
        waveforms = [(e.arrays or {})["waveform"] for e in items]
        aligner = _aligner(waveforms, texts, sounds, rate_hz)
        network = keras_network(aligner.models["model"])
        other = aligner.transcription
        space = int(other.alphabet.symbols(" ")[0])
        words: list[list[Word]] = []
        for number, (x, text) in enumerate(zip(waveforms, texts, strict=True)):
            heard = network({"waveform": x[None]})["log_probs"][0]
            letters = [other.alphabet.symbols(sounds[word]) for word in text.split()]
            found = spans(x, rate_hz, heard, letters, space, other.frame_s)
            own = zip(found, text.split(), strict=True)
            words.append([Word(number, *span, task.encode(word)) for span, word in own])
        return cls(words, [text.split() for text in texts], [e.sample.group for e in items])

    def draw(self, item: int, rng: np.random.Generator, most: float) -> list[Word]:
        """Words of a recording's speaker, each kind of word equally often, that last about as long.

        Batches are of recordings of about one length, and stay so.

        Args:
            item: the recording.
            rng: says which.
            most: how long it lasts, in samples.
        """
        kinds = self._kinds.get(self._speakers[item])
        if not kinds:
            return []
        words: list[Word] = []
        length = 0
        while True:
            own = kinds[rng.integers(len(kinds))]
            word = own[rng.integers(len(own))]
            if words and length + (word.end - word.start) / 2 > most:
                return words
            words.append(word)
            length += word.end - word.start


def spans(
    waveform: np.ndarray, rate_hz: int, log_probs: np.ndarray, words: Sequence[np.ndarray],
    space: int, frame_s: float,
) -> list[tuple[int, int]]:  # fmt: skip
    """From which sample to which each word lasts, cut where it is quietest between two words.

    Args:
        waveform: (samples,).
        rate_hz: samples a second.
        log_probs: (frames, symbols), what a network hears in it.
        words: letters of each word, as symbols.
        space: symbol of the blank between words.
        frame_s: seconds of a frame.

    Returns:
        As many spans as words; they cover the recording.
    """
    if not words:
        return []
    symbols = np.concatenate([np.append(word, space) for word in words])[:-1]
    first, last, _ = align(log_probs[: heard_frames(log_probs)], symbols)
    ends = np.cumsum([len(word) + 1 for word in words])[:-1]  # places of the first letters
    hop = round(_HOP_S * rate_hz)
    level = np.array([
        np.log(1e-10 + np.square(waveform[i : i + 2 * hop], dtype=np.float64).mean())
        for i in range(0, max(1, len(waveform)), hop)
    ])  # fmt: skip
    level = np.convolve(np.pad(level, 1, "edge"), np.ones(3) / 3, "valid")
    cuts = [0]
    for place in ends:
        low = int(last[place - 2] * frame_s / _HOP_S)
        high = int((first[place] + 1) * frame_s / _HOP_S)
        low = min(low, len(level) - 1)
        quietest = low + int(level[low : max(low + 1, high)].argmin())
        cuts.append(max(cuts[-1], min(len(waveform), quietest * hop + hop // 2)))
    cuts.append(len(waveform))
    return list(pairwise(cuts))


def _aligner(
    waveforms: Sequence[np.ndarray], texts: Sequence[str], sounds: Mapping[str, str], rate_hz: int
) -> Any:
    """A pipeline that writes sounds, and hears little at once: so it writes them where they are.

    What sees a whole sentence may write its letters early or late, as LSTMs do.
    """
    from deepfield.domains.speech.pipeline import SpeechPipeline

    samples = [
        Sample(str(i), Sound(x, rate_hz), " ".join(sounds[word] for word in text.split()))
        for i, (x, text) in enumerate(zip(waveforms, texts, strict=True))
    ]
    pipeline = SpeechPipeline("quartznet_small", variation=0.3)
    settings = {**_ALIGNER, "rate_hz": rate_hz}
    pipeline.fit(samples, split=Split("random", (1.0, 0.0, 0.0)), settings=settings)
    return pipeline


def _letter(sound: int) -> str:
    """A character of its own for a sound: no text that people write is asked for."""
    return chr(0x4E00 + int(sound))
