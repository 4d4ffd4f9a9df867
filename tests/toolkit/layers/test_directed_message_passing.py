import numpy as np
import pytest

from deepfield.toolkit.layers import DirectedMessagePassing
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
NODES = RANDOM.normal(size=(3, 5, 4)).astype("float32")
LINKS = RANDOM.normal(size=(3, 6, 3)).astype("float32")
ENDS = np.full((3, 6, 2), -1, "int32")
ENDS[0] = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 2]]  # two rings
ENDS[1, :2] = [[0, 1], [2, 1]]  # a chain; the others are padding
LENGTHS = np.array([5, 3, 1])  # the last one is a single node
MASK = np.arange(5) < LENGTHS[:, None]


def reference(steps):
    """Eq. (5) to (8), link by link."""

    def of(inputs, weights):
        def dense(name, x):
            return np.maximum(0, x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"])

        found = np.zeros((3, 5, 6))
        for b, n in enumerate(LENGTHS):
            nodes, links, ends = (x[b] for x in inputs)
            pairs = {}
            for e, (v, w) in zip(links, ends, strict=True):
                if v >= 0:
                    pairs[v, w] = pairs[w, v] = e.astype("float64")
            start = {
                (v, w): np.concatenate([nodes[v], e]) @ weights["start/kernel"]
                + weights["start/bias"]
                for (v, w), e in pairs.items()
            }
            state = {pair: np.maximum(0, h) for pair, h in start.items()}
            for _ in range(steps - 1):
                state = {
                    (v, w): np.maximum(
                        0,
                        start[v, w]
                        + sum((state[k, u] for k, u in state if u == v and k != w), np.zeros(6))
                        @ weights["message/kernel"]
                        + weights["message/bias"],
                    )
                    for v, w in state
                }
            for v in range(n):
                heard = sum((h for (_, u), h in state.items() if u == v), np.zeros(6))
                found[b, v] = dense("gather", np.concatenate([nodes[v], heard]))
        return found

    return of


@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_what_a_layer_must_be(steps):
    arguments = {"units": 6, "steps": steps, "kernel_initializer": "he_normal", "seed": 3}
    inputs = [NODES, LINKS, ENDS]
    if steps == 1:  # no message is sent, so no gradient reaches its kernel
        layer = DirectedMessagePassing(**arguments)
        layer(inputs, mask=MASK)
        weights = {w.path.partition("/")[2]: np.array(w) for w in layer.weights}
        np.testing.assert_allclose(
            layer(inputs, mask=MASK), reference(1)(inputs, weights), atol=1e-5
        )
        return
    check_layer(DirectedMessagePassing, arguments, inputs, reference(steps), mask=MASK)


def test_the_order_of_nodes_and_links_does_not_matter():
    layer = DirectedMessagePassing(6, steps=4)
    answer = np.array(layer([NODES[:1], LINKS[:1], ENDS[:1]]))
    nodes, links = RANDOM.permutation(5), RANDOM.permutation(6)
    place = np.argsort(nodes)
    ends = place[ENDS[:1, links]][..., ::-1].astype("int32")
    turned = np.array(layer([NODES[:1, nodes], LINKS[:1, links], ends]))
    np.testing.assert_allclose(turned, answer[:, nodes], atol=1e-5)


def test_a_message_travels_no_further_than_its_steps():
    nodes, links = NODES[:1].copy(), LINKS[:1, :4]
    ends = np.array([[[0, 1], [1, 2], [2, 3], [3, 4]]])
    for steps in (1, 2, 3):
        layer = DirectedMessagePassing(6, steps=steps, activation="tanh")
        before = np.array(layer([nodes, links, ends]))
        other = nodes.copy()
        other[0, 0] += 1
        moved = np.abs(np.array(layer([other, links, ends])) - before).max(axis=(0, 2)) > 1e-7
        assert moved.tolist() == [place <= steps for place in range(5)]


def test_nodes_without_links_are_answered():
    answer = DirectedMessagePassing(6)([NODES, LINKS[:, :0], ENDS[:, :0]])
    assert np.isfinite(np.array(answer)).all()


@pytest.mark.parametrize(
    ("arguments", "inputs", "message"),
    [
        ({"units": 0}, None, "units must be a positive integer, got 0"),
        ({"units": 4, "steps": 0}, None, "steps must be a positive integer"),
        ({"units": 4}, [NODES, LINKS], "a list of nodes"),
        ({"units": 4}, [NODES, LINKS, ENDS[..., :1]], "two ends"),
    ],
)
def test_what_cannot_be_is_refused(arguments, inputs, message):
    with pytest.raises(ValueError, match=message):
        DirectedMessagePassing(**arguments)(inputs or [NODES, LINKS, ENDS])
