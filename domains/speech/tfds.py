"""Recordings of TensorFlow Datasets: sets with a sound and a label or a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepfield.domains.speech.data import DIGITS
from deepfield.domains.speech.features import Sound
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.tfds_sets import TfdsSet

_SOUND = ("audio", "speech")
_TEXT = ("text", "transcript", "label")
_SPEAKER = ("speaker_id", "speaker", "client_id")
_DIGITS = {str(number): word for number, word in enumerate(DIGITS)}
#: FSDD's names, which `spoken_digit` keeps.
_NAMED = re.compile(r"\d_([^_]+)_\d+\.wav$")
_USUAL_RATE_HZ = 16000


def read_tfds(source: str) -> Iterator[Sample]:
    """`tfds:NAME[/config][:split]`, such as `spoken_digit`, `speech_commands`, `librispeech`.

    Raises:
        NotFound: no such set, or it is not on this disk and cannot be fetched.
        UsageError: a set without sound, or without a label or text.
    """
    found = TfdsSet(source)
    kinds, audio = found.kinds, found.tfds.features.Audio
    sound = next((k for k in _SOUND if isinstance(kinds.get(k), audio)), None)
    text = next((k for k in _TEXT if k in kinds), None)
    if sound is None or text is None:
        raise UsageError(
            f"TFDS set {found.name!r} is not of speech with its text",
            f"it needs audio and a label or text, and has {', '.join(kinds) or 'none'}",
        )
    rate_hz = int(getattr(kinds[sound], "sample_rate", None) or _USUAL_RATE_HZ)
    if found.name.split("/")[0] == "spoken_digit":
        rate_hz = 8000  # FSDD's, of which the set says nothing
    for key, part, example in found.examples():
        said, who = _said(example[text], kinds[text]), _speaker(example)
        row = {"path": key, **({"text": said} if said is not None else {}),
               **({"speaker": who} if who is not None else {})}  # fmt: skip
        data = Sound(_waveform(example[sound]), rate_hz)
        yield Sample(key, data, said, who, part=part, row=row)


def _waveform(values: np.ndarray) -> np.ndarray:
    """TFDS keeps 16-bit sound as 64-bit whole numbers."""
    x = np.asarray(values)
    return (x / 32768.0).astype(np.float32) if x.dtype.kind in "iu" else x


def _said(value: Any, kind: Any) -> str | None:
    if hasattr(kind, "int2str"):
        word = kind.int2str(int(value)) if int(value) >= 0 else ""
        word = "" if word in ("_silence_", "_unknown_") else word
        return _DIGITS.get(word, word) or None
    text = value.decode() if isinstance(value, bytes) else str(value)
    return text or None


def _speaker(example: Mapping[str, Any]) -> str | None:
    for name in _SPEAKER:
        if name in example:
            value = example[name]
            return value.decode() if isinstance(value, bytes) else str(value)
    path = example.get("audio/filename", b"")
    found = _NAMED.search(path.decode() if isinstance(path, bytes) else str(path))
    return found[1] if found else None
