"""Every preset: ONNX against Keras, and a batch against its items one by one.

On the bundle's golden inputs and on random ones; the figure is max |a - b| / max(1, |b|).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from measuring import report, row

from deepfield.toolkit.console import silence_tensorflow

silence_tensorflow()

import numpy as np  # noqa: E402

from deepfield.domains import DOMAINS, domain, load  # noqa: E402
from deepfield.toolkit.errors import DeepfieldError  # noqa: E402
from deepfield.toolkit.export import disagreement, keras_network  # noqa: E402
from deepfield.toolkit.exporting import golden_inputs  # noqa: E402

FREE_LENGTHS = (7, 33, 120)  # what an axis without a size is set to


def random_inputs(model: Any, count: int, seed: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    batches = []
    # word ids must be in the network's smallest table
    limits = [layer.input_dim for layer in model.layers if hasattr(layer, "input_dim")]
    limit = min(256, *limits) if limits else 256
    free = any(size is None for t in model.inputs for size in t.shape[1:])
    for length in FREE_LENGTHS if free else (0,):
        batch = {}
        for tensor in model.inputs:
            shape = (count, *(length if size is None else size for size in tensor.shape[1:]))
            kind = np.dtype(tensor.dtype).kind
            drawn = rng.normal(size=shape) if kind == "f" else rng.integers(0, limit, shape)
            batch[tensor.name] = drawn.astype(tensor.dtype)
        batches.append(batch)
    return batches


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=8, help="random inputs a preset")
    parser.add_argument("--model", action="append", default=[], help="also this bundle")
    given = parser.parse_args()
    wanted = [(None, m) for m in given.model]
    wanted += [(name, preset) for name in DOMAINS for preset in domain(name).presets]
    rows: list[dict[str, Any]] = []
    for name, preset in wanted:
        try:
            pipeline = load(preset, name)
        except DeepfieldError as error:
            print(f"{name}/{preset}: passed over: {error.message}", file=sys.stderr)
            continue
        keras_gap = single_gap = 0.0
        for member in pipeline.members:
            model = pipeline.models[member]
            reference = keras_network(model)
            golden = list(golden_inputs(pipeline.bundle, model))
            for batch in [*golden, *random_inputs(model, given.random, 0)]:
                ours, theirs = pipeline.run(member, batch), reference(batch)
                same_order = {key: ours[key] for key in theirs}
                keras_gap = max(keras_gap, disagreement(same_order, theirs))
                size = len(next(iter(batch.values())))
                for i in range(size):
                    one = pipeline.run(member, {k: v[i : i + 1] for k, v in batch.items()})
                    among = {k: v[i : i + 1] for k, v in ours.items()}
                    single_gap = max(single_gap, disagreement(one, among))
        called = f"{name}/{preset}" if name else pipeline.name
        rows.append(row(f"{called}, ONNX against Keras", keras_gap, "", "<= 1e-4"))
        rows.append(row(f"{called}, batch against one by one", single_gap, "", "<= 1e-5"))
    return report("agreement", rows, random_inputs=given.random)


if __name__ == "__main__":
    sys.exit(main())
