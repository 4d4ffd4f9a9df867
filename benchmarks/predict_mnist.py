"""Pictures in a folder to answers in a file: ours against `model.predict`, whole processes.

Theirs imports TensorFlow and Keras, loads the same files with Pillow into memory, and calls
`model.predict` of the same network with the weights of the same bundle. Also said: the peak of
memory for a fifth of the pictures and for all, and the share of the time that is our own Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from measuring import deepfield, report, row, run

from deepfield.domains.image.pipeline import ImagePipeline

THEIRS = """
import json, sys
from pathlib import Path
import numpy as np
import tensorflow
import keras
from PIL import Image
from deepfield.domains.image.models import ARCHITECTURES
from deepfield.toolkit.bundle import open_bundle
from deepfield.toolkit.weights import weights_of
bundle, folder, out = map(Path, sys.argv[1:])
config = json.loads((bundle / "config.json").read_text())
f = config["state"]["framing"]
model = ARCHITECTURES[config["architecture"]](
    input_shape=(f["height"], f["width"], f["channels"]), classes=len(config["task"]["labels"]),
    **config["hyper"])
weights = weights_of(open_bundle(bundle), "model")
for variable in model.weights:
    variable.assign(weights[variable.path])
files = sorted(folder.iterdir())
pixels = np.stack([np.asarray(Image.open(p).convert("L")) for p in files])[..., None]
answers = model.predict(pixels, batch_size=256, verbose=0)
answers = next(iter(answers.values())) if isinstance(answers, dict) else answers
best = np.asarray(answers).argmax(axis=1)
labels = config["task"]["labels"]
out.write_text("".join(f"{p.name},{labels[i]}\\n" for p, i in zip(files, best)))
"""

# Run in a process of its own: time of a thread in each stage, decoder and network taken out.
SHARE = """
import json, sys, time
from deepfield import cli
from deepfield.domains.image import pipeline as image
from deepfield.toolkit import answering, commands
from deepfield.toolkit.runtime import Network
spent = {}
def timed(owner, name, key, clock):
    plain = getattr(owner, name)
    def call(*a, **k):
        began = clock()
        try:
            return plain(*a, **k)
        finally:
            spent[key] = spent.get(key, 0.0) + clock() - began
    setattr(owner, name, call)
cpu = time.thread_time
timed(image, "decode_image", "decoder", cpu)
timed(Network, "__call__", "network", time.perf_counter)
timed(Network, "__call__", "network_cpu", cpu)
timed(image.ImagePipeline, "encode", "encode", cpu)
timed(answering, "answer_chunk", "answer", cpu)
timed(commands, "predict", "main", cpu)
commands.RUN["predict"] = commands.predict
code = cli.main(sys.argv[1:])
print(json.dumps(spent), file=sys.stderr)
sys.exit(code)
"""


def write_pictures(data: str, folder: Path, count: int) -> int:
    """The last `count` pictures of an idx pair as PNG files."""
    from PIL import Image

    samples = list(ImagePipeline().read(data))[-count:]
    folder.mkdir()
    for index, sample in enumerate(samples):
        Image.fromarray(np.asarray(sample.data)).save(folder / f"{index:05d}.png")
    return len(samples)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data/image/mnist", help="an idx folder")
    parser.add_argument("--model", default="small_cnn_mnist", help="a preset or a bundle")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()

    from deepfield.domains import load

    bundle = load(given.model, "image").bundle
    assert bundle is not None
    model = bundle.path.resolve()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        count = write_pictures(given.data, work / "all", given.pictures)
        (work / "part").mkdir()
        for picture in islice(sorted((work / "all").iterdir()), count // 5):
            (work / "part" / picture.name).write_bytes(picture.read_bytes())
        (work / "theirs.py").write_text(THEIRS)
        (work / "share.py").write_text(SHARE)

        def ours(folder: str) -> list[str | Path]:
            return ["image", "predict", work / folder, "--model", model, "-o", work / "out.csv"]

        mine, other, peaks = [], [], []
        for _ in range(given.turns):
            done = deepfield(*ours("all"))
            mine.append(done.seconds)
            peaks.append(done.peak_mb)
            began = time.perf_counter()
            run([sys.executable, work / "theirs.py", model, work / "all", work / "theirs.csv"])
            other.append(time.perf_counter() - began)
        small = deepfield(*ours("part")).peak_mb
        split = run([sys.executable, work / "share.py", *ours("all"), "--quiet"])
        spent = json.loads(split.stderr.strip().splitlines()[-1])
        same = _same_labels(work / "out.csv", work / "theirs.csv")

    between = (spent["encode"] - spent["decoder"]) + (spent["answer"] - spent["network_cpu"])
    outside = spent["main"] - spent["encode"]
    whole = between + outside + spent["decoder"] + spent["network"]
    rows = [
        row("prediction from a folder, ours over model.predict", median(other) / median(mine),
            "x", ">= 5"),
        row("prediction from a folder, ours", count / median(mine), "pictures/s"),
        row("prediction from a folder, model.predict", count / median(other), "pictures/s"),
        row("our own Python between decoder and network", between / whole, "", "<= 0.2"),
        row("our own Python, reading and writing included", (between + outside) / whole, ""),
        row("memory for all pictures over that for a fifth", median(peaks) / small, "x", "<= 1.1"),
        row("peak of memory", median(peaks), "MB"),
    ]  # fmt: skip
    return report("predict_mnist", rows, pictures=count, model=bundle.name, ours=mine,
                  theirs=other, same_answers=same, spent=spent)  # fmt: skip


def _same_labels(ours: Path, theirs: Path) -> float:
    import csv

    with ours.open() as stream:
        mine = {Path(r["path"]).name: r["label"] for r in csv.DictReader(stream)}
    other = dict(line.split(",") for line in theirs.read_text().splitlines())
    return sum(mine[name] == label for name, label in other.items()) / max(1, len(other))


if __name__ == "__main__":
    sys.exit(main())
