"""A recording answered while it goes on, by a network that looks a bounded stretch ahead.

Every answer of such a network rests on a bounded stretch of sound. So it is given the new
piece with as much of the past and of the future as that stretch is long, and of its answers those
are kept that such a piece cannot have changed: they are the answers to the whole recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfield.domains.speech.decoder import greedy
from deepfield.domains.speech.features import NO_WORD_S, Mono, sound_s
from deepfield.toolkit.errors import BadInput, UsageError

if TYPE_CHECKING:
    from deepfield.domains.speech.pipeline import SpeechPipeline

#: Delays of the layers of `tdnn` and of `cnn_ctc`: steps before, steps after, spacing. Those of
#: the first layer of `tdnn` are of 10 ms, all others of `subsampling` times that.
FIRST_DELAYS = (3, 3)
DELAYS = {
    "tdnn": ((1, 1, 1), (2, 1, 2), (2, 1, 3), (3, 1, 3), (1, 0, 1)),
    "cnn_ctc": ((2, 2, 1), (2, 2, 2), (2, 2, 3)),
}
#: Frames of 10 ms by which each normalises its spectrogram if nothing else is said; 0: all.
_PAST_FRAMES = {"tdnn": 300, "cnn_ctc": 0}
_MOST_PAST = 100_000
#: Channels of the convolutions of `cnn_ctc`.
FILTERS = (24, 48, 72, 72)
_TINY = 1e-30


def past_frames(architecture: str, hyper: Mapping[str, Any]) -> int:
    """Frames of 10 ms by which a network normalises what it hears; 0: the whole recording."""
    usual = _PAST_FRAMES.get(architecture)
    return 0 if usual is None else int(hyper.get("past_frames", usual))


def reach(architecture: str, hyper: Mapping[str, Any]) -> tuple[int, int]:
    """Frames of 10 ms before and after a moment on which a network's answer rests.

    Raises:
        UsageError: a network whose answers rest on the whole recording.
        ValueError, TypeError: numbers that are none, as strangers' bundles may have them.
    """
    past = past_frames(architecture, hyper)
    if not past:
        raise UsageError(
            f"{architecture} hears a recording as a whole",
            "stream with a network of tdnn, or of cnn_ctc that learnt with --set past_frames=300",
        )
    delays, first = DELAYS[architecture], FIRST_DELAYS
    if architecture == "cnn_ctc":  # whose convolutions see a step to either side
        first = (1, 1)
        delays = ((1, 1, 1),) * (len(hyper.get("filters", FILTERS)) - 1) + delays
    step = int(hyper.get("subsampling", 2))
    if step < 1 or not 0 < past < _MOST_PAST:
        raise ValueError(f"{past} frames of the past, one answer for {step} frames")
    before = first[0] + step * sum(b * spacing for b, _, spacing in delays)
    after = first[1] + step * sum(a * spacing for _, a, spacing in delays)
    # a frame of the spectrogram is 25 ms long, its middle at its time; and the normalisation
    return before + past + 2, after + 2


class Stream:
    """Words of a recording that is still going on.

    Args:
        pipeline: a loaded pipeline of a `tdnn`, or of a `cnn_ctc` with `past_frames`.
        chunk_s: seconds of new sound that are answered at once. More of them take less time, and
            come later.

    Raises:
        UsageError: a network that needs the whole recording, or no time at all.

    Example:
        >>> import deepfield
        >>> stream = Stream(deepfield.load("speech/digits"))
        >>> stream.feed(np.zeros(8000)), round(stream.latency_s, 2)
        ('', 0.74)
    """

    def __init__(self, pipeline: SpeechPipeline, chunk_s: float = 0.4) -> None:
        if not 0 < chunk_s < float("inf"):
            raise UsageError(f"chunk_s={chunk_s} is no time", "seconds, as 0.4")
        self.pipeline = pipeline
        self._mono = Mono(pipeline.rate_hz)
        self.hop = pipeline.rate_hz // 100
        self.step = int(pipeline.hyper.get("subsampling", 2))
        before, after = reach(pipeline.architecture, pipeline.hyper)
        # whole frames of the answer, so that pieces begin where frames do
        self.before = -(-before // self.step)
        self.after = -(-after // self.step)
        self.chunk = max(1, round(chunk_s * 100 / self.step))
        self.rows: list[np.ndarray] = []
        self._held = np.zeros(0, np.float32)
        self._first = 0  # frame of the answer at which what is held begins
        self._done = 0  # frames that are answered
        self._sound_s = 0.0
        self._unheard = np.zeros(0, np.float32)
        self._total = 0

    @property
    def latency_s(self) -> float:
        """Seconds from a sound to the answer, at most, without the time of computing."""
        return (self.chunk + self.after) * self.step * self.hop / self.pipeline.rate_hz

    def feed(self, samples: np.ndarray) -> str:
        """Take more sound at the network's rate, (samples,) or (samples, channels); the text so
        far, by the likeliest letters.

        Raises:
            BadInput: no waveform, or samples that are no numbers.
        """
        samples = self._mono(samples)
        self._hear(samples)
        self._held = np.concatenate([self._held, samples])
        self._total += len(samples)
        size = self.hop * self.step
        while self._total // size - self.after >= self._done + self.chunk:
            self._answer(self._total // size - self.after, last=False)
        return self.text

    def _hear(self, samples: np.ndarray) -> None:
        """Count the seconds of sound, in whole fortieths: what is left waits for the next chunk."""
        rate_hz = self.pipeline.rate_hz
        waiting = np.concatenate([self._unheard, samples])
        whole = len(waiting) // (step := max(1, rate_hz // 40)) * step
        self._sound_s += sound_s(waiting[:whole], rate_hz)
        self._unheard = waiting[whole:]

    def finish(self) -> dict[str, Any]:
        """The end of the recording: the answer to all of it, by the search where there is one.

        Raises:
            BadInput: there was no sound.
        """
        if not self._total:
            raise BadInput("0 s of sound")
        frames = (self._total // self.hop + 1 + self.step - 1) // self.step
        self._answer(frames, last=True)
        self._sound_s += sound_s(self._unheard, self.pipeline.rate_hz)
        rows = np.concatenate(self.rows)
        if self._sound_s < NO_WORD_S:
            rows = np.zeros_like(rows)
        calibrated = self.pipeline.calibrated({"log_probs": rows[None]})
        return self.pipeline.task.answer(calibrated["prediction"][0])

    @property
    def text(self) -> str:
        """What was heard so far, by the likeliest letters."""
        if not self.rows or self._sound_s < NO_WORD_S:
            return ""
        return greedy(np.concatenate(self.rows), self.pipeline.transcription.alphabet).text

    def _answer(self, until: int, last: bool) -> None:
        """Answer the frames up to `until`, and drop the sound that no later one needs."""
        piece = self._held
        if not last:
            piece = piece.copy()
            piece[-1] = piece[-1] or _TINY  # zeros at the end would be padding
        log_probs = self.pipeline.forward({"waveform": piece[None]})["log_probs"][0]
        self.rows.append(log_probs[self._done - self._first : until - self._first])
        self._done = until
        first = max(0, until - self.before)
        self._held = self._held[(first - self._first) * self.hop * self.step :]
        self._first = first
