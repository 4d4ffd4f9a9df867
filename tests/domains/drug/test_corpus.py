"""Structures alone, and what can be computed of them, as something to learn from."""

import numpy as np
import pytest

from deepfield.domains.drug import DrugPipeline
from deepfield.domains.drug.corpus import Described, read_corpus
from deepfield.domains.drug.features import descriptor_names
from deepfield.toolkit.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("structures")
    boiling = [s.data for s in DrugPipeline().read("sample:boiling")]
    (root / "inner").mkdir()
    (root / "a.csv").write_text("smiles,y\n" + "".join(f"{s},1\n" for s in boiling[:60]))
    (root / "inner" / "b.smi").write_text("".join(f"{s}\n" for s in [*boiling[50:], "C1CC"]))
    (root / "notes.txt").write_text("nothing\n")
    (root / "numbers.csv").write_text("a,b\n1,2\n")
    return root


def test_every_molecule_comes_once_with_its_descriptors(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path))
    samples = list(read_corpus(f"structures:{folder}"))
    assert len({s.data for s in samples}) == len(samples) == 100
    names = list(samples[0].target)
    assert set(names) < set(descriptor_names()) and len(names) > 40
    table = np.array([list(s.target.values()) for s in samples])
    deviation = table.std(axis=0)
    assert np.isfinite(table).all() and (deviation > 0).all()
    assert (np.abs(table - table.mean(axis=0)) < 12 * deviation).all()
    again = list(read_corpus(f"structures:{folder}"))  # from the cache
    np.testing.assert_array_equal([list(s.target.values()) for s in again], table)


def test_they_are_learnt_like_any_other_targets(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPFIELD_CACHE", str(tmp_path))
    pipeline = DrugPipeline("dmpnn", neighbours=0)
    pipeline.baseline = ""  # a forest for each of the many targets takes longer than all the rest
    settings = {"units": 16, "steps": 2, "head_units": 16, "epochs": 5, "batch_size": 16}
    fitted = pipeline.fit(f"structures:{folder}", settings=settings)
    assert fitted.metrics["valid"]["rmse"] > 0 and len(pipeline.task.names) > 40
    with pytest.raises(UsageError, match="holds no table with molecules"):
        list(read_corpus(f"structures:{tmp_path}"))


def test_numbers_by_name_are_a_mapping():
    one = Described(("a", "b"), np.array([1.0, 2.0]))
    assert dict(one) == {"a": 1.0, "b": 2.0} and len(one) == 2 and list(one) == ["a", "b"]
    with pytest.raises(KeyError):
        one["c"]
