"""What was encoded once is found again, by its content and by what encoded it."""

import functools
import sqlite3

import numpy as np
import pytest

from deepfield.domains.drug.features import encoded
from deepfield.toolkit import feature_cache
from deepfield.toolkit.feature_cache import FeatureCache


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "cache"))


def arrays(value):
    return {"x": np.full((2, 3), value, np.float32), "n": np.arange(3)}


def test_arrays_come_back_as_they_were():
    cache = FeatureCache("drug", len, "numpy")
    assert cache.get(["CCO", "CC", 5]) == [None, None, None]
    cache.put([("CCO", arrays(1.5)), (5, arrays(2))])
    found = cache.get(["CC", "CCO", 5])
    assert found[0] is None and found[2] is None
    for name, expected in arrays(1.5).items():
        np.testing.assert_array_equal(found[1][name], expected)
        assert found[1][name].dtype == expected.dtype
    cache.close()
    assert FeatureCache("drug", len, "numpy").get(["CCO"])[0] is not None


def test_other_functions_arguments_and_domains_have_entries_of_their_own():
    first = FeatureCache("drug", functools.partial(encoded, "none"), "rdkit")
    first.put([("CCO", arrays(1))])
    for other in (
        FeatureCache("drug", functools.partial(encoded, "largest"), "rdkit"),
        FeatureCache("drug", encoded, "rdkit"),
        FeatureCache("drug", functools.partial(encoded, "none"), "numpy"),
        FeatureCache("image", functools.partial(encoded, "none"), "rdkit"),
    ):
        assert other.get(["CCO"]) == [None]
    assert FeatureCache("drug", functools.partial(encoded, "none"), "rdkit").get(["CCO"])[0]


def test_what_an_encoder_uses_belongs_to_it():
    modules = feature_cache._modules(encoded.__module__)
    assert {"deepfield.domains.drug.features", "deepfield.domains.drug.molecules"} <= modules
    assert not any("pipeline" in name or "toolkit" in name for name in modules)


def test_a_broken_cache_is_no_cache(tmp_path):
    cache = FeatureCache("drug", len, "numpy")
    cache.put([("CCO", arrays(1))])
    with sqlite3.connect(cache.path) as table:
        table.execute("UPDATE features SET value = x'00'")
    assert cache.get(["CCO"]) == [None]
    cache.close()
    for extra in cache.path.parent.glob("features.sqlite*"):
        extra.unlink()
    cache.path.write_bytes(b"no database" * 1000)
    broken = FeatureCache("drug", len, "numpy")
    broken.put([("CCO", arrays(1))])
    assert broken.get(["CCO"]) == [None]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path / "file"))
    cache = FeatureCache("drug", len, "numpy")
    cache.put([("CCO", arrays(1))])
    assert cache.get(["CCO"]) == [None]


def test_a_cache_that_has_grown_too_large_starts_anew(monkeypatch):
    cache = FeatureCache("drug", len, "numpy")
    cache.put([("CCO", arrays(1))])
    cache.close()
    monkeypatch.setattr(feature_cache, "_MOST_BYTES", 10)
    assert FeatureCache("drug", len, "numpy").get(["CCO"]) == [None]
