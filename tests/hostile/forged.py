"""Bundles of strangers who know how to make the digests right."""

import copy
import hashlib
import json
import shutil


def forged(source, target, change=lambda config: None, files=None):
    """A copy of a bundle with its configuration changed, or other parts."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    config = copy.deepcopy(json.loads((source / "config.json").read_text()))
    for name, content in (files or {}).items():
        (target / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        config["files"][name] = {"bytes": len(content), "sha256": digest}
    config.pop("sha256")
    change(config)
    config["sha256"] = "0" * 64
    text = json.dumps(config).encode()
    head, _, tail = text.rpartition(b"0" * 64)
    (target / "config.json").write_bytes(head + hashlib.sha256(text).hexdigest().encode() + tail)
    return target
