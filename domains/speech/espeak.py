"""Texts said by espeak-ng, a program that a system may have: speakers for whom nobody recorded."""

from __future__ import annotations

import io
import shutil
import subprocess
from functools import cache, lru_cache

import numpy as np

from deepfield.domains.speech.features import whole
from deepfield.domains.speech.wav_stream import WavStream
from deepfield.toolkit.errors import DeepfieldError, NotFound, UsageError

PROGRAM = "espeak-ng"
#: The most that one text may take.
_SECONDS = 20


class Voices:
    """People who speak a language: each has an accent of it, one of espeak-ng's speakers, a pitch
    and a tempo, drawn once and for all.

    Args:
        language: a code that espeak-ng has, as `en`; its accents are those whose codes begin so.
        count: how many people.

    Raises:
        NotFound: espeak-ng is not installed.
        UsageError: it does not speak the language.
        DeepfieldError: it fails, here or while it speaks.

    Example:
        >>> say = Voices("en", count=3)  # doctest: +SKIP
        >>> len(say.people)  # doctest: +SKIP
        3

    Source: the formant synthesiser of https://github.com/espeak-ng/espeak-ng, as a program.
    """

    def __init__(self, language: str, count: int = 250) -> None:
        if shutil.which(PROGRAM) is None:
            raise NotFound(
                f"--voices {language} needs {PROGRAM}, which is not installed",
                f"install it, as with `apt-get install {PROGRAM}`, or leave --voices out",
            )
        accents = sorted(
            code
            for code, file in _listed("")
            if not file.startswith("mb/")  # voices of another program
            and (code == language or code.startswith(f"{language}-"))
        )
        if not accents:
            raise UsageError(
                f"--voices {language!r} is no language of {PROGRAM}",
                f"{PROGRAM} --voices lists them, as en, de, fr",
            )
        speakers = sorted(file.rpartition("/")[2] for _, file in _listed("variant"))
        rng = np.random.default_rng(0)
        self.people = [
            ("-v", f"{rng.choice(accents)}+{rng.choice(speakers)}",
             "-p", str(rng.integers(10, 90)), "-s", str(rng.integers(110, 220)))
            for _ in range(count)
        ]  # fmt: skip
        # it takes longer to say a word than to learn from it
        self._said = lru_cache(maxsize=4096)(self._say)

    def say(self, text: str, rng: np.random.Generator, rate_hz: int) -> np.ndarray:
        """A text as one of them says it, (samples,) float32."""
        return self._said(text, int(rng.integers(len(self.people))), rate_hz)

    def _say(self, text: str, person: int, rate_hz: int) -> np.ndarray:
        said = _run(*self.people[person], "--stdin", "--stdout", told=text.encode())
        # the head of a piped file says that hours follow
        return whole(WavStream(io.BytesIO(said)), rate_hz).waveform


@cache
def _listed(kind: str) -> tuple[tuple[str, str], ...]:
    """Languages and files of what espeak-ng has."""
    lines = _run(f"--voices={kind}" if kind else "--voices").decode("utf-8", "replace").splitlines()
    rows = (line.split() for line in lines[1:])
    return tuple((row[1], row[4]) for row in rows if len(row) > 4)


def _run(*arguments: str, told: bytes = b"") -> bytes:
    command = [PROGRAM, *arguments]
    try:
        return subprocess.run(
            command, input=told, capture_output=True, timeout=_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise DeepfieldError(
            f"{PROGRAM} does not answer: {error}", f"try it by itself: {' '.join(command)}"
        ) from None
