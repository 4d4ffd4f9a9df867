import numpy as np
import pytest

from deepfield.toolkit import answering
from deepfield.toolkit.answering import in_chunks
from deepfield.toolkit.data import Encoded, Sample


@pytest.mark.parametrize("most_bytes", [64 << 20, 900])
def test_who_goes_on_at_a_multiple_gets_the_same_lists(most_bytes, monkeypatch):
    monkeypatch.setattr(answering, "_CHUNK_BYTES", most_bytes)
    rng = np.random.default_rng(0)
    items = [Encoded(Sample(str(i), None), {"x": np.zeros(rng.integers(1, 90), np.uint8)})
             for i in range(300)]  # fmt: skip
    items[70].arrays = None  # a rejected one
    whole = list(in_chunks(iter(items), 64))
    assert [item for chunk in whole for item in chunk] == items
    assert len(whole[0]) == 8
    for done in (64, 192, 256):
        behind, place = [], 0
        for chunk in whole:
            if place >= done:
                behind.append(chunk)
            place += len(chunk)
        assert list(in_chunks(iter(items[done:]), 64, early=False)) == behind
