"""Fitting what needs no gradient: kernel machines and forests, as weights of layers.

Both answer quantities one by one, each over the samples of which it is known: numbers in the
targets' own scale, yes-or-no as logits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepfield.toolkit.calibration import Platt
from deepfield.toolkit.rising_curves import sigmoid

#: Regularisations among which leave-one-out chooses.
_NOISE = np.exp(np.linspace(np.log(0.005), np.log(4.0), 20))
#: Shares of the second kernel among which leave-one-out chooses, on so many references.
_SHARES, _ENOUGH = (0.0, 0.25, 0.5, 0.75, 1.0), 1000
_PER_TREE, _PER_BOOST = 10_000, 6_000  # samples a tree is grown on, at most
_ROW = 500  # trees that mend one another
_SLOWLY = 0.05  # share of what a boosted tree says that counts
_RIDGE = 1.0  # of what its leaves say of logits
_RARE = 0.25  # share of yes below which every yes tells much
_SMALLEST = 1e-5  # eigenvalues below which a direction is left out


@dataclass(frozen=True)
class KernelMachine:
    """Weights of the similarities to the references, and what is added.

    Args:
        weights: (references, quantities).
        offsets: (quantities,).
        left_out: (samples, quantities), what each training sample would have been told had its
            own target not been known; NaN where it is not.
    """

    weights: np.ndarray
    offsets: np.ndarray
    left_out: np.ndarray


def chosen_references(
    targets: np.ndarray, binary: Sequence[bool], most: int, seed: int = 0
) -> np.ndarray:
    """Samples to compare with: all, or `most` by chance, up to half of them with rare answers.

    Args:
        targets: (samples, quantities), NaN where missing.
        binary: which quantities are yes-or-no.
        most: how many at most.
        seed: of the choice.

    Returns:
        Their places, ascending.
    """
    count = len(targets)
    if count <= most:
        return np.arange(count)
    yes = targets[:, np.asarray(binary, bool)] == 1
    rare = yes[:, yes.mean(axis=0) < _RARE].any(axis=1)
    order = np.random.default_rng(seed).permutation(count)
    first = order[rare[order]][: most // 2]
    rest = order[~np.isin(order, first)][: most - len(first)]
    return np.sort(np.concatenate([first, rest]))


def fit_kernel_machine(
    similarity: np.ndarray, references: np.ndarray, targets: np.ndarray, binary: Sequence[bool]
) -> KernelMachine:
    r"""Ridge regression on similarities, every quantity with a regularisation of its own.

    With references r and samples s the features are $\Phi = K_{sr} K_{rr}^{-1/2}$ (with all samples
    as references: exact kernel ridge regression, else Nyström's approximation) and the answer is
    $f = \Phi (\Phi^T \Phi + \lambda)^{-1} \Phi^T y$, with an offset that is not regularised. The
    $\lambda$ whose leave-one-out answers $y_i - (y_i - f_i) / (1 - h_{ii})$ are best is taken.
    Yes-or-no is fitted as 0 and 1 and its answer is turned into a logit by the logistic curve that
    fits the leave-one-out answers.

    Args:
        similarity: (samples, references), of a positive definite kernel.
        references: places of the references among the samples.
        targets: (samples, quantities), NaN where missing.
        binary: which quantities are yes-or-no.

    Source:
        Williams & Seeger, "Using the Nyström method to speed up kernel machines", NIPS 2000;
        Platt 1999. Deviation: the logistic curve sees leave-one-out answers.
    """
    values, vectors = np.linalg.eigh(similarity[references].astype(np.float64))
    kept = values > _SMALLEST * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept])
    features = similarity.astype(np.float64) @ root
    count = targets.shape[1]
    weights, offsets = np.zeros((len(references), count)), np.zeros(count)
    left_out = np.full(targets.shape, np.nan)
    turned: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
    for t in range(count):
        known = np.isfinite(targets[:, t])
        middle = features[known].mean(axis=0)
        own = features[known] - middle
        if known.tobytes() not in turned:
            turned = {known.tobytes(): np.linalg.eigh(own.T @ own)}
        power, axes = turned[known.tobytes()]
        slope, offset, told = _ridge(own @ axes, np.maximum(power, 0), targets[known, t], binary[t])
        slope = axes @ slope
        weights[:, t], offsets[t] = root @ slope, offset - middle @ slope
        left_out[known, t] = told
    return KernelMachine(weights, offsets, left_out)


def _ridge(
    features: np.ndarray, power: np.ndarray, targets: np.ndarray, yes_or_no: bool
) -> tuple[np.ndarray, float, np.ndarray]:
    """Weights, offset and leave-one-out answers, on centred features with products `power`."""
    y = targets.astype(np.float64)
    mean = y.mean()
    along, squares = features.T @ (y - mean), features**2
    best: tuple[float, np.ndarray, float, np.ndarray] | None = None
    for noise in _NOISE:
        slope = along / (power + noise)
        residual = (y - mean - features @ slope) / np.maximum(
            1 - squares @ (1 / (power + noise)) - 1 / len(y), 1e-3
        )
        told, offset = y - residual, mean
        if yes_or_no:
            curve = Platt.fit(told, y)
            a, b = curve.slopes[0], curve.offsets[0]
            told, slope, offset = a * told + b, a * slope, a * mean + b
            loss = float(np.mean(np.logaddexp(0, told) - y * told))
        else:
            loss = float(np.mean(residual**2))
        if best is None or loss < best[0]:
            best = (loss, slope, offset, told)
    assert best is not None
    return best[1:]


def chosen_share(
    first: np.ndarray, second: np.ndarray, targets: np.ndarray, binary: Sequence[bool]
) -> float:
    """How much of a mixture of two kernels the second should be.

    That of 0, 1/4, 1/2, 3/4, 1 with the best leave-one-out answers, over all quantities: the loss
    of each counts beside that of always answering the mean.

    Args:
        first: (references, references), a positive definite kernel; of more than 1,000 some are
            taken.
        second: the same references in another kernel.
        targets: (references, quantities), NaN where missing.
        binary: which quantities are yes-or-no.
    """
    some = np.arange(0, len(first), -(-len(first) // _ENOUGH))
    own = np.ix_(some, some)
    asked = targets[some]
    enough = [len(np.unique(column[np.isfinite(column)])) > 1 for column in asked.T]
    asked, flags = asked[:, enough], np.asarray(binary, bool)[enough]
    if not len(flags):
        return 0.5
    every = np.arange(len(some))
    losses = []
    for share in _SHARES:
        mixed = (1 - share) * first[own] + share * second[own]
        told = fit_kernel_machine(mixed, every, asked, list(flags)).left_out
        losses.append(np.mean([
            _relative_loss(z, y, yes_or_no)
            for z, y, yes_or_no in zip(told.T, asked.T, flags, strict=True)
        ]))  # fmt: skip
    return _SHARES[int(np.argmin(losses))]


def _relative_loss(told: np.ndarray, targets: np.ndarray, yes_or_no: bool) -> float:
    """The loss beside that of the mean."""
    known = np.isfinite(targets)
    z, y = told[known], targets[known]
    if not yes_or_no:
        return float(np.mean((z - y) ** 2) / np.var(y))
    p = y.mean()
    return float(np.mean(np.logaddexp(0, z) - y * z) / -(p * np.log(p) + (1 - p) * np.log(1 - p)))


@dataclass(frozen=True)
class Trees:
    """Trees of one quantity, as `DecisionTrees.set_trees` takes them.

    Args:
        trees: what they say adds up.
        start: added to the sum.
        relevance: (features,), by how much the questions about each lowered the error, adding up to
            1; none where nobody asked.
    """

    trees: list[tuple[np.ndarray, ...]]
    start: float
    relevance: np.ndarray | None = None


def grow_forests(
    features: np.ndarray, targets: np.ndarray, binary: Sequence[bool], *, trees: int, leaves: int,
    depth: int, sparse: bool = False, seed: int = 0,
) -> list[Trees]:  # fmt: skip
    """For every quantity a forest of two kinds of trees.

    Which kind is better depends on the data, and both together are seldom far from the better one.
    For yes-or-no: random trees and extremely randomised ones on samples of the samples, whose nodes
    may ask a square root of the features; shares of yes are turned into logits by the logistic
    curve that fits what each sample is told by the trees that did not see it. For numbers:
    extremely randomised trees on all samples, half of which may ask any feature, half a tenth of
    them; of sparse features a third, and half of the trees are random ones. No tree sees more than
    10,000 samples.

    Args:
        features: (samples, features), finite.
        targets: (samples, quantities), NaN where missing.
        binary: which quantities are yes-or-no.
        trees: how many.
        leaves: most leaves of a tree.
        depth: most levels of a tree.
        sparse: whether the features are many and mostly 0.
        seed: of all that is left to chance.

    Source:
        Breiman, "Random forests", Machine Learning 2001; Geurts, Ernst, Wehenkel, "Extremely
        randomized trees", Machine Learning 2006. Deviation: bootstrap samples for both where the
        answer is yes or no.
    """
    found = []
    for column, yes_or_no in zip(targets.T, binary, strict=True):
        known = np.isfinite(column)
        y = column[known].astype(np.float64)
        kinds = _FOREST["yes_or_no" if yes_or_no else "sparse" if sparse else "numbers"]
        halves = _grown(features[known], y, kinds, trees, seed, max_depth=depth,
                        max_leaf_nodes=leaves if len(y) > leaves else None)  # fmt: skip
        scale, start = 1.0, 0.0
        if yes_or_no:
            told = np.average([m.oob_prediction_ for m in halves], axis=0,
                              weights=[len(m.estimators_) for m in halves])  # fmt: skip
            curve = Platt.fit(told, y)
            scale, start = curve.slopes[0], curve.offsets[0]
        grown = [_adjacent(one.tree_, scale / trees) for m in halves for one in m.estimators_]
        relevance = np.mean([m.feature_importances_ for m in halves], axis=0)
        found.append(Trees(grown, start, relevance))
    return found


@dataclass(frozen=True)
class _Kind:
    """Half of a forest: how random its trees are, what a node may ask, what a tree sees."""

    extreme: bool
    asks: float | str
    bootstrap: bool


_FOREST = {
    "yes_or_no": (_Kind(True, "sqrt", True), _Kind(False, "sqrt", True)),
    "numbers": (_Kind(True, 1.0, False), _Kind(True, 0.1, False)),
    "sparse": (_Kind(True, 1 / 3, False), _Kind(False, 1 / 3, True)),
}


def _grown(
    features: np.ndarray, targets: np.ndarray, kinds: Sequence[_Kind], trees: int, seed: int,
    **grown: Any,
) -> Any:  # fmt: skip
    """The two halves of a forest; one where there is but one tree."""
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

    # Squared error of 0 and 1 is Gini's impurity but for a factor: one sort of trees for both.
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few trees, some samples were in every one
        for place, kind in enumerate(kinds):
            count = trees // 2 if place else trees - trees // 2
            some = kind.bootstrap or len(targets) > _PER_TREE
            sort = ExtraTreesRegressor if kind.extreme else RandomForestRegressor
            if count:
                found.append(
                    sort(
                        count, max_features=kind.asks, bootstrap=some, n_jobs=-1,
                        max_samples=min(len(targets), _PER_TREE) if some else None,
                        oob_score=_root_score if kind.bootstrap else False,
                        random_state=seed + place, **grown,
                    ).fit(features, targets)
                )  # fmt: skip
    return found


def grow_boosted(
    features: np.ndarray, targets: np.ndarray, binary: Sequence[bool], *, trees: int, depth: int,
    start: np.ndarray | None = None, seed: int = 0,
) -> list[Trees]:  # fmt: skip
    r"""For every quantity small trees, each of which mends what those before it got wrong.

    A node may ask a square root of the features, each tree sees six samples in ten (6,000 at most),
    and a twentieth of what it says counts. More than 500 trees are several such rows of trees, and
    the mean of what these say: a single row depends much on chance.

    Args:
        features: (samples, features), finite.
        targets: (samples, quantities), NaN where missing.
        binary: which quantities are yes-or-no.
        trees: how many.
        depth: levels of a tree.
        start: (samples, quantities), numbers or logits that another model says of samples which it
            did not see: the trees mend it. Without one they start from the mean, or the log odds.
        seed: of all that is left to chance.

    Returns:
        Trees of every quantity; what they say is to be added to what `start` says of a sample.

    Source:
        Friedman, "Stochastic gradient boosting", Computational Statistics & Data Analysis 2002;
        features by chance as in Breiman's forests. Deviation: of logits a leaf says
        $\sum r / (1 + \sum p(1 - p))$, as in Chen & Guestrin, "XGBoost", KDD 2016, equation 5:
        without the 1 it would say anything of a sample of which `start` is sure and wrong.
    """
    from joblib import Parallel, delayed

    starts = [None] * len(binary) if start is None else list(start.T)
    every = zip(targets.T, binary, starts, strict=True)
    alone = delayed(_boosted)
    return Parallel(n_jobs=-1, prefer="threads")(
        alone(features, *own, trees, depth, seed) for own in every
    )


def _boosted(
    features: np.ndarray, column: np.ndarray, yes_or_no: bool, start: np.ndarray | None,
    trees: int, depth: int, seed: int,
) -> Trees:  # fmt: skip
    known = np.isfinite(column)
    y = column[known]
    mean = float(y.mean()) if len(y) else 0.0
    if yes_or_no:
        share = float(np.clip(mean, 1e-3, 1 - 1e-3))
        mean = float(np.log(share / (1 - share)))
    begin = np.full(len(y), mean) if start is None else start[known]
    added = mean if start is None else 0.0
    if len(np.unique(y)) < 2:
        return Trees([], added)
    rows = max(1, round(trees / _ROW))
    grow = _mending_logits if yes_or_no else _mending_numbers
    grown = [
        _adjacent(tree, _SLOWLY / rows)
        for row in range(rows)
        for tree in grow(features[known], y, begin, trees // rows, depth, seed + row)
    ]
    return Trees(grown, added)


def _mending_numbers(
    features: np.ndarray, y: np.ndarray, begin: np.ndarray, trees: int, depth: int, seed: int
) -> list[Any]:
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=trees, learning_rate=_SLOWLY, max_depth=depth, init=_Told(begin),
        max_features="sqrt", subsample=_drawn(len(y)), random_state=seed,
    ).fit(features, y)  # fmt: skip
    return [one.tree_ for one in model.estimators_[:, 0]]


def _mending_logits(
    features: np.ndarray, y: np.ndarray, begin: np.ndarray, trees: int, depth: int, seed: int
) -> list[Any]:
    from sklearn.tree import DecisionTreeRegressor

    random = np.random.RandomState(seed)
    seen = np.ascontiguousarray(features, np.float32)
    told, grown = begin.astype(np.float64), []
    for _ in range(trees):
        drawn = random.permutation(len(y))[: max(1, int(_drawn(len(y)) * len(y)))]
        counted = np.zeros(len(y))  # the others weigh nothing: quicker than a copy of the drawn
        counted[drawn] = 1.0
        chance = sigmoid(told)
        left, steep = y - chance, chance * (1 - chance)
        tree = DecisionTreeRegressor(max_depth=depth, max_features="sqrt", random_state=random)
        tree.fit(seen, left, sample_weight=counted, check_input=False)
        grown.append(tree.tree_)
        leaf, said = grown[-1].apply(seen), grown[-1].value[:, 0, 0]
        said[:] = np.bincount(leaf[drawn], left[drawn], len(said))
        said /= np.bincount(leaf[drawn], steep[drawn], len(said)) + _RIDGE
        told += _SLOWLY * said[leaf]
    return grown


def _drawn(count: int) -> float:
    """The share of so many samples that a boosted tree sees."""
    return min(0.6, _PER_BOOST / count)


@dataclass
class _Told:
    """What scikit-learn's boosted trees start from: values of its samples, in order."""

    values: np.ndarray

    def fit(self, features: np.ndarray, targets: np.ndarray) -> _Told:
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"values": self.values}

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.values


def _root_score(truth: np.ndarray, told: np.ndarray) -> float:
    return -float(np.sqrt(np.mean((truth - told) ** 2)))


def _adjacent(tree: Any, scale: float) -> tuple[np.ndarray, ...]:
    """A tree of scikit-learn with each pair of children next to each other, level by level."""
    left, right = tree.children_left, tree.children_right
    found, places = [0], np.full(len(left), -1)
    for node in found:  # grows as it is read
        if left[node] >= 0:
            places[node] = len(found)
            found += [left[node], right[node]]
    order = np.array(found)
    return (
        tree.feature[order],
        tree.threshold[order],
        places[order],
        scale * tree.value[order, 0, 0],
    )
