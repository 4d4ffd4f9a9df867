"""dlib's files are read to the last byte, and nothing that a file says is believed unchecked."""

import contextlib
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.face import dlib_file
from deepfield.domains.face.adopt import DETECTOR, EMBEDDER, LANDMARKS, find_file
from deepfield.domains.face.dlib_file import read_network, read_shape_predictor
from deepfield.toolkit.errors import NotFound, UnusableModel

# ------------------------------------------------------------- writing, from the description


def integer(value):
    size = (abs(value).bit_length() + 7) // 8
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def integers(*values):
    return b"".join(integer(int(value)) for value in values)


def number(value):
    mantissa, exponent = math.frexp(value)
    return integers(int(mantissa * 2**24), exponent - 24)


def numbers(*values):
    return b"".join(map(number, values))


def name(text):
    return integer(len(text)) + text.encode()


def tensor(array=None):
    array = np.zeros((0, 0, 0, 0)) if array is None else np.asarray(array)
    return integers(2, *array.shape) + array.astype("<f4").tobytes()


def alias(*shape):
    return integers(1, *shape)


def layer(details, factor=b""):
    return details + b"100" + tensor() * 3 + factor


KERNEL = np.arange(2 * 3 * 5 * 5, dtype=np.float32).reshape(2, 3, 5, 5)
PARAMS = np.concatenate([KERNEL.ravel(), [7, 8]]).reshape(1, 1, 1, -1)
WINDOW = integers(5, 5, 2, 2, 0, 0)
RATES = numbers(1, 1, 1, 0)
CONVOLUTION = (
    name("con_4") + tensor(PARAMS) + integers(2) + WINDOW + alias(2, 3, 5, 5) + alias(1, 2, 1, 1)
) + RATES
AFFINE = (
    name("affine_") + tensor(np.array([1, 2, 3, 4.0]).reshape(1, 4, 1, 1))
) + alias(1, 2, 1, 1) * 2 + integer(0)  # fmt: skip
LOSS = integer(1) + name("loss_metric_2") + numbers(0.04, 0.6)
INPUT = name("input_rgb_image_pyramid") + numbers(122.5, 117, 104.25)
FIRST, SECOND = layer(CONVOLUTION, integer(1)), layer(AFFINE)
NETWORK = LOSS + integers(2, 1, 1, 3) + INPUT + FIRST + SECOND


def written(folder, content):
    (folder / "a.dat").write_bytes(content)
    return folder / "a.dat"


def refused(folder, content, read=read_network):
    with pytest.raises(UnusableModel) as caught:
        read(written(folder, content))
    return caught.value.message


# --------------------------------------------------------------------------------- networks


def test_a_network_is_read_from_input_to_output(tmp_path):
    network = read_network(written(tmp_path, NETWORK))
    assert network.loss.numbers == pytest.approx({"margin": 0.04, "threshold": 0.6})
    assert network.input.numbers == {"red": 122.5, "green": 117, "blue": 104.25}
    assert [own.kind for own in network.layers] == ["con_4", "affine_"]
    assert network.marks == (0, 2)
    first, second = network.layers
    np.testing.assert_array_equal(first.arrays["kernel"], KERNEL)
    assert first.arrays["bias"].ravel().tolist() == [7, 8]
    assert first.numbers["stride_x"] == 2 and first.numbers["bias_decay"] == 0
    assert second.arrays["gamma"].ravel().tolist() == [1, 2]
    assert second.arrays["beta"].ravel().tolist() == [3, 4]


@pytest.mark.parametrize(
    "value", [0, 1, -1, 255, 256, -(2**40), 2**63, 0.6, -0.04, 1e-30, -123456.75]
)
def test_numbers_are_what_was_written(value):
    if isinstance(value, int):
        assert dlib_file._Stream(integer(value)).integer() == value
        if abs(value) < 2**62:
            assert dlib_file._Integers(integer(value)).values.tolist() == [value]
    else:
        assert dlib_file._Stream(number(value)).number() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends within"),
        (integer(2) + LOSS[2:], "not a network"),
        (NETWORK + b"\0", "1 bytes follow"),
        (LOSS + integers(2, 9) + INPUT + FIRST, "unknown form"),
        (LOSS + integers(2, 1) + INPUT + FIRST, "no first layer"),
        (LOSS + integers(3, 2) + INPUT + FIRST + SECOND, "no first layer"),
        (LOSS + INPUT, "no first layer"),
        (LOSS + integers(3) + INPUT + layer(name("con_9")), "'con_9', which is not known"),
        (LOSS + integers(3) + INPUT + layer(CONVOLUTION, integer(2)), "several samples"),
        (LOSS + integers(2) + INPUT + CONVOLUTION + b"1x0" + tensor() * 3, "neither true"),
        (LOSS + integers(2) + INPUT + name("x" * 65), "no name"),
        (integers(1, -3), "no name"),
        (b"\x70", "no number"),
        (b"\x0f" + bytes(20), "no number"),
        (integer(1) + name("loss_metric_2") + integers(1, 32_000), "not finite"),
        (integer(1) + name("loss_metric_2") + integers(1, 2**60), "not finite"),
    ],
)
def test_what_is_no_network_is_refused_with_the_reason(tmp_path, content, said):
    assert said in refused(tmp_path, content)


@pytest.mark.parametrize("shape", [(2**40, 2**40, 1, 1), (1, -1, 1, 1), (2**62, 0, 1, 1)])
def test_absurd_sizes_allocate_nothing(tmp_path, shape):
    whole = LOSS + integers(2) + INPUT + name("affine_") + integers(2, *shape)
    assert "an array of" in refused(tmp_path, whole)


def test_parts_that_do_not_make_up_the_parameters_are_refused(tmp_path):
    wrong = AFFINE.replace(alias(1, 2, 1, 1) * 2, alias(1, 2, 1, 1) + alias(1, 1, 1, 1))
    assert "do not make up" in refused(tmp_path, LOSS + integers(2) + INPUT + layer(wrong))


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    broken = NETWORK.replace(np.float32(7).tobytes(), np.float32(np.nan).tobytes())
    assert "not finite" in refused(tmp_path, broken)


def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path, monkeypatch):
    with pytest.raises(NotFound, match="no file"):
        read_network(tmp_path / "none.dat")
    monkeypatch.setattr(dlib_file, "MOST_BYTES", 10)
    assert "more than 10 bytes" in refused(tmp_path, NETWORK)


# ------------------------------------------------------------------------- regression trees

RNG = np.random.default_rng(3)
CASCADES, TREES, PIXELS, POINTS = 2, 3, 6, 5
MEAN = RNG.uniform(0, 1, 2 * POINTS).astype(np.float32)
SPLITS = RNG.integers(0, PIXELS, (CASCADES, TREES, 3, 2))
THRESHOLDS = RNG.normal(0, 20, (CASCADES, TREES, 3)).astype(np.float32)
LEAVES = RNG.normal(0, 0.01, (CASCADES, TREES, 4, 2 * POINTS)).astype(np.float32)
ANCHORS = RNG.integers(0, POINTS, (CASCADES, PIXELS))
DELTAS = RNG.normal(0, 0.1, (CASCADES, PIXELS, 2)).astype(np.float32)


def tree(splits, thresholds, leaves):
    nodes = b"".join(integers(*s) + number(t) for s, t in zip(splits, thresholds, strict=True))
    ends = b"".join(integers(-len(leaf), -1) + numbers(*leaf) for leaf in leaves)
    return integer(len(splits)) + nodes + integer(len(leaves)) + ends


def predictor(splits=SPLITS, anchors=ANCHORS, leaves=LEAVES, trees=(TREES, TREES)):
    whole = integers(1, -2 * POINTS, -1) + numbers(*MEAN) + integer(CASCADES)
    for at, count in enumerate(trees):
        whole += integer(count)
        for own in zip(splits[at][:count], THRESHOLDS[at], leaves[at], strict=False):
            whole += tree(*own)
    whole += integer(CASCADES)
    whole += b"".join(integer(PIXELS) + integers(*map(int, own)) for own in anchors)
    whole += integer(CASCADES)
    return whole + b"".join(integer(PIXELS) + numbers(*own.ravel()) for own in DELTAS)


def test_trees_are_read_as_arrays(tmp_path):
    found = read_shape_predictor(written(tmp_path, predictor()))
    wanted = {
        "mean_shape": MEAN.reshape(-1, 2), "anchors": ANCHORS, "deltas": DELTAS,
        "splits": SPLITS, "thresholds": THRESHOLDS, "leaves": LEAVES,
    }  # fmt: skip
    assert set(found) == set(wanted)
    for key, array in wanted.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-6, err_msg=key)
    assert found["splits"].dtype == found["anchors"].dtype == np.uint16
    assert found["leaves"].dtype == np.float32


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "fewer numbers"),
        (predictor() + b"\0", "follow its end"),
        (predictor()[:-1], "within a number"),
        (integer(2) + predictor()[2:], "not a finder"),
        (predictor(trees=(TREES, TREES - 1)), ""),
        (predictor(splits=SPLITS + PIXELS), "names something"),
        (predictor(anchors=ANCHORS - POINTS), "names something"),
        (predictor(leaves=LEAVES[:, :, :3]), "branches"),
        (integers(1, -10, -1) + integers(*[1, 5000] * 10) + integer(2), "not finite"),
        (integers(1, -10, -1) + integers(*[0, 0] * 10) + integer(2**40), "a size of"),
        (integers(1, -(2**60), -1), "fewer numbers"),
        (integers(2**63), "beyond any"),
        (b"\x70", "no number"),
    ],
)
def test_what_is_no_finder_of_landmarks_is_refused(tmp_path, content, said):
    assert said in refused(tmp_path, content, read_shape_predictor)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_refused_and_an_altered_one_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("dat")
    read, whole = data.draw(
        st.sampled_from([(read_network, NETWORK), (read_shape_predictor, predictor())])
    )
    refused(folder, whole[: data.draw(st.integers(0, len(whole) - 1))], read)
    altered = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        altered[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnusableModel):
        read(written(folder, bytes(altered)))


def test_a_large_file_of_nothing_is_refused_soon(tmp_path):
    began = time.monotonic()
    for read in (read_network, read_shape_predictor):
        refused(tmp_path, bytes(4_000_000), read)
        refused(tmp_path, RNG.bytes(4_000_000), read)
    assert time.monotonic() - began < 20


# ------------------------------------------------------------------------ the published files


def published(name):
    try:
        return find_file(name)
    except NotFound:
        pytest.skip("the package with dlib's files is not installed")


def test_the_published_embedder_is_the_network_of_29_layers():
    network = read_network(published(EMBEDDER))
    kinds = [own.kind for own in network.layers]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "con_4": 29, "affine_": 29, "relu_": 29, "add_prev_": 14, "avg_pool_2": 5,
        "max_pool_2": 1, "fc_2": 1,
    }  # fmt: skip
    weights = [a for own in network.layers for a in own.arrays.values()]
    assert sum(array.size for array in weights) == 5_614_592
    # a tag before every block; a tag and a skip before the shortcut of those that halve the size
    assert network.marks.count(1) + 2 * network.marks.count(2) == 22
    assert network.loss.numbers == pytest.approx({"margin": 0.04, "threshold": 0.6})


def test_the_published_detector_has_a_window_of_80_pixels():
    network = read_network(published(DETECTOR))
    assert network.loss.numbers["width"] == network.loss.numbers["height"] == 80
    assert network.loss.numbers["nms_iou"] == pytest.approx(0.3382761)
    assert [own.kind for own in network.layers] == ["con_4", "bn_con2", "relu_"] * 6 + ["con_4"]


def test_the_published_landmarks_are_15_cascades_of_500_trees():
    found = read_shape_predictor(published(LANDMARKS))
    assert found["leaves"].shape == (15, 500, 16, 10)
    assert found["splits"].shape == (15, 500, 15, 2) and found["splits"].max() < 800
    assert np.abs(found["mean_shape"] - [0.5, 0.5]).max() < 0.35
