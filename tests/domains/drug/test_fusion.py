import keras
import numpy as np
import pytest
from random_molecules import SMALL_FUSION, random_molecule

from deepfield.domains.drug import DrugPipeline
from deepfield.domains.drug.models import fusion, networks
from deepfield.toolkit.data import collate
from deepfield.toolkit.quantities import told_and_heard


@pytest.fixture(scope="module")
def model():
    return fusion(**arguments())


@pytest.fixture(scope="module")
def molecules():
    random = np.random.default_rng(0)
    return collate([random_molecule(random) for _ in range(3)], DrugPipeline.padding)


def test_boosted_trees_add_to_what_the_kernel_machine_says(model, molecules):
    random = np.random.default_rng(1)
    for weight in model.get_layer("kernel").weights:
        weight.assign(random.normal(size=weight.shape))
    for q, start in enumerate((0.5, -2.0)):
        model.get_layer("boosted").set_trees([], start, q)
    given = {tensor.name: molecules[tensor.name] for tensor in model.inputs}
    told, _ = told_and_heard(model(given)["quantities"])
    *_, boosted, kernel = np.moveaxis(told, -1, 0)
    assert np.ptp(kernel) > 0
    np.testing.assert_allclose(boosted - kernel, [[0.5, -2.0]] * 3, atol=1e-5)


def test_what_stands_beside_a_graph_teaches_it_nothing(model, molecules):
    import tensorflow as tf

    learner = networks(model, "quantities")
    own = {tensor.name: molecules[tensor.name] for tensor in learner.inputs}
    moved = []
    for which in (0, 1):  # by the graph, by everything
        with tf.GradientTape() as tape:
            loss = keras.ops.sum(learner(own)["quantities"][..., which] ** 2)
        found = tape.gradient(loss, [v.value for v in learner.trainable_variables])
        moved.append({
            variable.path.split("/")[0]
            for variable, gradient in zip(learner.trainable_variables, found, strict=True)
            if gradient is not None and np.any(np.asarray(tf.convert_to_tensor(gradient)))
        })  # fmt: skip
    graph, everything = moved
    assert {"atom_1", "bond_1", "messages_1", "answer_graph_1"} <= graph
    assert everything == {"described_1", "circles_1", "hidden_1", "answer_1"}


def arguments(**others):
    two = {"quantities": 2, "yes_or_no": [False, True]}
    return DrugPipeline.example_arguments("fusion") | two | SMALL_FUSION | others


@pytest.mark.parametrize(("samples", "few"), [(500, 1), (1732, 0.5), (3000, 0)])
def test_the_fewer_molecules_the_more_the_kernel_machine_is_heard_of_numbers(
    molecules, samples, few
):
    model = fusion(**arguments(samples=samples))
    alike = model.get_layer("alike")
    known = np.zeros((alike.references, molecules["sets"].shape[1]), np.uint8)
    known[0] = molecules["sets"][0]
    alike.set_references(known)
    given = {tensor.name: molecules[tensor.name].copy() for tensor in model.inputs}
    given["sets"][1:] = ~known[0]  # not a fragment in common with any
    told, heard = told_and_heard(model(given)["quantities"])
    assert told.shape == heard.shape == (3, 2, 5)
    shares = np.array([0.5, 1, 1, 1, 2]) ** few
    np.testing.assert_allclose(heard[0], [shares / shares.sum(), [0.2] * 5], atol=1e-4)
    # only a graph puts together what it has seen in pieces
    np.testing.assert_allclose(heard[1:], [[[1, 0, 0, 0, 0], [0.2] * 5]] * 2)


def test_without_molecules_to_compare_with_all_members_are_heard_alike():
    assert fusion(**arguments(references=0)).outputs[0].shape == (None, 2, 4)
