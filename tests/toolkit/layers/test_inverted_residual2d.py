import numpy as np
import pytest

from deepfield.toolkit.layers import InvertedResidual2D
from deepfield.toolkit.structure import parameters
from deepfield.toolkit.testing import check_layer

X = np.random.default_rng(0).normal(0, 3, size=(2, 7, 6, 3)).astype("float32")


def depthwise(x, kernel, stride):
    margins = []
    for size, k in zip(x.shape[1:3], kernel.shape[:2], strict=True):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        margins.append((total // 2, total - total // 2))
    view = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), *margins, (0, 0))), kernel.shape[:2], axis=(1, 2)
    )
    return np.einsum("bijcuv,uvc->bijc", view[:, ::stride, ::stride], kernel[..., 0])


@pytest.mark.parametrize(
    ("strides", "expansion", "filters"),
    [(2, 4, 5), (1, 4, 3), (1, 1, 5)],
    ids=["strided", "skip", "unexpanded"],
)
def test_it_is_what_a_layer_must_be(strides, expansion, filters):
    def reference(x, weights):
        def norm(y, name):
            gamma, beta, mean, variance = (
                weights[f"{name}/{part}"]
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            return gamma * (y - mean) / np.sqrt(variance + 0.01) + beta

        y = x
        if expansion > 1:
            y = np.clip(norm(y @ weights["expand_conv/kernel"][0, 0], "bn0"), 0, 6)
        y = np.clip(norm(depthwise(y, weights["depthwise_conv/kernel"], strides), "bn1"), 0, 6)
        y = norm(y @ weights["project_conv/kernel"][0, 0], "bn2")
        return y + x if strides == 1 and filters == 3 else y

    arguments = {
        "filters": filters,
        "kernel_size": (5, 3),
        "strides": strides,
        "expansion": expansion,
        "momentum": 0.9,
        "epsilon": 0.01,
        "kernel_initializer": "glorot_normal",
    }
    check_layer(InvertedResidual2D, arguments, X, reference, tolerance=3e-5)


def test_variables_are_named_like_the_published_weights():
    layer = InvertedResidual2D(3, name="blocks.1")
    layer.build((None, 8, 8, 3))
    modules = ("expand_conv", "bn0", "depthwise_conv", "bn1", "project_conv", "bn2")
    assert {v.path.rsplit("/", 1)[0] for v in layer.weights} == {f"blocks.1/{m}" for m in modules}


def test_counts_are_those_of_its_convolutions():
    layer = InvertedResidual2D(24, strides=2, expansion=6)
    layer.build((None, 112, 112, 16))
    assert parameters(layer) == 5136  # block 1 of EfficientNet-Lite0
    assert layer.connections((None, 112, 112, 16)) == 112**2 * 16 * 96 + 56**2 * 96 * (9 + 24)


def test_a_wrong_argument_is_named():
    with pytest.raises(ValueError, match="expansion must be a positive integer, got 0"):
        InvertedResidual2D(3, expansion=0)
    with pytest.raises(ValueError, match=r"strides must be a positive integer, got \(2, 1\)"):
        InvertedResidual2D(3, strides=(2, 1))
