"""Recordings as waveforms: decoded, mixed to one channel, brought to the network's rate, cut.

soundfile decodes (wav, flac, ogg, mp3 and what else libsndfile knows), soxr changes the rate. Long
recordings are read in pieces, so that memory does not grow with their length.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deepfield.domains.speech.pauses import Cuts, shortened
from deepfield.domains.speech.wav_stream import WavStream
from deepfield.toolkit.console import silent_stderr
from deepfield.toolkit.data import is_one, is_row
from deepfield.toolkit.errors import BadInput
from deepfield.toolkit.paths import is_file, no_file

#: Recordings up to this length are answered in one piece; longer ones are cut at pauses.
LONGEST_S = 24.0
#: A labelled recording is one piece whatever its length, up to this.
MOST_LABELLED_S = 120.0
#: A fortieth of a second whose root mean square is below this is silent: -65 dB.
SILENCE = 10 ** (-65 / 20)
#: Less sound than this is no word, but a click; and less than that hardly one. The shortest of
#: FSDD's 2,700 digits, a "six", has a tenth of a second.
NO_WORD_S, HARDLY_S = 0.06, 0.1
#: A shorter piece gets as much faint noise around it: five letters need frames to be spelled in,
#: and people cut their words out closely.
SHORTEST_S = 0.6
_FAINT = 2e-5
#: Channels of opposite sign leave a smaller share of energy.
_CANCELLED = 1e-2
#: A tenth of a second of more energy is loud enough to tell noise from what cancels: -50 dB.
_LOUD = 1e-5
#: More columns than this are samples, not channels.
_CHANNELS = 64
#: Of so many frames is a stream whose length its header does not tell.
_UNTOLD = 1 << 62
#: Samples this close to full scale are clipped.
_FULL_SCALE = 0.999
#: So many samples of a recording may be clipped before it is said: one in a thousand.
CLIPPED_SHARE = 1e-3
_BLOCK_S = 4.0
#: Files of sound and video that need another program: where the mark is, the mark, the name.
_OTHERS = (
    (4, b"ftyp", "an MPEG-4 file (m4a, mp4)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska file (webm, mkv)"),
    (0, b"0&\xb2u", "a Windows Media file (wma)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
)
#: Samples a second of what is a sound.
RATES_HZ = (1000, 768_000)


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording in memory.

    Args:
        waveform: (samples,) or (samples, channels); whole numbers are read at their type's scale.
        rate_hz: samples a second.

    Example:
        >>> hum = Sound(np.sin(np.arange(8000) * 0.3).astype(np.float32), rate_hz=8000)
        >>> len(hum.waveform) / hum.rate_hz  # seconds
        1.0
    """

    waveform: np.ndarray
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A piece of a recording, as the network takes it.

    Args:
        waveform: (samples,) float32 at the network's rate.
        start_s: where in the recording it begins.
        clipped: share of samples at full scale.

    Example:
        >>> clip = Clip(np.zeros(16000, np.float32), start_s=12.5)
        >>> clip.start_s + len(clip.waveform) / 16000  # where it ends, s
        13.5
    """

    waveform: np.ndarray
    start_s: float = 0.0
    clipped: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What an answer tells of a piece beside its text: where it lies, how much was put before it,
    what is wrong with it, and which pauses the network was spared.
    """

    start_s: float
    seconds: float
    before_s: float
    sound_s: float
    clipped: float
    cuts: Cuts = field(default_factory=Cuts)

    def when(self, start_s: float, end_s: float) -> tuple[float, float]:
        """From when to when of the network's waveform as seconds of the recording."""
        inside = self.cuts.span(*(max(0.0, t - self.before_s) for t in (start_s, end_s)))
        start, end = (self.start_s + min(t, self.seconds) for t in inside)
        return round(start, 3), round(end, 3)


# ---------------------------------------------------------------------------------- decoding


def blocks_of(source: Any, rate_hz: int) -> Iterator[np.ndarray]:
    """A recording in pieces of a few seconds, (samples,) float32, at another rate.

    Args:
        source: a path, a file or its bytes, a `WavStream`, a `Sound` or the pair (waveform, rate)
            of one, datasets' `{"array", "sampling_rate"}`; or an array, or an iterator of arrays,
            that has the wanted rate already.
        rate_hz: samples a second of the pieces.

    Raises:
        BadInput: it is no sound, it is empty or broken off, or holds what is no number.
    """
    source = _sound_of(source, rate_hz)
    if isinstance(source, Sound):
        _check_rate(source.rate_hz)
        shape = np.shape(source.waveform)
        if len(shape) == 2 and 0 < shape[0] < shape[1]:
            raise BadInput(f"an array {shape} is no (samples, channels)")
        blocks: Iterator[np.ndarray] = iter([Mono(source.rate_hz)(source.waveform)])
        yield from _resampled(blocks, source.rate_hz, rate_hz)
        return
    if isinstance(source, WavStream):
        _check_rate(source.rate_hz)
        blocks = map(Mono(source.rate_hz), source.blocks())
        yield from _resampled(blocks, source.rate_hz, rate_hz)
        return
    if isinstance(source, Iterator):
        yield from source
        return
    if not isinstance(source, str | bytes | Path):
        raise BadInput(f"not a recording: {type(source).__name__}")
    import soundfile

    if isinstance(source, str | Path) and not is_file(source):
        raise BadInput(no_file(source))
    if isinstance(source, str | Path) and not os.access(source, os.R_OK):
        raise BadInput("cannot be read: Permission denied")
    if isinstance(source, bytes):
        handle: Any = io.BytesIO(source)
    else:  # a name need not be text where bytes are names
        handle = os.fsencode(source) if os.name == "posix" else str(source)
    try:
        with silent_stderr():  # libmpg123 warns there
            file = soundfile.SoundFile(handle)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        raise BadInput(_no_sound(source, _why(error))) from None
    with file:
        yield from _resampled(_decoded(file, _missing(source)), file.samplerate, rate_hz)


def _sound_of(source: Any, rate_hz: int) -> Any:
    """What people have in memory as a `Sound`; anything else as it is."""
    if isinstance(source, np.ndarray):
        return Sound(source, rate_hz)
    if isinstance(source, io.BufferedIOBase):
        return source.read()
    if isinstance(source, Mapping) and {"array", "sampling_rate"} <= source.keys():
        source = source["array"], source["sampling_rate"]
    if isinstance(source, tuple) and len(source) == 2 and np.ndim(source[1]) == 0:
        try:
            return Sound(np.asarray(source[0]), int(source[1]))
        except (TypeError, ValueError, OverflowError):
            return source
    return source


def _no_sound(source: Any, why: str) -> str:
    """Why a file is not read, by its first bytes."""
    head = source[:12] if isinstance(source, bytes) else b""
    if not isinstance(source, bytes):
        with Path(source).open("rb") as file:
            head = file.read(12)
    if not head:
        return "not a sound file: it is empty"
    for place, mark, kind in _OTHERS:
        if head[place:].startswith(mark):
            return f"{kind} is not read: make a wav of it (ffmpeg -i IN OUT.wav)"
    return f"not a sound file: {why}"


def is_one_recording(thing: Any) -> bool:
    """Whether something is one recording, not several: also one in memory."""
    in_memory = isinstance(thing, io.BufferedIOBase) or isinstance(_sound_of(thing, 1), Sound)
    return in_memory or is_one(thing)


def is_row_of_table(thing: Any) -> bool:
    """Whether something is a row that tells of a recording, not a recording itself."""
    return is_row(thing) and "array" not in thing


def _check_rate(rate_hz: int) -> None:
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise BadInput(f"a rate of {rate_hz} Hz is no sound")


def _decoded(file: Any, missing: float) -> Iterator[np.ndarray]:
    import soundfile

    _check_rate(file.samplerate)
    told, got, mono = file.frames, 0, Mono(file.samplerate)
    size = max(1, int(_BLOCK_S * file.samplerate))
    while True:
        try:
            with silent_stderr() if file.format == "MP3" else nullcontext():
                block = file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            at = [f"{n / file.samplerate:.2f}" for n in (got, min(got + size, told), told)]
            of = f" of {at[2]}" if told < _UNTOLD else ""
            raise BadInput(
                f"the file breaks off between {at[0]} and {at[1]}{of} s ({_why(error)})"
            ) from None
        if not len(block):
            break
        yield mono(block)
        got += len(block)
    lossy = file.format in ("MP3", "OGG")  # whose length is an estimate
    if got < (0.9 if lossy else 1.0) * told and told < _UNTOLD:
        raise BadInput(_broken(got, told, file.samplerate))
    if missing > 0:
        raise BadInput(_broken(got, got / (1 - missing), file.samplerate))


def _broken(got: int, told: float, rate_hz: int) -> str:
    if not got:
        return "the file breaks off before its first sample"
    return f"the file breaks off after {got / rate_hz:.2f} of {told / rate_hz:.2f} s"


def _missing(source: Any) -> float:
    """The share of a wav file's data that its header promises and the file lacks."""
    if isinstance(source, bytes):
        head, size = source[:12], len(source)
    else:
        with Path(source).open("rb") as file:
            head = file.read(12)
        size = Path(source).stat().st_size
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0.0
    told = int.from_bytes(head[4:8], "little") + 8
    if told >= 0xFFFFFFF0 or told <= 44:  # a stream's header, which promises nothing
        return 0.0
    return max(0.0, 1 - size / told)


class Mono:
    """Makes one channel, float32 and about -1 to 1, of the blocks of a recording.

    It is the mean; or the loudest channel where they cancel out, as they do from a cable wired the
    wrong way. The first tenth of a second that is loud decides for itself and all that follows: so
    a file, a pipe and an array give the same. (Of blocks that are no whole tenths, what the last
    one held of the tenth that decides is the mean still.)

    Args:
        rate_hz: of the blocks, (samples,) or (samples, channels).
    """

    def __init__(self, rate_hz: int) -> None:
        self.frame = max(1, rate_hz // 10)
        self.samples = 0
        self._channel: int | None = None  # -1: the mean of all
        self._rest = np.zeros((0, 1))  # of a frame that the last block broke off

    @np.errstate(invalid="ignore", over="ignore")  # what is no number is told by its place
    def __call__(self, waveform: Any) -> np.ndarray:
        """One channel of the next block, (samples,).

        Raises:
            BadInput: no waveform, or samples that are no numbers.
        """
        x = np.asarray(waveform)
        if x.dtype.kind in "iu":
            half = float(1 << (8 * x.dtype.itemsize - 1))
            x = x.astype(np.float64) / half - (1.0 if x.dtype.kind == "u" else 0.0)
        if x.dtype.kind != "f" or not 1 <= x.ndim <= 2 or 0 in x.shape[1:]:
            raise BadInput(f"not a waveform: an array of {x.dtype}, {x.shape}")
        if x.ndim == 2 and x.shape[1] > _CHANNELS:
            raise BadInput(f"an array {x.shape} is no (samples, channels)")
        if x.ndim == 2:
            start = self._decide(x) if self._channel is None else 0
            mean = x.mean(axis=1)
            if self._channel not in (None, -1):
                mean[start:] = x[start:, self._channel]
            x = mean
        if not np.isfinite(x).all():
            place = int(np.flatnonzero(~np.isfinite(x))[0])
            raise BadInput(f"sample {self.samples + place} is {x[place]}, not a number")
        self.samples += len(x)
        return x.astype(np.float32)

    def _decide(self, x: np.ndarray) -> int:
        """Where in the block the frame begins that decides; 0 if none does."""
        before = len(self._rest)
        x = np.concatenate([self._rest, x]) if before else x
        for start in range(0, len(x) - self.frame + 1, self.frame):
            some = x[start : start + self.frame]
            energy = np.square(some).mean(axis=0)
            if energy.max() > _LOUD:
                together = np.square(some.mean(axis=1)).mean()
                cancel = together < _CANCELLED * energy.max()
                self._channel = int(energy.argmax()) if cancel else -1
                return max(0, start - before)
        self._rest = x[len(x) // self.frame * self.frame :]
        return 0


def _resampled(blocks: Iterable[np.ndarray], rate_hz: int, wanted_hz: int) -> Iterator[np.ndarray]:
    if rate_hz == wanted_hz:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32")
    for block in blocks:
        made = stream.resample_chunk(np.ascontiguousarray(block))
        if len(made):
            yield made
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _why(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    if "possibly a pipe" in text:  # that there is a file was seen before
        return "its bytes cannot be decoded"
    return text.rpartition(": ")[2] or type(error).__name__


# ------------------------------------------------------------------------------------- pieces


def whole(source: Any, rate_hz: int, most_s: float = MOST_LABELLED_S) -> Clip:
    """A recording in one piece.

    Raises:
        BadInput: it is no sound, or longer than `most_s`.

    Example:
        >>> clip = whole(Sound(np.zeros(4000, np.float32), rate_hz=8000), rate_hz=16000)
        >>> clip.waveform.shape, clip.start_s
        ((8000,), 0.0)
    """
    parts, held = [], 0
    for block in blocks_of(source, rate_hz):
        parts.append(block)
        held += len(block)
        if held > most_s * rate_hz:
            raise BadInput(f"longer than {most_s:g} s: cut it, and its text")
    x = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return Clip(x, 0.0, clipped_share(x))


def pieces(source: Any, rate_hz: int, longest_s: float = LONGEST_S) -> Iterator[Clip]:
    """A recording of any length in pieces of up to `longest_s`, cut where it is quietest.

    The cut lies in the second half of the longest piece, in the middle of its quietest fifth of a
    second. Memory does not grow with the length.

    Example:
        >>> sound = Sound(np.zeros(80000, np.float32), rate_hz=8000)  # 10 s
        >>> [round(len(clip.waveform) / 8000) for clip in pieces(sound, 8000, longest_s=20)]
        [10]
        >>> max(len(clip.waveform) for clip in pieces(sound, 8000, longest_s=4)) <= 4 * 8000
        True
    """
    longest = int(longest_s * rate_hz)
    held, start = np.zeros(0, np.float32), 0
    for block in blocks_of(source, rate_hz):
        held = np.concatenate([held, block]) if len(held) else block
        while len(held) > longest:
            cut = _quietest(held, longest // 2, longest, rate_hz)
            yield Clip(held[:cut], start / rate_hz, clipped_share(held[:cut]))
            held, start = held[cut:], start + cut
    if len(held) or not start:
        yield Clip(held, start / rate_hz, clipped_share(held))


def _quietest(x: np.ndarray, first: int, last: int, rate_hz: int) -> int:
    """Where the energy over a fifth of a second is least."""
    step = rate_hz // 100
    count = (last - first) // step
    energy = (x[first : first + count * step].reshape(count, step).astype(np.float64) ** 2).mean(1)
    width = min(20, count)
    smooth = np.convolve(energy, np.ones(width) / width, "valid")
    return first + (int(np.argmin(smooth)) + width // 2) * step


def clipped_share(x: np.ndarray) -> float:
    """The share of samples at full scale."""
    return float((np.abs(x) >= _FULL_SCALE).mean()) if len(x) else 0.0


def sound_s(x: np.ndarray, rate_hz: int) -> float:
    """Seconds of a waveform that are no silence."""
    step = max(1, rate_hz // 40)
    count = -(-len(x) // step)
    padded = np.zeros(count * step, np.float64)
    padded[: len(x)] = x
    level = np.sqrt((padded.reshape(count, step) ** 2).mean(axis=1))
    return float((level > SILENCE).sum()) / 40


def encode(clip: Clip, rate_hz: int, shorten: bool = True) -> tuple[dict[str, np.ndarray], Heard]:
    """A piece as the network's input, and what its answer needs to know of it.

    Silence is all zeros to the network, which reads zeros at the end as padding: it hears no word.

    Args:
        clip: the piece.
        rate_hz: of the network.
        shorten: long pauses, for a network that hears sounds against the whole recording.

    Raises:
        BadInput: there is no sample.
    """
    x = np.clip(clip.waveform, -8.0, 8.0).astype(np.float32)
    if not len(x):
        raise BadInput("0 s of sound")
    seconds, heard_s, cuts = len(x) / rate_hz, sound_s(x, rate_hz), Cuts()
    silent = heard_s < NO_WORD_S
    if shorten and not silent:
        x, cuts = shortened(x, rate_hz)
    missing = max(0, int(SHORTEST_S * rate_hz) - len(x))
    before = missing // 2
    heard = Heard(round(clip.start_s, 6), seconds, before / rate_hz, heard_s, clip.clipped, cuts)
    if silent:
        x = np.zeros_like(x)
    elif missing:
        noise = np.random.default_rng(0).normal(0, _FAINT, missing).astype(np.float32)
        x = np.concatenate([noise[:before], x, noise[before:]])
    return {"waveform": x}, heard
