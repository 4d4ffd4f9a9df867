import csv
import json
from pathlib import Path

import numpy as np
import pytest
from program import here
from random_molecules import SMALL_FUSION, random_molecule
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from deepfield.domains.drug import DrugPipeline, features
from deepfield.domains.drug.molecules import Descriptors
from deepfield.toolkit.bundle import open_bundle, write_bundle
from deepfield.toolkit.data import Sample
from deepfield.toolkit.errors import UnusableModel, UsageError
from deepfield.toolkit.testing_pipelines import check_pipeline

BAD = Sample("broken", "CC(C)(C)(C)C", row={"id": "broken"})
BOILING = "sample:boiling"
SMALL = {
    "dmpnn": {"units": 32, "steps": 2, "head_units": 32},
    "graph_attention": {"units": 32, "hops": 2, "heads": 2, "head_units": 32},
    "fingerprint_mlp": {"units": 32, "input_dropout": 0.0, "dropout": 0.0},
    "fusion": SMALL_FUSION,
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["dmpnn", "graph_attention"])
def test_it_keeps_the_contract(architecture, tmp_path):  # fusion: with the other domains
    verbs = ("inspect", "evaluate", "predict", "explain", "export", "describe")
    check_pipeline(
        lambda: DrugPipeline(architecture),
        BOILING,
        BAD,
        tmp_path,
        learnt=("pearson_r2", 0.5),
        settings={**SMALL[architecture], "epochs": 40, "batch_size": 16, "learning_rate": 0.01},
        split="random:70/15/15",
        random_items=random_molecule,
        verbs=verbs if architecture == "dmpnn" else verbs[2:4],
    )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A number, a yes-or-no and gaps, of the molecules of the sample."""
    file = tmp_path_factory.mktemp("drug") / "mixed.csv"
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "smiles", "heavy", "oxygen", "kind"])
        for at, sample in enumerate(DrugPipeline().read(BOILING)):
            mol = Chem.MolFromSmiles(sample.data)
            oxygen = int("O" in rdMolDescriptors.CalcMolFormula(mol))
            heavy = "" if at % 5 == 1 else mol.GetNumHeavyAtoms()
            table.writerow([f"m{at}", sample.data, heavy, "" if at % 7 == 2 else oxygen, "x"])
    return str(file)


@pytest.fixture(scope="module")
def trained(mixed, tmp_path_factory):
    """A small `fusion` on both."""
    folder = tmp_path_factory.mktemp("drug") / "model"
    settings = {**SMALL["fusion"], "epochs": 30, "batch_size": 16, "learning_rate": 0.01}
    pipeline = DrugPipeline("fusion")
    fitted = pipeline.fit(
        mixed, out=folder, settings=settings, split="random:60/40/0",
        reader_options={"targets": ("heavy", "oxygen")},
    )  # fmt: skip
    return DrugPipeline.load(folder), fitted


def test_numbers_and_yes_or_no_are_learnt_side_by_side_from_what_is_there(trained):
    pipeline, fitted = trained
    assert pipeline.task.names == ["heavy", "oxygen"] and pipeline.task.binary == (False, True)
    figures = fitted.metrics["valid"]
    assert figures["roc_auc"] > 0.9 and figures["pearson_r2"] > 0.8
    (row,) = pipeline.predict([Sample("a", "CCCCCCO")])
    assert row["heavy_low"] <= row["heavy"] <= row["heavy_high"]
    assert 0 <= row["oxygen_low"] <= row["oxygen"] <= row["oxygen_high"] <= 1
    assert row["heavy"] == pytest.approx(7, abs=2) and row["oxygen"] > 0.5


def test_the_card_tells_what_the_networks_reach_alone(trained):
    pipeline, fitted = trained
    assert set(fitted.alone) == {"networks"}
    assert fitted.alone["networks"]["valid"]["n"] == fitted.metrics["valid"]["n"]
    card = pipeline.bundle.read("card.md").decode()
    assert "| networks alone, valid |" in card and "| forest, valid |" in card
    # by the graph and by everything, forest, boosted trees, kernel machine
    assert len(pipeline.calibrator.weights) == 5


def test_molecules_are_compared_with_the_validation_part_too(trained):
    pipeline, fitted = trained
    alike = next(iter(pipeline.models.values())).get_layer("alike")
    assert alike.references == len(fitted.parts.of("train")) + len(fitted.parts.of("valid"))
    assert np.asarray(alike.sets).any(axis=1).all()


def test_the_forest_beside_a_network_knows_what_chemists_tell_one():
    ring = "c1ccccc1O"

    def told(architecture, **settings):
        pipeline = DrugPipeline(architecture, **settings)
        pipeline.prepare([Sample("a", ring)], [None])
        return pipeline.baseline_features(pipeline.encode(ring)[0])

    mol = Chem.MolFromSmiles(ring)
    counts = features.fingerprint(mol)["fingerprint"]
    of_all = told("fusion")
    np.testing.assert_array_equal(of_all[:2048], counts)
    np.testing.assert_array_equal(of_all[2048:], features.descriptors(mol)["descriptors"])
    of_graph = told("dmpnn")  # its neighbours are found by environments
    assert len(of_graph) == 1024 and of_graph.sum() == (counts > 0).sum()
    alone = told("dmpnn", neighbours=0)
    assert alone.sum() == 7 * 7 + 7 * 3  # properties of seven atoms and seven bonds


def test_every_row_names_the_training_molecule_that_is_nearest(trained):
    pipeline, _ = trained
    known = pipeline.state["references"][0]
    near, far = pipeline.predict([Sample("a", known), Sample("b", "[Fe]F")])
    assert near["similarity"] == 1 and near["nearest"] == known and near["in_domain"]
    assert far["similarity"] < 0.3 and pipeline.novelty.threshold > 0.3


def test_a_broken_molecule_of_a_list_costs_its_own_row(tmp_path):
    pipeline = DrugPipeline.from_preset("fusion_esol")
    (tmp_path / "two.smi").write_text("CCO ethanol\nC1CC\n")
    mol = Chem.MolFromSmiles("CC")
    asked = ["CCO", "", "C1CC", "aspirin", None, float("nan"), mol, tmp_path / "two.smi", "C"]
    rows = list(pipeline.predict(asked))
    told = ["ok", *["rejected"] * 5, "ok", "ok", "rejected", "ok"]
    assert [row["status"] for row in rows] == told
    assert rows[1]["reason"] == "no structure" == rows[4]["reason"] == rows[5]["reason"]
    assert rows[3]["reason"].startswith("'a' at position 1 is no atom")
    *_, gone = pipeline.predict(["CCO", "missing.csv"])
    assert gone["status"] == "rejected"
    assert gone["reason"] == "no such file or folder: 'missing.csv'"


def test_who_does_not_want_to_know_the_nearest_is_not_told(trained, tmp_path):
    pipeline, _ = trained
    rows = tmp_path / "rows.jsonl"
    run = here(
        "drug", "predict", "CCO", "-o", str(rows), "--model", str(pipeline.bundle.path),
        "--no-neighbours", "-q",
    )  # fmt: skip
    assert run.code == 0
    (row,) = map(json.loads, rows.read_text().splitlines())
    assert "similarity" not in row and row["status"] == "ok"
    assert "in_domain" not in row or row["in_domain"] in (None, True)


def test_how_many_molecules_are_kept_to_compare_with(mixed, tmp_path):
    for most, kept in ((10, 9), (0, 0)):
        pipeline = DrugPipeline("fingerprint_mlp", neighbours=most)
        options = {"targets": ("oxygen",)}
        pipeline.fit(mixed, settings={"epochs": 1, "units": 8}, reader_options=options)
        assert len(pipeline.state.get("references", [])) <= most
        assert len(pipeline.state.get("references", [])) >= kept
        if not most:
            assert "similarity" not in pipeline.fields
    with pytest.raises(UsageError, match="--neighbours -1"):
        DrugPipeline("fingerprint_mlp", neighbours=-1).fit(
            mixed, settings={"epochs": 1, "units": 8}, reader_options=options
        )


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """Descriptors alone, in Merck's form."""
    random = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("drug") / "ACT_training.csv"
    table = random.poisson(0.7, (120, 12))
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["MOLECULE", "Act", *(f"D_{i}" for i in range(12))])
        for at, own in enumerate(table):
            rows.writerow([f"M_{at}", own[0] + own[1] - own[2] / 2, *own])
    return str(file)


@pytest.mark.parametrize("architecture", ["fusion", "descriptor_dnn"])
def test_tables_of_descriptors_without_structures_are_learnt(architecture, counts):
    settings = {
        "fusion": {**SMALL["fusion"], "epochs": 20, "batch_size": 16, "learning_rate": 0.01},
        "descriptor_dnn": {"units": [64, 32], "dropout": [0.0, 0.1, 0.1], "epochs": 40,
                           "batch_size": 16},
    }  # fmt: skip
    pipeline = DrugPipeline(architecture)
    fitted = pipeline.fit(counts, settings=settings[architecture])
    assert fitted.metrics["valid"]["pearson_r2"] > 0.6
    zeros, structure = pipeline.predict([Sample("a", Descriptors({})), Sample("b", "CCO")])
    assert zeros["status"] == "ok" and "similarity" not in zeros
    assert structure["status"] == "rejected" and "a structure" in structure["reason"]


def test_structures_are_needed_where_the_network_looks_at_them(counts):
    with pytest.raises(UsageError, match="dmpnn needs structures"):
        DrugPipeline("dmpnn").fit(counts)


def test_the_split_is_written_out_and_read_again(mixed, tmp_path):
    parts = tmp_path / "parts.csv"
    common = ("drug", "train", mixed, "--targets", "oxygen", "--architecture", "fingerprint_mlp",
              "--set", "units=8", "--epochs", "1", "-q")  # fmt: skip
    run = here(*common, "-o", str(tmp_path / "a"), "--split", "cluster", "--save-split", str(parts))
    assert run.code == 0, run.err
    rows = list(csv.DictReader(parts.open()))
    assert {row["part"] for row in rows} >= {"train", "valid"}
    counted = {p: sum(r["part"] == p for r in rows) for p in ("train", "valid")}
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert counted["valid"] == config["data"]["counts"]["valid"]


def test_what_is_rejected_says_why_before_and_after_training(mixed, tmp_path):
    rows = list(csv.DictReader(Path(mixed).read_text().splitlines()))
    rows[3] |= {"smiles": "C1CC", "oxygen": "1"}
    rows[4] |= {"oxygen": "perhaps"}
    data, parts = tmp_path / "bad.csv", tmp_path / "parts.csv"
    with data.open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    wanted = {
        "m3": "ring 1 is opened and never closed in 'C1CC'",
        "m4": "oxygen is 'perhaps', expected a number",
    }
    told = here("drug", "inspect", str(data), "--targets", "oxygen", "--no-timing", "--json")
    found = json.loads(told.out)
    assert told.code == 3 and found["rejected"] == 2 and "problem" not in found
    assert {r["id"]: r["reason"] for r in found["rejects"]} == wanted
    known = sum(row["oxygen"] != "" for row in rows)
    assert sum(found["parts"].values()) == known - 2
    run = here("drug", "train", str(data), "--targets", "oxygen", "--set", "units=8", "--epochs",
               "1", "--architecture", "fingerprint_mlp", "-o", str(tmp_path / "a"), "-q",
               "--save-split", str(parts))  # fmt: skip
    assert run.code == 0, run.err
    written = list(csv.DictReader(parts.open()))
    assert [row["id"] for row in written] == [row["id"] for row in rows]
    assert {r["id"]: r["reason"] for r in written if r["reason"] not in ("", "no label")} == wanted
    assert all((row["part"] == "") == bool(row["reason"]) for row in written)


def test_inspect_says_which_labels_nothing_can_learn(mixed):
    run = here("drug", "inspect", mixed, "--targets", "kind", "--no-timing")
    assert "no row of training can be learnt from: kind is 'x', expected a number" in run.out


@pytest.mark.parametrize(("said", "told"), [("kind", "kind"), ("nothing", "nothing")])
def test_a_target_that_cannot_be_is_named(mixed, said, told, tmp_path):
    run = here("drug", "train", mixed, "--targets", said, "-o", str(tmp_path / "no"), "-q")
    assert run.code != 0 and run.two_lines and told in run.err


def test_who_does_not_choose_among_several_columns_is_asked_to(mixed, tmp_path):
    run = here("drug", "train", mixed, "-o", str(tmp_path / "no"), "-q")
    assert run.two_lines and "--targets" in run.err


def test_it_is_fine_tuned_to_another_quantity(trained, tmp_path):
    base, _ = trained
    settings = {"epochs": 15, "batch_size": 16, "learning_rate": 0.01}
    tuned, fitted = base.finetune(BOILING, out=tmp_path / "tuned", settings=settings)
    assert tuned.task.names == ["boiling_c"] and fitted.metrics["valid"]["pearson_r2"] > 0.5
    scale = [m.model.get_layer("scale").moving_variance for m in (base, tuned)]
    np.testing.assert_array_equal(*scale)  # its networks know no other
    (row,) = DrugPipeline.load(tmp_path / "tuned").predict(["CCCCCCCO"])
    assert 50 < row["value"] < 350


def test_a_network_without_neighbours_is_tuned_to_one_that_has_some(mixed, tmp_path):
    settings = {"units": 8, "epochs": 1}
    options = {"reader_options": {"targets": ["oxygen"]}, "settings": settings}
    base = DrugPipeline("fingerprint_mlp", neighbours=0)
    base.fit(mixed, out=tmp_path / "base", **options)
    base = DrugPipeline.load(tmp_path / "base")
    (row,) = base.predict(["CCO"])
    assert "similarity" not in row
    base.finetune(BOILING, out=tmp_path / "tuned", settings={"epochs": 1})
    (row,) = DrugPipeline.load(tmp_path / "tuned").predict(["CCO"])
    assert row["similarity"] > 0 and row["nearest"] and row["in_domain"] is not None


def test_a_stranger_s_bundle_of_a_network_that_is_unknown_is_refused(trained, tmp_path):
    base, _ = trained
    base.save(tmp_path / "m")
    told = open_bundle(tmp_path / "m")
    files = {part: told.read(part) for part in told.files}
    write_bundle(tmp_path / "m", {**told.config, "architecture": "x" * 400}, files)
    with pytest.raises(UnusableModel, match="no architecture 'xxx"):
        DrugPipeline.load(tmp_path / "m")
