"""Fine-tuning trains the head first; settings and names are checked before anything is trained."""

import keras
import numpy as np
import pytest
import toys
from keras import layers

from deepfield.toolkit import fitting, packing, training
from deepfield.toolkit.errors import UnusableModel, UsageError


def unnamed(input_shape, classes, filters=4):
    """A network whose author named no layer."""
    x = keras.Input(input_shape, name="pixels")
    h = layers.Conv2D(filters, 3, activation="relu")(x)
    h = layers.BatchNormalization()(h)
    h = layers.Dense(8, activation="relu")(layers.Flatten()(h))
    h = layers.Dense(8, activation="relu")(h)
    return keras.Model(x, layers.Dense(classes, name="logits")(h))


class Unnamed(toys.Pictures):
    def build(self, **hyper):
        return unnamed(**self.build_arguments(), **hyper)


class Kinds(toys.Pictures):
    """The same pictures with a third class: blank ones. The head must be another."""

    def read(self, source, **options):
        for index, sample in enumerate(super().read(source, **options)):
            if index % 3 == 0:
                sample.data[:], sample.target = sample.data * 0.1, "blank"
            yield sample


# -- fine-tuning


@pytest.fixture(scope="module")
def base():
    pipeline = toys.Pictures()
    pipeline.fit("toy", settings={"epochs": 2}, seed=1)
    pipeline.name = "base"
    return pipeline


def weights_of(model):
    return {v.path: np.array(v) for v in model.weights}


def test_at_first_only_the_head_learns_and_then_everything(base, monkeypatch):
    before, stages = weights_of(base.model), []
    fit = training.fit

    def watched(model, *arguments, **named):
        start = weights_of(model)
        rows = fit(model, *arguments, **named)
        stages.append((start, weights_of(model)))
        return rows

    monkeypatch.setattr(training, "fit", watched)
    base.__class__ = Kinds
    try:
        tuned, fitted = base.finetune("toy", settings={"epochs": 2}, seed=1)
    finally:
        base.__class__ = toys.Pictures
    (start, middle), (_, end) = stages
    taken = [path for path in before if not path.startswith("logits/")]
    assert len(taken) == 6
    for path in taken:  # taken over, and untouched by the first stage, moving averages too
        np.testing.assert_array_equal(start[path], before[path])
        np.testing.assert_array_equal(middle[path], before[path])
        assert not np.array_equal(end[path], before[path]), path
    for path in ("logits/kernel", "logits/bias"):
        assert not np.array_equal(middle[path], start[path])
        assert not np.array_equal(end[path], middle[path])
    assert tuned.task.labels == ["across", "blank", "upright"]
    assert [row["stage"] for row in fitted.history] == [0, 1, 1]
    assert all(layer.trainable for layer in tuned.model.layers)
    for path, value in weights_of(base.model).items():  # the base itself stays as it was
        np.testing.assert_array_equal(value, before[path])


def test_with_the_same_classes_there_is_no_new_head(base):
    _, fitted = base.finetune("toy", settings={"epochs": 1}, seed=1)
    assert [row["stage"] for row in fitted.history] == [0]


def test_a_network_that_shares_nothing_is_refused(base):
    run = fitting._Fit(
        base, fitting.Recipe(), {}, None, 0, False, None, print, None, "", "", 5.0,
        {"model": {"other/kernel": np.zeros(3)}}, "base",
    )  # fmt: skip
    with pytest.raises(UnusableModel, match="'base' shares no weights"):
        run._stages("model", packing.build_models(base)["model"])


# -- settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"fliters": 3}, "did you mean filters"),
        ({"epoch": 3}, "did you mean epochs"),
        ({"classes": 3}, "classes"),
        ({"epochs": "many"}, "default is"),
        ({"epochs": 2.5}, "default is"),
        ({"dropout": True}, "default is"),
    ],
)
def test_a_setting_that_nobody_knows_or_of_another_kind_is_refused(settings, named):
    with pytest.raises(UsageError) as raised:
        fitting.sort_settings(toys.Pictures(), settings)
    assert next(iter(settings)) in raised.value.message
    assert named in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("own", "asked", "dropout"), [({}, {}, 0.1), ({"dropout": 0.2}, {}, 0.2), ({}, 0.3, 0.3)]
)
def test_finetune_has_defaults_of_its_own(base, monkeypatch, own, asked, dropout):
    monkeypatch.setattr(toys.Pictures, "finetune_hyper", {"shaky": {"dropout": 0.1}})
    monkeypatch.setattr(base, "hyper", own)  # what the base was made with goes before them
    settings = {"epochs": 1} | ({"dropout": asked} if asked else {})
    tuned, _ = base.finetune("toy:40", settings=settings)
    assert tuned.hyper == {"dropout": dropout}


def test_a_network_that_cannot_be_built_is_told_by_its_setting_and_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="cannot be built with filters=0: ") as raised:
        toys.Pictures().fit("toy:40", out=tmp_path / "m", settings={"filters": 0, "epochs": 1})
    assert raised.value.hint and not list(tmp_path.iterdir())


def test_finetune_refuses_unknown_settings_too(base):
    with pytest.raises(UsageError, match="fliters"):
        base.finetune("toy", settings={"fliters": 3})


def test_settings_go_to_the_recipe_and_to_the_builder():
    recipe, hyper = fitting.sort_settings(toys.Pictures(), {"epochs": 3, "filters": 5})
    assert (recipe.epochs, hyper) == (3, {"filters": 5})


# -- names of layers


def test_paths_of_weights_do_not_depend_on_what_was_built_before():
    pipeline = Unnamed()
    pipeline.task.learn(["across", "upright"])
    first = [v.path for v in packing.build_models(pipeline)["model"].weights]
    layers.Dense(3), layers.Conv2D(2, 3)
    assert [v.path for v in packing.build_models(pipeline)["model"].weights] == first
    assert "dense/kernel" in first and "dense_1/kernel" in first


def test_building_disturbs_neither_names_nor_policy_nor_live_models():
    pipeline = Unnamed()
    pipeline.task.learn(["across", "upright"])
    live, number = packing.build_models(pipeline)["model"], layers.Dense(1).name
    x = np.ones((2, 8, 8, 1), "float32")
    before = np.array(live(x))
    with training.precision("mixed_bfloat16"):
        packing.build_models(pipeline)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert layers.Dense(1).name == f"dense_{int(number.partition('_')[2] or 0) + 1}"
    np.testing.assert_array_equal(live(x), before)


def test_a_network_of_unnamed_layers_comes_back_from_its_bundle(tmp_path):
    layers.Dense(3), layers.Dense(3)
    pipeline = Unnamed()
    pipeline.fit("toy", out=tmp_path / "m", settings={"epochs": 1}, seed=1)
    loaded = Unnamed.load(tmp_path / "m")
    for path, value in weights_of(loaded.model).items():
        np.testing.assert_array_equal(value, weights_of(pipeline.model)[path])
    tuned, _ = loaded.finetune("toy", settings={"epochs": 1})
    assert set(weights_of(tuned.model)) == set(weights_of(pipeline.model))


def test_a_fine_tuned_network_knows_the_commands_and_seconds_of_its_base_too(tmp_path):
    toys.Pictures().fit(
        "toy", out=tmp_path / "m", settings={"epochs": 1}, seed=1, command="train -o m"
    )
    base = toys.Pictures.load(tmp_path / "m")
    settings = {"epochs": 1}
    _, fitted = base.finetune("toy", out=tmp_path / "n", settings=settings, command="tune --from m")
    assert fitted.bundle.config["command"] == "train -o m && tune --from m"
    assert fitted.bundle.config["finetuned_from"] == "m"
    seconds = base.bundle.config["training_seconds"] + fitted.seconds
    assert fitted.bundle.config["training_seconds"] == pytest.approx(seconds, abs=0.1)


def test_a_network_tuned_from_a_preset_does_without_those_of_the_preset():
    from deepfield.domains.image import ImagePipeline

    base = ImagePipeline.from_preset("small_cnn_digits")
    assert base.bundle.config["command"]
    command = "tune --from small_cnn_digits"
    assert fitting._after([base], command) == (command, 0.0)


def test_several_networks_are_started_from_at_the_mean_of_their_weights(base, tmp_path):
    tuned = []
    for seed in (1, 2, 3):
        settings = {"epochs": 1, "learning_rate": 0.05}
        base.finetune("toy", out=tmp_path / f"m{seed}", settings=settings, seed=seed,
                      command=f"tune -o m{seed}")  # fmt: skip
        tuned.append(toys.Pictures.load(tmp_path / f"m{seed}"))
    still = {"epochs": 1, "learning_rate": 1e-12, "recalibrate_bn": False}
    first, *others = tuned
    mean, fitted = first.finetune("toy", out=tmp_path / "mean", settings=still, others=others,
                                  command="tune --from m1,m2,m3")  # fmt: skip
    kinds = [weights_of(one.model) for one in tuned]
    found = weights_of(mean.model)
    for path in (v.path for v in mean.model.trainable_variables):
        assert np.abs(kinds[0][path] - kinds[1][path]).max() > 0.004
        expected = np.mean([own[path] for own in kinds], axis=0)
        np.testing.assert_allclose(found[path], expected, atol=0.001)  # stored as halves
    config = fitted.bundle.config
    assert config["finetuned_from"] == "m1,m2,m3"
    assert config["command"].split(" && ")[-4:] == [
        "tune -o m1", "tune -o m2", "tune -o m3", "tune --from m1,m2,m3",
    ]  # fmt: skip


def test_networks_of_two_forms_have_no_mean(base):
    other = toys.Pictures()
    other.fit("toy", settings={"epochs": 1, "filters": 3}, seed=1)
    with pytest.raises(UsageError, match="networks of two forms"):
        base.finetune("toy", settings={"epochs": 1}, others=[other])


@pytest.mark.parametrize("patience", [2, 0])
def test_who_waits_is_told_where_learning_no_longer_helps(patience):
    said = []
    settings = {"epochs": 5, "patience": patience, "learning_rate": 1e-12, "schedule": "constant"}
    fitted = toys.Pictures().fit("toy", settings=settings, split="random:60/40/0", say=said.append)
    early = [line for line in said if line.startswith("no better for")]
    assert early == (["no better for 2 epochs: 3 were enough"] if patience else [])
    assert len(fitted.history) == (3 if patience else 5)
