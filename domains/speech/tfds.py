"""Recordings of TensorFlow Datasets: sets with a sound and a label or a text."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from deepfield.domains.speech.data import DIGITS
from deepfield.domains.speech.features import Sound
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import NotFound, UsageError
from deepfield.toolkit.pictures import silent_stderr
from deepfield.toolkit.splits import PART_NAMES

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
    name, split = re.findall(r"^tfds:([^:]*(?::[\d*]+\.[\d*]+\.[\d*]+)?):?(.*)", source)[0]
    logging.getLogger("absl").setLevel(logging.ERROR)
    with silent_stderr():
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    folder = os.environ.get("TFDS_DATA_DIR")
    try:
        features = tfds.builder(name, data_dir=folder).info.features
    except Exception as error:
        raise NotFound(
            f"no TFDS set {name!r}: {_first_line(error)}",
            "names are at tensorflow.org/datasets/catalog; TFDS_DATA_DIR names your own folder",
        ) from None
    kinds = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    sound = next((k for k in _SOUND if isinstance(kinds.get(k), tfds.features.Audio)), None)
    text = next((k for k in _TEXT if k in kinds), None)
    if sound is None or text is None:
        raise UsageError(
            f"TFDS set {name!r} is not of speech with its text",
            f"it needs audio and a label or text, and has {', '.join(kinds) or 'none'}",
        )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it prints what it downloads
            splits = tfds.load(name, split={split: split} if split else None, data_dir=folder)
    except Exception as error:
        message = f"TFDS set {source!r} cannot be loaded: {_first_line(error)}"
        hint = f"where there is a network: tfds build {name}; TFDS_DATA_DIR names its folder"
        if isinstance(error, ImportError) and error.name:
            hint = f"pip install {error.name}"
        raise NotFound(message, hint) from None
    rate_hz = int(getattr(kinds[sound], "sample_rate", None) or _USUAL_RATE_HZ)
    if name.split("/")[0] == "spoken_digit":
        rate_hz = 8000  # FSDD's, of which the set says nothing
    known = {part: examples for part, examples in splits.items() if part in PART_NAMES}
    for part, examples in (known or splits).items():
        where = PART_NAMES.get(re.split(r"\W", part)[0])
        for index, example in enumerate(examples.as_numpy_iterator()):
            said = _said(example[text], kinds[text])
            key, who = f"{part}/{index}", _speaker(example)
            row = {"path": key, **({"text": said} if said is not None else {}),
                   **({"speaker": who} if who is not None else {})}  # fmt: skip
            data = Sound(_waveform(example[sound]), rate_hz)
            yield Sample(key, data, said, who, part=where, row=row)


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


def _first_line(error: Exception) -> str:
    said = str(error.args[0]) if error.args else ""
    return next(iter(said.splitlines()), "") or type(error).__name__
