"""Talk to the person: on standard error, and only as much as they asked for."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

from deepfield.toolkit.cache import place_for

T = TypeVar("T")


class Console:
    """Where the talk goes. Standard output is for data and is never written to here.

    Args:
        quiet: say nothing but errors.
        stream: standard error by default.
        verbose: say the details too.
    """

    #: Whether all are quiet, also those that know of no flag; see `hushed`.
    hushed = False

    def __init__(
        self, quiet: bool = False, stream: TextIO | None = None, verbose: bool = False
    ) -> None:
        self.quiet = quiet or Console.hushed
        self.verbose = verbose and not self.quiet
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        """Standard error as it is now (tests and the diversion below replace it)."""
        return self._stream or sys.stderr

    @property
    def alive(self) -> bool:
        """Whether a progress bar makes sense: a terminal, and not quiet."""
        return not self.quiet and self.stream.isatty()

    def say(self, line: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            print(line, file=self.stream, flush=True)

    def detail(self, line: str) -> None:
        """One line for those who asked for more."""
        if self.verbose:
            self.say(line)

    def track(self, things: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """Pass things through, with a count and a rate on a terminal once it takes a second."""
        if not self.alive:
            yield from things
            return
        began = shown = time.monotonic()
        count = 0
        for count, thing in enumerate(things, start=1):
            now = time.monotonic()
            if now - shown > 0.2 and now - began > 1.0:
                self._line(_progress(what, count, total, now - began))
                shown = now
            yield thing
        if shown != began:
            self._line("")

    def _line(self, text: str) -> None:
        print(f"\r\x1b[2K{text}", end="", file=self.stream, flush=True)

    def training(self) -> Any:
        """A progress callback for `toolkit.training.Run`: epoch, batch, figures, time left."""
        if self.quiet:
            return None
        began = time.monotonic()
        state = {"shown": 0.0, "first": -1.0, "epoch": -1}

        def show(epoch: int, epochs: int, batch: int, batches: int, logs: Any) -> None:
            now = time.monotonic()
            done = epoch + batch / batches
            if state["first"] < 0:
                state["first"] = done
            share = (done - state["first"]) / max(1e-9, epochs - state["first"])
            left = (now - began) * (1 - share) / share if share > 0 else 0
            figures = ", ".join(f"{k} {float(v):.4f}" for k, v in logs.items())
            text = f"epoch {epoch + 1}/{epochs}, {figures}, {_clock(left)} left"
            if self.alive and now - state["shown"] > 0.2:
                state["shown"] = now
                width = 24
                full = int(width * batch / batches)
                self._line(f"{'━' * full}{'·' * (width - full)} {text}")
            if batch == batches:
                if self.alive:
                    self._line("")
                last = epoch + 1 == epochs
                if epochs <= 12 or last or (epoch + 1) % max(1, epochs // 10) == 0:
                    self.say(text)

        return show


@contextlib.contextmanager
def hushed(quiet: bool) -> Iterator[None]:
    """Let every console that is made inside say nothing but errors, if that is asked for."""
    before = Console.hushed
    Console.hushed = before or quiet
    try:
        yield
    finally:
        Console.hushed = before


def _progress(what: str, count: int, total: int | None, seconds: float) -> str:
    rate = count / seconds
    left = f", {_clock((total - count) / rate)} left" if total else ""
    of = f" of {total:,}" if total else ""
    return f"{what}: {count:,}{of}, {rate:,.0f}/s{left}"


def _clock(seconds: float) -> str:
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def silence_tensorflow(learning: bool = False) -> None:
    """Keep TensorFlow's chatter off the screen; call it before TensorFlow is imported.

    Unless something is to be learnt, Keras runs on it whatever `KERAS_BACKEND` says: networks are
    converted, described and explained by TensorFlow alone.

    Its C++ parts write to file descriptor 2 before any setting of theirs is read, so the
    descriptor itself is turned away, and Python's standard error keeps a copy of the old one.
    """
    from deepfield.toolkit import runtime  # noqa: F401 (what it sets, TensorFlow reads)

    keep_out_of_home()
    if not learning:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    for name in ("tensorflow", "absl", "tf2onnx", "keras", "jax"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.fileno() != 2:
            return
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = os.fdopen(kept, "w", buffering=1, errors="backslashreplace")


#: Variables by which libraries are told where their own files go: fonts, and a settings file.
_FOLDERS = {"MPLCONFIGDIR": "matplotlib", "KERAS_HOME": "keras"}


def keep_out_of_home() -> None:
    """Send what matplotlib and Keras write into our cache; call it before they are imported.

    Where the cache cannot be written, they get a temporary folder that goes with the process. A
    variable that the user has set is left as it is.
    """
    wanted = {k: name for k, name in _FOLDERS.items() if k not in os.environ}
    with contextlib.suppress(OSError):  # nothing can be written anywhere: they cope
        os.environ.update({k: str(place_for(name).absolute()) for k, name in wanted.items()})


@contextlib.contextmanager
def stdout_away() -> Iterator[None]:
    """Keep what C++ parts write to file descriptor 1 (as JAX's Gloo does) out of the results."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(nowhere)
        os.close(kept)


_STDERR = threading.Lock()


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Silence C libraries, which write past Python's own standard error and have no switch."""
    with _STDERR, open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        try:
            kept = os.dup(2)
        except OSError:  # closed already
            yield
            return
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
