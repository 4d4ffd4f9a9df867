import numpy as np
import pytest

from deepfield.toolkit.layers import GraphAttention
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
NODES = RANDOM.normal(size=(3, 5, 4)).astype("float32")
LINKS = RANDOM.normal(size=(3, 6, 3)).astype("float32")
ENDS = np.full((3, 6, 2), -1, "int32")
ENDS[0] = [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 2]]
ENDS[1, :2] = [[0, 1], [2, 1]]
LENGTHS = np.array([5, 3, 1])
MASK = np.arange(5) < LENGTHS[:, None]


def reference(inputs, weights):
    """GATv2, node by node, head by head."""
    found = np.zeros((3, 5, 6))
    for b, n in enumerate(LENGTHS):
        nodes, links, ends = (x[b].astype("float64") for x in inputs)
        said = nodes @ weights["saying/kernel"] + weights["saying/bias"]
        asked = nodes @ weights["asking/kernel"]
        linked = links @ weights["linked/kernel"]
        for w in range(n):
            heard = [said[w]]
            for e, (i, j) in zip(linked, ends.astype(int), strict=True):
                if w in (i, j):
                    heard.append(said[j if w == i else i] + e)
            for head in range(2):
                own = slice(3 * head, 3 * head + 3)
                z = np.array([h[own] + asked[w, own] for h in heard])
                s = np.where(z > 0, z, 0.1 * z) @ weights["scoring"][head]
                p = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
                found[b, w, own] = p @ np.array([h[own] for h in heard])
    return found


def test_it_is_what_a_layer_must_be():
    arguments = {"units": 6, "heads": 2, "slope": 0.1, "kernel_initializer": "he_normal"}
    check_layer(GraphAttention, arguments, [NODES, LINKS, ENDS], reference, mask=MASK)


def test_large_scores_are_no_trouble():
    layer = GraphAttention(6, heads=2)
    layer([NODES, LINKS, ENDS])
    layer.set_weights([1000 * w for w in layer.get_weights()])
    assert np.isfinite(np.array(layer([NODES, LINKS, ENDS]))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units must be a positive integer, got 0"),
        ({"units": 6, "heads": 4}, "6 units cannot be shared by 4 heads"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GraphAttention(**arguments)
