"""Speech on the toolkit's contract: a recording in, its words out, with times and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from deepfield.domains.speech import features
from deepfield.domains.speech.data import READERS, SAMPLES
from deepfield.domains.speech.espeak import Voices
from deepfield.domains.speech.features import Clip, Heard
from deepfield.domains.speech.formants import WORDS, Speaker, say
from deepfield.domains.speech.language import Language
from deepfield.domains.speech.lexicon import Lexicon
from deepfield.domains.speech.splits import SPLITS
from deepfield.domains.speech.streaming import past_frames, reach
from deepfield.domains.speech.task import Transcription, certainty
from deepfield.domains.speech.text import Alphabet, plain
from deepfield.domains.speech.usage import EXAMPLES, OPTIONS, VERBS
from deepfield.toolkit.data import Arrays, Encoded, Sample
from deepfield.toolkit.errors import BadInput, NotFound, UsageError
from deepfield.toolkit.novelty import Novelty
from deepfield.toolkit.paths import is_file, no_file
from deepfield.toolkit.pipeline import Pipeline
from deepfield.toolkit.recipe import Recipe
from deepfield.toolkit.text_files import open_text

#: Frames of the spectrogram a second; a network's `subsampling` of them are one of its answer.
_FRAMES_A_SECOND = 100
_GOLDEN = 2


class SpeechPipeline(Pipeline):
    """The words of a recording, when they were said, and how sure each is.

    Example:
        >>> SpeechPipeline("tdnn").architecture
        'tdnn'
    """

    domain = "speech"
    summary = "speech: what is said, when, and how sure that is"
    readers = READERS
    samples: ClassVar = SAMPLES
    architectures = "deepfield.domains.speech.models"
    default_architecture = "quartznet_small"
    task_class = Transcription
    is_one = staticmethod(features.is_one_recording)
    is_row = staticmethod(features.is_row_of_table)
    any_length = True
    baseline = "words"
    presets: ClassVar = ("english", "an4", "digits")
    known_data: ClassVar = {
        "an4": ("AN4 (CMU, Acero 1991)", "free for any purpose"),
        "fsdd": ("Free Spoken Digit Dataset (Jackson et al.)", "CC BY-SA 4.0"),
        "speech": ("AN4 (CMU, Acero 1991) and the Free Spoken Digit Dataset (Jackson et al.)",
                   "free for any purpose; CC BY-SA 4.0"),
    }  # fmt: skip
    recipes: ClassVar = {
        "": Recipe(
            epochs=120, batch_size=16, optimizer="adamw", learning_rate=3e-3, schedule="onecycle",
            warmup=0.15, weight_decay=1e-3, clip_norm=1.0, ema=0.995, keep="last",
            recalibrate_bn=True,
        ),
        "conformer_ctc_small": Recipe(
            epochs=150, batch_size=16, optimizer="adamw", learning_rate=1.5e-3,
            schedule="onecycle", warmup=0.2, weight_decay=1e-3, clip_norm=1.0, ema=0.995,
            keep="last", recalibrate_bn=True,
        ),
        "blstm_ctc": Recipe(
            epochs=80, batch_size=16, optimizer="adamw", learning_rate=2e-3, schedule="onecycle",
            warmup=0.15, weight_decay=1e-4, clip_norm=1.0, ema=0.99, keep="last",
            recalibrate_bn=True,
        ),
    }  # fmt: skip
    finetune_recipe = Recipe(
        epochs=40, batch_size=16, optimizer="adamw", learning_rate=1e-3, weight_decay=1e-3,
        clip_norm=1.0, keep="last", recalibrate_bn=True, least_steps=400,
    )  # fmt: skip
    splits: ClassVar = SPLITS
    options = OPTIONS
    verbs: ClassVar = VERBS
    examples: ClassVar = EXAMPLES
    #: Share of training recordings that are put together from words of others.
    _recombined: float = 0.0
    _words: Any = None  # of these recordings, once they are found
    #: Speakers nobody recorded, who say half of the training texts.
    _voices: Voices | None = None

    # ------------------------------------------------------------------ from recording to arrays

    @property
    def transcription(self) -> Transcription:
        """The task, by its own class."""
        assert isinstance(self.task, Transcription)
        return self.task

    @property
    def rate_hz(self) -> int:
        """Samples a second that the network hears.

        Raises:
            UsageError: no sound has as many.
        """
        rate = self.hyper.get("rate_hz", 16000)
        least, most = features.RATES_HZ
        if not least <= rate <= most:
            raise UsageError(
                f"rate_hz={rate}: a sound has {least:,} to {most:,} samples a second",
                "leave it out for 16000",
            )
        return int(rate)

    def expand(self, sample: Sample) -> Iterable[Any]:
        """Pieces of a recording, cut at pauses where it is long; one that has a text is one piece.

        Raises:
            BadInput: it is no sound.
        """
        if isinstance(sample.data, Clip):
            yield sample.data
        elif sample.target is not None:
            yield features.whole(sample.data, self.rate_hz)
        else:
            yield from features.pieces(sample.data, self.rate_hz)

    def encode(self, item: Any) -> tuple[Arrays, Heard]:
        """A piece as a waveform at the network's rate, (samples,) float32.

        Raises:
            BadInput: no sound, no sample, samples that are no numbers.
        """
        clip = item if isinstance(item, Clip) else features.whole(item, self.rate_hz)
        # a network that can be streamed hears against the last seconds, and is streamed as it is
        streams = past_frames(self.architecture, self.hyper) > 0
        return features.encode(clip, self.rate_hz, shorten=not streams)

    def restored(self) -> None:
        """A stranger's bundle must name letters, times and weights that make sense.

        Raises:
            ValueError: it does not.
        """
        task = self.transcription
        rate = self.hyper.get("rate_hz", 16000)
        if not 0 < task.frame_s < 10 or not features.RATES_HZ[0] <= rate <= features.RATES_HZ[1]:
            raise ValueError(f"frames of {task.frame_s} s at {rate} Hz")
        if past_frames(self.architecture, self.hyper):
            reach(self.architecture, self.hyper)
        if len(task.alphabet) < 1:
            raise ValueError("no letters")
        for weights in task.state.get("confidence", {}).values():
            if len(weights) != 4 or not np.isfinite(weights).all():
                raise ValueError(f"weights of the confidence {weights!r}")
        for name, value in task.state.get("search", {}).items():
            if name not in ("weight", "bonus") or not abs(float(value)) < 100:
                raise ValueError(f"{name} of the search is {value!r}")
        self._use()

    def _use(self) -> None:
        """Decode as the settings say, with the language model that they or the bundle have."""
        asked = self.settings.get("decoder"), self.settings.get("sentences")
        if getattr(self, "_used", None) == asked:
            return
        language = None
        if asked[1]:
            language = Language.of(sentences_of(asked[1], self.transcription.alphabet), 3)
        elif "language/words" in self.tables:
            language = Language.from_arrays(self.tables)
        self.transcription.use(asked[0], language)
        self._used = asked

    def calibrated(self, outputs: Arrays) -> Arrays:
        """Outputs of a batch with the task's `"prediction"` added."""
        self._use()
        return super().calibrated(outputs)

    def decode(self, outputs: Arrays, context: Heard) -> dict[str, Any]:
        """Text, words with their times in the recording, and where the piece lies in it."""
        answer = self.task.answer(outputs["prediction"])
        words = answer["words"]
        for word in words:
            word["start"], word["end"] = context.when(word["start"], word["end"])
        answer |= {"start": round(context.start_s, 3),
                   "end": round(context.start_s + context.seconds, 3)}  # fmt: skip
        if not context.sound_s:
            answer |= {"in_domain": True, "in_domain_reason": "silence: nothing above -65 dB"}
        elif context.sound_s < features.NO_WORD_S:
            reason = f"silence but for {context.sound_s:.2f} s, in which nothing can be said"
            answer |= {"in_domain": True, "in_domain_reason": reason}
        elif context.sound_s < features.HARDLY_S:
            reason = f"{context.sound_s:.2f} s of sound: shorter than any word"
            answer |= {"in_domain": False, "in_domain_reason": reason}
        elif context.clipped > features.CLIPPED_SHARE:
            reason = f"clipped: {context.clipped:.1%} of the samples are at full scale"
            answer |= {"in_domain": False, "in_domain_reason": reason}
        return answer

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's, and where in the recording it is."""
        return (*self.task.fields, "start", "end")

    def novelty_outputs(self, outputs: Arrays) -> np.ndarray:
        """How unsure the network is of what it hears."""
        return certainty(outputs)

    def fit_novelty(self, outputs: Arrays) -> Novelty:
        """Recordings of the validation part say how unsure it usually is."""
        return Novelty.fit(certainty(outputs), 0.99, measure="given", name="uncertainty")

    # ------------------------------------------------------------------ learning

    def build_arguments(self) -> dict[str, Any]:
        """The letters, and CTC's blank."""
        return {"symbols": len(self.transcription.alphabet) + 1}

    @classmethod
    def example_arguments(cls, architecture: str) -> dict[str, Any]:
        """Letters of English, the space, the apostrophe and the blank."""
        return {"symbols": 29}

    def prepare(self, items: Sequence[Sample], targets: Sequence[Any]) -> None:
        """The alphabet (that of the network it is fine-tuned from first), and the language model
        of the training texts.
        """
        task = self.transcription
        texts = [plain(str(t)) for t in targets if t is not None]
        if "letters" in self.state:
            task.state["letters"] = "".join(Alphabet(self.state["letters"]).and_of(texts).letters)
        elif "letters" not in task.state:
            task.learn(texts or [" "])
        task.state["frame_s"] = self.hyper.get("subsampling", 2) / _FRAMES_A_SECOND
        told = self.settings.pop("lexicon", None)
        task.lexicon = Lexicon.read(told, texts) if told else None
        self._recombined = float(self.settings.pop("recombined", None) or 0.0)
        self._words = None
        if not 0 <= self._recombined <= 1 or (self._recombined and task.lexicon is None):
            raise UsageError(
                f"--recombined {self._recombined:g} "
                + ("needs to know how words sound" if task.lexicon is None else "is no share"),
                "--lexicon FILE, a dictionary of pronunciations, and a share from 0 to 1",
            )
        language = self.settings.pop("voices", None)
        self._voices = Voices(language) if language else None
        extra = self.settings.pop("sentences", None)
        sentences = [t.split() for t in texts]
        if extra:
            sentences += sentences_of(extra, task.alphabet)
        order = 3 if any(len(s) > 1 for s in sentences) else 2
        self.tables = Language.of(sentences, order).arrays() if sentences else {}
        self.__dict__.pop("_used", None)

    def learner(self, model: Any) -> Any:
        """Where there is a lexicon, the network's middle layer learns to tell sounds."""
        if self.transcription.lexicon is None:
            return model
        from deepfield.domains.speech.models import with_sounds

        return with_sounds(model, len(self.transcription.lexicon.phones))

    def finetune(self, data: Any, **arguments: Any) -> Any:
        """As in the toolkit; the letters of the network keep their places."""
        self.state = {**self.state, "letters": self.transcription.state["letters"]}
        return super().finetune(data, **arguments)

    def variation(self, items: Sequence[Encoded]) -> Callable[..., tuple[Arrays, Arrays]] | None:
        """Tempo, rooms, voices, words in a row, and noise that says nothing."""
        from deepfield.domains.speech.variation import varied

        told = self.settings.get("variation")
        strength = 1.0 if told is None else float(told)
        if not strength >= 0:
            raise UsageError(
                f"--variation {strength:g} is not 0 or more", "0 leaves recordings as they are"
            )
        if strength == 0:
            return None
        waveforms = [(e.arrays or {})["waveform"] for e in items]
        texts = [e.target or {} for e in items]
        space = int(self.transcription.alphabet.symbols(" ")[0])
        return varied(
            waveforms, texts, self.rate_hz, space, speed=min(0.3, 0.15 * strength),
            stretch=min(0.3, 0.15 * strength), colour_db=min(10.0, 5.0 * strength),
            room=min(0.5, 0.2 * strength), band=min(0.5, 0.3 * strength),
            trimmed=min(0.5, 0.3 * strength), joined=min(0.5, 0.25 * strength),
            recombination=self._recombination(items), recombined=self._recombined,
            say=self._voiced(),
        )  # fmt: skip

    def _voiced(self) -> Callable[[np.ndarray, np.random.Generator], np.ndarray] | None:
        """Somebody who says what letters spell, if that is asked for."""
        voices, alphabet = self._voices, self.transcription.alphabet
        if voices is None:
            return None
        return lambda letters, rng: voices.say(alphabet.text(letters), rng, self.rate_hz)

    def _recombination(self, items: Sequence[Encoded]) -> Any:
        """The words of a speaker in any order, if that is asked for."""
        from deepfield.domains.speech.recombination import Recombination

        if self._recombined and self._words is None:  # fine-tuning asks for each of its stages
            self.say("learning when each word was said")
            self._words = Recombination.of(items, self.transcription, self.rate_hz)
        return self._words

    def choose(self, items: Sequence[Encoded], targets: np.ndarray, outputs: Arrays) -> None:
        """The weights of the search and the confidence of words, on the validation part."""
        self._use()
        self.transcription.tune(targets, outputs, [item.sample.group for item in items])
        self.transcription._search = None

    def golden(self, items: Sequence[Encoded]) -> list[Arrays]:
        """Voices that nobody has: recordings of people are not handed on."""
        rng = np.random.default_rng(0)
        made = []
        for count in range(1, _GOLDEN + 1):
            x = say(" ".join(WORDS[:count]), Speaker.drawn(rng), rng, self.rate_hz)
            made.append({"waveform": x.astype(np.float16).astype(np.float32)})
        return made

    # ------------------------------------------------------------------ beside the network

    def baseline_features(self, arrays: Arrays) -> np.ndarray:
        """MFCCs at evenly spaced times."""
        from deepfield.domains.speech.baselines import fixed_length, mfcc

        return fixed_length(mfcc(arrays["waveform"], self.rate_hz))

    def fit_shallow(self, train: Sequence[Encoded], seed: int) -> Any:
        """Single words are told apart by their sounds; of sentences the language speaks alone."""
        from deepfield.domains.speech.baselines import MOST_WORDS, OneSentence, Words

        alphabet = self.transcription.alphabet
        texts = [alphabet.text(np.asarray((e.target or {})[self.task.output])) for e in train]
        kinds = len(set(texts))
        if 2 <= kinds <= MOST_WORDS and not any(" " in text for text in texts):
            return Words(self.shallow_features(train), texts, seed)
        return OneSentence(texts)

    def identity(self, arrays: Arrays) -> Arrays:
        """Recordings are the same if their samples are; silence is like any other."""
        return {"waveform": np.trim_zeros(arrays["waveform"])}

    def head_recipe(self, recipe: Recipe) -> Recipe:
        """The new letters alone, for a quarter of the time."""
        return replace(super().head_recipe(recipe), recalibrate_bn=False, least_steps=0)


def sentences_of(source: str, alphabet: Alphabet) -> list[list[str]]:
    """The sentences of a text file, a line each, as words; those that cannot be spelled left out.

    Raises:
        NotFound: no such file.
        UsageError: no line can be spelled.
    """
    if not is_file(source):
        raise NotFound(no_file(source, "text"), "--sentences names a file, a sentence a line")
    found = []
    with open_text(source) as lines:
        for line in lines:
            if "\0" in line:
                raise UsageError(f"{source!r} is no text", "--sentences: a text, a sentence a line")
            text = plain(line)
            try:
                alphabet.symbols(text)
            except BadInput:
                continue
            if text:
                found.append(text.split())
    if not found:
        raise UsageError(
            f"{source!r} has no sentence that the network can spell",
            "a sentence a line, in letters",
        )
    return found
