"""MNIST's idx files."""

import contextlib
import gzip
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfield.domains.image.data import READERS, SAMPLES
from deepfield.toolkit.data import read_source
from deepfield.toolkit.errors import UsageError


def read(source):
    return list(read_source(str(source), READERS, SAMPLES))


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 5, 4), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10


def pair(folder, name="train", images=IMAGES, labels=LABELS, pack=gzip.compress):
    suffix = ".gz" if pack is gzip.compress else ""
    (folder / f"{name}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    if labels is not None:
        (folder / f"{name}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    return folder / f"{name}-images-idx3-ubyte{suffix}"


def test_a_folder_of_idx_pairs_gives_the_parts(tmp_path):
    pair(tmp_path)
    pair(tmp_path, "t10k", IMAGES[:3], LABELS[:3], bytes)
    samples = read(tmp_path)
    assert Counter(s.part for s in samples) == {"train": 30, "test": 3}
    assert [s.id for s in samples][29:31] == ["train/29", "t10k/0"]
    np.testing.assert_array_equal(np.stack([s.data for s in samples[:30]]), IMAGES)
    assert [s.target for s in samples[:30]] == [str(n) for n in LABELS]
    assert samples[2].row == {"path": "train/2", "label": "2"}


def test_idx_images_alone_and_a_single_file_are_read(tmp_path):
    images = pair(tmp_path, labels=None, pack=bytes)
    assert [s.target for s in read(images)] == [None] * 30
    assert len(read(tmp_path)) == 30
    colour = np.repeat(IMAGES[..., None], 3, -1)
    (tmp_path / "c.idx").write_bytes(idx(colour))
    assert read(tmp_path / "c.idx")[0].data.shape == (5, 4, 3)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_cut_idx_file_loses_only_what_is_missing(tmp_path, pack):
    images = pair(tmp_path, pack=pack)
    whole = images.read_bytes()
    images.write_bytes(whole[: len(whole) * 2 // 3])
    samples = read(tmp_path)
    good = [s for s in samples if not s.fault]
    assert len(samples) == 30 and 5 < len(good) < 30
    np.testing.assert_array_equal(np.stack([s.data for s in good]), IMAGES[: len(good)])
    assert samples[-1].fault == f"picture 29 of 30: {images.name} is cut"
    labels = tmp_path / images.name.replace("images-idx3", "labels-idx1")
    images.write_bytes(whole)
    labels.write_bytes(labels.read_bytes()[:-12])
    assert "label 29 of 30" in read(tmp_path)[-1].fault


def test_idx_files_that_do_not_fit_are_refused(tmp_path):
    images = pair(tmp_path, labels=LABELS[:7])
    with pytest.raises(UsageError, match="has 7 labels"):
        read(images)
    with pytest.raises(UsageError, match="holds labels"):
        read(tmp_path / "train-labels-idx1-ubyte.gz")
    images.write_bytes(gzip.compress(b"\0\0\x0d\3" + b"\0" * 50))
    with pytest.raises(UsageError, match="not an idx file"):
        read(tmp_path)
    for sizes in ((2**32 - 1, 28, 28), (1, 2**31, 2**31), (3, 0, 4)):
        images.write_bytes(b"\0\0\x08\3" + struct.pack(">3I", *sizes) + b"\0" * 99)
        with pytest.raises(UsageError) as caught:
            read(images)
        assert "fetch" in caught.value.hint


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_altered_idx_file_does_more_than_fail(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("idx")
    images = pair(folder)
    raw = bytearray(images.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    images.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with contextlib.suppress(UsageError):
        assert all(s.fault or s.data.dtype == np.uint8 for s in read(folder))
