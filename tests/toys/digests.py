"""What a bundle has learnt, in a form that two runs are compared by."""

import hashlib
from pathlib import Path

from deepfield.toolkit.bundle import open_bundle
from deepfield.toolkit.weights import weights_of


def digests(bundle: Path) -> dict[str, str]:
    """SHA-256 of the weights, the tables and the golden outputs of a bundle, by file name."""
    opened = open_bundle(bundle)
    found = {}
    for part in sorted(name for name in opened.files if name.endswith(".safetensors")):
        member = part.removesuffix(".safetensors")
        # of the weights themselves: where they lie in the network is no part of the result
        network = f"{member}.onnx" in opened.files
        arrays = weights_of(opened, member) if network else opened.arrays(part)
        digest = hashlib.sha256()
        for name, array in sorted(arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
        found[part] = digest.hexdigest()
    return found
