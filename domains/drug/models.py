"""The architectures: functions that return a plain functional `keras.Model`.

Every builder has the signature `name(quantities, **hyper)`; `descriptor_dnn` takes the number of
its descriptors too. Inputs are those of `domains.drug.features` that `INPUTS` names for it. The
output `quantities` gives (batch, quantities, members) numbers: standardised values, and logits of
yes for what is yes-or-no. Those with several members are ensembles in one network: the members
share no weights and are trained side by side, each as if alone. `fusion` may say of every member
how much it is to be heard as well (see `toolkit.quantities`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deepfield.domains.drug.features import (
    ATOM_CODES,
    ATOM_SIZES,
    BOND_CODES,
    BOND_SIZES,
    FINGERPRINT_SIZE,
)
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.layers import (
    AttentivePooling,
    DecisionTrees,
    DirectedMessagePassing,
    GaussianKernel,
    GraphAttention,
    PreciseDense,
    TanimotoKernel,
)
from deepfield.toolkit.registry import Registry

#: Levels of the trees of `fusion`, at most.
TREE_DEPTH = 24
_BOOST_DEPTH = 5  # levels of a boosted tree
_LINEAR = 0.5  # share of the descriptors' kernel that is a straight line
_MOST_TREES, _MOST_BOOSTED = 200, 1500  # of one quantity: more bring little
#: How much members of `fusion` are heard of numbers that few molecules teach: a kernel machine
#: needs the fewest, a graph wants more. From so few molecules on it becomes 1 for each, at so many.
_OF_FEW = {"graph": 0.5, "kernel": 2.0}
_FEW, _MANY = 1000, 3000
#: Similarities to the most similar training molecule, from none like it to like enough: only a
#: graph puts together what it has seen in pieces, so there it is heard alone of numbers.
_REACH = (0.05, 0.15)
#: Every builder of the domain, by name.
ARCHITECTURES = Registry("architecture")


def _check(quantities: int, name: str) -> None:
    if quantities < 1:
        raise UsageError(f"{name}: {quantities} quantities", "name a target with --targets")


def _graph_inputs() -> tuple[list[Any], Any]:
    """Atoms, bonds and ends; and which atoms are none but padding."""
    atoms = keras.Input((None, len(ATOM_SIZES)), dtype="int32", name="atoms")
    bonds = keras.Input((None, len(BOND_SIZES)), dtype="int32", name="bonds")
    ends = keras.Input((None, 2), dtype="int32", name="ends")
    return [atoms, bonds, ends], ops.not_equal(atoms[..., 0], 0)


def _table(codes: int, units: int, name: str) -> Any:
    # with larger ones rare atoms, which training hardly moves, shout down the others
    drawn = keras.initializers.RandomNormal(0.0, 0.06)
    return layers.Embedding(codes, units, embeddings_initializer=drawn, name=name)


def _embedded(inputs: Sequence[Any], units: int, bond_units: int, end: str = "") -> tuple[Any, Any]:
    """Vectors of atoms and bonds: the sum over their properties."""
    atoms, bonds, _ = inputs
    nodes = ops.sum(_table(ATOM_CODES, units, f"atom{end}")(atoms), axis=-2)
    links = ops.sum(_table(BOND_CODES, bond_units, f"bond{end}")(bonds), axis=-2)
    return nodes, links


def _tamed(given: Any) -> Any:
    """sign(x) log(1 + |x|) of descriptors: some are in the billions."""
    return ops.sign(given) * ops.log(1.0 + ops.abs(given))


def scaled(standardised: Any) -> Any:
    """Descriptors within five standard deviations: some are of another world now and then."""
    return ops.clip(standardised, -5.0, 5.0)


def _head(x: Any, quantities: int, units: int, depth: int, dropout: float) -> Any:
    for k in range(1, depth + 1):
        x = layers.Dropout(dropout, name=f"drop_{k}")(x)
        x = layers.Dense(units, activation="relu", name=f"hidden_{k}")(x)
    x = layers.Dropout(dropout, name="drop_last")(x)
    x = layers.Dense(quantities, dtype="float32", name="answer")(x)
    return layers.Reshape((quantities, 1), dtype="float32", name="quantities")(x)


@ARCHITECTURES.register()
def dmpnn(
    quantities: int,
    units: int = 128,
    steps: int = 3,
    head_units: int = 128,
    depth: int = 1,
    dropout: float = 0.1,
    pooling: str = "both",
) -> keras.Model:
    """Directed message passing over the bonds, pooled over the atoms.

    Args:
        quantities: how many are answered.
        units: features of a bond's and an atom's state.
        steps: how far a message travels.
        head_units: features of the hidden layers behind the pooling.
        depth: hidden layers behind the pooling.
        dropout: fraction of states left out in training.
        pooling: `"mean"` over the atoms, `"sum"` divided by 30, which knows what grows with the
            molecule, `"both"` side by side, or `"attention"`.

    Returns:
        A model from `atoms`, `bonds` and `ends` to `quantities`.

    Raises:
        UsageError: a pooling that is not known.

    Example:
        >>> from deepfield.domains.drug.models import dmpnn
        >>> dmpnn(2, units=8, head_units=8).output_shape
        (None, 2, 1)

    Source:
        Yang et al., J. Chem. Inf. Model. 2019. Deviations: properties of atoms and bonds are
        vectors that add up in place of one-hot codes side by side; no mass.
    """
    _check(quantities, "dmpnn")
    inputs, there = _graph_inputs()
    nodes, links = _embedded(inputs, 64, 16)
    states = DirectedMessagePassing(units, steps, dropout=dropout, name="messages")(
        [nodes, links, inputs[2]], mask=there
    )
    pooled = _pooled(states, there, pooling)
    outputs = {"quantities": _head(pooled, quantities, head_units, depth, dropout)}
    return keras.Model(inputs, outputs, name="dmpnn")


def _pooled(states: Any, there: Any, pooling: str) -> Any:
    if pooling == "attention":
        return AttentivePooling(heads=2, units=64, name="pooled")(states, mask=there)[0]
    count = ops.sum(ops.cast(there, states.dtype), axis=1, keepdims=True)
    total = ops.sum(states, axis=1)  # padding has states of zeros
    mean, scaled_sum = total / ops.maximum(count, 1.0), total / 30.0
    if pooling == "both":
        return ops.concatenate([mean, scaled_sum], axis=-1)
    if pooling == "mean":
        return mean
    if pooling == "sum":
        return scaled_sum
    raise UsageError(f"pooling={pooling!r}", "choose mean, sum, both or attention")


@ARCHITECTURES.register()
def graph_attention(
    quantities: int,
    units: int = 128,
    heads: int = 4,
    hops: int = 4,
    head_units: int = 256,
    depth: int = 1,
    dropout: float = 0.0,
    pooling: str = "attention",
) -> keras.Model:
    """Atoms that listen to their neighbours, hop by hop, and a pooling that listens to atoms.

    Args:
        quantities: how many are answered.
        units: features of an atom.
        heads: of the attention.
        hops: layers of attention, each with a residual connection.
        head_units: features of the hidden layers behind the pooling.
        depth: hidden layers behind the pooling.
        dropout: fraction of states left out in training.
        pooling: as of `dmpnn`.

    Returns:
        A model from `atoms`, `bonds` and `ends` to `quantities`.

    Raises:
        UsageError: a pooling that is not known.

    Source:
        Brody, Alon, Yahav, ICLR 2022 (see `GraphAttention`); residual connections behind a
        normalisation before each layer are ours.
    """
    _check(quantities, "graph_attention")
    inputs, there = _graph_inputs()
    h, links = _embedded(inputs, units, 32)
    for k in range(1, hops + 1):
        own = layers.LayerNormalization(name=f"normalize_{k}")(h)
        new = GraphAttention(units, heads, name=f"listen_{k}")([own, links, inputs[2]], mask=there)
        new = layers.Dense(units, name=f"mix_{k}")(ops.relu(new))
        h = h + layers.Dropout(dropout, name=f"drop_hop_{k}")(new)
    h = layers.LayerNormalization(name="normalize")(h)
    h = h * ops.cast(ops.expand_dims(there, -1), h.dtype)
    outputs = {
        "quantities": _head(_pooled(h, there, pooling), quantities, head_units, depth, dropout)
    }
    return keras.Model(inputs, outputs, name="graph_attention")


@ARCHITECTURES.register()
def fingerprint_mlp(
    quantities: int,
    units: int = 512,
    depth: int = 2,
    dropout: float = 0.3,
    input_dropout: float = 0.1,
) -> keras.Model:
    """Dense layers on the counts of circular environments.

    Args:
        quantities: how many are answered.
        units: features of a hidden layer.
        depth: hidden layers.
        dropout: fraction left out before each layer but the first, in training.
        input_dropout: the same of the fingerprint.

    Returns:
        A model from `fingerprint` to `quantities`. Counts enter as log(1 + count).
    """
    _check(quantities, "fingerprint_mlp")
    counts = keras.Input((FINGERPRINT_SIZE,), dtype="float32", name="fingerprint")
    x = layers.Dropout(input_dropout, name="drop_input")(ops.log(1.0 + counts))
    x = layers.Dense(units, activation="relu", name="first")(x)
    outputs = {"quantities": _head(x, quantities, units, depth - 1, dropout)}
    return keras.Model(counts, outputs, name="fingerprint_mlp")


@ARCHITECTURES.register()
def descriptor_dnn(
    quantities: int,
    descriptors: int,
    units: Sequence[int] = (4000, 2000, 1000, 1000),
    dropout: Sequence[float] = (0.0, 0.25, 0.25, 0.25, 0.1),
) -> keras.Model:
    """Four wide dense layers on descriptors, as they won Merck's challenge.

    Args:
        quantities: how many are answered.
        descriptors: how many numbers describe a molecule.
        units: features of the hidden layers.
        dropout: fractions left out in training: of the input, and of each hidden layer.

    Returns:
        A model from `descriptors` to `quantities`. Descriptors enter as sign(x) log(1 + |x|).

    Raises:
        UsageError: not one fraction more than there are layers.

    Source:
        Ma, Sheridan, Liaw, Dahl, Svetnik, "Deep neural nets as a method for quantitative
        structure-activity relationships", J. Chem. Inf. Model. 2015: recommended parameters
        (table 2, and log(x + 1) of the descriptors). Deviation: the sign, for descriptors below 0.
    """
    _check(quantities, "descriptor_dnn")
    if len(dropout) != len(units) + 1:
        raise UsageError(
            f"{len(dropout)} fractions of dropout for {len(units)} layers",
            "one for the input and one for each layer",
        )
    given = keras.Input((descriptors,), dtype="float32", name="descriptors")
    x = layers.Dropout(dropout[0], name="drop_input")(_tamed(given))
    for k, (size, left_out) in enumerate(zip(units, dropout[1:], strict=True), start=1):
        x = layers.Dense(size, activation="relu", name=f"hidden_{k}")(x)
        x = layers.Dropout(left_out, name=f"drop_{k}")(x)
    x = layers.Dense(quantities, dtype="float32", name="answer")(x)
    outputs = {"quantities": layers.Reshape((quantities, 1), dtype="float32", name="quantities")(x)}
    return keras.Model(given, outputs, name="descriptor_dnn")


@ARCHITECTURES.register()
def fusion(
    quantities: int,
    yes_or_no: Sequence[bool],
    descriptors: int,
    samples: int,
    sets: tuple[int, int],
    structures: bool,
    members: int = 3,
    units: int = 128,
    steps: int = 3,
    head_units: int = 256,
    circle_units: int = 256,
    dropout: float = 0.1,
    references: int = 4000,
    fragments: bool = True,
    trees: int = 1200,
    leaves: int = 1000,
    boosted: int = 9000,
) -> keras.Model:
    """An ensemble of networks, trees and a kernel machine, as members of one network.

    The networks pass messages over the graph; each answers by the graph alone, and once more with
    the fingerprint and the descriptors beside it, from which the graph learns nothing. They alone
    learn by gradients (`networks`). The kernel machine compares with training molecules, by sets of
    fragments and by descriptors; a forest and boosted trees ask for descriptors and environments
    (see `toolkit.shallow`). The boosted trees mend what the kernel machine says.

    Args:
        quantities: how many are answered.
        yes_or_no: which of them are.
        descriptors: how many numbers describe a molecule.
        samples: how many molecules there are to learn from.
        sets: families of sets that the kernel machine compares, and bytes of them all; (0, 0)
            where there are none.
        structures: whether there are graphs and fingerprints, or descriptors alone.
        members: networks of the ensemble.
        units: features of a bond's and an atom's state.
        steps: how far a message travels.
        head_units: features of the hidden layers behind the pooling, and of the descriptors.
        circle_units: features of the fingerprint.
        dropout: fraction of states left out in training.
        references: molecules that the kernel machine compares with, at most; 0 leaves it out.
        fragments: whether it compares fragments, or descriptors alone: a reference then takes a
            seventh of the room.
        trees: of the forests of all quantities together, of each 200 at most; 0 leaves them out.
        leaves: of a forest's tree, at most.
        boosted: small trees that mend one another, of all quantities together, of each 1,500 at
            most; 0 leaves them out.

    Returns:
        A model to `quantities` (batch, quantities, members): what the networks say on average by
        the graph and by everything, the forest, the boosted trees and the kernel machine, as far as
        they are there. Where it compares fragments, (batch, quantities, members, 2): with how much
        each is to be heard of this molecule.
    """
    _check(quantities, "fusion")
    given = keras.Input((descriptors,), dtype="float32", name="descriptors")
    inputs, seen = [given], _tamed(given)
    graph, asked = None, seen
    if structures:
        counts = keras.Input((FINGERPRINT_SIZE,), dtype="float32", name="fingerprint")
        graph, there = _graph_inputs()
        inputs += [counts, *graph]
        asked = ops.concatenate([seen, counts], axis=-1)
    standardised = scaled(_divided(seen, "scale"))
    # a table's counts are many and mostly idle: see `settle`
    described = standardised if graph else _divided(standardised, "relevance")

    def answer(told: Sequence[Any], end: str) -> Any:
        x = layers.Dropout(dropout, name=f"drop{end}")(ops.concatenate(told, axis=-1))
        x = layers.Dense(head_units, activation="relu", name=f"hidden{end}")(x)
        x = layers.Dropout(dropout, name=f"drop_last{end}")(x)
        return layers.Dense(quantities, dtype="float32", name=f"answer{end}")(x)

    of_graphs, of_all = [], []
    for k in range(1, members + 1):
        told = [layers.Dense(head_units, activation="relu", name=f"described_{k}")(described)]
        if graph:
            nodes, links = _embedded(graph, 64, 16, f"_{k}")
            messages = DirectedMessagePassing(units, steps, dropout=dropout, name=f"messages_{k}")
            pooled = _pooled(messages([nodes, links, graph[2]], mask=there), there, "both")
            of_graphs.append(answer([pooled], f"_graph_{k}"))
            circles = layers.Dense(circle_units, activation="relu", name=f"circles_{k}")
            told += [ops.stop_gradient(pooled), circles(ops.log(1.0 + counts))]
        of_all.append(answer(told, f"_{k}"))
    said = ops.stack([*of_graphs, *of_all], axis=-1)
    said = layers.Identity(name="networks", dtype="float32")(said)
    found = {"graph": ops.mean(said[..., : len(of_graphs)], axis=-1)} if of_graphs else {}
    found["all"] = ops.mean(said[..., len(of_graphs) :], axis=-1)

    if trees:
        each, nodes = max(1, min(_MOST_TREES, trees // quantities)), 2 * min(leaves, samples) - 1
        depth = min(TREE_DEPTH, nodes // 2)  # no tree with so few leaves is deeper
        found["forest"] = _trees(each, nodes, depth, quantities, "forest")(asked)
    kernel = alike = None
    if references:
        count, (families, size) = min(references, samples), sets
        if size and fragments:
            parts = keras.Input((size,), dtype="uint8", name="sets")
            inputs.append(parts)
            alike = TanimotoKernel(count, families, (1, 2), name="alike", dtype="float32")(parts)
        kernel = _kernel_machine(standardised, alike, count, quantities, bool(graph))
    if boosted:
        each, nodes = max(1, min(_MOST_BOOSTED, boosted // quantities)), 2 ** (_BOOST_DEPTH + 1) - 1
        mended = _trees(each, nodes, _BOOST_DEPTH, quantities, "boosted")(asked)
        found["boosted"] = mended if kernel is None else mended + kernel
    if kernel is not None:
        found["kernel"] = kernel
    told = ops.stack(list(found.values()), axis=-1)
    if graph and alike is not None:
        told = ops.stack([told, _heard(alike, found, samples, yes_or_no, told)], axis=-1)
    outputs = layers.Identity(name="quantities", dtype="float32")(told)
    return keras.Model(inputs, {"quantities": outputs}, name="fusion")


def _divided(x: Any, name: str) -> Any:
    """Divided by what training knows of each column; nothing that gradients change."""
    return layers.BatchNormalization(
        center=False, scale=False, trainable=False, name=name, dtype="float32"
    )(x)


def _trees(count: int, nodes: int, depth: int, quantities: int, name: str) -> DecisionTrees:
    return DecisionTrees(count, nodes, depth, quantities, name=name, dtype="float32")


def _kernel_machine(
    standardised: Any, alike: Any, count: int, quantities: int, structures: bool
) -> Any:
    """What a kernel machine says: by descriptors, and by fragments where they are compared."""
    near = GaussianKernel(
        count, weighted=not structures, linear=_LINEAR if structures else 0.0, name="near",
        dtype="float32",
    )(standardised)  # fmt: skip
    kernels = near if alike is None else ops.concatenate([alike, near], axis=-1)
    return PreciseDense(quantities, trainable=False, name="kernel", dtype="float32")(kernels)


def _heard(
    alike: Any, members: Iterable[str], samples: int, yes_or_no: Sequence[bool], told: Any
) -> Any:
    """How much each member is to be heard of each molecule, as large as what is told."""
    none, enough = _REACH
    near = ops.clip((ops.max(alike, axis=-1) - none) / (enough - none), 0.0, 1.0)[:, None, None]
    few = float(np.clip(np.log(_MANY / samples) / np.log(_MANY / _FEW), 0, 1))
    shares = np.array([_OF_FEW.get(name, 1.0) ** few for name in members], "float32")
    alone = np.array([name == "graph" for name in members], "float32")
    heard = near * (shares / shares.sum()) + (1.0 - near) * alone + ops.zeros_like(told)
    return ops.where(np.array(yes_or_no)[:, None], 1.0 / len(shares), heard)


def networks(model: keras.Model, output: str) -> keras.Model:
    """The part of `fusion` that gradients train: every network learns as if alone."""
    said = model.get_layer("networks").output
    used = [tensor for tensor in model.inputs if tensor.name != "sets"]
    return keras.Model(used, {output: layers.Identity(name=output)(said)}, name="networks")
