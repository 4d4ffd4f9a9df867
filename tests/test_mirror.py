"""Tests mirror the tree: who changes a module finds its tests, and who reads tests their module."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Modules without tests of their own, and the tests that cover them.
ELSEWHERE = {
    "domains/drug/models.py": "domains/drug/test_fusion.py",
    "domains/drug/task.py": "domains/drug/test_pipeline.py",
    "domains/face/dlib_models.py": "domains/face/test_adopt.py",
    "domains/face/learning.py": "domains/face/test_pipeline.py",
    "domains/face/lfw.py": "domains/face/test_data.py",
    "domains/face/tight.py": "domains/face/test_features.py",
    "domains/face/views.py": "domains/face/test_conversion.py",
    "domains/genomics/comparing.py": "domains/genomics/test_variants.py",
    "domains/genomics/conversion.py": "domains/genomics/test_adopt.py",
    "domains/genomics/fourier.py": "domains/genomics/test_residual.py",
    "domains/genomics/genbank.py": "domains/genomics/test_fasta.py",
    "domains/genomics/genome.py": "domains/genomics/test_bed.py",
    "domains/genomics/sequences.py": "domains/genomics/test_splits.py",
    "domains/genomics/simulated_files.py": "domains/genomics/test_simulated.py",
    "domains/genomics/splice_models.py": "domains/genomics/test_residual.py",
    "domains/genomics/tables.py": "domains/genomics/test_data.py",
    "domains/image/conversion.py": "domains/image/test_adopt.py",
    "domains/image/demo.py": "test_program.py",
    "domains/image/explanation.py": "toolkit/test_testing_pipelines.py",
    "domains/image/labels.py": "domains/image/test_adopt.py",
    "domains/image/pipeline.py": "toolkit/test_testing_pipelines.py",
    "domains/qa/task.py": "domains/qa/test_pipeline.py",
    "domains/qa/vocabulary.py": "domains/qa/test_features.py",
    "domains/speech/pauses.py": "domains/speech/test_features.py",
    "domains/speech/tfds.py": "domains/speech/test_data.py",
    "domains/speech/wav_stream.py": "domains/speech/test_features.py",
    "toolkit/exporting.py": "toolkit/test_commands.py",
    "toolkit/golden.py": "toolkit/test_export.py",
    "toolkit/layers/_arguments.py": "toolkit/layers/test_residual_block2d.py",
    "toolkit/layers/_links.py": "toolkit/layers/test_graph_attention.py",
    "toolkit/layers/_summed_steps.py": "toolkit/layers/test_position_encoding.py",
    "toolkit/layers/_tables.py": "toolkit/layers/test_decision_trees.py",
    "toolkit/losses/_pairs.py": "toolkit/losses/test_metric_losses.py",
    "toolkit/losses/contrastive.py": "toolkit/losses/test_metric_losses.py",
    "toolkit/losses/masked_binary_crossentropy.py": "toolkit/losses/test_losses.py",
    "toolkit/losses/masked_quantities.py": "toolkit/losses/test_losses.py",
    "toolkit/losses/sparse_crossentropy.py": "toolkit/losses/test_losses.py",
    "toolkit/losses/triplet.py": "toolkit/losses/test_metric_losses.py",
    "toolkit/mel.py": "toolkit/layers/test_log_mel_spectrogram.py",
    "toolkit/novelty.py": "toolkit/test_calibration.py",
    "toolkit/options.py": "test_cli.py",
    "toolkit/parquet_files.py": "toolkit/test_data.py",
    "toolkit/pipeline.py": "toolkit/test_testing_pipelines.py",
    "toolkit/plot_style.py": "toolkit/test_plots.py",
    "toolkit/program.py": "test_program.py",
    "toolkit/restoring.py": "toolkit/test_testing_pipelines.py",
    "toolkit/runtime.py": "toolkit/test_export.py",
    "toolkit/separated.py": "toolkit/test_data.py",
    "toolkit/tables.py": "toolkit/test_evaluation.py",
    "toolkit/tfds_sets.py": "domains/image/test_data.py",
}

# Rooms that hold words alone: what is said on the command line, and in a network's card.
OF_WORDS = {"usage.py": "test_cli.py", "cards.py": "test_program.py"}

# Tests that follow something through many modules, and what it is.
ACROSS = {
    "domains/qa/test_bounds.py": "long stories and broken input, from the reader to the answer",
    "domains/qa/test_linear_start.py": "training that begins linearly: pipeline, models and bundle",
    "domains/qa/test_review_story.py": "a story asked of the shipped network",
    "domains/speech/test_presets.py": "what the shipped networks hear",
    "toolkit/layers/test_every_layer.py": "what holds of every layer",
    "toolkit/losses/test_losses.py": "losses of labels, side by side",
    "toolkit/losses/test_metric_losses.py": "losses of embeddings, side by side",
    "toolkit/test_resume.py": "a run that is killed and taken up again",
}

MODULES = {
    path.relative_to(ROOT).as_posix()
    for room in ("toolkit", "domains")
    for path in (ROOT / room).rglob("*.py")
    if path.name != "__init__.py"
}
TESTS = {path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/test_*.py")}


def mirrored(module: str) -> str:
    """The tests of a module: `toolkit/layers/_links.py` has `toolkit/layers/test_links.py`."""
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name.lstrip('_')}"


def test_there_is_something_to_compare():
    assert "toolkit/scores.py" in MODULES and "toolkit/test_scores.py" in TESTS


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_has_tests_of_its_name(module):
    elsewhere = module in ELSEWHERE or Path(module).name in OF_WORDS
    assert (mirrored(module) in TESTS) != elsewhere


def test_tests_of_rooms_have_a_module_of_their_name():
    known = {mirrored(module) for module in MODULES}
    odd = {test for test in TESTS if test.startswith(("toolkit/", "domains/"))} - known
    assert odd == {*ACROSS}


def test_what_is_excepted_is_there():
    assert {*ELSEWHERE} <= MODULES and {*OF_WORDS} <= {Path(module).name for module in MODULES}
    assert {*ELSEWHERE.values(), *OF_WORDS.values()} <= TESTS
