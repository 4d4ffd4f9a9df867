"""Going along a contig: every base of it is judged, or a window every so many bases."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deepfield.domains.genomics.features import reverse_complement
from deepfield.domains.genomics.windows import at_sites, middle
from deepfield.toolkit.data import BATCH

#: Bases that go through the network at once: what it computes of them stays in the caches.
CHUNK = 8_192
#: Chunks on their way at one time.
_AT_ONCE = 2

#: Codes (batch, steps) int32 to logits (batch, positions, classes), or (batch, classes).
Judge = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the network says of some bases of a contig, all of one strand.

    Args:
        positions: of the judged bases in the contig, from 0, on the + strand; (places,).
        strand: `"+"` or `"-"`.
        logits: (places, classes).

    Example:
        >>> found = Judged(np.array([4, 9]), "+", np.array([[2.0, -1.0], [0.5, 0.1]]))
        >>> found.positions[found.logits[:, 0] > 1].tolist()
        [4]
    """

    positions: np.ndarray
    strand: str
    logits: np.ndarray


def scan(
    judge: Judge,
    contig: np.ndarray,
    width: int,
    slides: bool,
    strands: str = "+-",
    step: int = 1,
    letters: Mapping[int, str] | None = None,
) -> Iterator[Judged]:
    """Judge a contig from its start to its end.

    Args:
        judge: the network.
        contig: codes (steps,).
        width: letters that an answer hangs on. Beyond the contig's ends is N.
        slides: whether the network judges the middle of every window of a longer stretch at once;
            otherwise it is given window by window.
        strands: which are read, and in which order.
        step: bases from one window to the next, for networks that judge one window.
        letters: of a site, by place (see `site_letters`): nothing else is told of.

    Yields:
        The bases that have these letters, chunk by chunk; of a chunk first one strand, then the
        other. Chunks without any are passed over.

    Example:
        >>> def is_a(windows):  # a network that reads one letter: is it A?
        ...     return (windows == 1).astype(float)
        >>> contig = np.array([1, 2, 1, 4], np.uint8)
        >>> [(f.strand, f.logits[:, 0].tolist()) for f in scan(is_a, contig, 1, slides=False)]
        [('+', [1.0, 0.0, 1.0, 0.0]), ('-', [0.0, 0.0, 0.0, 1.0])]
    """
    left = middle(width)
    padded = np.pad(contig, (left, width - 1 - left))
    flipped = np.pad(contig, (width - 1 - left, left))

    def one(start: int, strand: str) -> Judged | None:
        stop = min(start + CHUNK, len(contig))
        piece = (padded if strand == "+" else flipped)[start : stop + width - 1]
        if strand == "-":
            piece = reverse_complement(piece)
        wanted = at_sites(piece, letters or {})[left : left + stop - start]
        wanted = np.flatnonzero(wanted)
        if step > 1:
            places = start + wanted if strand == "+" else stop - 1 - wanted
            wanted = wanted[places % step == 0]
        if not len(wanted):
            return None
        if slides:
            logits = judge(piece[None].astype(np.int32))[0][wanted]
        else:
            windows = np.lib.stride_tricks.sliding_window_view(piece, width)
            logits = _in_batches(judge, windows, wanted)
        positions = start + wanted if strand == "+" else stop - 1 - wanted
        if strand == "-":
            positions, logits = positions[::-1], logits[::-1]
        return Judged(positions, strand, logits)

    tasks = itertools.product(range(0, len(contig), CHUNK), strands)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        waiting: deque[Future[Judged | None]] = deque()
        try:
            for start, strand in tasks:
                waiting.append(threads.submit(one, start, strand))
                if len(waiting) > 2 * _AT_ONCE and (found := waiting.popleft().result()):
                    yield found
            for last in waiting:
                if found := last.result():
                    yield found
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def _in_batches(judge: Judge, windows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The logits of some of the windows, (places, classes)."""
    batches = [wanted[at : at + BATCH] for at in range(0, len(wanted), BATCH)]
    return np.concatenate([judge(windows[batch].astype(np.int32)) for batch in batches])
