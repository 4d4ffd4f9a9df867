"""How much every letter of a sequence counts for what a network says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from deepfield.domains.genomics.features import CHANCES
from deepfield.toolkit import explain as explaining
from deepfield.toolkit.errors import UsageError

if TYPE_CHECKING:
    from deepfield.domains.genomics.pipeline import GenomicsPipeline

#: Letters that a network reads at once.
_BATCH_LETTERS = 65_536
_LEAST_COVERED = 10

#: Codes (batch, steps) int32 to one score each, (batch,).
Ask = Callable[[np.ndarray], np.ndarray]


def log_odds(logits: np.ndarray, label: int) -> np.ndarray:
    r"""$\log \frac{p}{1 - p} = z_c - \log \sum_{k \ne c} e^{z_k}$ of a class, (..., classes) to
    (...,); a single logit is one already.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.shape[-1] == 1:
        return z[..., 0]
    others = np.delete(z, label, axis=-1)
    top = others.max(axis=-1, keepdims=True)
    return z[..., label] - top[..., 0] - np.log(np.exp(others - top).sum(axis=-1))


def scorer(pipeline: GenomicsPipeline, label: int) -> Ask:
    """The network as a function from codes to the log-odds of a class, before calibration."""

    def ask(bases: np.ndarray) -> np.ndarray:
        logits = pipeline.logits(bases)
        if logits.ndim == 3:  # as many letters as one site hangs on
            logits = logits[:, logits.shape[1] // 2]
        return log_odds(logits, label)

    return ask


def mutagenesis(ask: Ask, sequence: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """In-silico mutagenesis: what each base at each place changes, one at a time.

    Args:
        ask: from codes (batch, steps) int32 to scores (batch,).
        sequence: codes (steps,).
        places: which letters are changed; all of them without.

    Returns:
        (places, 4) score with A, C, G, T there, less the score of the sequence; 0 for the base
        that stands there. In the place of N, and of a letter that may be several bases, all four.

    Example:
        >>> def count_of_a(batch):
        ...     return (batch == 1).sum(axis=1)
        >>> mutagenesis(count_of_a, np.array([1, 2])).tolist()
        [[0.0, -1.0, -1.0, -1.0], [1.0, 0.0, 0.0, 0.0]]
    """
    sequence = np.asarray(sequence, dtype=np.int32)
    places = np.arange(len(sequence)) if places is None else np.asarray(places)
    changes = np.zeros((len(places), 4))
    rows, bases = np.nonzero(sequence[places, None] != np.arange(1, 5))
    whole = float(ask(sequence[None])[0])
    size = max(1, _BATCH_LETTERS // max(1, len(sequence)))
    for at in range(0, len(rows), size):
        row, base = rows[at : at + size], bases[at : at + size]
        batch = np.repeat(sequence[None], len(row), axis=0)
        batch[np.arange(len(row)), places[row]] = base + 1
        changes[row, base] = np.asarray(ask(batch), dtype=np.float64) - whole
    return changes


def contributions(changes: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    """What the letters that stand there add: the mean fall over the bases that they rule out.

    Args:
        changes: (letters, 4), of `mutagenesis` or `gradients`.
        sequence: codes (letters,).

    Returns:
        (letters,): of a base the mean over the three others, of R the mean over C and T; N rules
        out nothing and adds 0.
    """
    chances = CHANCES[sequence]
    ruled_out = (chances == 0) & chances.any(axis=1, keepdims=True)
    return -(changes * ruled_out).sum(axis=1) / np.maximum(1, ruled_out.sum(axis=1))


def covered(ask: Ask, sequence: np.ndarray) -> np.ndarray:
    """What is lost where stretches of a sequence are covered with N, (steps,); a hundredth of it
    at a time.
    """
    return explaining.occlusion(
        lambda arrays: ask(arrays["bases"])[:, None], {"bases": np.asarray(sequence)[None]}, 0,
        window=max(_LEAST_COVERED, len(sequence) // 100), fill=0, axes=1,
        batch_size=max(1, _BATCH_LETTERS // len(sequence)),
    )  # fmt: skip


def gradients(pipeline: GenomicsPipeline, bases: np.ndarray, label: int) -> np.ndarray:
    r"""What each base would change if the network were linear, (steps, 4): $g_b - \sum_k x_k g_k$.

    g is the gradient of the log-odds with respect to the one-hot letters x. The contribution of a
    letter is then its gradient times input, 4/3 of it, less the mean gradient over the bases.

    Raises:
        UsageError: the network does not turn codes to one-hot letters in one place.

    Source: Shrikumar et al. 2016; the mean over the bases is taken off as Majdandzic et al. 2023
    do.
    """
    batch = {"bases": np.asarray(bases, dtype=np.int32)[None]}
    logits = np.atleast_2d(np.squeeze(pipeline.logits(batch["bases"])))[0].astype(np.float64)
    weights = np.zeros(len(logits))
    weights[label] = 1.0
    others = np.delete(np.arange(len(logits)), label)
    share = np.exp(logits[others] - logits[others].max(initial=-np.inf))
    weights[others] = -share / share.sum() if len(others) else 0.0
    total, values = np.zeros((len(bases), 4)), np.zeros((len(bases), 4))
    for name, model in pipeline.models.items():
        for k, weight in enumerate(weights):
            values, slope = (a[0] for a in explaining.input_gradient(model, batch, k, "bases"))
            if values.shape != (len(bases), 4):
                raise UsageError(
                    f"gradients of letters as {' x '.join(map(str, values.shape))}",
                    "this network shows no one-hot letters; take --method ism",
                )
            total += pipeline.shares[name] * weight * slope
    return total - (values * total).sum(axis=1, keepdims=True)


def best_stretches(values: np.ndarray, width: int, most: int, least: float = 0.0) -> list[int]:
    """Where stretches begin that do not overlap and whose sums are above `least`: highest first.

    Example:
        >>> best_stretches(np.array([0, 2, 2, 0, 0, 1, 1, 0.0]), 2, 3)
        [1, 5]
    """
    width = min(width, len(values))
    if not width:
        return []
    sums = np.convolve(values, np.ones(width), "valid")
    # of stretches with the same letters in them, the one that has them in its middle
    middle = 1 - 1e-3 * np.abs(np.linspace(-1, 1, width))
    order = np.argsort(-np.convolve(values, middle, "valid"), kind="stable")
    found: list[int] = []
    for start in order:
        if len(found) == most:
            break
        if sums[start] > least and all(abs(start - other) >= width for other in found):
            found.append(int(start))
    return found
