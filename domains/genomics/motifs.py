"""Motifs: what letters stand in a binding site, how like two motifs are, and MEME's text format.

NumPy only. How motifs are found by a network is in `discovery`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepfield.domains.genomics.features import CHANCES, LETTERS
from deepfield.toolkit.errors import NotFound, UsageError

_EVEN: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
#: How far the sum of a row of probabilities may be from 1: files have few decimals.
_ROUNDED = 0.02
#: Columns that two motifs must share, if both are that wide.
_LEAST_OVERLAP = 4


@dataclass(frozen=True, slots=True, eq=False)
class Motif:
    """A position weight matrix: how likely each base is at each place of a site.

    Args:
        name: of the motif.
        probabilities: (width, 4) of A, C, G, T; rows add up to 1.
        sites: how many sites it was counted from; 0 where nobody says.
        background: how likely A, C, G, T are outside of sites.

    Example:
        >>> tata = from_sites(np.array([[4, 1, 4, 1], [4, 1, 4, 4]]), "TATA")
        >>> tata.consensus, tata.reverse_complement().consensus
        ('TATW', 'WATA')
    """

    name: str
    probabilities: np.ndarray
    sites: int = 0
    background: tuple[float, ...] = _EVEN

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def information(self) -> np.ndarray:
        r"""Bits that each place tells, (width,): $\sum_b p_b \log_2 (p_b / q_b)$.

        q is the background; with an even one, 0 to 2 bits. Source: Schneider et al. 1986 and, for
        other backgrounds, Stormo 2000. Deviation: no correction for few sites.
        """
        p = self.probabilities
        ratio = np.where(p > 0, p, 1) / np.array(self.background)
        return (p * np.where(p > 0, np.log2(ratio), 0)).sum(axis=1)

    @property
    def consensus(self) -> str:
        """The letter that stands for each place, in IUPAC's code.

        A base alone where it has half of the sites and twice as many as the next, two where they
        have three quarters together, N otherwise. Source: Cavener 1987.
        """
        return "".join(map(_letter, self.probabilities))

    def reverse_complement(self) -> Motif:
        """The same motif as it is read on the other strand."""
        a, c, g, t = self.background
        return replace(self, probabilities=self.probabilities[::-1, ::-1], background=(t, g, c, a))

    def trimmed(self, least_bits: float) -> Motif:
        """Without the places at both ends that tell less; at least the one that tells most."""
        told = self.information
        kept = np.flatnonzero(told >= min(least_bits, told.max()))
        return replace(self, probabilities=self.probabilities[kept[0] : kept[-1] + 1])


def _letter(row: np.ndarray) -> str:
    order = np.argsort(-row, kind="stable")
    first, second = row[order[0]], row[order[1]]
    if first > 0.5 and first > 2 * second:
        return "ACGT"[order[0]]
    if first + second > 0.75:
        pair = np.zeros(4, np.float32)
        pair[order[:2]] = 0.5
        return LETTERS[int(np.flatnonzero((pair == CHANCES).all(axis=1))[0])]
    return "N"


def from_sites(
    sites: np.ndarray,
    name: str = "motif",
    background: Sequence[float] = _EVEN,
    pseudocount: float = 0.0,
) -> Motif:
    r"""The motif of aligned sites: $p_b = (n_b + s q_b) / (n + s)$.

    Args:
        sites: (sites, width) codes; IUPAC's letters count for each base in equal parts, N for
            the background.
        name: of the motif.
        background: q, of A, C, G, T.
        pseudocount: s, how many sites the background counts for.

    Raises:
        ValueError: no site.

    Example:
        >>> from deepfield.domains.genomics.features import codes
        >>> from_sites(np.stack([codes("TATA"), codes("TATA"), codes("TAAA")])).consensus
        'TAWA'
    """
    if len(sites) == 0:
        raise ValueError("a motif of no site")
    q = np.asarray(background, dtype=float)
    each = CHANCES[sites].astype(float)
    each = np.where(each.any(axis=2, keepdims=True), each, q)
    counts = each.sum(axis=0) + pseudocount * q
    return Motif(name, counts / (len(sites) + pseudocount), len(sites), tuple(q.tolist()))


# ------------------------------------------------------------------------------------- likeness


@dataclass(frozen=True, slots=True)
class Match:
    """How like a motif is to a known one.

    Args:
        known: name of the known motif.
        similarity: mean correlation of the columns, -1 to 1; see `match`.
        offset: place of the known motif at which the first column of the other stands; of the
            turned known motif where it was turned.
        strand: `"+"`, or `"-"` where the known one was turned.
        p_value: how often a motif of the same columns in another order is as like.

    Example:
        >>> best = Match("TBP", similarity=0.93, offset=2, strand="+", p_value=0.004)
        >>> best.p_value < 0.01
        True
    """

    known: str
    similarity: float
    offset: int
    strand: str
    p_value: float


def match(motif: Motif, known: Motif, shuffles: int = 999, seed: int = 0) -> Match:
    r"""The best alignment of two motifs, over all offsets and both strands.

    $s = \frac{1}{\min(w, w')} \sum_i r(a_i, b_{i+o})$ with Pearson's r of the probabilities of
    two columns that lie over each other; columns without a partner count 0, as do those in which
    all bases are equally likely. At least 4 columns overlap, or all of the narrower motif.

    The p-value is the share of shuffled motifs, the given one counted, that are as similar in their
    best alignment. A shuffled motif has the columns in random order, and in each column the bases
    in random order: it tells as many bits, about something else.

    Args:
        motif: to be recognised.
        known: what it may be.
        shuffles: how many; the p-value is at least 1 / (shuffles + 1).
        seed: of the shuffles.

    Example:
        >>> tata = from_sites(np.array([[4, 1, 4, 1, 1, 3]] * 9), "TATAAG")
        >>> found = match(tata.reverse_complement(), tata)
        >>> round(found.similarity, 6), found.offset, found.strand
        (1.0, 0, '-')

    Source: Gupta et al. 2007 (Tomtom), with Pearson's r of Pietrokovski 1996. Deviation: the mean
    in place of the sum and its p-value from shuffles, not from the columns of a data base.
    """
    turned = (known, known.reverse_complement())
    target = np.stack([_standardised(k.probabilities) for k in turned])
    scores = _alignments(motif.probabilities[None], target)[0]
    strand, place = np.unravel_index(int(np.argmax(scores)), scores.shape)
    best = float(scores[strand, place])
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(len(motif)), (shuffles, 1)), axis=1)
    other = rng.permuted(motif.probabilities[order], axis=2)
    as_like = (_alignments(other, target).max(axis=(1, 2)) >= best - 1e-9).sum() if shuffles else 0
    offset = int(place) - len(motif) + _overlap(len(motif), len(known))
    return Match(known.name, best, offset, "+-"[strand], float((1 + as_like) / (1 + shuffles)))


def matches(motif: Motif, known: Iterable[Motif], seed: int = 0) -> list[Match]:
    """A motif against several known ones: the most similar first.

    Example:
        >>> tata = from_sites(np.array([[4, 1, 4, 1, 1, 3]] * 9), "TATAAG")
        >>> cage = from_sites(np.array([[2, 1, 3, 3, 2, 2]] * 9), "CAGGCC")
        >>> [found.known for found in matches(tata, [cage, tata])]
        ['TATAAG', 'CAGGCC']
    """
    found = [match(motif, one, seed=seed) for one in known]
    return sorted(found, key=lambda m: -m.similarity)


def _overlap(one: int, other: int) -> int:
    return min(_LEAST_OVERLAP, one, other)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns of which the dot product is Pearson's r; zeros where all bases are alike."""
    centred = columns - columns.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    # 1e-6: even columns are seldom even to the last digit
    return np.where(length > 1e-6, centred / np.maximum(length, 1e-6), 0)


def _alignments(motifs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Similarity of motifs (n, width, 4) to both strands (2, known width, 4), by offset."""
    pairs = np.einsum("nib,sjb->nsij", _standardised(motifs), target)
    wide, known = pairs.shape[2:]
    least = _overlap(wide, known)
    sums = [
        np.trace(pairs, offset, axis1=2, axis2=3)
        for offset in range(least - wide, known - least + 1)
    ]
    return np.stack(sums, axis=-1) / min(wide, known)


# ----------------------------------------------------------------------------------- MEME's text


def write_meme(motifs: Sequence[Motif]) -> str:
    """Motifs as MEME's minimal text format, which its suite and data bases of motifs read.

    Example:
        >>> text = write_meme([from_sites(np.array([[4, 1, 4, 1]] * 9), "TATA")])
        >>> [line for line in text.splitlines() if line.startswith(("MOTIF", "letter"))]
        ['MOTIF TATA TATA', 'letter-probability matrix: alength= 4 w= 4 nsites= 9']
    """
    q = motifs[0].background if motifs else _EVEN
    shown = " ".join(f"{base} {chance:.5f}" for base, chance in zip("ACGT", q, strict=True))
    parts = [
        "MEME version 5\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
        f"Background letter frequencies\n{shown}\n"
    ]
    for motif in motifs:
        name = re.sub(r"\s+", "_", motif.name)
        sites = f" nsites= {motif.sites}" if motif.sites else ""
        rows = "\n".join(" ".join(f"{p:.6f}" for p in row) for row in motif.probabilities)
        parts.append(
            f"MOTIF {name} {motif.consensus}\n"
            f"letter-probability matrix: alength= 4 w= {len(motif)}{sites}\n{rows}\n"
        )
    return "\n".join(parts)


def read_meme(path: str | Path) -> list[Motif]:
    """The motifs of a file in MEME's text format, minimal or in full.

    Raises:
        NotFound: no such file.
        UsageError: not MEME's format, not of DNA, no motif, or no matrix; with the line.

    Example:
        >>> tata = from_sites(np.array([[4, 1, 4, 1]] * 9), "TATA")
        >>> _ = Path("known.meme").write_text(write_meme([tata]))
        >>> [(motif.name, motif.consensus, motif.sites) for motif in read_meme("known.meme")]
        [('TATA', 'TATA', 9)]
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise NotFound(f"no file of motifs {str(path)!r}", "name a file in MEME's format") from None
    return parse_meme(text, str(path))


def parse_meme(text: str, source: str = "the text") -> list[Motif]:
    """The motifs of a text in MEME's format; errors as `read_meme`'s, and name the source.

    Example:
        >>> tata = from_sites(np.array([[4, 1, 4, 1]] * 9), "TATA")
        >>> parse_meme(write_meme([tata]))[0].consensus
        'TATA'
    """
    lines = text.splitlines()
    if not any(re.match(r"\s*MEME version", line) for line in lines):
        raise UsageError(f"{source!r} is not MEME's format", "it begins with 'MEME version 4'")
    found: list[Motif] = []
    name, background = "", _EVEN
    for place, line in enumerate(lines):
        if line.startswith("ALPHABET") and "ACGT" not in line and '"DNA"' not in line:
            raise _meme_error(source, place, f"the alphabet is {line[9:].strip()!r}")
        if line.startswith("Background letter frequencies"):
            background = _background(lines, place, source)
        elif line.startswith("MOTIF"):
            name = [*line.split(), f"motif_{len(found) + 1}"][1]
        elif line.startswith("letter-probability matrix"):
            found.append(_matrix(lines, place, source, name, background))
    if not found:
        raise UsageError(f"{source!r} holds no motif", "it needs a 'letter-probability matrix:'")
    return found


def _meme_error(source: str, place: int, what: str) -> UsageError:
    return UsageError(f"{source}, line {place + 1}: {what}", "a matrix has A, C, G, T a row")


def _background(lines: Sequence[str], place: int, source: str) -> tuple[float, ...]:
    words = " ".join(lines[place + 1 : place + 5]).split()
    told = dict(zip(words[::2], words[1::2], strict=False))
    try:
        chances = np.array([float(told[base]) for base in "ACGT"])
    except (KeyError, ValueError):
        raise _meme_error(source, place + 1, "no frequencies of A, C, G and T") from None
    if not (np.isfinite(chances).all() and (chances > 0).all()):
        raise _meme_error(source, place + 1, "a frequency is not positive")
    return tuple((chances / chances.sum()).tolist())


def _matrix(
    lines: Sequence[str], place: int, source: str, name: str, background: tuple[float, ...]
) -> Motif:
    told = dict(re.findall(r"(\w+)= *(\S+)", lines[place]))
    rows: list[list[float]] = []
    for at in range(place + 1, len(lines)):
        words = lines[at].split()
        if rows and (not words or len(rows) == _whole(told.get("w"))):
            break
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            if rows and "w" not in told:
                break
            raise _meme_error(source, at, f"{lines[at].strip()[:40]!r} are no numbers") from None
        if len(row) != 4 or min(row) < 0 or not abs(sum(row) - 1) <= _ROUNDED:
            raise _meme_error(source, at, f"{lines[at].strip()[:40]!r} are no four probabilities")
        rows.append(row)
    width = _whole(told.get("w"))
    if not rows or (width is not None and len(rows) != width):
        raise _meme_error(source, place, f"{len(rows)} rows, where w= {told.get('w', '?')}")
    chances = np.array(rows)
    sites = _whole(told.get("nsites")) or 0
    return Motif(name, chances / chances.sum(axis=1, keepdims=True), sites, background)


def _whole(word: str | None) -> int | None:
    try:
        return None if word is None else int(float(word))
    except (ValueError, OverflowError):
        return None
