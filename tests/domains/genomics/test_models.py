import keras
import numpy as np
import pytest

from deepfield.domains.genomics.features import reverse_complement
from deepfield.domains.genomics.models import (
    ARCHITECTURES,
    dilated_cnn,
    kmer_linear,
    learner,
    motif_cnn,
    splice_resnet,
    take_over,
)
from deepfield.domains.genomics.windows import middle
from deepfield.toolkit.errors import UsageError
from deepfield.toolkit.export import copied_once

RNG = np.random.default_rng(0)


def moved(model):
    """Weights off their initial values, so that a forgotten one shows."""
    for variable in model.weights:
        if variable.dtype.startswith("float"):
            noise = RNG.standard_normal(variable.shape) * 0.1
            value = np.asarray(variable) + noise
            variable.assign(np.abs(value) + 0.1 if "variance" in variable.path else value)
    return model


def ask(model, bases):
    return np.asarray(model(np.asarray(bases, np.int32))["logits"])


def test_all_that_the_issue_names_are_there():
    assert set(ARCHITECTURES.names()) >= {
        "motif_cnn",
        "splice_resnet",
        "dilated_cnn",
        "kmer_linear",
    }


@pytest.mark.parametrize("length", [60, 97, 140, 251, 602])
def test_the_middle_of_a_site_is_judged_as_the_twin_judges_the_window(length):
    model = moved(dilated_cnn("site", 3, length, filters=8, near_units=8, far_units=4, hidden=8))
    twin = learner(model, "dilated_cnn", {"kind": "site", "classes": 3, "length_bp": length},
                   {"filters": 8, "near_units": 8, "far_units": 4, "hidden": 8})  # fmt: skip
    bases = RNG.integers(0, 15, (4, length))
    everywhere, own = ask(model, bases), ask(twin, bases)
    field = length - everywhere.shape[1] + 1
    assert own.shape == (4, 3) and field % 2 == 1
    assert np.allclose(everywhere[:, middle(length) - field // 2], own, atol=1e-5)
    assert {v.path for v in twin.weights} == {v.path for v in model.weights}


@pytest.mark.parametrize(
    "without",
    [{"frames": 0}, {"frame_codons": 1}, {"far_bp": 0}, {"near_bp": 0}, {"grids": [1]}],
    ids=str,
)
def test_a_twin_agrees_whatever_is_left_out(without):
    hyper = {"filters": 4, "near_units": 4, "far_units": 4, "hidden": 4, "frames": 3} | without
    arguments = {"kind": "site", "classes": 2, "length_bp": 141}
    model = moved(dilated_cnn(**arguments, **hyper))
    twin = learner(model, "dilated_cnn", arguments, hyper)
    bases = RNG.integers(0, 15, (3, 141))
    everywhere = ask(model, bases)
    place = middle(141) - (141 - everywhere.shape[1]) // 2
    assert np.allclose(everywhere[:, place], ask(twin, bases), atol=1e-5)


def test_stretches_about_a_site_are_read_in_three_frames():
    """What is told of the frames, against plain NumPy."""
    hyper = {"filters": 4, "near_units": 5, "far_units": 4, "frames": 3, "frame_codons": 7}
    model = moved(dilated_cnn("site", 2, 100, **hyper))
    weights = {v.path: np.asarray(v) for v in model.weights}
    told = keras.Model(
        model.input, [model.get_layer(f"{name}_frame").output for name in ("best", "mean")]
    )
    contig = RNG.integers(1, 5, 130)
    best, mean = (np.asarray(one)[0] for one in told(contig[None].astype(np.int32)))

    stretches = (99 - 2) // 21
    norm = {n: weights[f"read_norm/{n}"] for n in ("gamma", "beta")}
    norm |= {n: weights[f"read_norm/moving_{n}"] for n in ("mean", "variance")}
    for place in (0, 9, len(best) - 1):
        field = 130 - len(best) + 1
        first = place + field // 2 - (stretches * 21 + 1) // 2  # the leftmost letter that is read
        frames = []
        for frame in range(3):
            found = np.zeros(5)
            for stretch in range(stretches):
                usage = np.zeros(3)
                for codon in range(7):
                    at = first + frame + 21 * stretch + 3 * codon
                    usage += weights["codons/codons"][(contig[at : at + 3] - 1) @ [16, 4, 1]]
                found += 3 * usage / 7 @ weights["read/kernel"][stretch]
            found = (found - norm["mean"]) / np.sqrt(norm["variance"] + 1e-3)
            frames.append(np.maximum(0, found * norm["gamma"] + norm["beta"]))
        assert np.allclose(best[place], np.max(frames, axis=0), atol=1e-4)
        assert np.allclose(mean[place], np.mean(frames, axis=0), atol=1e-4)


def test_a_twin_gives_its_weights_back():
    arguments = {"kind": "site", "classes": 2, "length_bp": 140}
    model = dilated_cnn(**arguments, filters=8)
    twin = moved(learner(model, "dilated_cnn", arguments, {"filters": 8}))
    take_over(model, twin)
    for own in model.trainable_variables:
        other = next(v for v in twin.weights if v.path == own.path)
        assert np.array_equal(own, other)


@pytest.mark.parametrize("make", [dilated_cnn, lambda *a: splice_resnet(*a, context=80, filters=8)])
def test_a_base_of_a_contig_is_judged_as_in_the_window_around_it(make):
    model = moved(make("site", 2, 140))
    contig = RNG.integers(1, 5, (1, 400))
    everywhere = ask(model, contig)[0]
    field = 400 - len(everywhere) + 1
    for place in (0, 7, len(everywhere) - 1):
        window = contig[:, place : place + field]
        assert np.allclose(ask(model, window)[0, 0], everywhere[place], atol=1e-5)


@pytest.mark.parametrize("make", [dilated_cnn, motif_cnn, kmer_linear])
def test_peaks_are_the_same_on_either_strand_and_windows_are_not(make):
    for kind, same in (("peak", True), ("window", False)):
        model = moved(make(kind, 2, 81))
        bases = RNG.integers(1, 5, (5, 81)).astype(np.uint8)
        own, other = ask(model, bases), ask(model, reverse_complement(bases))
        assert np.allclose(own, other, atol=1e-5) == same


def test_words_are_counted_one_by_one():
    model = moved(kmer_linear("window", 2, 30, word_bp=3, places=False))
    table = np.asarray(next(v for v in model.weights if "words" in v.path))
    bases = RNG.integers(0, 6, (4, 30))
    kernel, bias = (np.asarray(v) for v in model.get_layer("logits").weights)
    expected = []
    for one in bases:
        total = np.zeros(2)
        for at in range(28):
            word = one[at : at + 3]
            if ((word >= 1) & (word <= 4)).all():
                total += table[(word - 1) @ [16, 4, 1]]
        expected.append(total @ kernel + bias)
    assert np.allclose(ask(model, bases), expected, atol=1e-4)


def test_splice_resnet_has_as_many_parameters_as_was_published():
    assert splice_resnet("site", 3, 10_001, context=10_000).count_params() == 698_787


def test_an_answer_does_not_hang_on_its_batch():
    for kind, length in (("peak", 101), ("window", 81)):
        model = moved(dilated_cnn(kind, 2, length))
        bases = RNG.integers(1, 5, (6, length))
        assert np.allclose(ask(model, bases)[2:3], ask(model, bases[2:3]), atol=1e-5)


@pytest.mark.parametrize(("kind", "length"), [("site", 97), ("window", 60), ("peak", 60)])
def test_the_exported_network_agrees_at_every_length_it_takes(kind, length, tmp_path):
    import onnxruntime

    small = {"filters": 4, "near_units": 4, "far_units": 4, "hidden": 4, "frames": 3}
    model = moved(dilated_cnn(kind, 2, length, **small))
    ask(model, np.ones((1, length)))  # a model that was never called is not exported
    with copied_once():
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    for more in (0, 13, 300) if kind == "site" else (0,):
        bases = RNG.integers(0, 15, (3, length + more)).astype(np.int32)
        (told,) = session.run(None, {"bases": bases})
        assert np.allclose(told, ask(model, bases), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dilated_cnn("gene", 2, 100), "kind 'gene'"),
        (lambda: dilated_cnn("site", 2, 100, grids=[1, 3, 7]), "grids"),
        (lambda: dilated_cnn("site", 2, 100, grids=[2, 4]), "grids"),
        (lambda: dilated_cnn("site", 2, 100, frame_codons=0), "frame_codons=0"),
        (lambda: dilated_cnn("window", 2, 5), "9 letters or more"),
        (lambda: motif_cnn("site", 2, 100), "not a base"),
        (lambda: motif_cnn("peak", 2, 10), "16 letters or more"),
        (lambda: kmer_linear("site", 2, 100), "not a base"),
        (lambda: kmer_linear("peak", 2, 100, word_bp=9), "word_bp=9"),
        (lambda: splice_resnet("site", 3, 300, context=400), "context=400"),
        (lambda: splice_resnet("peak", 3, 602), "single bases"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
