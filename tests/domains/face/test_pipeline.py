"""People are learnt from pictures, and pairs of pictures are answered."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from drawn_faces import draw_face, write_pairs
from PIL import Image
from program import environment

from deepfield.domains.face import FacePipeline
from deepfield.domains.face.data import SAMPLES, Pair
from deepfield.domains.face.learning import partners
from deepfield.toolkit.data import Encoded, Sample
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.weights import weights_of

TINY = {
    "filters": [4, 8], "units": 8, "side": 32, "augment": 0.0, "epochs": 1, "batch_size": 8,
}  # fmt: skip


@pytest.fixture
def pipeline(small):
    return FacePipeline.load(small)


def shot(people, person, number):
    return str(Path(people) / f"person_{person}" / f"{number}.png")


def asked(people, one, two):
    return Sample("pair", Pair(shot(people, *one), shot(people, *two)), row={})


# -- answers


def test_a_network_tells_people_apart_that_it_never_saw(small):
    config = FacePipeline.load(small).bundle.config
    valid, beside = config["metrics"]["valid"], config["baseline"]["valid"]
    assert valid["n"] == 72 and valid["roc_auc"] > 0.7  # 36 pairs of the same, as many others
    assert config["baseline"]["kind"] == "eigenfaces" and 0.5 < beside["roc_auc"] < 1
    # thresholds are measured on all pairs of different people
    assert config["task"]["n_same"] == 36 and config["task"]["n_different"] == 240


def test_a_bundle_shows_and_names_nobody(small, people):
    files = {path.name: path.read_bytes() for path in Path(small).iterdir()}
    assert b"person" not in files["config.json"].replace(b'"person"', b"")
    shown = FacePipeline.load(small).bundle.arrays("golden.safetensors")
    chips = [shown[name] for name in shown if name.endswith("pixels")]
    assert len(chips) == 3 and all(chip.std(axis=(0, 1)).min() > 40 for chip in chips)


def test_an_answer_is_by_its_threshold_and_the_same_either_way(pipeline, people):
    pairs = [asked(people, (1, 1), (2, n)) for n in (1, 2)] + [asked(people, (2, 1), (1, 1))]
    one, _, turned = pipeline.predict(pairs)
    assert one["same"] == (one["distance"] <= one["threshold"]) and one["in_domain"] is True
    assert set(pipeline.columns) <= set(one)
    for name in ("same", "probability", "distance"):
        assert one[name] == turned[name]


def test_pairs_are_answered_by_the_mean_of_their_views(pipeline, people):
    chip = draw_face(3, 1)
    plain, mirrored = (
        pipeline.run("model", {"pixels": own[None]})["embedding"] for own in (chip, chip[:, ::-1])
    )
    both = pipeline.embeddings(chip[None])
    mean = plain + mirrored
    np.testing.assert_allclose(both, mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(both, pipeline.embeddings(chip[None, :, ::-1]), atol=1e-6)


def test_a_single_picture_is_no_question(pipeline, people):
    rows = list(
        pipeline.predict([Sample("one", shot(people, 1, 1)), asked(people, (1, 1), (1, 2))])
    )
    assert [row["status"] for row in rows] == ["rejected", "ok"]
    (alone,) = pipeline.predict(Path(shot(people, 1, 1)).read_bytes())
    for row in (rows[0], alone):
        assert row["reason"].startswith("one picture, and a pair is needed: a and b of a table")


def test_two_pictures_in_a_tuple_are_a_pair(pipeline, people):
    one, two = (Path(people) / f"person_{i}" / "1.png" for i in (1, 2))
    (expected,) = pipeline.predict([Pair(str(one), str(two))])
    for pair in ((str(one), str(two)), (one, two), (Image.open(one), np.asarray(Image.open(two)))):
        (row,) = pipeline.predict([pair])
        assert row == expected and row["status"] == "ok"


def test_a_fault_of_a_pair_names_its_side(pipeline, people, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    table = tmp_path / "pairs.csv"
    table.write_text(f"a,b\n{shot(people, 1, 1)},{torn}\nnosuch.png,{torn}\n"
                     f"{shot(people, 1, 1)},{shot(people, 1, 1)}\n")  # fmt: skip
    first, second, third = pipeline.predict(str(table))
    assert first["status"] == "rejected" and first["reason"].startswith("b: ")
    assert second["reason"].startswith("a: no such file") and second["same"] is None
    assert third["status"] == "ok" and third["distance"] == 0
    assert third["in_domain"] is False and "one and the same picture" in third["in_domain_reason"]


def test_a_pair_is_answered_from_a_few_pictures_of_memory(pipeline, people):
    pairs = [asked(people, (1, 1), (1 + i % 12, 2 + i // 12 % 3)) for i in range(80)]
    rows = list(pipeline.predict(pairs))
    assert len(rows) == 80 and all(row["status"] == "ok" for row in rows)
    assert len(pipeline.vector.known) == 37 and not pipeline.vector(pairs[0].data.a)[0].chip.size


# -- what was said about the pictures


def test_whether_pictures_are_faces_already_was_said_in_training_or_now(small):
    pipeline = FacePipeline.load(small)
    assert pipeline.looking == (True, "clear")
    pipeline.settings["face"] = "largest"  # said now
    assert pipeline.looking == (False, "largest")
    assert FacePipeline(face="only").looking == (False, "only")
    with pytest.raises(UsageError, match="--crop"):
        _ = FacePipeline(crop=True, face="only").looking


# -- evaluation


def test_a_folder_of_people_is_judged_by_all_pairs(pipeline, people, tmp_path):
    pictures = tmp_path / "people"
    shutil.copytree(people, pictures)
    (pictures / "person_1" / "0.jpg").write_bytes(b"\xff\xd8\xff\xe0 no jpg")
    result = pipeline.evaluate(str(pictures))
    assert result["n"] == 48 * 47 // 2 and result["rejected"] == 1
    assert result["commonest_fault"].startswith("person_1/0.jpg: ")
    assert result["metrics"]["roc_auc"] > 0.7 and result["by"] == "class"
    assert result["metrics"]["tar_at_far_1e-4"] is None  # too few pairs to show it


def test_folds_are_judged_by_a_threshold_of_the_others(pipeline, people, tmp_path):
    table = write_pairs(tmp_path / "pairs.csv", 12, 4, 60, folds=3)
    result = pipeline.evaluate(table, reader_options={"root": people})
    assert list(result["metrics"])[:2] == ["accuracy", "accuracy_se"]
    assert result["by"] == "fold" and set(result["groups"]) == {"1", "2", "3"}
    mean = np.mean([own["accuracy"] for own in result["groups"].values()])
    assert result["metrics"]["accuracy"] == pytest.approx(mean)
    plain = tmp_path / "plain.csv"
    plain.write_text("\n".join(",".join(line.split(",")[:3]) for line in
                               Path(table).read_text().splitlines()))  # fmt: skip
    again = pipeline.evaluate(str(plain), reader_options={"root": people})
    assert "accuracy_se" not in again["metrics"] and again["by"] == "class"
    assert again["metrics"]["roc_auc"] == result["metrics"]["roc_auc"]
    pipeline.settings["fmr"] = 0.1
    strict = pipeline.evaluate(str(plain), reader_options={"root": people})
    assert strict["metrics"]["fmr"] <= again["metrics"]["fmr"]


def test_cross_validation_answers_pairs_of_people_left_out(people, tmp_path):
    from deepfield.toolkit.folds import cross_validate

    result = cross_validate(
        lambda: FacePipeline(crop=True), people, 2, str(tmp_path / "rows.csv"), "csv",
        {"settings": TINY, "seed": 1},
    )  # fmt: skip
    assert result["n"] == 2 * 24 * 23 // 2 and result["rejected"] == 0
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert [row["fold"] for row in rows] == ["1"] * (24 * 23 // 2) + ["2"] * (24 * 23 // 2)


# -- learning


@pytest.mark.parametrize("objective", ["softmax", "triplet", "contrastive"])
def test_every_objective_learns(objective, people):
    pipeline = FacePipeline(crop=True, objective=objective)
    fitted = pipeline.fit(people, settings=TINY, split="group:50/50/0")
    assert np.isfinite(fitted.history[-1]["loss"]) and fitted.history[-1]["loss"] > 0
    assert fitted.metrics["valid"]["n"] == 72


def test_features_of_deepface_are_divided_by_the_largest_seen_in_training(people):
    settings = {"units": 6, "filters": 4, "maps": 2, "epochs": 1, "batch_size": 8}
    pipeline = FacePipeline("deepface", crop=True, objective="softmax")
    fitted = pipeline.fit(people, settings=settings, split="group:50/50/0")
    chips = np.stack([item.arrays["pixels"] for item in fitted.parts.of("train")])
    inner = pipeline.model.get_layer
    features = keras.Model(pipeline.model.input, [inner("F7").output, inner("scale").output])
    plain, divided = (np.asarray(part).max(axis=0) for part in features.predict_on_batch(chips))
    np.testing.assert_allclose(divided, plain / np.maximum(plain, 0.05), rtol=2e-3)


def test_losses_of_distances_meet_people_again():
    people = [0, 0, 0, 1, 1, 2, 3, 3, 3]
    items = [
        Encoded(Sample(str(i), None), {"pixels": np.full((2, 2, 3), i, np.uint8)},
                target={"person": np.int32(who)})
        for i, who in enumerate(people)
    ]  # fmt: skip
    places = np.array([0, 3, 5, 6, 8])
    batch = {"pixels": np.stack([items[i].arrays["pixels"] for i in places])}
    told = {"person": np.array([people[i] for i in places], np.int32)}
    vary = partners(items)
    seen = set()
    for draw in range(20):
        inputs, targets = vary(np.random.default_rng(draw), places, batch, told)
        shown = inputs["pixels"][:, 0, 0, 0].tolist()
        assert shown[:3] == [0, 3, 5] and shown[3] in (1, 2) and shown[4] == 4
        assert targets["person"].tolist() == [people[i] for i in shown]
        seen.add(shown[3])
    assert seen == {1, 2} and told["person"].tolist() == [0, 1, 2, 3, 3]


def test_pairs_teach_only_the_people_in_them(people, tmp_path):
    table = write_pairs(tmp_path / "pairs.csv", 12, 4, 60)
    options = {"root": people}
    with pytest.raises(UsageError, match="pairs do not say who is who"):
        FacePipeline(crop=True).fit(table, settings=TINY, reader_options=options)
    fitted = FacePipeline(crop=True).fit(
        table, settings=TINY, reader_options=options | {"people": True}, split="group:50/50/0"
    )
    assert 30 < sum(map(len, fitted.parts.parts.values())) <= 48


def test_pairs_can_be_inspected_before_there_is_a_network(people, tmp_path):
    from deepfield.toolkit.inspection import inspect

    table = write_pairs(tmp_path / "pairs.csv", 12, 4, 20)
    found = inspect(FacePipeline(crop=True), table, reader_options={"root": people})
    assert found["n"] == 20 and not found["rejected"]
    assert found["shapes"] == {"a 150x150x3 b 150x150x3": 20}
    told = found["targets"]
    assert told["the same person"] + told["different people"] == 20
    assert "pairs do not say who is who" in found["training"]["problem"]


def test_only_a_metric_is_adapted_on_request(pipeline, people):
    pipeline.settings["adapt"] = "metric"
    settings = {"epochs": 1, "learning_rate": 0.01}
    finer, fitted = pipeline.finetune(people, settings=settings, split="group:50/50/0")
    assert finer.hyper["metric"] is True and fitted.metrics["valid"]["n"] == 72
    before = weights_of(pipeline.bundle, "model")
    weights = {v.path: np.asarray(v) for v in finer.model.weights}
    assert set(weights) - set(before) == {"metric/kernel"}
    moved = {path for path, stored in before.items() if not np.array_equal(weights[path], stored)}
    assert not {path for path in moved if "moving" not in path}
    metric = weights["metric/kernel"]
    assert 0 < np.abs(metric - np.eye(16)).max() < 0.5
    assert finer.task.state["curve"]["slope"] == pytest.approx(
        pipeline.calibrator.slopes[0] if pipeline.calibrator else 10.0
    )
    assert finer.looking == (True, "clear") and "curve" not in finer.state


def test_without_a_metric_all_is_adapted(pipeline):
    class Layer:
        def __init__(self, name):
            self.name = name

    class Network:
        layers = tuple(map(Layer, ("conv_1", "embedding", "people")))

    assert pipeline.frozen_layers(Network) == set()
    Network.layers += (Layer("metric"),)
    assert pipeline.frozen_layers(Network) == {"conv_1", "embedding"}
    pipeline.settings["adapt"] = "all"
    assert pipeline.frozen_layers(Network) == set()


def test_the_card_says_what_it_must_not_be_used_for(pipeline):
    card = pipeline.bundle.read("card.md").decode()
    assert "Not to be used to identify people who did not agree" in card and "--forget" in card


# -- with dlib's networks, where their package is installed


def beside(*pictures, height=400):
    images = [Image.open(p).convert("RGB") for p in pictures]
    images = [im.resize((round(im.width * height / im.height), height)) for im in images]
    whole = Image.new("RGB", (sum(im.width for im in images), height))
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return np.asarray(whole)


def test_a_face_is_found_turned_upright_and_counted(dlib):
    portrait = SAMPLES["grace_hopper"]()
    face = dlib.faces(portrait)
    assert face.faces == 1 and face.chip.shape == (150, 150, 3) and abs(face.tilt) < 15
    assert dlib.check()["ok"]
    turned = np.asarray(Image.open(portrait).convert("RGB").rotate(20, expand=True))
    (row,) = dlib.predict([Sample("turned", Pair(portrait, turned))])
    assert row["distance"] < 0.35 and row["faces_b"] == 1


def test_of_two_faces_one_must_be_meant(dlib):
    portrait, two = SAMPLES["grace_hopper"](), None
    two = beside(portrait, SAMPLES["mirrored"]())
    ask = [Sample("two", Pair(portrait, two))]
    (row,) = dlib.predict(ask)
    assert row["status"] == "rejected" and row["reason"].startswith("b: 2 faces, ")
    dlib.settings["face"] = "largest"
    (row,) = dlib.predict(ask)
    assert row["status"] == "ok" and row["faces_b"] == 2 and row["distance"] < 0.45


@pytest.mark.parametrize("name", ["china", "flower"])
def test_a_photo_without_a_face_is_never_answered_by_the_whole_photo(dlib, name):
    (row,) = dlib.predict([Sample(name, Pair(SAMPLES[name](), SAMPLES["grace_hopper"]()))])
    assert row["status"] == "rejected" and row["reason"].startswith("a: no face found")
    assert row["same"] is None and row["distance"] is None


def test_another_network_finds_faces_by_dlibs(small, dlib):
    pipeline = FacePipeline.load(small)
    pipeline.settings["face"] = "clear"
    found = pipeline.faces(SAMPLES["grace_hopper"]())
    np.testing.assert_array_equal(found.chip, dlib.faces(SAMPLES["grace_hopper"]()).chip)


def test_fine_tuning_dlibs_network_starts_with_a_metric_that_changes_nothing(dlib):
    from deepfield.toolkit.fitting import sort_settings
    from deepfield.toolkit.packing import build_models

    hyper = {**dlib.finetune_hyper["dlib_resnet"], **dlib.hyper}
    finer = FacePipeline("dlib_resnet")
    _, finer.hyper = sort_settings(finer, {}, finer.finetune_recipe, hyper)
    (model,) = build_models(finer).values()
    stored = weights_of(dlib.bundle, "model")
    for variable in model.weights:
        if variable.path in stored:
            variable.assign(stored[variable.path])
    chip = dlib.faces(SAMPLES["grace_hopper"]()).chip[None]
    plain = dlib.run("model", {"pixels": chip})["embedding"]
    np.testing.assert_allclose(np.asarray(model(chip)["embedding"]), plain, atol=1e-5)
    assert model.output_names == ["embedding"]


_HEAVY = ["tensorflow", "keras", "scipy", "sklearn", "pandas", "librosa", "matplotlib"]
_RUN = (
    "import sys; from deepfield.cli import main; code = main(); "
    f"print([m for m in {_HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
)


def heavy(*arguments, **extra):
    run = subprocess.run(
        [sys.executable, "-c", _RUN, "face", *arguments],
        capture_output=True, text=True, env=environment(**extra),
    )  # fmt: skip
    return run.returncode, json.loads(run.stderr.strip().splitlines()[-1].replace("'", '"'))


def test_an_answer_loads_nothing_heavy(small, people):
    pair = shot(people, 1, 1), shot(people, 2, 1)
    for more in (("verify", *pair), ("find", pair[0], "--gallery", people)):
        assert heavy(*more, "-m", str(small), "-q") == (0, [])


def test_finding_a_face_loads_nothing_heavy(cache):
    arguments = ("verify", "sample:grace_hopper", "sample:mirrored", "-q")
    assert heavy(*arguments, DEEPFIELD_CACHE=str(cache)) == (0, [])
