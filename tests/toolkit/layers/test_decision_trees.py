import keras
import numpy as np
import onnx
import pytest

from deepfield.toolkit.export import to_onnx
from deepfield.toolkit.layers import DecisionTrees
from deepfield.toolkit.runtime import Network
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 5)).astype("float32")


def grown(leaves):
    """A tree of any shape: some leaf, again and again, becomes a node."""
    feature, threshold, left, value = [0], [0.0], [-1], [RANDOM.normal()]
    for _ in range(leaves - 1):
        at = RANDOM.choice(np.flatnonzero(np.array(left) < 0))
        feature[at], threshold[at], left[at] = RANDOM.integers(5), RANDOM.normal(), len(left)
        for own, new in ((feature, 0), (threshold, 0.0), (left, -1), (value, RANDOM.normal())):
            own += [new, RANDOM.normal() if own is value else new]
    return feature, threshold, left, value


def walked(x, trees, start):
    """One sample, one tree, one node at a time."""
    sums = np.full(len(x), start)
    for row, sample in enumerate(x):
        for feature, threshold, left, value in trees:
            node = 0
            while left[node] >= 0:
                node = left[node] + (sample[feature[node]] > threshold[node])
            sums[row] += value[node]
    return sums[:, None]


def test_it_keeps_the_contract_of_layers():  # without trees it says nothing
    check_layer(
        DecisionTrees, {"trees": 2, "nodes": 7, "depth": 2}, X, lambda x, _: np.zeros((len(x), 1))
    )


def test_every_tree_is_walked_down():
    trees = [grown(leaves) for leaves in (1, 2, 7, 16)]
    layer = DecisionTrees(trees=5, nodes=31, depth=15)
    layer.build((None, 5))
    layer.set_trees(trees, start=0.5)
    np.testing.assert_allclose(layer(X), walked(X, trees, 0.5), rtol=1e-5)
    twin = DecisionTrees.from_config(layer.get_config())
    twin.build((None, 5))
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(twin(X), layer(X))
    assert not layer.trainable_weights


def test_every_output_has_trees_of_its_own():
    own = [[grown(leaves) for leaves in sizes] for sizes in ((3, 9), (5,), ())]
    layer = DecisionTrees(trees=2, nodes=17, depth=9, outputs=3)
    layer.build((None, 5))
    for output in (2, 0, 1):  # in any order, and more than once
        layer.set_trees([grown(2)], 7.0, output)
        layer.set_trees(own[output], output / 2, output)
    expected = [walked(X, trees, output / 2) for output, trees in enumerate(own)]
    np.testing.assert_allclose(layer(X), np.concatenate(expected, axis=1), rtol=1e-5)


def test_exported_a_step_down_takes_few_operations_however_many_outputs():
    layer = DecisionTrees(trees=4, nodes=31, depth=15, outputs=5)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    for output in range(5):
        layer.set_trees([grown(leaves) for leaves in (1, 2, 7, 16)], 0.5, output)
    network = to_onnx(model)
    (answer,) = Network(network, "trees")({inputs.name: X}).values()
    np.testing.assert_allclose(answer, layer(X), rtol=1e-5)
    assert len(onnx.load_from_string(network).graph.node) <= 10 * layer.depth + 30


def test_what_is_not_a_number_goes_left():
    layer = DecisionTrees(1, 3, 1)
    layer.build((None, 1))
    layer.set_trees([([0, 0, 0], [0.0, 0, 0], [1, -1, -1], [0, -1.0, 1.0])])
    np.testing.assert_array_equal(layer(np.array([[np.nan], [1.0]], "float32")), [[-1], [1]])


@pytest.mark.parametrize("wrong", ["trees", "nodes", "depth", "outputs"])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be a positive integer, got 0"):
        DecisionTrees(**{"trees": 2, "nodes": 3, "depth": 1, "outputs": 1, wrong: 0})


def test_more_than_there_is_room_for_is_refused():
    layer = DecisionTrees(1, 3, 2)
    layer.build((None, 5))
    with pytest.raises(ValueError, match="1 trees of up to 5 nodes, there is room for 1 of 3"):
        layer.set_trees([grown(3)])
    with pytest.raises(ValueError, match="output 1 of 1"):
        layer.set_trees([], output=1)
