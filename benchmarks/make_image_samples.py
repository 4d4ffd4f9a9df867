"""Make the small files that `sample:` names stand for, from scikit-learn's digits.

Run from the root of the repository: `python benchmarks/make_image_samples.py`. The same digits give
the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from deepfield.domains.image.data import READERS
from deepfield.toolkit.data import read_source

HERE = Path(__file__).parents[1] / "domains" / "image" / "samples"
IN_FOLDER, IN_ZIP, IN_IDX = 4, 12, 40  # pictures a class


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def main() -> None:
    digits = list(read_source("digits", READERS, {}))
    by_class = {str(n): [s for s in digits if s.target == str(n)] for n in range(10)}

    rows = []
    for label, samples in by_class.items():
        (HERE / "digits" / label).mkdir(parents=True, exist_ok=True)
        for number, sample in enumerate(samples[:IN_FOLDER]):
            path = f"digits/{label}/{label}_{number}.png"
            (HERE / path).write_bytes(png(sample.data))
            rows.append((path, label, "test" if number == IN_FOLDER - 1 else "train"))
    with (HERE / "digits.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label", "split"), *rows])

    with zipfile.ZipFile(HERE / "digits.zip", "w") as archive:
        for label, samples in by_class.items():
            for number, sample in enumerate(samples[-IN_ZIP:]):
                info = zipfile.ZipInfo(f"{label}/{number}.png")
                info.external_attr = 0o644 << 16
                archive.writestr(info, png(sample.data))

    (HERE / "digits-idx").mkdir(exist_ok=True)
    for name, part in (("train", slice(0, IN_IDX)), ("t10k", slice(IN_IDX, IN_IDX + 10))):
        columns = [samples[part] for samples in by_class.values()]
        chosen = [sample for row in zip(*columns, strict=True) for sample in row]
        pixels = np.stack([s.data for s in chosen])
        labels = np.array([int(s.target) for s in chosen], np.uint8)
        (HERE / "digits-idx" / f"{name}-images-idx3-ubyte.gz").write_bytes(idx(pixels))
        (HERE / "digits-idx" / f"{name}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


if __name__ == "__main__":
    main()
