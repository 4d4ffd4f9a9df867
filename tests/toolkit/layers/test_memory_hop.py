import keras
import numpy as np
import pytest

from deepfield.toolkit.layers import MemoryHop
from deepfield.toolkit.testing import check_layer

RANDOM = np.random.default_rng(0)
U, M, C = (RANDOM.normal(size=shape).astype("float32") for shape in ((3, 4), (3, 6, 4), (3, 6, 4)))
LENGTHS = np.array([6, 4, 1])
MASK = np.arange(6) < LENGTHS[:, None]


def hop(u, m, c, linear, H, places):
    """Eq. (1), (2) and (4), one story at a time; a memory of so many places."""
    p = m @ u
    if not linear:
        p = np.concatenate([p, np.zeros(max(0, places - len(p)))])
        p = (np.exp(p - p.max()) / np.exp(p - p.max()).sum())[: len(m)]
    return (u if H is None else u @ H) + p @ c, p


@pytest.mark.parametrize("transform", [False, True], ids=["adjacent", "layer-wise"])
@pytest.mark.parametrize("linear", [False, True], ids=["softmax", "linear"])
@pytest.mark.parametrize("places", [0, 5, 50])
def test_it_is_what_a_layer_must_be(transform, linear, places):
    def reference(inputs, weights):
        queries, attention = [], np.zeros((3, 6))
        for b, n in enumerate(LENGTHS):
            u, m, c = (x[b].astype("float64") for x in inputs)
            found, p = hop(u, m[:n], c[:n], linear, weights.get("kernel"), places)
            queries.append(found)
            attention[b, :n] = p
        return [np.stack(queries), attention]

    arguments = {
        "transform": transform,
        "linear": linear,
        "places": places,
        "kernel_initializer": "orthogonal",
    }
    check_layer(MemoryHop, arguments, [U, M, C], reference, mask=MASK)


def test_masked_memories_get_exactly_zero_also_in_half_precision():
    for policy in ("float32", "mixed_float16"):
        _, p = MemoryHop(dtype=policy)([U, M, C], mask=MASK)
        p = keras.ops.convert_to_numpy(p)
        assert (p[~MASK] == 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-3)


def test_a_question_to_an_empty_memory_stays_as_it_is():
    found, p = MemoryHop()([U, M, C], mask=np.zeros((3, 6), bool))
    np.testing.assert_array_equal(found, U)
    assert (keras.ops.convert_to_numpy(p) == 0).all()


def test_what_matches_worse_than_nothing_is_not_read():
    query = np.array([[9.0, 0.0]], "float32")
    memories = np.array([[[-1.0, 0.0], [-2.0, 3.0]]], "float32")
    found, p = MemoryHop(places=50)([query, memories, memories])
    assert keras.ops.convert_to_numpy(p).sum() < 1e-4
    np.testing.assert_allclose(found, query, atol=1e-3)
    assert keras.ops.convert_to_numpy(MemoryHop()([query, memories, memories])[1]).sum() > 0.999


def test_half_a_place_is_refused():
    with pytest.raises(ValueError, match="places"):
        MemoryHop(places=0.5)


def test_weights_fit_with_and_without_softmax():
    straight, soft = MemoryHop(True, linear=True), MemoryHop(True)
    straight([U, M, C]), soft([U, M, C])
    soft.set_weights(straight.get_weights())
    assert not np.allclose(straight([U, M, C])[0], soft([U, M, C])[0])


def test_the_memories_mask_may_come_from_an_embedding():
    words = np.array([[2, 3, 0], [1, 0, 0]])
    memory = keras.layers.Embedding(5, 4, mask_zero=True)(words)
    _, p = MemoryHop()([U[:2], memory, memory])
    p = keras.ops.convert_to_numpy(p)
    assert (p[words == 0] == 0).all() and p[1, 0] == 1


def test_one_tensor_is_no_memory():
    with pytest.raises(ValueError, match="a list of query, memories and contents"):
        MemoryHop()(M)


def test_connections_are_matches_reads_and_the_kernel():
    shapes = [(None, 4), (None, 6, 4), (None, 6, 4)]
    assert MemoryHop().connections(shapes) == 48
    assert MemoryHop(transform=True).connections(shapes) == 64
    assert MemoryHop().connections([(None, 4), (None, None, 4), (None, None, 4)]) is None
