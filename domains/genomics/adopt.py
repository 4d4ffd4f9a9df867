"""Adopting SpliceAI's networks from the PyPI package that carries their files.

The package is never imported: its files are found by path, their hashes checked, and read by h5py.
The weights may be used for non-commercial purposes only (`NOTICE`), so they are never shipped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfield.domains.genomics.residual import GROUPS, UNITS_OF_A_GROUP
from deepfield.toolkit.data import Arrays
from deepfield.toolkit.errors import UnusableModel
from deepfield.toolkit.installed_files import again, published

if TYPE_CHECKING:
    import keras

PACKAGE, EXTRA = "spliceai", "spliceai"
CONTEXT = 10_000
#: What a base may be, in the order of the networks' outputs.
LABELS = ("neither", "acceptor", "donor")
SHA256 = {
    "spliceai1.h5": "e1fd5adcef7489d604b10e79c40078ef790d51ef048c4ce3869c9119ac5de42b",
    "spliceai2.h5": "6ab042b82ab966b6d3582cb31b96f0859ea08a864f168d69e83aa14450a3b66e",
    "spliceai3.h5": "e2e790bde53dfdf410c6dc434a86122a7d12f3f38dc2ef45d85986e9ecf22fad",
    "spliceai4.h5": "ca88ac9e58e69ba6fdeed319b72f063f164c9abf7392eaccef903e94c1d99dd6",
    "spliceai5.h5": "791cd22c62a80a08d2ca674615a93ce8159d7b55bd157cfef2983b1bd6b41391",
}
NOTICE = (
    "SpliceAI's weights are free for academic and other non-commercial use (CC BY-NC 4.0); "
    "commercial use needs a licence from Illumina, Inc."
)
_PINS = f"--no-deps {PACKAGE}==1.3.1"
_HINT = again(_PINS)
_PARTS = {
    "kernel:0": "kernel", "bias:0": "bias", "gamma:0": "gamma", "beta:0": "beta",
    "moving_mean:0": "moving_mean", "moving_variance:0": "moving_variance",
}  # fmt: skip


def find_files() -> list[Path]:
    """Find the five networks' files in the installed package, and check that they are the
    published ones.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: a file is not the one that was published.
    """
    return [
        published(PACKAGE, "models", name, sha256=digest, extra=EXTRA, pins=_PINS)
        for name, digest in SHA256.items()
    ]


def published_names() -> dict[str, str]:
    """The layers of a published file, in the order in which they were made, to our layers.

    Example:
        >>> names = published_names()
        >>> names["conv1d_3"], names["batch_normalization_32"], names["conv1d_39"]
        ('unit_1_conv_1', 'unit_16_norm_2', 'logits')
    """
    convolutions, norms = ["stem", "skip_0"], []
    for group in range(1, len(GROUPS[CONTEXT]) + 1):
        for unit in range((group - 1) * UNITS_OF_A_GROUP + 1, group * UNITS_OF_A_GROUP + 1):
            convolutions += [f"unit_{unit}_conv_1", f"unit_{unit}_conv_2"]
            norms += [f"unit_{unit}_norm_1", f"unit_{unit}_norm_2"]
        convolutions.append(f"skip_{group}")
    convolutions.append("logits")
    named = {f"conv1d_{place}": own for place, own in enumerate(convolutions, start=1)}
    return named | {f"batch_normalization_{place}": own for place, own in enumerate(norms, start=1)}


def read_weights(path: Path) -> Arrays:
    """The weights of a published file, by the paths of `splice_resnet`'s variables.

    Raises:
        UnusableModel: the file holds another network, or cannot be read.
    """
    import h5py

    names = published_names()
    found: Arrays = {}
    try:
        with h5py.File(path, "r") as file:
            for layer, group in file["model_weights"].items():
                for name in group.attrs["weight_names"]:
                    name = name.decode() if isinstance(name, bytes) else str(name)
                    own, _, part = name.rpartition("/")
                    found[f"{names[own or layer]}/{_PARTS[part]}"] = np.asarray(group[name])
    except (OSError, KeyError) as error:
        raise UnusableModel(f"{path} is not a network of SpliceAI's: {error}", _HINT) from None
    return found


def spliceai_networks(say: Callable[[str], None] = lambda step: None) -> dict[str, keras.Model]:
    """Build SpliceAI's five networks with the published weights, in single precision.

    Args:
        say: is told every step before it begins: six in all.

    Returns:
        The networks, `model_1` to `model_5`; the answer is the mean of their probabilities.

    Raises:
        NotFound: the package is not installed.
        UnusableModel: its files are not the published ones.
    """
    say("checking the published files")
    files = find_files()
    from deepfield.domains.genomics.splice_models import splice_resnet
    from deepfield.toolkit.packing import set_weights

    networks = {}
    for number, path in enumerate(files, start=1):
        say(f"network {number} of {len(files)}")
        model = splice_resnet("site", len(LABELS), CONTEXT + 1, context=CONTEXT)
        set_weights(read_weights(path), model)
        networks[f"model_{number}"] = model
    return networks
