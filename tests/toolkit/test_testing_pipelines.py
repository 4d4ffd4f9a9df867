"""Every pipeline keeps the contract: the toys, which use all of it, and the domains."""

import functools
import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import toys
from drawn_faces import write_pairs, write_people
from program import here
from random_molecules import SMALL_FUSION, random_molecule
from small_speech import SMALL_SPEECH, write_voices

import deepfield
from deepfield.domains import DOMAINS, domain
from deepfield.domains.face.data import Pair
from deepfield.domains.genomics.sequences import DNA
from deepfield.domains.qa.features import Asked
from deepfield.toolkit import answering
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import BadInput, NotFound, UsageError
from deepfield.toolkit.testing_pipelines import check_pipeline


def drawn_faces(folder):
    """People to learn, and pairs to be asked about."""
    people = write_people(folder / "people", 14, 5)
    return people, write_pairs(Path(people) / "pairs.csv", 14, 5, 24)


#: What the domains are asked: source (or what makes it, and one of questions, in a folder), a bad
#: sample, and arguments of `check_pipeline`; `with` are settings of the pipeline.
DOMAIN_CHECKS = {
    "face": (
        drawn_faces,
        Sample("broken", Pair("nosuch.png", b"\x89PNG no picture"), row={"id": "broken"}),
        {
            "settings": {
                "filters": [8, 12, 16],
                "units": 16,
                "side": 32,
                "augment": 0.3,
                "dropout": 0.0,
                "epochs": 15,
                "batch_size": 16,
                "learning_rate": 0.01,
            },
            "learnt": ("roc_auc", 0.75),
            "split": "group:60/20/20",
            "with": {"crop": True},
        },
    ),
    "image": (
        "digits",
        Sample("broken.png", b"\x89PNG no picture", row={"id": "broken.png"}),
        {"settings": {"filters": 8, "epochs": 3}, "learnt": ("accuracy", 0.9)},
    ),
    "drug": (
        "sample:boiling",
        Sample("broken", "CC(C)(C)(C)C", row={"id": "broken"}),
        {
            "settings": {**SMALL_FUSION, "epochs": 20, "batch_size": 16, "learning_rate": 0.01},
            "learnt": ("pearson_r2", 0.5),
            "split": "random:70/15/15",
            "random_items": random_molecule,
        },
    ),
    "genomics": (
        "simulate:site:400:1",
        Sample("broken", DNA(b"ACGTZ"), row={"id": "broken"}),
        {
            "settings": {
                "filters": 8,
                "near_units": 16,
                "far_bp": 0,
                "frames": 0,
                "hidden": 16,
                "forget": 0.0,
                "head_dropout": 0.0,
                "epochs": 10,
                "learning_rate": 0.01,
            },
            "learnt": ("accuracy", 0.8),
            "random_items": lambda rng: {"bases": rng.integers(0, 15, 120).astype(np.int32)},
        },
    ),
    "qa": (
        "world:60:1:invented",
        Sample("broken", Asked((), "Where?"), row={"id": "broken"}),
        {
            "settings": {"slots": 24, "epochs": 2, "jit": False, "units": 8, "hops": 1},
            "learnt": ("accuracy", 0.0),  # two epochs are for the contract alone
        },
    ),
    "speech": (
        lambda folder: (write_voices(folder / "voices", 72, 1), None),
        Sample("broken", b"RIFF, but no recording", row={"id": "broken"}),
        {
            # Sums differ in their last digits with the number of threads and with oneDNN, and so
            # does what is learnt: one that learnt barely enough with one thread did not with two.
            "settings": {**SMALL_SPEECH, "subsampling": 4, "epochs": 12, "batch_size": 8},
            "learnt": ("accuracy", 0.7),
            "split": "clip:75/25/0",
            "with": {"variation": 0.25},
        },
    ),
}


@pytest.mark.parametrize("toy", toys.TOYS, ids=lambda t: t.__name__)
def test_a_toy_pipeline_keeps_the_contract(toy, tmp_path):
    # Fine-tuning converts a second network: one toy of each kind of bundle is enough.
    slow = () if toy in (toys.Bumps, toys.Windows) else ("finetune",)
    verbs = [v for v in ("inspect", "finetune", "evaluate", "predict", "explain", "export",
                         "describe") if v not in slow]  # fmt: skip
    check_pipeline(toy, "toy", toys.BAD, tmp_path, learnt=toy.learnt, verbs=verbs)


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_keeps_the_contract(name, tmp_path):
    source, bad, given = DOMAIN_CHECKS[name]
    arguments = dict(given)
    make = functools.partial(domain(name), **arguments.pop("with", {}))
    if callable(source):
        source, arguments["asked"] = source(tmp_path)
    check_pipeline(make, source, bad, tmp_path, **arguments)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Toys trained once, by class."""
    made = {}

    def get(toy):
        if toy not in made:
            made[toy] = toy()
            made[toy].fit("toy", split="random:60/40/0")
        return made[toy]

    return get


def test_windows_of_an_endless_series_are_answered_as_they_come(trained):
    endless = Sample("endless", itertools.cycle([1.0, 2.0, 3.0, 4.0]))
    rows = trained(toys.Windows).predict([endless])
    assert [next(rows)["start"] for _ in range(3)] == [0, 8, 16]
    rows.close()


def test_a_bundle_answers_several_chunks_at_once_and_in_order(trained, tmp_path):
    trained(toys.Windows).save(tmp_path / "m")
    loaded = toys.Windows.load(tmp_path / "m")

    def first(count, batch_size):
        endless = Sample("endless", itertools.cycle(np.sin(np.arange(37.0))))
        rows = loaded.predict([endless], batch_size=batch_size)
        some = [next(rows) for _ in range(count)]
        rows.close()
        return some

    together, alone = first(400, 16), first(40, 1)
    assert [r["start"] for r in together] == list(range(0, 3200, 8))
    assert [r["label"] for r in together[:40]] == [r["label"] for r in alone]


def test_one_bad_window_costs_its_own_row(trained):
    series = np.arange(24.0)
    series[9] = np.nan
    rows = list(trained(toys.Windows).predict([Sample("s", series)]))
    assert [r["status"] for r in rows] == ["ok", "rejected", "ok"]
    assert rows[1]["reason"] == "not a number at 8"


def test_every_window_has_a_target_of_its_own(trained):
    series = Sample("s", np.arange(24.0), target=["up", "down"])
    items = list(trained(toys.Windows).encoded([series], targets=True))
    labels = trained(toys.Windows).task.labels
    assert [labels[int(next(iter(i.target.values())))] for i in items[:2]] == ["up", "down"]
    assert items[2].target is None and items[2].fault == "fewer targets than items"


def test_an_answer_is_a_sentence_of_the_input(trained):
    story = [["ann", "is", "in", "the", "attic"], ["bob", "is", "in", "the", "barn"]]
    rows = list(trained(toys.Story).predict([Sample("s", (story, ["where", "is", "bob"]))]))
    assert rows[0]["sentence"] == "bob is in the barn"


def test_two_networks_answer_together(trained):
    pipeline = trained(toys.Bumps)
    assert pipeline.members == ["detector", "scorer"]
    assert pipeline.models["detector"].output_names == ["place"]
    samples = list(itertools.islice(pipeline.read("toy"), 50))
    rows = list(pipeline.predict(samples))
    right = [r["place"] == s.target[1] for r, s in zip(rows, samples, strict=True)]
    assert np.mean(right) >= 0.9


def test_members_of_an_ensemble_differ_and_their_mean_answers(trained):
    pipeline = trained(toys.Ensemble)
    batch = {"steps": np.random.default_rng(0).normal(size=(2, 5, 2)).astype("float32")}
    one, two = (pipeline.run(name, batch)["logits"] for name in ("one", "two"))
    assert np.abs(one - two).max() > 1e-3
    np.testing.assert_allclose(pipeline.forward(batch)["logits"], (one + two) / 2, rtol=1e-6)


def test_intervals_hold_the_truth_at_the_promised_rate(trained):
    pipeline = trained(toys.Measured)
    rng = np.random.default_rng(9)
    fresh = [Sample(str(i), *toys.Measured.make(rng, i)) for i in range(600)]
    inside = []
    for row, sample in zip(pipeline.predict(fresh), fresh, strict=True):
        for name, value in sample.target.items():
            if value is not None:
                assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
                inside.append(row[f"{name}_low"] <= value <= row[f"{name}_high"])
    assert 0.84 <= np.mean(inside) <= 0.97
    assert set(pipeline.evaluate(fresh)["groups"]) == {"mass", "heat"}


class Explained(toys.Measured):
    """Gives back the sample that it is asked about."""

    def explanation(self, sample):
        return sample


def test_what_is_explained_is_one_of_what_is_answered():
    pipeline = Explained()
    sample = Sample("mine", np.ones(5))
    assert pipeline.explain(sample) is sample
    assert pipeline.explain("toy:3").id == pipeline.explain(Path("toy:3")).id == "toy0"
    assert pipeline.explain(sample.data).data is sample.data
    with pytest.raises(BadInput, match="cut off"):
        pipeline.explain(Sample("bad", None, fault="cut off"))
    with pytest.raises(BadInput, match="empty"):
        pipeline.explain("toy:0")


def test_a_source_of_several_that_is_not_there_costs_its_own_row(tmp_path):
    asked = ["toy:1", str(tmp_path / "gone.csv"), Sample("bad", None, fault="cut off"), "toy:1"]
    found = list(Explained().as_samples(asked[:1]))
    assert [s.id for s in found] == ["toy0"]
    samples = list(answering.samples(Explained(), asked, {}, rejecting=True))
    assert [bool(s.fault) for s in samples] == [False, True, True, False]
    assert "gone.csv" in samples[1].fault
    with pytest.raises(NotFound, match=r"gone\.csv"):  # training on the rest would be no answer
        list(Explained().as_samples(asked))


@pytest.mark.parametrize("size", [0, -1])
def test_batches_hold_something(size):
    with pytest.raises(UsageError, match=f"batches of {size} items"):
        next(Explained().predict("toy:3", batch_size=size))


class Frame:
    """A table as pandas has them."""

    columns = ("path", "label")

    def __init__(self, text):
        self.text = text

    def to_csv(self, path, index):
        assert not index
        Path(path).write_text(self.text)


class Nested(Frame):
    def to_csv(self, path, index):
        raise RuntimeError("lists are no cells\nand more")


def test_a_table_in_memory_is_read_as_its_csv_file(tiny, tmp_path, monkeypatch):
    pipeline = deepfield.load(str(tiny))
    (tmp_path / "a.png").write_bytes(next(iter(pipeline.read("sample:digits-zip"))).data)
    monkeypatch.chdir(tmp_path)
    rows = list(pipeline.predict(Frame("path,label\na.png,3\ngone.png,4\n")))
    assert [r["path"] for r in rows] == ["a.png", "gone.png"]
    assert [r["status"] for r in rows] == ["ok", "rejected"]
    with pytest.raises(UsageError, match=r"^the Frame has a header, but no rows"):
        list(pipeline.predict(Frame("path,label\n")))
    with pytest.raises(UsageError, match="the Nested cannot be read as a table: lists"):
        list(pipeline.predict(Nested("")))
    with pytest.raises(UsageError, match="a DataFrame is a table that cannot be read"):
        next(Explained().predict(type("DataFrame", (), {"columns": ["smiles"]})()))


def test_files_of_several_folders_are_told_apart(tiny, tmp_path):
    pipeline = deepfield.load(str(tiny))
    picture = next(iter(pipeline.read("sample:digits-zip"))).data
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(picture)
    names = [str(tmp_path / f / "a.png") for f in ("one", "two")]
    for asked in (names, [str(tmp_path / "one"), f"{tmp_path}/two/"]):
        assert [r["path"] for r in pipeline.predict(asked)] == names
        run = here("image", "predict", *asked, "--model", str(tiny), "--json")
        assert [json.loads(line)["path"] for line in run.out.splitlines()] == names


def test_pictures_of_several_archives_are_told_apart(tiny, tmp_path):
    pipeline = deepfield.load(str(tiny))
    picture = next(iter(pipeline.read("sample:digits-zip"))).data
    asked = [str(tmp_path / name) for name in ("one.zip", "two.zip")]
    for name in asked:
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr("a.png", picture)
    names = [str(tmp_path / folder / "a.png") for folder in ("one", "two")]
    assert [r["path"] for r in pipeline.predict(asked)] == names
    run = here("image", "predict", *asked, "--model", str(tiny), "--json")
    assert [json.loads(line)["path"] for line in run.out.splitlines()] == names
    run = here("image", "predict", asked[0], "--model", str(tiny), "--json")
    assert json.loads(run.out)["path"] == "a.png"  # as it is called where it alone is asked about


def test_an_unknown_way_with_errors_is_refused():
    with pytest.raises(UsageError, match="on_error='nul'"):
        next(Explained().predict("toy:3", on_error="nul"))
