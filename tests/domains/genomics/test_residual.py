"""A residual network computed from its weights says what Keras says, also where letters change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.genomics import fourier, residual
from deepfield.domains.genomics.comparing import after_change
from deepfield.domains.genomics.fourier import FourierConvolution
from deepfield.domains.genomics.residual import Change, ResidualNetwork, groups_of
from deepfield.domains.genomics.splice_models import splice_resnet
from deepfield.toolkit.calibration import softmax
from deepfield.toolkit.errors import UsageError


def drawn(context, filters=4, seed=0, classes=3):
    """A network with random weights of a size that lets every layer matter."""
    model = splice_resnet("site", classes, context + 1, context=context, filters=filters)
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        shape, name = tuple(variable.shape), variable.path
        if "variance" in name:
            value = rng.uniform(0.5, 2, shape)
        elif "gamma" in name:
            value = rng.uniform(0.7, 1.3, shape)
        elif "kernel" in name:
            value = rng.normal(0, 0.7 / np.sqrt(np.prod(shape[:-1])), shape)
        else:
            value = rng.normal(0, 0.3, shape)
        variable.assign(value.astype(np.float32))
    return model


def said(model, codes):
    return softmax(np.asarray(model(codes[None].astype("int32"))["logits"])[0])


@pytest.fixture(scope="module", params=[80, 2_000])
def both(request):
    model = drawn(request.param)
    return model, ResidualNetwork({v.path: np.asarray(v) for v in model.weights}, request.param)


def letters(steps, seed=0):
    return np.random.default_rng(seed).integers(0, 15, steps).astype(np.uint8)


def test_it_has_as_many_parameters_as_published():
    assert splice_resnet("site", 3, 10_001, context=10_000).count_params() == 698_787
    assert splice_resnet("site", 3, 602, context=80).output_shape == (None, None, 3)


def test_every_base_is_judged_by_its_context_alone(both):
    model, network = both
    codes = letters(network.context + 30)
    whole = said(model, codes)
    assert whole.shape == (30, 3)
    alone = said(model, codes[7 : network.context + 8])
    np.testing.assert_allclose(alone[0], whole[7], atol=1e-5)
    changed = codes.copy()
    changed[6] = changed[6] % 4 + 1 if changed[6] != changed[6] % 4 + 1 else 0
    np.testing.assert_allclose(said(model, changed)[7:], whole[7:], atol=1e-6)


def test_it_says_what_keras_says(both):
    model, network = both
    codes = letters(network.context + 70)
    reference = network.reference(codes)
    m = network.context // 2
    np.testing.assert_allclose(network.chances(reference, m, m + 70), said(model, codes), atol=5e-6)
    np.testing.assert_allclose(
        network.chances(reference, m + 11, m + 15), said(model, codes)[11:15], atol=5e-6
    )


@pytest.mark.parametrize(
    ("at", "removed", "inserted"),
    [(35, 1, 1), (35, 0, 1), (35, 1, 0), (30, 9, 2), (34, 2, 17), (0, 1, 1), (69, 1, 1),
     (20, 40, 0), (-20, 1, 1), (85, 3, 1), (35, 0, 0), (35, 3, 3)],
)  # fmt: skip
def test_a_change_says_what_the_changed_sequence_says(both, at, removed, inserted):
    model, network = both
    m = network.context // 2
    codes, new = letters(network.context + 70), letters(inserted, 1)
    change = Change(m + at, removed, new)
    altered = after_change(codes, change)
    assert len(altered) == len(codes) + change.shift
    first, last = m, m + 70 + change.shift
    found = network.changed_chances(network.reference(codes), change, first, last)
    np.testing.assert_allclose(found, said(model, altered), atol=5e-6)


def test_the_widest_network_says_what_keras_says_too():
    model = drawn(10_000)
    network = ResidualNetwork({v.path: np.asarray(v) for v in model.weights}, 10_000)
    codes, change = letters(10_101), Change(5_050, 2, letters(3, 1))
    reference = network.reference(codes)
    np.testing.assert_allclose(
        network.chances(reference, 5_000, 5_101), said(model, codes), atol=1e-5
    )
    found = network.changed_chances(reference, change, 5_000, 5_102)
    np.testing.assert_allclose(found, said(model, after_change(codes, change)), atol=1e-5)


def test_only_what_is_wanted_is_told_of_a_change(both):
    model, network = both
    m = network.context // 2
    codes = letters(network.context + 70)
    change = Change(m + 35, 1, letters(1, 2))
    found = network.changed_chances(network.reference(codes), change, m + 30, m + 41)
    whole = said(model, after_change(codes, change))
    np.testing.assert_allclose(found, whole[30:41], atol=5e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 120), st.integers(0, 12), st.integers(0, 12), st.integers(0, 99))
def test_any_change_anywhere(at, removed, inserted, seed):
    model, network = _small()
    codes = letters(80 + 140, seed)
    change = Change(40 + at, removed, letters(inserted, seed + 1))
    found = network.changed_chances(network.reference(codes), change, 40, 180 + change.shift)
    np.testing.assert_allclose(found, said(model, after_change(codes, change)), atol=5e-6)


def _small(made=[]):  # noqa: B006
    if not made:
        model = drawn(80)
        made += [model, ResidualNetwork({v.path: np.asarray(v) for v in model.weights}, 80)]
    return made


def test_weights_in_half_precision_are_taken(both):
    model, network = both
    halves = {v.path: np.asarray(v).astype(np.float16) for v in model.weights}
    full = {k: v.astype(np.float32) for k, v in halves.items()}
    codes = letters(network.context + 3)
    m = network.context // 2
    found = [
        net.chances(net.reference(codes), m, m + 3)
        for net in (
            ResidualNetwork(halves, network.context),
            ResidualNetwork(full, network.context),
        )
    ]
    np.testing.assert_array_equal(*found)


def test_a_context_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="context=81"):
        groups_of(81)
    with pytest.raises(UsageError, match="not a peak"):
        splice_resnet("peak", 2, 101)
    with pytest.raises(UsageError, match="have 300 letters") as caught:
        splice_resnet("site", 2, 300, context=400)
    assert caught.value.hint == "--set context=80"


# -------------------------------------------------------------------------- wide convolutions


def plainly(x, kernel, bias, dilation):
    places = x.shape[1] - (len(kernel) - 1) * dilation
    total = np.repeat(bias[:, None], places, axis=1).astype(np.float64)
    for k, own in enumerate(kernel):
        total += own.T.astype(np.float64) @ x[:, k * dilation : k * dilation + places]
    return total


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 45), st.integers(1, 27), st.integers(1, 2500), st.integers(1, 5),
    st.integers(1, 5),
)  # fmt: skip
def test_transforms_sum_as_plain_sums_do(width, dilation, places, inputs, outputs):
    rng = np.random.default_rng(width * places)
    kernel, bias = rng.normal(size=(width, inputs, outputs)), rng.normal(size=outputs)
    x = rng.normal(size=(inputs, places + (width - 1) * dilation)).astype(np.float32)
    y = np.full((outputs, places), np.nan, np.float32)
    FourierConvolution(kernel, bias, dilation)(x, y)
    expected = plainly(x, kernel, bias, dilation)
    np.testing.assert_allclose(y, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_what_was_left_in_memory_does_not_leak_into_the_next_sum():
    rng = np.random.default_rng(0)
    convolution = FourierConvolution(rng.normal(size=(41, 3, 3)), np.zeros(3), 25)
    x, y = rng.normal(size=(3, 1777)).astype(np.float32), np.empty((3, 777), np.float32)
    convolution(x, y)
    first = y.copy()
    for held in fourier.ROOM.held.values():
        held[:] = np.nan
    convolution(x, y)
    np.testing.assert_array_equal(first, y)


def test_wide_convolutions_of_many_places_are_transformed_and_others_not():
    wide = FourierConvolution(np.zeros((41, 1, 1)), np.zeros(1), 25)
    narrow = FourierConvolution(np.zeros((11, 1, 1)), np.zeros(1), 1)
    assert wide.pays(7_101) and not wide.pays(101) and not narrow.pays(10_000)


def test_both_ways_of_a_unit_agree(monkeypatch):
    model = drawn(10_000)
    weights = {v.path: np.asarray(v) for v in model.weights}
    unit = residual.ResidualUnit(weights, "unit_13", 41, 25)
    x = np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32)
    found = []
    for way in (True, False):
        monkeypatch.setattr(unit.first, "pays", lambda places, way=way: way)
        found.append(unit(x))
    assert found[0].shape == (4, 3000)
    np.testing.assert_allclose(*found, atol=1e-4)
